"""Everything that transfer and the look at photos leave in a run, with believable figures.

`python tests/report/make_transfer.py FOLDER` makes such a run and its report, to look at.
"""

import dataclasses
import math
import random
import sys
from pathlib import Path

from make_run import DIGITS, make_run
from PIL import Image, ImageDraw, ImageFilter

from stroma.core import runs
from stroma.core.records import Plan, RunRecord
from stroma.core.records_audit import (
    ClassDifficulty,
    ConfusedPair,
    DuplicatePair,
    FeatureAudit,
    NearDuplicates,
    Outlier,
    Outliers,
    SuspectLabel,
    SuspectLabels,
)
from stroma.core.records_transfer import (
    BaseFacts,
    Calibration,
    EmbeddedPhoto,
    Embedding,
    HeadScore,
    Lead,
    RefusalRow,
    ReliabilityRow,
    Rung,
    UnlikeRow,
)
from stroma.core.scores import Interval, Score

BASE = BaseFacts(
    architecture="squeezenet1_1",
    weights_file="/home/user/.cache/torch/hub/checkpoints/squeezenet1_1-b8a52dc0.pth",
    sha256="b8a52dc0" + "0123456789abcdef" * 3 + "01234567",
    place="in torch's cache",
    licence="BSD-3-Clause",
    preprocessing="224 × 224 pixels, RGB, mean 0.485 0.456 0.406, deviation 0.229 0.224 0.225",
    layer="features.12",
    parameters=722_496,
    frozen="features.0 to features.8; features.9 and later were tuned, with the head",
)

LADDER = (
    Rung(name="features + ridge", seconds=31.4, score=Score.of("validation accuracy", 713, 750)),
    Rung(name="head: lda", seconds=4.2, score=Score.of("validation accuracy", 716, 750)),
    Rung(
        name="tuned from features.9 on", seconds=148.0, epochs=6, chosen=True,
        score=Score.of("validation accuracy", 731, 750),
    ),
    Rung(name="tuned whole", seconds=412.0, left_out="needs 412 s, 96 s are left"),
)  # fmt: skip


def heads(classes: int) -> tuple[HeadScore, ...]:
    noise = random.Random(5)
    rows = []
    for name, right, setting in (
        ("lda", 4058, "shrinkage 0.12"), ("ridge", 4041, "penalty 4.2"),
        ("logistic", 4012, "penalty 0.01"), ("nearest_mean", 3720, ""),
    ):  # fmt: skip
        score = Score.of(name, right, 4250)
        recalls = (noise.gauss(score.value, 0.02) for _ in range(classes))
        rows.append(
            HeadScore(
                name=name, score=score.value, low=score.interval.low, high=score.interval.high,
                seconds=1 + 3 * noise.random(), how="leave-one-out" if "i" in name else "5-fold",
                setting=setting,
                class_recalls=tuple(min(1.0, recall) for recall in recalls),
            )
        )  # fmt: skip
    return (*rows, HeadScore(name="rbf_svm", skipped="5,000 photos: too dear for what it gains"))


def _reliability(bold: float) -> tuple[ReliabilityRow, ...]:
    rows = []
    for number in range(12):
        confidence = 0.42 + 0.57 * (number / 11) ** 0.6
        right = round(63 * min(1.0, max(0.0, confidence - bold * (1 - confidence))))
        rows.append(
            ReliabilityRow(
                low=confidence - 0.02, high=confidence + 0.02, count=63, confidence=confidence,
                accuracy=right / 63, interval=Interval.wilson(right, 63),
            )
        )  # fmt: skip
    return tuple(rows)


def calibration() -> Calibration:
    refusal = []
    for threshold, accepted, wrong in (
        (0.0, 756, 61), (0.5, 741, 52), (0.7, 702, 33), (0.9, 611, 11), (0.99, 402, 2), (1.0, 0, 0)
    ):  # fmt: skip
        refusal.append(
            RefusalRow(
                threshold=threshold, accepted=accepted, coverage=accepted / 756,
                coverage_interval=Interval.wilson(accepted, 756),
                error=wrong / accepted if accepted else None,
                error_interval=Interval.wilson(wrong, accepted),
            )
        )  # fmt: skip
    return Calibration(
        temperature=1.84, count=756, nll_before=0.41, nll_after=0.29, ece_before=0.061,
        ece_after=0.012, reliability=_reliability(0.02), refusal=tuple(refusal),
        reliability_before=_reliability(0.7),
    )  # fmt: skip


UNLIKE = tuple(
    UnlikeRow(
        threshold=threshold, false_alarms=alarms / 750,
        false_alarms_interval=Interval.wilson(alarms, 750),
        caught=caught / 400, caught_interval=Interval.wilson(caught, 400),
    )
    for threshold, alarms, caught in ((0.9, 74, 392), (0.95, 37, 371), (0.99, 8, 288))
)  # fmt: skip


