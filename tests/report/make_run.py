"""A run folder such as training leaves behind, with generated pictures and believable figures.

`python tests/report/make_run.py FOLDER` makes one and its report, to look at.
"""

import colorsys
import math
import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from stroma.core import runs
from stroma.core.records import (
    DataFacts,
    EpochRow,
    FileNote,
    Finding,
    LayerRow,
    Plan,
    Prediction,
    RunRecord,
    Score,
    confusion_of,
)

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CONFUSED = {3: 8, 8: 3, 4: 9, 9: 4, 1: 7, 7: 1}


def picture(label: int, noise: random.Random, path: Path) -> None:
    """A digit on a soft background: small, different each time, quick to draw."""
    hue = noise.random()
    near, far = (
        tuple(int(255 * c) for c in colorsys.hsv_to_rgb(h % 1, 0.45, v))
        for h, v in ((hue, 0.85), (hue + 0.12, 0.5))
    )
    back = Image.linear_gradient("L").resize((72, 72)).rotate(noise.choice((0, 90, 180, 270)))
    image = Image.composite(Image.new("RGB", (72, 72), near), Image.new("RGB", (72, 72), far), back)
    draw = ImageDraw.Draw(image)
    for _ in range(3):
        x, y, r = (noise.randint(0, 72), noise.randint(0, 72), noise.randint(6, 22))
        shade = tuple(min(255, c + noise.randint(-40, 50)) for c in near)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=shade)
    image = image.filter(ImageFilter.GaussianBlur(1.2))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=noise.randint(38, 52))
    draw.text((18 + noise.randint(-6, 12), noise.randint(2, 12)), str(label % 10), "white", font)
    image.save(path, "WEBP", quality=70)


def predictions(folder: Path, classes: int, each: int, error: float, seed: int) -> list[Prediction]:
    """`each` test photos per class, a share of `error` of them wrong, each with a thumbnail."""
    noise = random.Random(seed)
    (folder / runs.PHOTOS_FOLDER).mkdir(parents=True, exist_ok=True)
    made = []
    for truth in range(classes):
        for number in range(each):
            wrong = noise.random() < error * (2.2 if truth in (3, 8) else 0.8)
            other = CONFUSED.get(truth, truth) if noise.random() < 0.7 else noise.randrange(classes)
            other = (truth + 1) % classes if other == truth or other >= classes else other
            sure = min(0.999, max(0.28, noise.gauss(0.66 if wrong else 0.93, 0.14)))
            thumbnail = f"{runs.PHOTOS_FOLDER}/{len(made)}.webp"
            picture(truth, noise, folder / thumbnail)
            made.append(
                Prediction(
                    path=f"demo-photos/test/{DIGITS[truth % 10]}/IMG_{1000 + len(made)}.jpg",
                    truth=truth,
                    predicted=other if wrong else truth,
                    probability=round(sure, 4),
                    runner_up=truth if wrong else other,
                    runner_up_probability=round((1 - sure) * 0.8, 4),
                    thumbnail=thumbnail if number < 24 or wrong else None,
                )
            )
    return made


def history(epochs: int, seed: int = 1) -> list[EpochRow]:
    """Curves that learn, then overfit a little."""
    noise = random.Random(seed)
    rows = []
    for epoch in range(1, epochs + 1):
        done = epoch / epochs
        loss = 2.3 * math.exp(-4.2 * done) + 0.03 + noise.gauss(0, 0.012)
        val = 2.3 * math.exp(-3.6 * done) + 0.24 + 0.12 * max(0, done - 0.7) + noise.gauss(0, 0.035)
        rows.append(
            EpochRow(
                epoch=epoch,
                seconds=round(4 + noise.random(), 2),
                learning_rate=0.002 * 0.5 * (1 + math.cos(math.pi * done)),
                metrics={
                    "loss": abs(loss),
                    "accuracy": 1 - 0.33 * abs(loss),
                    "val_loss": val,
                    "val_accuracy": max(0.1, 1 - 0.29 * val),
                },
            )
        )
    return rows


LAYERS = (
    LayerRow(name="input", kind="Input", output_shape=(None, 64, 64, 3), macs=0),
    LayerRow(
        name="conv2d", kind="Conv2D", output_shape=(None, 64, 64, 32), parameters=896,
        trainable_parameters=896, macs=3_538_944, receptive_field=(3, 3), connected_to=("input",),
    ),
    LayerRow(
        name="batch_normalization", kind="BatchNormalization", output_shape=(None, 64, 64, 32),
        parameters=128, trainable_parameters=64, macs=0, receptive_field=(3, 3),
        connected_to=("conv2d",), trainable=False,
    ),
    LayerRow(
        name="conv2d_1", kind="Conv2D", output_shape=(None, 32, 32, 64), parameters=18_496,
        trainable_parameters=18_496, macs=18_874_368, receptive_field=(7, 7),
        connected_to=("batch_normalization",),
    ),
    LayerRow(
        name="global_average_pooling2d", kind="GlobalAveragePooling2D", output_shape=(None, 64),
        macs=0, connected_to=("conv2d_1",),
    ),
    LayerRow(
        name="dense", kind="Dense", output_shape=(None, 10), parameters=650,
        trainable_parameters=650, macs=640, connected_to=("global_average_pooling2d",),
    ),
)  # fmt: skip

