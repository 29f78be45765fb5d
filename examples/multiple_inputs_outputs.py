"""A model with three named inputs and two named outputs sorts messages to a service desk.

From the words of the subject, the words of the text and a few marks it tells how urgent a message
is, and which of four desks should have it. The messages are made here.

Run it: python examples/multiple_inputs_outputs.py
With Keras: change the line `import stroma as keras` to `import keras`.
"""

import numpy as np

import stroma as keras

layers = keras.layers
keras.utils.set_random_seed(9)
rng = np.random.default_rng(9)
count, words, marks, desks = 2400, 40, 6, 4

# Each desk has ten words of its own; three of the marks speak for urgency
desk = rng.integers(desks, size=count)
own = 10 * desk[:, np.newaxis] + rng.integers(10, size=(count, 20))
anything = rng.integers(words, size=(count, 20))
texts = np.where(rng.random((count, 20)) < 0.3, own, anything)
subject, body = texts[:, :5], texts[:, 5:]
tags = (rng.random((count, marks)) < 0.5).astype("float32")
urgent = (tags[:, :3].sum(-1, keepdims=True) >= 2).astype("float32")

subject_input = keras.Input(shape=(5,), name="subject", dtype="int32")
body_input = keras.Input(shape=(15,), name="body", dtype="int32")
tags_input = keras.Input(shape=(marks,), name="tags")
embedding = layers.Embedding(words, 16)  # the same words in both
subject_features = layers.GlobalAveragePooling1D()(embedding(subject_input))
body_features = layers.GRU(16)(embedding(body_input))
features = layers.concatenate([subject_features, body_features, tags_input])
features = layers.Dense(32, activation="relu")(features)
priority = layers.Dense(1, activation="sigmoid", name="priority")(features)
department = layers.Dense(desks, activation="softmax", name="department")(features)
model = keras.Model(
    inputs={"subject": subject_input, "body": body_input, "tags": tags_input},
    outputs={"priority": priority, "department": department},
)
model.summary()

model.compile(
    optimizer=keras.optimizers.RMSprop(0.005),
    loss={"priority": "binary_crossentropy", "department": "sparse_categorical_crossentropy"},
    loss_weights={"priority": 1.0, "department": 0.5},
    metrics={"priority": ["accuracy"], "department": ["accuracy"]},
)
x = {"subject": subject, "body": body, "tags": tags}
y = {"priority": urgent, "department": desk}
train = slice(0, 2000)
test = slice(2000, None)
model.fit(
    {name: values[train] for name, values in x.items()},
    {name: values[train] for name, values in y.items()},
    epochs=8,
    batch_size=32,
    verbose=2,
)
figures = model.evaluate(
    {name: values[test] for name, values in x.items()},
    {name: values[test] for name, values in y.items()},
    return_dict=True,
    verbose=0,
)
print(f"priority accuracy: {figures['priority_accuracy']:.4f}")
print(f"department accuracy: {figures['department_accuracy']:.4f}")
