"""A layer of one's own: weights, a loss that it adds, settings, and a file it comes back from.

The layer measures how far its input lies from prototypes that it learns; the loss that it adds
keeps every prototype near the inputs.

Run it: python examples/custom_layer.py
With Keras: change the line `import stroma as keras` to `import keras`.
"""

import os
import tempfile

import numpy as np
from sklearn.datasets import load_digits

import stroma as keras

layers, ops = keras.layers, keras.ops
keras.utils.set_random_seed(7)


class Prototypes(layers.Layer):
    """Minus the squared distance to each of `count` learned points, over `temperature`."""

    def __init__(self, count, temperature=1.0, pull=0.1, **kwargs):
        super().__init__(**kwargs)
        self.count = count
        self.temperature = temperature
        self.pull = pull

    def build(self, input_shape):
        self.points = self.add_weight(
            shape=(self.count, input_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=0.5),
            trainable=True,
            name="points",
        )
        self.seen = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="batches_seen"
        )

    def call(self, inputs, training=None):
        apart = ops.expand_dims(inputs, 1) - self.points
        distances = ops.sum(ops.square(apart), axis=-1)
        if training:
            self.seen.assign(self.seen + 1)
        self.add_loss(self.pull * ops.mean(ops.min(distances, axis=0)))
        return -distances / self.temperature

    def get_config(self):
        config = super().get_config()
        config.update(count=self.count, temperature=self.temperature, pull=self.pull)
        return config


digits = load_digits()
order = np.random.default_rng(7).permutation(len(digits.target))
x, y = (digits.data / 16).astype("float32")[order], digits.target[order]

model = keras.Sequential(
    [
        keras.Input(shape=(64,)),
        layers.Dense(48, activation="relu"),
        layers.Dense(16),
        Prototypes(10, temperature=2.0, name="prototypes"),
        layers.Softmax(),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x[:1400], y[:1400], batch_size=32, epochs=15, verbose=2)
print("losses of the layers themselves:", len(model.losses))
print("batches seen:", int(model.get_layer("prototypes").get_weights()[1]))

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "prototypes.keras")
    model.save(path)
    again = keras.models.load_model(path, custom_objects={"Prototypes": Prototypes})
same = np.allclose(model.predict(x[1400:], verbose=0), again.predict(x[1400:], verbose=0))
print("temperature read from the file:", again.get_layer("prototypes").temperature)
print(f"answers kept: {float(same):.4f}")

loss, accuracy = again.evaluate(x[1400:], y[1400:], verbose=0)
print(f"accuracy: {accuracy:.4f}")
