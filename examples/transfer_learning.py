"""What a network learned of the digits 0 to 4 helps it to tell 5 to 9 from a few examples.

First its convolutions are frozen and a new head learns; then they are thawed and everything is
tuned at a small rate. BatchNormalization stays frozen: so few pictures would spoil its statistics.

Run it: python examples/transfer_learning.py
With Keras: change the line `import stroma as keras` to `import keras`.
"""

import numpy as np
from sklearn.datasets import load_digits

import stroma as keras

layers = keras.layers
keras.utils.set_random_seed(10)

digits = load_digits()
pictures = (digits.images / 16).astype("float32")[..., np.newaxis]
order = np.random.default_rng(10).permutation(len(pictures))
pictures, labels = pictures[order], digits.target[order]
known, new = labels < 5, labels >= 5

# A base that knows 0 to 4
base = keras.Sequential(
    [
        keras.Input(shape=(8, 8, 1)),
        layers.Conv2D(32, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
    ],
    name="base",
)
pretrained = keras.Sequential(
    [base, layers.GlobalAveragePooling2D(), layers.Dense(5, activation="softmax")]
)
pretrained.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
pretrained.fit(pictures[known], labels[known], batch_size=32, epochs=12, verbose=2)

# Frozen: only the new head learns, from 100 pictures
base.trainable = False
inputs = keras.Input(shape=(8, 8, 1))
features = base(inputs, training=False)
features = layers.Flatten()(features)
outputs = layers.Dense(5, activation="softmax")(layers.Dropout(0.2)(features))
model = keras.Model(inputs, outputs)
model.summary(show_trainable=True)
x, y = pictures[new], labels[new] - 5
kept = base.get_weights()
model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x[:100], y[:100], batch_size=20, epochs=15, verbose=2)
untouched = all(np.array_equal(a, b) for a, b in zip(kept, base.get_weights()))
_, frozen_accuracy = model.evaluate(x[100:], y[100:], verbose=0)
print(f"base untouched: {float(untouched):.4f}")
print(f"frozen accuracy: {frozen_accuracy:.4f}")

# Thawed: everything else learns, slowly
base.trainable = True
for layer in base.layers:
    if isinstance(layer, layers.BatchNormalization):
        layer.trainable = False
model.compile(keras.optimizers.Adam(3e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x[:100], y[:100], batch_size=20, epochs=10, verbose=2)
changed = [not np.array_equal(weight, old) for weight, old in zip(base.get_weights(), kept)]
tuned = changed == [True, False, False, False, False] * 2  # kernels; not gamma, beta, statistics
_, accuracy = model.evaluate(x[100:], y[100:], verbose=0)
print(f"base tuned: {float(tuned):.4f}")
print(f"accuracy: {accuracy:.4f}")
