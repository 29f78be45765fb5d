"""Make docs/explanations.png: what a network looks at, and what its layers see.

    python docs/make_explanations.py [--weights squeezenet1_1.safetensors] [--photo PHOTO...]

The photographs are scikit-learn's two (china.jpg by danielbuechele, flower.jpg by vultilion, CC BY
2.0) and `stroma demo`'s, so that the sheet may be published. With the weights of SqueezeNet 1.1
(given, or found beside the repository in ../shared) it explains those; without them, the demo's
photos and a small network that is trained on them on the spot.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from stroma import data, explain, layers, models, zoo
from stroma.core.seeds import set_random_seed
from stroma.data.decode import fit
from stroma.data.demo import write_demo_photos
from stroma.explain.picture import beside

HERE = Path(__file__).parent
SQUEEZENET = HERE.parents[1] / "shared/weights/squeezenet1_1-imagenet-fp16.safetensors"
# ImageNet knows no dahlia: SqueezeNet takes the flower for a brain coral.
NAMES = {109: "brain coral", 832: "stupa", 663: "monastery", 698: "palace", 883: "vase"}


def of_squeezenet(weights: Path, photos: list[np.ndarray]) -> list[Image.Image]:
    """Three kinds of map, the first filters, a feature map, a receptive field, a made picture."""
    model = zoo.squeezenet1_1(weights=weights)
    china, flower = photos
    options = {"preprocessing": model.preprocessing}
    names = [NAMES.get(number, f"ImageNet class {number}") for number in range(1000)]
    figures = [
        explain.gradcam(model, photo, layer=layer, class_names=names, **options)
        for photo in (flower, china)
        for layer in (None, "features.9.concatenate")
    ]
    pixels = explain.integrated_gradients(model, flower, steps=32, class_names=names, **options)
    covered = explain.occlusion(model, china, patch=48, class_names=names, **options)
    small = zoo.squeezenet1_1(weights=weights, input_shape=(160, 160, 3))
    made = explain.maximise_activation(small, "features.9.concatenate", 50, **options)
    return [
        *(figure.picture(side=300) for figure in (*figures, pixels, covered)),
        explain.filters(model).picture(),
        explain.feature_maps(model, flower, "features.3.concatenate", **options).picture(side=72),
        explain.receptive_field_on(
            model, china, "features.6.concatenate", **options
        ).picture(side=300),
        made.picture(side=300),
    ]  # fmt: skip


def of_the_demo() -> list[Image.Image]:
    """A small network that learns the demo's digits, and where it looks for them."""
    with tempfile.TemporaryDirectory() as folder:
        write_demo_photos(Path(folder) / "photos", training=1500, test=100, faults=False)
        photos = data.images(Path(folder) / "photos", cache=Path(folder) / "cache")
        set_random_seed(0)
        model = _reader(len(photos.class_names))
        images = photos.train.images()
        model.fit(images, photos.train.labels, epochs=8, batch_size=50, verbose=2, seed=0)
        test = photos.open_test()
        with (Path(folder) / "photos/truth.csv").open(encoding="utf-8") as file:
            boxes = {row["path"]: row for row in csv.DictReader(file)}
        pictures = test.images()
        found = [explain.hires_cam(model, p, class_names=photos.class_names) for p in pictures]
        shares = [
            one.share_in(*(int(boxes[name][key]) for key in "xywh"))
            for one, name in zip(found, test.names)
        ]
        right = [photos.class_names[label] == e.class_name for e, label in zip(found, test.labels)]
        print(f"{np.mean(right):.0%} right; {np.nanmean(shares):.0%} of the weight in the box")
        shown = [number for number, good in enumerate(right) if good][:2]
        top = explain.top_images(model, pictures, "stage3.1.relu", 7, count=8)
        return [*(found[number].picture(side=300) for number in shown), top.picture(side=80)]


def _reader(classes: int) -> models.Model:
    """From photos of 64 pixels, bytes as they are, to the probability of each digit."""
    inputs = layers.Input((64, 64, 3))
    x = layers.AveragePooling2D(2)(layers.Rescaling(1 / 127.5, -1)(inputs))
    x = zoo.small_cnn(include_top=False, input_shape=(32, 32, 3))(x)
    x = layers.Dense(classes, activation="softmax")(layers.GlobalMaxPooling2D()(x))
    model = models.Model(inputs, x)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.optimizer.learning_rate = 0.003
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=SQUEEZENET)
    parser.add_argument("--out", type=Path, default=HERE / "explanations.png")
    given = parser.parse_args()
    photos = [fit(photo, (224, 224)) for photo in load_sample_images().images]
    figures = of_squeezenet(given.weights, photos) if given.weights.is_file() else []
    sheet = beside([*figures, *of_the_demo()], 2)
    sheet.quantize(256).save(given.out, optimize=True)
    print(f"{given.out}: {sheet.width} x {sheet.height}, {given.out.stat().st_size / 1e3:.0f} KB")


if __name__ == "__main__":
    main()
