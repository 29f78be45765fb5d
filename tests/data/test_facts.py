"""The record of a data set says every finding of the audit, each once."""

import numpy as np
from PIL import Image

from stroma.core.records import DataFacts
from stroma.data import images
from stroma.data.demo import write_demo_photos
from stroma.data.facts import _groups, data_facts
from stroma.data.records import KINDS, AuditEntry


def named(facts):
    """Every path that the facts name."""
    notes = {note.path for note in (*facts.skipped, *facts.notes)}
    return notes | {path for group in (*facts.duplicates, *facts.near_duplicates) for path in group}


def test_ten_of_ten_planted_faults_are_named(tmp_path):
    demo = write_demo_photos(tmp_path / "demo-photos", training=100, test=300)
    facts = data_facts(images(demo.folder, cache="memory"), source="demo-photos/")
    assert {fault.path for fault in demo.faults} <= named(facts)
    assert len(demo.faults) == 10
    listed = {note.path: note for note in (*facts.skipped, *facts.notes)}
    by_kind = {fault.kind: fault.path for fault in demo.faults}
    for kind in ("truncated", "empty", "not an image"):
        assert listed[by_kind[kind]].action == "skipped"
    assert listed[by_kind["system file"]].action == "ignored"
    assert len(facts.duplicates) == 3
    # and no good photo is called faulty
    copies = {path for group in facts.duplicates for path in group}
    ours = {"README.txt", "truth.csv", "demo.json"}
    assert named(facts) - copies - ours == {f.path for f in demo.faults} - copies
    assert facts.synthetic and facts.source == "demo-photos/"
    assert DataFacts.from_json(facts.to_json()) == facts


def test_counts_are_by_part_and_class(tmp_path):
    rng = np.random.default_rng(0)
    for name, count in (("cat", 20), ("dog", 40)):
        (tmp_path / name).mkdir()
        for index in range(count):
            pixels = rng.integers(0, 256, (16, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    facts = data_facts(images(tmp_path, cache="memory"))
    assert [sum(column) for column in zip(*facts.counts.values())] == [20, 40]
    assert facts.sizes == ((24, 16),)  # width first, as people say it
    assert not facts.synthetic and facts.duplicates == ()


def test_pairs_with_a_picture_in_common_are_one_group():
    pairs = [
        AuditEntry("duplicate", "b (1).jpg", "", "a.jpg"),
        AuditEntry("duplicate_across_parts", "c.jpg", "", "b (1).jpg (train and test)"),
        AuditEntry("duplicate", "y", "", "x"),
    ]
    assert _groups(pairs) == (("a.jpg", "b (1).jpg", "c.jpg"), ("x", "y"))


def test_every_kind_of_entry_becomes_a_line(tmp_path):
    demo = write_demo_photos(tmp_path / "d", training=100, test=30, faults=False)
    data = images(demo.folder, cache="memory")
    data.audit.entries = [AuditEntry(kind, f"{kind}.jpg", "seen", "other.jpg") for kind in KINDS]
    assert named(data_facts(data)) >= {f"{kind}.jpg" for kind in KINDS}
