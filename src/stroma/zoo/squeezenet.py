"""SqueezeNet 1.1: 1000 classes in five megabytes.

Reference: Iandola et al. 2016, "SqueezeNet"; version 1.1 is the authors' own later one, with 2.4
times less work at the same accuracy (github.com/forresti/SqueezeNet).
"""

from __future__ import annotations

from os import PathLike

from stroma import layers
from stroma.initializers import RandomNormal
from stroma.models import Model
from stroma.zoo.blocks import Symbolic
from stroma.zoo.pretrained import load_pretrained
from stroma.zoo.registry import architectures

# place in torchvision's `features` -> (squeezed channels, expanded channels of each kind)
_FIRES = {
    3: (16, 64), 4: (16, 64), 6: (32, 128), 7: (32, 128),
    9: (48, 192), 10: (48, 192), 11: (64, 256), 12: (64, 256),
}  # fmt: skip
_POOLS = (5, 8)


def fire(x: Symbolic, squeezed: int, expanded: int, name: str) -> Symbolic:
    """1x1 down to `squeezed` channels, then 1x1 and 3x3 side by side.

    Shape: (B, H, W, C) -> (B, H, W, 2 * expanded)
    """
    x = _convolution(x, squeezed, 1, f"{name}.squeeze")
    near = _convolution(x, expanded, 1, f"{name}.expand1x1")
    wide = _convolution(x, expanded, 3, f"{name}.expand3x3")
    return layers.Concatenate(name=f"{name}.concatenate")([near, wide])


def _convolution(x: Symbolic, filters: int, kernel: int, name: str) -> Symbolic:
    initializer = "he_uniform"  # torchvision's
    x = layers.Conv2D(filters, kernel, padding="same", kernel_initializer=initializer, name=name)(x)
    return layers.ReLU(name=f"{name}_activation")(x)


def _max_pooling(x: Symbolic, name: str) -> Symbolic:
    """3x3, stride 2, where a window may hang over the end (PyTorch's `ceil_mode`).

    A window hangs over only when the size is even; a row of zeros, which changes no maximum
    after a ReLU, is then put there. With odd sizes, as for 224 pixels, nothing is copied.
    """
    ends = tuple((0, 0 if size is not None and size % 2 else 1) for size in x.shape[1:3])
    if ends != ((0, 0), (0, 0)):
        x = layers.ZeroPadding2D(ends, name=f"{name}_pad")(x)
    return layers.MaxPooling2D(3, 2, name=name)(x)


@architectures.register("squeezenet1_1")
def squeezenet1_1(
    weights: str | PathLike[str] | None = None,
    include_top: bool = True,
    classes: int = 1000,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
) -> Model:
    """SqueezeNet 1.1 for photos, with torchvision's names: 1,235,496 parameters; ends in logits.

    Args:
        weights: None for random ones, the path of a file, or a name ("imagenet").
        include_top: Whether to end in the classifier; else in the last feature map.
        classes: Size of the classifier, >= 1. Where it is not the file's, it starts untrained.
        input_shape: (height, width, channels), at least 17 pixels; None for one that may vary.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/16, W/16, 512) without top
    Raises: WeightsError: the weights were not found or do not fit.
    Reference: Iandola et al. 2016. The logits pass a ReLU before the average, as in the paper.
    """
    inputs = layers.Input(input_shape)
    x = layers.Conv2D(64, 3, 2, kernel_initializer="he_uniform", name="features.0")(inputs)
    x = _max_pooling(layers.ReLU(name="features.1")(x), "features.2")
    for place in range(3, 13):
        if place in _POOLS:
            x = _max_pooling(x, f"features.{place}")
        else:
            x = fire(x, *_FIRES[place], name=f"features.{place}")
    if include_top:
        x = layers.Dropout(0.5, name="classifier.0")(x)
        initializer = RandomNormal(stddev=0.01)
        x = layers.Conv2D(classes, 1, kernel_initializer=initializer, name="classifier.1")(x)
        x = layers.ReLU(name="classifier.2")(x)
        x = layers.GlobalAveragePooling2D(name="classifier.3")(x)
    model = Model(inputs, x, name="squeezenet1_1")
    return load_pretrained(model, "squeezenet1_1", weights, head="classifier.1.")
