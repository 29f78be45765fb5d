"""Make the README's pictures from a real run: a terminal recording (SVG) and the report (PNG).

    python docs/make_pictures.py RUN_FOLDER "stroma demo" recorded.txt

`recorded.txt` is what the command printed in a terminal (`script -qc "stroma demo" recorded.txt`).
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
CHROMIUM = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def terminal_picture(command: str, recorded: str, target: Path) -> None:
    """From the plan on, each line in its last state, drawn as SVG."""
    recorded = re.sub(r"^Script (started|done).*$\n?", "", recorded, flags=re.M)
    # a live bar draws itself again and again: only its last state is kept
    recorded = re.sub(r"\x1b\[\?25[hl]|\x1b\[1A", "", recorded.replace("\r\n", "\n"))
    lines: list[str] = []
    for line in re.split(r"\n(?!\x1b\[2K)|\r|\n?\x1b\[2K", recorded):
        done = "(100%)" in line and " left" not in line
        moving = ("━" in line and not done) or line.startswith("epoch ")
        blank = not line.strip() and bool(lines) and not lines[-1].strip()
        repeated = blank or ("━" in line and line in lines)
        if not moving and not repeated:
            lines.append(line)
    start = next(n for n, line in enumerate(lines) if "The plan" in line)
    lines = lines[start:]
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text.from_ansi("\n".join(lines).strip("\n")))
    console.save_svg(str(target), title="stroma")


def report_picture(report: Path, target: Path) -> None:
    """The first screen of the report in Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [chromium, *CHROMIUM, f"--user-data-dir={profile}", "--window-size=1100,1400",
             f"--screenshot={target}", report.resolve().as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip


if __name__ == "__main__":
    run, command, recorded = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    terminal_picture(command, recorded.read_text(errors="replace"), HERE / "terminal.svg")
    report_picture(run / "report.html", HERE / "report.png")
