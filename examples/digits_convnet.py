"""A small convolutional network reads handwritten digits (8 x 8 pixels, from scikit-learn).

Run it: python examples/digits_convnet.py
With Keras: change the line `import stroma as keras` to `import keras`.
"""

import numpy as np
from sklearn.datasets import load_digits

import stroma as keras

layers = keras.layers
keras.utils.set_random_seed(1)

# Pictures as (height, width, channels) in 0 to 1, labels as one-hot vectors
digits = load_digits()
pictures = (digits.images / 16).astype("float32")[..., np.newaxis]
labels = keras.utils.to_categorical(digits.target, 10)
order = np.random.default_rng(1).permutation(len(pictures))
train, test = order[:1400], order[1400:]

model = keras.Sequential(
    [
        keras.Input(shape=(8, 8, 1)),
        layers.Conv2D(32, kernel_size=(3, 3), padding="same", activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Conv2D(64, kernel_size=(3, 3), padding="same", activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ]
)
model.summary()
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(pictures[train], labels[train], batch_size=64, epochs=15, validation_split=0.1, verbose=2)

loss, accuracy = model.evaluate(pictures[test], labels[test], verbose=0)
print(f"accuracy: {accuracy:.4f}")
