"""Digits at random places on noisy canvases, and a small network that has learnt them."""

from functools import cache

import numpy as np

from stroma import layers, models
from stroma.core.seeds import set_random_seed
from stroma.data import digits

SIDE, DIGIT = 40, 16


def canvases(count, seed, side=SIDE, digit=DIGIT):
    """`count` pictures (N, side, side, 1) in 0..1, their classes, and the digits' (left, top)."""
    rng = np.random.default_rng(seed)
    part = digits().train
    chosen = rng.integers(0, len(part), count)
    ink = part.images(chosen)[..., 0].repeat(digit // 8, 1).repeat(digit // 8, 2) / 255.0
    pictures = rng.uniform(0, 0.1, (count, side, side, 1)).astype(np.float32)
    corners = rng.integers(0, side - digit + 1, (count, 2))
    for picture, stroke, (left, top) in zip(pictures, ink, corners):
        picture[top : top + digit, left : left + digit, 0] += stroke
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


@cache
def trained_on_averages():
    """A network that averages its last maps, as Grad-CAM wants; it reads digits on 16 x 16.

    Whole maps dropped in training make each map tell of the digit by itself.
    """
    set_random_seed(0)
    inputs = x = layers.Input((16, 16, 1))
    for number, filters in enumerate((16, 32, 64)):
        x = layers.Conv2D(
            filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal",
            activation="relu", name=f"conv{number}",
        )(x)  # fmt: skip
        x = layers.SpatialDropout2D(0.2)(x) if number else x
    x = layers.GlobalAveragePooling2D()(x)
    model = models.Model(inputs, layers.Dense(10, activation="softmax")(x))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.optimizer.learning_rate = 0.008
    pictures, labels, _ = canvases(1500, seed=1, side=16, digit=8)
    model.fit(pictures, labels, batch_size=50, epochs=16, verbose=0, seed=0)
    return model
