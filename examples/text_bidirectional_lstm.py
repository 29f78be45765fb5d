"""Two bidirectional LSTMs read short reviews and say whether they are kind.

The reviews are made here: "not" turns the word after it around, so that counting words is not
enough, their order has to be read.

Run it: python examples/text_bidirectional_lstm.py
With Keras: change the line `import stroma as keras` to `import keras`.
"""

import numpy as np

import stroma as keras

layers = keras.layers
keras.utils.set_random_seed(2)
rng = np.random.default_rng(2)

kind = ["good", "lovely", "bright", "clever", "warm"]
harsh = ["bad", "dull", "noisy", "clumsy", "cold"]
things = ["plot", "music", "cast", "ending", "picture", "dialogue"]
length = 15


def review():
    """A few clauses that share one opinion, and that opinion: 1 is kind."""
    opinion = int(rng.integers(2))
    words = []
    for _ in range(rng.integers(1, 4)):
        negated = rng.random() < 0.4
        adjectives = kind if bool(opinion) != negated else harsh
        words += ["the", rng.choice(things), "is", *(["not"] if negated else [])]
        words += [rng.choice(adjectives)]
    return words, opinion


reviews, opinions = zip(*(review() for _ in range(2500)))
vocabulary = sorted({word for words in reviews for word in words})
number = {word: place for place, word in enumerate(vocabulary, start=1)}  # 0 is padding
x = np.zeros((len(reviews), length), "int32")
for row, words in zip(x, reviews):
    row[length - len(words) :] = [number[word] for word in words]
y = np.array(opinions, "float32")

inputs = keras.Input(shape=(length,), dtype="int32")
x_embedded = layers.Embedding(len(vocabulary) + 1, 16)(inputs)
features = layers.Bidirectional(layers.LSTM(16, return_sequences=True))(x_embedded)
features = layers.Bidirectional(layers.LSTM(16))(features)
outputs = layers.Dense(1, activation="sigmoid")(features)
model = keras.Model(inputs, outputs)
model.summary()

model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
model.fit(x[:2000], y[:2000], batch_size=50, epochs=4, validation_data=(x[2000:], y[2000:]),
          verbose=2)  # fmt: skip
loss, accuracy = model.evaluate(x[2000:], y[2000:], verbose=0)
print(f"accuracy: {accuracy:.4f}")
