"""The real data sets beside the repository: counts, classes and pixels as their makers say."""

import io
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from shared_files import SHARED, needs_shared
from stroma.data.images import images

CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@needs_shared
def test_imagenette_mini_zip() -> None:
    path = SHARED / "data/imagenette-mini.zip"
    data = images(path)
    assert data.size == (224, 224) and len(data.class_names) == 10
    assert len(data.train) + len(data.validation) == 4000 and len(data.test) == 1500
    assert all(count["test"] == 150 for count in data.counts.values())
    assert all(count["validation"] == 60 for count in data.counts.values())
    assert data.audit.skipped == []
    with zipfile.ZipFile(path) as archive:
        for at in (0, 700, 1499):
            name = data.test.names[at]
            with Image.open(io.BytesIO(archive.read(name))) as image:
                expected = np.asarray(image.convert("RGB"))
            assert name.split("/")[2] == data.class_names[data.test.labels[at]]
            opened = data.open_test(again=True)
            assert np.array_equal(opened.images([at])[0], expected)


@needs_shared
@pytest.mark.slow
def test_cifar10_parquet() -> None:
    path = SHARED / "data/cifar10-jpeg-train.parquet"
    data = images(path)
    assert data.size == (32, 32) and data.class_names == CIFAR
    assert len(data.train) + len(data.validation) == 50_000 and len(data.test) == 10_000
    assert all(count["test"] == 1000 for count in data.counts.values())
    assert data.audit.counts["near_duplicate"] > 20  # ciFAIR: CIFAR-10 repeats itself
    table = pq.read_table(path)
    for at in (0, 20_000, 30_000):
        row = int(data.train.names[at].split("/")[1].split()[0])
        raw = table["img"][row]["bytes"].as_py()
        with Image.open(io.BytesIO(raw)) as image:
            expected = np.asarray(image.convert("RGB"))
        assert np.array_equal(data.train.images([at])[0], expected)
        assert data.train.labels[at] == table["label"][row].as_py()
