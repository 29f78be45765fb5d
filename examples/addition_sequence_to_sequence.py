"""An encoder reads a sum character by character, a decoder writes its result.

While training, the decoder is given the right character before each one it has to guess. To use
it, the same layers are put together again as two models: one gives the state after the question,
one takes a state and a character and gives the next of each.

Numbers are written from their last digit on, the way in which carrying goes: "21+9" is 12 + 9.

Run it: python examples/addition_sequence_to_sequence.py
With Keras: change the line `import stroma as keras` to `import keras`.
"""

import numpy as np

import stroma as keras

layers = keras.layers
keras.utils.set_random_seed(3)

start, stop = "<", ">"
characters = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "+", " ", start, stop]
number = {character: place for place, character in enumerate(characters)}
units = 96


def one_hot(texts, length):
    places = np.array([[number[character] for character in text.ljust(length)] for text in texts])
    return np.eye(len(characters), dtype="float32")[places]


pairs = np.random.default_rng(3).permutation([(a, b) for a in range(100) for b in range(100)])
questions = [f"{str(a)[::-1]:2}+{str(b)[::-1]:2}" for a, b in pairs]
answers = [str(a + b)[::-1] for a, b in pairs]
read = one_hot(questions, 5)
given = one_hot([start + answer for answer in answers], 4)
wanted = one_hot([answer + stop for answer in answers], 4)
train, test = slice(0, 9000), slice(9000, 9400)

# The model that learns
encoder_inputs = keras.Input(shape=(5, len(characters)))
encoder = layers.LSTM(units, return_state=True)
_, state_h, state_c = encoder(encoder_inputs)
encoder_states = [state_h, state_c]

decoder_inputs = keras.Input(shape=(None, len(characters)))
decoder = layers.LSTM(units, return_sequences=True, return_state=True)
decoder_outputs, _, _ = decoder(decoder_inputs, initial_state=encoder_states)
to_characters = layers.Dense(len(characters), activation="softmax")
model = keras.Model([encoder_inputs, decoder_inputs], to_characters(decoder_outputs))
model.compile(keras.optimizers.Adam(0.01), "categorical_crossentropy", metrics=["accuracy"])
model.fit([read[train], given[train]], wanted[train], batch_size=64, epochs=6, verbose=2)

# The models that answer
encoder_model = keras.Model(encoder_inputs, encoder_states)
inputs_h, inputs_c = keras.Input(shape=(units,)), keras.Input(shape=(units,))
step_outputs, step_h, step_c = decoder(decoder_inputs, initial_state=[inputs_h, inputs_c])
decoder_model = keras.Model(
    [decoder_inputs, inputs_h, inputs_c], [to_characters(step_outputs), step_h, step_c]
)


def answer_all(sequences):
    """The likeliest character at every step, for all questions at once."""
    h, c = encoder_model.predict(sequences, verbose=0)
    character = one_hot([start] * len(sequences), 1)
    texts = [""] * len(sequences)
    for _ in range(4):
        guesses, h, c = decoder_model.predict([character, h, c], verbose=0)
        places = guesses[:, -1].argmax(-1)
        texts = [text + characters[place] for text, place in zip(texts, places)]
        character = one_hot([characters[place] for place in places], 1)
    return [text.split(stop)[0] for text in texts]


given_answers = answer_all(read[test])
for question, answer in list(zip(questions[test], given_answers))[:5]:
    first, second = (part.strip()[::-1] for part in question.split("+"))
    print(f"{first} + {second} = {answer[::-1]}")
right = np.mean([a == b for a, b in zip(given_answers, answers[test])])
print(f"sums right: {right:.4f}")
