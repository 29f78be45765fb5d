"""Digits at random places on noisy canvases, and a small network that has learnt them."""

from functools import cache

import numpy as np

from stroma import layers, models
from stroma.core.seeds import set_random_seed
from stroma.data import digits

SIDE, DIGIT = 40, 16


def canvases(count, seed):
    """`count` pictures (N, 40, 40, 1) in 0..1, their classes, and the digits' (left, top)."""
    rng = np.random.default_rng(seed)
    part = digits().train
    chosen = rng.integers(0, len(part), count)
    ink = part.images(chosen)[..., 0].repeat(2, 1).repeat(2, 2) / 255.0  # 16 pixels wide
    pictures = rng.uniform(0, 0.1, (count, SIDE, SIDE, 1)).astype(np.float32)
    corners = rng.integers(0, SIDE - DIGIT + 1, (count, 2))
    for picture, stroke, (left, top) in zip(pictures, ink, corners):
        picture[top : top + DIGIT, left : left + DIGIT, 0] += stroke
    return pictures, part.labels[chosen], corners


@cache
def trained():
    """A network that reads the canvases; born and trained with fixed seeds."""
    set_random_seed(0)
    inputs = layers.Input((SIDE, SIDE, 1))
    x = layers.AveragePooling2D(2, name="shrink")(inputs)
    # No bias: an empty canvas gives nothing, so that all of the score has a place.
    for number, filters in enumerate((16, 32, 48)):
        x = layers.Conv2D(
            filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal",
            name=f"conv{number}",
        )(x)  # fmt: skip
        x = layers.ReLU(name=f"relu{number}")(x)
    x = layers.GlobalMaxPooling2D(name="pool")(x)
    model = models.Model(inputs, layers.Dense(10, activation="softmax", name="head")(x))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.optimizer.learning_rate = 0.004
    pictures, labels, _ = canvases(1600, seed=1)
    model.fit(pictures, labels, batch_size=40, epochs=6, verbose=0, seed=0)
    return model
