"""A small network with stages and BatchNorm, and few digits: what the tests of tuning share."""

from functools import cache

from stroma import Model, layers
from stroma.core.seeds import set_random_seed
from stroma.data import arrays, digits


def staged(seed=0, head=None):
    """Three stages at 8, 4 and 2 pixels, the second with a shortcut; `head` classes on top."""
    set_random_seed(seed)
    x = layers.Input((8, 8, 1))
    y = layers.Rescaling(1 / 255, name="scale")(x)
    y = _unit(y, 8, 1, "layer1")
    z = _unit(y, 12, 2, "layer2.a")
    y = layers.Add(name="layer2.add")([z, layers.Conv2D(12, 1, strides=2, name="layer2.skip")(y)])
    y = _unit(y, 16, 2, "layer3")
    if head is None:
        return Model(x, y, name="base")
    y = layers.GlobalAveragePooling2D(name="pool")(y)
    return Model(x, layers.Dense(head, name="fc")(y), name="base")


def _unit(x, filters, stride, name):
    y = layers.Conv2D(filters, 3, strides=stride, padding="same", name=f"{name}.conv")(x)
    y = layers.BatchNormalization(momentum=0.9, name=f"{name}.bn")(y)
    return layers.ReLU(name=f"{name}.relu")(y)


@cache
def _all_digits():
    part = digits().train
    return part.images(), part.labels


def few_digits(classes=range(10), count=300, seed=0):
    """Some of the digits of these classes, numbered from 0."""
    pixels, labels = _all_digits()
    order = {name: at for at, name in enumerate(classes)}
    kept = [at for at, label in enumerate(labels) if label in order][:count]
    names = [str(name) for name in classes]
    return arrays(pixels[kept], [order[labels[at]] for at in kept], names, seed=seed)