def audit(classes: tuple[str, ...], many: int = 1) -> FeatureAudit:
    """`many` times the usual number of suspicions."""
    count, photo = len(classes), "demo-photos/train/{}/IMG_{:04}.jpg"
    noise = random.Random(11)
    paths = [photo.format(DIGITS[k % 10], noise.randrange(10_000)) for k in range(40 * many)]
    suspects = tuple(
        SuspectLabel(
            index=k, label=k % count, suggested=(k + 1) % count, path=paths[k],
            probability=0.002 + k / (4000 * many), suggested_probability=0.997 - k / (300 * many),
        )
        for k in range(23 * many)
    )  # fmt: skip
    pairs = tuple(
        DuplicatePair(
            first=k, second=k + 20, similarity=0.9991 - k / (2000 * many), first_path=paths[k],
            second_path=paths[-k - 1], first_part="train",
            second_part="test" if k % 3 == 0 else "train", two_labels=k % 4 == 1,
        )
        for k in range(8 * many)
    )  # fmt: skip
    outliers = tuple(
        Outlier(index=k, label=k % count, score=14.2 - k / many, path="" if k == 2 else paths[k])
        for k in range(6 * many)
    )
    return FeatureAudit(
        class_names=classes,
        duplicates=NearDuplicates(count=5000, threshold=0.987, pairs=pairs),
        suspects=SuspectLabels(count=5000, estimated=31, odds=9.0, suspects=suspects),
        outliers=Outliers(count=5000, threshold=6.0, found=outliers),
        classes=tuple(
            ClassDifficulty(
                name=name, count=425, recall=0.84 + 0.015 * (k % 10), confidence=0.8,
                interval=Interval.wilson(round(425 * (0.84 + 0.015 * (k % 10))), 425),
                taken_for=classes[(k + 1) % count],
            )
            for k, name in enumerate(classes)
        ),
        confused=tuple(
            ConfusedPair(truth=one, predicted=classes[k - 1], count=17 - k % 17, share=0.04)
            for k, one in enumerate(classes)
        ),
    )  # fmt: skip


def embedding(run: RunRecord, most: int = 2000) -> Embedding:
    """A cloud for each class; the test photos are those of the predictions."""
    noise, count = random.Random(2), len(run.class_names)
    test = [(p.path, p.truth, "test") for p in run.predictions]
    train = [
        (f"demo-photos/train/{DIGITS[k % 10]}/IMG_{k:04}.jpg", k % count, "train")
        for k in range(max(0, most - len(test)))
    ]
    photos = []
    for path, label, part in (*test, *train):
        angle, reach = 2 * math.pi * label / count, 3 + 1.4 * math.sin(3 * label)
        photos.append(
            EmbeddedPhoto(
                path=path, label=label, part=part,
                x=reach * math.cos(angle) + noise.gauss(0, 0.7),
                y=reach * math.sin(angle) + noise.gauss(0, 0.5),
            )
        )  # fmt: skip
    return Embedding(photos=tuple(photos[:most]), explained=(0.21, 0.094))


def explained_picture(thumbnail: Path, path: Path, size: int, noise: random.Random) -> None:
    """The photo under a soft map, dark blue to yellow, in `size` pixels."""
    photo = Image.open(thumbnail).convert("L").convert("RGB").resize((size, size))
    warmth = Image.new("L", (size, size), 0)
    x, y, r = (noise.randint(size // 4, 3 * size // 4) for _ in range(3))
    ImageDraw.Draw(warmth).ellipse((x - r, y - r, x + r, y + r), fill=255)
    warmth = warmth.filter(ImageFilter.GaussianBlur(size // 6))
    colour = Image.composite(
        Image.new("RGB", photo.size, (245, 225, 60)), Image.new("RGB", photo.size, (20, 30, 90)),
        warmth,
    )  # fmt: skip
    Image.blend(photo, colour, 0.55).save(path, "WEBP", quality=70)


def make_transfer(
    folder: Path, classes: tuple[str, ...] = DIGITS, *, each: int = 100, size: int = 128,
    **changes: object,
) -> Path:  # fmt: skip
    """Write a whole run folder that stands on a pretrained base, and give it back."""
    make_run(folder, classes, each=each, epochs=6)
    run = runs.read_run(folder)
    noise = random.Random(8)
    made = []
    for number, prediction in enumerate(run.predictions):
        if not prediction.right:
            why = f"{runs.PHOTOS_FOLDER}/{number}-why.webp"
            explained_picture(folder / prediction.thumbnail, folder / why, size, noise)
            prediction = dataclasses.replace(prediction, explained=why)
        made.append(prediction)
    plan = Plan(
        road="features", why="pretrained weights lie on this machine", model="squeezenet1_1 + lda",
        image_size=(224, 224), device="cpu", precision="float32", batch_size=32, epochs=6, seed=7,
    )  # fmt: skip
    fields: dict[str, object] = {
        "base": BASE, "ladder": LADDER, "heads": heads(len(classes)),
        "lead": Lead(over="ridge", difference=0.004, low=-0.0012, high=0.0093),
        "calibration": calibration(), "unlike": UNLIKE, "photo_audit": audit(classes),
        "embedding": embedding(run), "plan": plan, "best_epoch": 6,
    }  # fmt: skip
    runs.write_run(folder, dataclasses.replace(run, **{**fields, **changes}))  # type: ignore[arg-type]
    (folder / runs.PREDICTIONS_FILE).unlink()
    with runs.JsonLines(folder / runs.PREDICTIONS_FILE) as lines:
        for prediction in made:
            lines.append(prediction)
    return folder


if __name__ == "__main__":
    from stroma.report import write_report

    print(write_report(make_transfer(Path(sys.argv[1]))))
