"""A convolutional autoencoder takes noise out of pictures of digits.

Run it: python examples/denoising_autoencoder.py
With Keras: change the line `import stroma as keras` to `import keras`.
"""

import numpy as np
from sklearn.datasets import load_digits

import stroma as keras

layers = keras.layers
keras.utils.set_random_seed(6)
rng = np.random.default_rng(6)

pictures = (load_digits().images / 16).astype("float32")[..., np.newaxis]
pictures = pictures[rng.permutation(len(pictures))]
noisy = np.clip(pictures + rng.normal(0, 0.4, pictures.shape), 0, 1).astype("float32")

picture = keras.Input(shape=(8, 8, 1), name="picture")
x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(picture)
x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(x)
code = layers.Dense(24, activation="relu", name="code")(layers.Flatten()(x))
x = layers.Reshape((2, 2, 32))(layers.Dense(128, activation="relu")(code))
x = layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu")(x)
x = layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu")(x)
cleaned = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)

autoencoder = keras.Model(picture, cleaned, name="autoencoder")
encoder = keras.Model(picture, code, name="encoder")  # shares the layers
autoencoder.summary()
autoencoder.compile(optimizer=keras.optimizers.Adam(0.003), loss="binary_crossentropy")
autoencoder.fit(noisy[:1400], pictures[:1400], batch_size=64, epochs=20,
                validation_data=(noisy[1400:], pictures[1400:]), verbose=2)  # fmt: skip

print("a picture is kept as", encoder.predict(noisy[1400:1401], verbose=0).shape[-1], "numbers")
cleaned = autoencoder.predict(noisy[1400:], verbose=0)
before = np.mean((noisy[1400:] - pictures[1400:]) ** 2)
after = np.mean((cleaned - pictures[1400:]) ** 2)
print(f"noise taken out: {1 - after / before:.4f}")
