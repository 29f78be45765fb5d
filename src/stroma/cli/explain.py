"""`stroma explain`: where in a photo the answer of a trained model comes from, as a picture."""

from __future__ import annotations

import dataclasses
import io
import math
from pathlib import Path
from typing import Any

import click

from stroma.cli.command import Session, command
from stroma.core.errors import ArgumentError, DataError
from stroma.core.runs import write_atomic
from stroma.explain import METHODS, Explanation
from stroma.explain.explanation import FACTS
from stroma.jobs.artefacts import load_artefact
from stroma.package.artefact import Artefact
from stroma.report.facts import percent

_ON_PIXELS = ("integrated_gradients", "occlusion")  # these look at no layer


@command("explain")
@click.argument("model", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("photo", metavar="IMAGE", type=click.Path(path_type=Path))
@click.option("--layer", metavar="NAME", help="Layer to look at; the last one with a map.")
@click.option("--class", "target", metavar="NAME", help="Class to explain; the one it says.")
@click.option("--method", metavar="NAME", type=click.Choice(list(METHODS)), default="gradcam",
              help=f"One of {', '.join(METHODS)}; the first.")  # fmt: skip
@click.option("--out", metavar="FILE.png", type=click.Path(path_type=Path),
              help="Where to write the picture; IMAGE-METHOD.png in this folder.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace the picture if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def explain(
    session: Session, model: Path, photo: Path, layer: str | None, target: str | None,
    method: str, out: Path | None, overwrite: bool, as_json: bool,
) -> None:  # fmt: skip
    """Show where in IMAGE the answer of the model in RUN comes from.

    Writes a picture with the evidence in colour over the photo, and says in words where it lies
    and what it cannot tell.
    """
    path = _checked_path(out or Path(f"{photo.stem}-{method}.png"), overwrite)
    _check_layer(layer, method)
    artefact = load_artefact(model)
    if artefact.task == "number":
        raise ArgumentError(
            f"{model} predicts a number, no class",
            where=str(model),
            why="the maps show what speaks for one class and against others",
            fix=f"stroma predict {model} {photo}",
        )
    options = {"layer": layer} if layer is not None else {}
    picture = _picture(artefact, photo)
    found = METHODS[method](
        artefact.model, picture, target, class_names=artefact.class_names, **options
    )
    share = float(artefact.probabilities([picture])[0, found.class_index])
    found = dataclasses.replace(found, probability=share)  # as `predict`: at the run's temperature
    encoded = io.BytesIO()
    found.picture().save(encoded, "PNG")
    _write(path, encoded.getvalue(), overwrite)
    if as_json:
        session.out.json(_figures(found, photo, path))
        return
    _say(session, found, photo, path)
    file = model / "model.keras" if model.is_dir() else model
    chosen = "" if target is None else f"{target!r}, "
    chosen += "".join(f"{name}={value!r}, " for name, value in options.items())
    session.talk.line(
        f"In Python: from stroma import explain; from stroma.package import Artefact; "
        f"a = Artefact.load({str(file)!r}); explain.{method}(a.model, a.prepare({str(photo)!r}), "
        f"{chosen}class_names=a.class_names).picture()"
    )


def _say(session: Session, found: Explanation, photo: Path, path: Path) -> None:
    height, width = found.map.shape
    rows = [
        ("photo", str(photo)),
        ("class", f"{found.class_name}, probability {percent(found.probability)}"),
        ("method", FACTS[found.method].name),
        ("layer", f"{found.layer}, a map of {height} × {width} places" if found.layer else ""),
        ("where", found.where()),
        ("picture", str(path)),
    ]
    session.out.facts([row for row in rows if row[1]])
    session.out.line()
    session.out.paragraph(f"What it cannot tell: {found.limits}")


def _figures(found: Explanation, photo: Path, path: Path) -> dict[str, Any]:
    silent = math.isnan(found.half_area())  # nothing speaks for the class; JSON has no NaN
    return {
        "photo": str(photo),
        "class": found.class_name,
        "class_index": found.class_index,
        "probability": found.probability,
        "method": found.method,
        "layer": found.layer or None,
        "map_size": list(found.map.shape),
        "photo_size": list(found.image.shape[:2]),
        "half_area": None if silent else found.half_area(),
        "centre": None if silent else list(found.centre()),
        "where": found.where(),
        "limits": found.limits,
        "details": dict(found.details),
        "picture": str(path),
    }


def _checked_path(path: Path, overwrite: bool) -> Path:
    """`path`, before any work is done for it."""
    if path.suffix.lower() != ".png":
        raise ArgumentError(
            f"{path} does not end in .png",
            where="--out",
            why="the picture is written as PNG, which keeps its colours as they are",
            fix=f"--out {path.with_suffix('.png')}",
        )
    if not path.parent.is_dir():
        raise ArgumentError(
            f"there is no folder {path.parent}",
            where=f"--out {path}",
            why="the picture is written into a folder that is there",
            fix=f"mkdir -p {path.parent}",
        )
    if path.is_dir() or (path.exists() and not overwrite):
        raise _taken(path)
    return path


def _taken(path: Path) -> ArgumentError:
    return ArgumentError(
        f"{path} is there already",
        where=str(path.resolve()),
        why="nothing of yours is overwritten unless you say so",
        fix="--overwrite, or another name: --out other.png",
    )


def _write(path: Path, data: bytes, overwrite: bool) -> None:
    if overwrite:
        write_atomic(path, data)
        return
    try:
        with path.open("xb") as file:  # never over a file that came meanwhile
            file.write(data)
    except FileExistsError:
        raise _taken(path) from None


def _check_layer(layer: str | None, method: str) -> None:
    if layer is not None and method in _ON_PIXELS:
        raise ArgumentError(
            f"--method {method} looks at no layer",
            where=f"--layer {layer}",
            why="it explains by the pixels themselves",
            fix="leave --layer out, or --method gradcam",
        )


def _picture(artefact: Artefact, photo: Path) -> Any:
    if not photo.is_file():
        raise DataError(
            f"{photo} is {'a folder' if photo.is_dir() else 'not there'}",
            where=str(photo.resolve()),
            why="one picture file is explained at a time",
            fix=f"stroma explain RUN {photo}/NAME.jpg" if photo.is_dir() else "check the path",
        )
    return artefact.prepare(photo)