DATA = DataFacts(
    source="demo-photos/",
    fingerprint="sha256:5b1f0c9a7e34d2886a90b1c2",
    synthetic=True,
    split="Test photos as given in test/; 15 % of the others, drawn with seed 7, for validation.",
    sizes=((64, 64), (80, 64), (640, 480)),
    skipped=(
        FileNote(path="demo-photos/train/two/IMG_0007.jpg", problem="broken: ends in mid-picture"),
        FileNote(path="demo-photos/train/nine/notes.jpg", problem="text, not a picture"),
        FileNote(path="demo-photos/train/six/empty.jpg", problem="empty file"),
    ),
    notes=(
        FileNote(
            path="demo-photos/train/five/IMG_0410.jpg",
            problem="lies on its side (EXIF orientation 6)",
            action="turned upright",
        ),
    ),
    duplicates=(("demo-photos/train/one/a.jpg", "demo-photos/test/one/b.jpg"),),
)

FINDINGS = (
    Finding(
        term="overfitting",
        evidence="training loss fell to 0.06 while validation loss rose from 0.29 to 0.33",
        since="epoch 19",
        means="the network now learns these photos by heart; what it learns helps no new photo",
        try_next="stroma train demo-photos/ --epochs 19",
        confidence=0.8,
    ),
    Finding(
        term="copies across parts",
        severity="critical",
        where="demo-photos/test/one/b.jpg",
        evidence="one test photo is also a training photo",
        means="a test on photos already seen is no test",
        try_next="leave it as it is: the copy was kept out of the test part",
        confidence=1.0,
    ),
)


def record(classes: tuple[str, ...] = DIGITS, **changes: object) -> RunRecord:
    """The record of a finished run on these classes."""
    part = tuple(100 for _ in classes)
    counts = {
        "train": tuple(425 for _ in classes),
        "validation": (75,) * len(classes),
        "test": part,
    }
    fields: dict[str, object] = {
        "name": "2026-11-20_demo-photos_calm-fern",
        "created": "2026-11-20T10:41:22+00:00",
        "status": "finished",
        "command": "stroma train demo-photos/ --seed 7",
        "python": 'data = stroma.data.images("demo-photos/")\nstroma.train(data, seed=7)',
        "versions": {"stroma": "0.1.0", "python": "3.11.2", "torch": "2.13.0", "numpy": "2.4.6"},
        "machine": {"processor": "2 cores, AVX-512, bf16", "system": "Linux 6.1"},
        "plan": Plan(
            road="from scratch",
            why="no pretrained weights were found on this machine",
            other_road="stroma train demo-photos/ --weights squeezenet1_1",
            model="small residual network",
            parameters=20_170,
            image_size=(64, 64),
            device="cpu",
            precision="bfloat16",
            batch_size=64,
            epochs=24,
            seed=7,
        ),
        "data": DataFacts.from_json(
            {**DATA.to_json(), "counts": {k: list(v) for k, v in counts.items()}}
        ),
        "class_names": classes,
        "baselines": (
            Score.of("nearest neighbour on pixels", 203, 1000),
            Score.of("always the commonest class", 100, 1000),
        ),
        "best_epoch": 19,
        "test_reads": 1,
        "layers": LAYERS,
        "findings": FINDINGS,
        "seconds": {"audit": 0.8, "decoding": 2.1, "training": 101.4, "test": 0.6},
        "paths": {"model": "runs/2026-11-20_demo-photos_calm-fern/model.keras"},
    }
    return RunRecord(**{**fields, **changes})  # type: ignore[arg-type]


def make_run(
    folder: Path,
    classes: tuple[str, ...] = DIGITS,
    *,
    each: int = 100,
    error: float = 0.07,
    epochs: int = 24,
    **changes: object,
) -> Path:
    """Write a whole run folder and give it back."""
    folder.mkdir(parents=True, exist_ok=True)
    made = predictions(folder, len(classes), each, error, seed=3)
    if made:
        right = sum(prediction.right for prediction in made)
        changes.setdefault("headline", Score.of("accuracy", right, len(made)))
        changes.setdefault("confusion", confusion_of(made, len(classes)))
    runs.write_run(folder, record(classes, **changes))
    with runs.JsonLines(folder / runs.METRICS_FILE) as lines:
        for row in history(epochs):
            lines.append(row)
    with runs.JsonLines(folder / runs.PREDICTIONS_FILE) as lines:
        for prediction in made:
            lines.append(prediction)
    return folder


if __name__ == "__main__":
    from stroma.report import write_report

    print(write_report(make_run(Path(sys.argv[1]))))
