"""What labels of a table mean: read as meant, asked where in doubt, carried to every batch."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encoded, picture, write
from sklearn.preprocessing import MultiLabelBinarizer

from stroma.core.errors import ArgumentError, DataError
from stroma.data import images
from stroma.data.images import natural_size
from stroma.data.labels import Asked, read_labels, strata_of, targets_of, words_of


def read(labels, are="auto"):
    return read_labels([str(label) for label in labels], "y", Asked(are), "t.csv")


@pytest.mark.parametrize(
    "labels, task",
    [
        (["cat", "dog", "cat"], "one class"),
        (["cat", "cat|dog", "|"], "several classes"),
        (range(10), "one class"),  # ten different whole numbers are classes
        ([*range(10)] * 100, "one class"),
        ([*range(100)] * 20, "one class"),  # CIFAR-100's indices
        (["1.0", "2.0", "3.0"], "one class"),  # as pandas writes a column with a gap
        (["1.5", "2.25", "3"], "number"),
        (np.random.default_rng(0).normal(size=300), "number"),
        (["1e3", "2.5e-1"], "number"),
        (["2019", "nan"], "one class"),  # a word that Python takes for a number is none
        (["1_000", "2"], "one class"),
    ],
)
def test_the_cells_say_what_they_are(labels, task):
    assert read(labels).task == task


@pytest.mark.parametrize(
    "labels",
    [range(1900, 2000), [2010 + at % 60 for at in range(100)], ["0.5", "1", "1.5", "2"] * 10],
    ids=["a hundred years", "rare years", "ratings"],
)
def test_where_both_can_be_meant_it_asks_and_then_obeys(labels):
    with pytest.raises(DataError, match="numbers or the names of classes") as caught:
        read(labels)
    assert "--labels number or --labels class" in caught.value.fix
    assert read(labels, "number").task == "number" and read(labels, "class").task == "one class"


def test_what_was_asked_for_wins_and_the_way_out_is_named():
    assert read(["a|b", "c"], "class").class_names == ["a|b", "c"]
    assert read(["3", "4", "3"], "number").class_names == ["y"]
    assert read(["cat", "dog"], "several").class_names == ["cat", "dog"]
    assert "if not: --labels class" in read(["a|b", "c"]).said
    assert "if not: --labels number" in read(["1", "2"]).said
    for cell in ("cat", "nan", "1e999", "1,5"):
        with pytest.raises(DataError, match="is no number"):
            read(["1.5", cell], "number")


WORDS = st.lists(st.sampled_from("abcdefgh"), max_size=5, unique=True)


@given(st.lists(WORDS, min_size=1, max_size=30))
@settings(max_examples=80, deadline=None)
def test_several_classes_equal_scikit_learns(rows):
    cells = ["|".join(row) or "|" for row in rows]
    names = sorted({word for row in rows for word in row})
    assert [words_of(cell) for cell in cells] == rows
    found = targets_of(cells, "several classes", names)
    assert np.array_equal(found, MultiLabelBinarizer(classes=names).fit_transform(rows))


@given(st.integers(1, 400), st.integers(1, 6), st.integers(0, 5), st.integers(1, 5), st.booleans())
@settings(max_examples=80, deadline=None)
def test_every_group_of_a_split_is_large_enough(count, classes, seed, each, numbers):
    draws = np.random.default_rng(seed)
    targets = draws.normal(size=count) if numbers else draws.random((count, classes)) < 0.2
    units = np.arange(count) // each
    strata = strata_of(targets.astype(float).round(1), units)
    assert strata.shape == (count,) and set(strata) == set(range(strata.max() + 1))
    sizes = [len(np.unique(units[strata == group])) for group in set(strata)]
    assert min(sizes) >= min(20, len(np.unique(units)))


def photos(folder: Path, count: int = 60) -> list[str]:
    names = [f"p/{at:03d}.png" for at in range(count)]
    for at, name in enumerate(names):
        if not (folder / name).exists():
            write(folder / name, encoded(picture(at)))
    return names


def table(folder: Path, header: str, rows) -> Path:
    path = folder / "t.csv"
    lines = [f"{name},{row}" for name, row in zip(photos(folder, len(rows)), rows)]
    path.write_text("\n".join([header, *lines]))
    return path


SEVERAL = [["cat", "dog", "cat|dog", "|", "tree|cat"][at % 5] for at in range(60)]
YES_NO = [",".join(str(int(w in words_of(s))) for w in ("cat", "dog", "tree")) for s in SEVERAL]


def test_several_classes_by_cell_and_by_column_are_the_same(tmp_path):
    by_cell = images(table(tmp_path, "path,label", SEVERAL), size=16)
    by_column = images(table(tmp_path, "path,cat,dog,tree", YES_NO), size=16)
    for data in (by_cell, by_column):
        assert data.task == "several classes" and data.class_names == ["cat", "dog", "tree"]
        assert data.shape == (16, 16, 3)
        told = {
            name: row
            for part in data.parts.values()
            for name, row in zip(part.names, part.targets.tolist())
        }
        for at, cell in enumerate(SEVERAL):
            expected = [float(word in cell) for word in data.class_names]
            assert told[f"p/{at:03d}.png"] == expected
        assert sum(data.counts["cat"].values()) == 36
    assert by_cell.train.names == by_column.train.names
    assert "cat,dog,tree" in by_column.reading and "from column 'label'" in by_cell.reading
    json.dumps(by_cell.to_json())


def test_batches_and_parts_carry_targets(tmp_path):
    data = images(table(tmp_path, "path,label", SEVERAL), size=16)
    for batch in data.train.batches(8).epoch(0):
        assert batch.y.dtype == torch.float32 and batch.y.shape == (batch.size, 3)
        assert np.array_equal(batch.y.numpy(), data.train.targets[batch.indices])
    with pytest.raises(DataError, match="several classes each"):
        _ = data.train.labels  # planted: what expects one class a photo is stopped
    folds = list(data.folds(3))
    names = [name for fold in folds for name in fold.test.names]
    assert sorted(names) == sorted(n for part in data.parts.values() for n in part.names)
    assert all(fold.test.targets.shape == (len(fold.test), 3) for fold in folds)


def test_numbers_are_spread_evenly_and_kept_exactly(tmp_path):
    values = np.random.default_rng(0).normal(20, 7, 200)
    path = table(tmp_path, "path,age", [repr(float(value)) for value in values])
    data = images(path, size=16, target_column="age")
    assert data.task == "number" and data.class_names == ["age"]
    told = {n: v for p in data.parts.values() for n, v in zip(p.names, p.targets.tolist())}
    assert [told[f"p/{at:03d}.png"] for at in range(200)] == values.tolist()
    for part in data.parts.values():
        low, middle, high = np.quantile(part.targets, [0.1, 0.5, 0.9])
        assert abs(middle - np.median(values)) < 2 and high - low > 12
    batch = next(iter(data.train.batches(8).epoch(0)))
    assert batch.y.shape == (8, 1) and batch.y.dtype == torch.float32


def test_columns_are_asked_for_and_refused_by_name(tmp_path):
    rows = [f"{at % 2},{at % 3},{at / 7:.3f}" for at in range(60)]
    path = table(tmp_path, "path,sunny,kind,weight", rows)
    with pytest.raises(DataError, match="no label column") as caught:
        images(path)
    assert "--target-column" in caught.value.fix
    assert images(path, size=8, target_column="kind").task == "one class"
    assert images(path, size=8, target_column="Weight").task == "number"
    assert natural_size(path, target_column="kind") == (40, 40)
    with pytest.raises(DataError, match="neither 0 nor 1"):
        images(path, target_column=["sunny", "kind"])
    with pytest.raises(DataError, match="Did you mean 'weight'"):
        images(path, target_column="weigth")
    with pytest.raises(ArgumentError, match="labels"):
        images(path, labels="numbers")


def test_rows_without_a_label_are_counted_not_guessed(tmp_path):
    cells = ["" if at < 3 else cell for at, cell in enumerate(SEVERAL)]
    data = images(table(tmp_path, "path,label", cells), size=8)
    assert data.audit.counts["no_label"] == 3
    gaps = ["1,,0" if at < 3 else row for at, row in enumerate(YES_NO)]
    data = images(table(tmp_path, "path,cat,dog,tree", gaps), size=8)
    assert data.audit.counts["no_label"] == 3


def test_folders_have_one_class(tmp_path):
    photos(tmp_path)
    for asked in ({"labels": "number"}, {"target_column": "age"}):
        with pytest.raises(DataError, match="class folders"):
            images(tmp_path, **asked)


def test_a_given_part_cannot_hold_a_class_that_train_lacks(tmp_path):
    rows = [f"{cell},{'test' if at >= 50 else 'train'}" for at, cell in enumerate(SEVERAL)]
    data = images(table(tmp_path, "path,label,split", rows), size=8)
    assert len(data.test) == 10 and data.test_given
    rows[55] = "cat|newt,test"
    with pytest.raises(DataError, match="'newt'"):
        images(table(tmp_path, "path,label,split", rows), size=8)


@pytest.mark.parametrize("column", ["lists", "numbers", "yes_no", "names"])
def test_parquet_says_the_same(tmp_path, column):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    pixels = [{"bytes": encoded(picture(at)), "path": f"{at}.png"} for at in range(60)]
    values = {
        "lists": {"label": [words_of(cell) for cell in SEVERAL]},
        "numbers": {"label": [at / 7 for at in range(60)]},
        "yes_no": {w: [w in cell for cell in SEVERAL] for w in ("cat", "dog", "tree")},
        "names": {"label": [[("cat", "dog").index(w) for w in words_of(c) if w != "tree"]
                            for c in SEVERAL]},
    }[column]  # fmt: skip
    made = pa.table({"image": pixels, **values})
    if column == "names":
        feature = {"feature": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
        info = {"info": {"features": {"label": feature}}}
        made = made.replace_schema_metadata({"huggingface": json.dumps(info)})
    parquet.write_table(made, tmp_path / "d.parquet")
    data = images(tmp_path / "d.parquet", size=8)
    told = {int(n[:6]): v for p in data.parts.values() for n, v in zip(p.names, p.targets.tolist())}
    if column == "numbers":
        assert data.task == "number" and told == {at: at / 7 for at in range(60)}
        return
    assert data.task == "several classes"
    names = ["cat", "dog"] if column == "names" else ["cat", "dog", "tree"]
    assert data.class_names == names
    assert told == {at: [float(n in c) for n in names] for at, c in enumerate(SEVERAL)}
