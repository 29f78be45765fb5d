"""The data block: golden text at three widths, nothing cut off, nothing flooded."""

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest

from stroma.cli.blocks import data_block
from stroma.cli.console import Console
from stroma.core.records import DataFacts, FileNote

GOLDEN = Path(__file__).parent / "golden"
CLASSES = ("ash", "beech", "oak")
FACTS = DataFacts(
    source="photos/",
    synthetic=True,
    counts={"train": (700, 210, 1400), "validation": (150, 45, 300), "test": (150, 45, 300)},
    split="three parts, 70/15/15, stratified, seed 0; copies stay together",
    sizes=((4032, 3024), (640, 480)),
    skipped=(
        FileNote(path="oak/IMG_0017.jpg", problem="truncated: 12 of 40 kB are there"),
        FileNote(path="oak/" + "long name " * 9 + ".jpg", problem="empty file"),
    ),
    notes=(FileNote(path="ash/IMG_1.jpg", problem="EXIF orientation 6", action="turned upright"),),
    duplicates=(("ash/1.jpg", "ash/2.jpg"),),
    near_duplicates=(("oak/7.jpg", "oak/8.jpg", "oak/9.jpg"),),
)


def shown(facts, classes=CLASSES, width=80):
    stream = io.StringIO()
    data_block(Console(stream, width=width), facts, classes)
    return stream.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_block_reads_as_it_did(width):
    text = shown(FACTS, width=width)
    path = GOLDEN / f"data-{width}.txt"
    if os.environ.get("STROMA_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert "2 of 3,302 cannot be used" in text
    assert max(map(len, text.splitlines())) <= width


def test_good_data_takes_few_lines():
    clean = replace(FACTS, synthetic=False, skipped=(), notes=(), duplicates=(), near_duplicates=())
    text = shown(clean)
    assert len(text.splitlines()) <= 13
    assert "synthetic" not in text and "Left out" not in text


def test_many_classes_and_many_broken_files_do_not_flood():
    names = [f"class {index:03d}" for index in range(500)]
    notes = tuple(FileNote(path=f"{index}.jpg", problem="empty file") for index in range(3000))
    facts = DataFacts(source="x", counts={"train": tuple(range(1, 501))}, skipped=notes)
    text = shown(facts, names, width=120)
    assert len(text.splitlines()) < 40
    assert "500: class 000, class 001, class 002, class 003, class 004 and 495 more" in text
    assert "Left out: 3,000" in text and "and 2,980 more" in text
    assert "class 000, 1 photo\n" in text
