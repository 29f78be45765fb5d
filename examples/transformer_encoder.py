"""A transformer's encoder, built as a layer of its own, tells where a sign stands more often.

The sequences are random numbers from 0 to 3; the label says whether 1 occurs more often in the
first half than in the second, so that the network needs both what stands there and where.

Run it: python examples/transformer_encoder.py
With Keras: change the line `import stroma as keras` to `import keras`.
"""

import numpy as np

import stroma as keras

layers = keras.layers
keras.utils.set_random_seed(4)
length, vocabulary, width = 16, 4, 32


class TokenAndPosition(layers.Layer):
    """The sum of a vector for the number and a vector for its place."""

    def __init__(self, length, vocabulary, width, **kwargs):
        super().__init__(**kwargs)
        self.tokens = layers.Embedding(vocabulary, width)
        self.positions = layers.Embedding(length, width)
        self.places = np.arange(length)

    def call(self, inputs):
        return self.tokens(inputs) + self.positions(keras.ops.convert_to_tensor(self.places))


class TransformerEncoder(layers.Layer):
    """Attention, then a network for each place; both are added to what came in, and normalised."""

    def __init__(self, width, heads, hidden, rate=0.0, **kwargs):
        super().__init__(**kwargs)
        self.attention = layers.MultiHeadAttention(num_heads=heads, key_dim=width // heads)
        self.network = keras.Sequential(
            [layers.Dense(hidden, activation="relu"), layers.Dense(width)]
        )
        self.first_norm = layers.LayerNormalization(epsilon=1e-6)
        self.second_norm = layers.LayerNormalization(epsilon=1e-6)
        self.first_dropout = layers.Dropout(rate)
        self.second_dropout = layers.Dropout(rate)

    def call(self, inputs, training=None):
        attended = self.first_dropout(self.attention(inputs, inputs), training=training)
        middle = self.first_norm(inputs + attended)
        answered = self.second_dropout(self.network(middle), training=training)
        return self.second_norm(middle + answered)


rng = np.random.default_rng(4)
x = rng.integers(vocabulary, size=(4500, length))
lead = (x == 1)[:, : length // 2].sum(-1) - (x == 1)[:, length // 2 :].sum(-1)
x, y = x[lead != 0], (lead > 0).astype("int32")[lead != 0]  # no draws
train, test = slice(0, 3200), slice(3200, None)

inputs = keras.Input(shape=(length,), dtype="int32")
features = TokenAndPosition(length, vocabulary, width)(inputs)
features = TransformerEncoder(width, heads=2, hidden=64)(features)
features = layers.GlobalAveragePooling1D()(features)
features = layers.Dense(20, activation="relu")(features)
outputs = layers.Dense(2, activation="softmax")(features)
model = keras.Model(inputs, outputs)
model.summary()

model.compile(
    optimizer=keras.optimizers.Adam(0.003),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(x[train], y[train], batch_size=64, epochs=4, validation_split=0.1, verbose=2)
loss, accuracy = model.evaluate(x[test], y[test], verbose=0)
print(f"accuracy: {accuracy:.4f}")
