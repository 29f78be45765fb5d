"""What the field's tutorials write runs here, token for token, with only the import changed.

The listings are those of DESIGN 4. Where the paper lies beside the repository, its own text is
compared too, so that neither can drift.
"""

import io
import re
import tokenize

import numpy as np
import pytest
import torch

import stroma
from shared_files import SHARED
from stroma import callbacks, layers, losses, metrics, models, optimizers

DESIGN = SHARED / "DESIGN.md"

SIMPLE_CNN = """
import stroma
from stroma import layers, models

model = models.Sequential()
model.add(layers.Conv2D(filters=32, kernel_size=(3, 3), strides=(1, 1), padding="same",
                        activation="relu", input_shape=(224, 224, 3)))
model.add(layers.MaxPooling2D(pool_size=(2, 2)))
model.add(layers.Flatten())
model.add(layers.Dense(128, activation="relu"))
model.add(layers.Dense(10, activation="softmax"))
model.summary()
"""

RESNET_BLOCK = """
def resnet_block(input_tensor, filters, kernel_size=3, stride=1, use_projection=False):
    x = Conv2D(filters, kernel_size=kernel_size, strides=stride, padding='same')(input_tensor)
    x = BatchNormalization()(x)
    x = ReLU()(x)
    x = Conv2D(filters, kernel_size=kernel_size, strides=1, padding='same')(x)
    x = BatchNormalization()(x)
    if use_projection:
        shortcut = Conv2D(filters, kernel_size=1, strides=stride, padding='same')(input_tensor)
        shortcut = BatchNormalization()(shortcut)
    else:
        shortcut = input_tensor
    x = Add()([x, shortcut])
    x = ReLU()(x)
    return x
"""

ON_ITS_OWN = """
from stroma.layers import Conv2D

conv_layer = Conv2D(
    filters=32,
    kernel_size=(3, 3),
    strides=(1, 1),
    padding='same',
    activation='relu',
    input_shape=(224, 224, 3)
)
"""

TENSORS = """
import stroma as tf

scalar = tf.constant(7)
vector = tf.constant([1, 2, 3])
matrix = tf.constant([[1, 2], [3, 4]])
tensor = tf.constant([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
print(scalar)
print(vector)
print(matrix)
print(tensor)
"""


def run(code, **given):
    names = dict(given)
    exec(compile(code, "<listing>", "exec"), names)
    return names


def tokens(code):
    """What Python reads, without layout or comments."""
    unread = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT)
    read = tokenize.generate_tokens(io.StringIO(code).readline)
    return [token.string for token in read if token.type not in unread]


@pytest.mark.skipif(not DESIGN.is_file(), reason=f"needs {DESIGN}")
def test_the_listings_are_those_of_the_design():
    blocks = re.findall(r"```python\n(.*?)```", DESIGN.read_text(encoding="utf-8"), re.DOTALL)
    written = next(block for block in blocks if "resnet_block" in block)
    assert tokens(written) == tokens(SIMPLE_CNN + RESNET_BLOCK)


def test_the_simple_cnn(capsys):
    model = run(SIMPLE_CNN)["model"]
    text = capsys.readouterr().out
    assert [layer.name for layer in model.layers] == [
        "conv2d", "max_pooling2d", "flatten", "dense", "dense_1",
    ]  # fmt: skip
    assert model.count_params() == 51_382_538  # what Keras counts
    for part in ("conv2d (Conv2D)", "(None, 224, 224, 32)", "(None, 401408)", "51,382,538"):
        assert part in text
    probabilities = model(torch.rand(1, 224, 224, 3))
    assert probabilities.sum().item() == pytest.approx(1)


@pytest.mark.parametrize(("stride", "use_projection"), [(1, False), (1, True), (2, True)])
def test_the_residual_block(stride, use_projection):
    resnet_block = run(RESNET_BLOCK, **vars(layers))["resnet_block"]
    x = layers.Input((32, 32, 16))
    y = resnet_block(x, 16, stride=stride, use_projection=use_projection)
    assert y.shape == (None, 32 // stride, 32 // stride, 16)
    model = models.Model(x, y)
    body = 2 * (3 * 3 * 16 * 16 + 16 + 4 * 16)
    assert model.count_params() == body + use_projection * (16 * 16 + 16 + 4 * 16)
    assert model(torch.rand(2, 32, 32, 16)).shape == (2, 32 // stride, 32 // stride, 16)


def test_a_block_that_does_not_fit_says_which_layers_do():
    resnet_block = run(RESNET_BLOCK, **vars(layers))["resnet_block"]
    with pytest.raises(ValueError, match="does not fit") as caught:
        resnet_block(layers.Input((32, 32, 16)), 16, stride=2)
    assert "(None, 16, 16, 16)" in str(caught.value)
    assert "(None, 32, 32, 16)" in str(caught.value)


def test_a_layer_on_its_own():
    conv_layer = run(ON_ITS_OWN)["conv_layer"]
    assert isinstance(conv_layer, torch.nn.Module)
    assert conv_layer(torch.rand(1, 224, 224, 3)).shape == (1, 224, 224, 32)
    assert conv_layer.count_params() == 896
    assert run(ON_ITS_OWN)["conv_layer"](np.zeros((1, 8, 8, 3))).shape == (1, 8, 8, 32)
    model = models.Sequential([run(ON_ITS_OWN)["conv_layer"]])
    assert model.output_shape == (None, 224, 224, 32)


def test_tensors_of_every_rank(capsys):
    names = run(TENSORS)
    made = [names[name] for name in ("scalar", "vector", "matrix", "tensor")]
    assert [tensor.ndim for tensor in made] == [0, 1, 2, 3]
    assert {tensor.dtype for tensor in made} == {torch.int32}
    assert made[3].tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    printed = capsys.readouterr().out
    assert printed.startswith("tensor(7, dtype=torch.int32)\ntensor([1, 2, 3], dtype=torch.int32)")
    assert "[7, 8]" in printed


def test_tensors_as_introductions_make_them():
    import stroma as tf

    assert tf.constant([1.5, 2]).dtype == torch.float32
    assert tf.constant([1, 2], dtype="float32").dtype == torch.float32
    assert tf.constant([True]).dtype == torch.bool
    assert tf.constant(3, shape=(2, 2)).tolist() == [[3, 3], [3, 3]]
    assert tf.zeros((2, 3)).dtype == torch.float32
    assert tf.zeros(shape=(2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert tf.ones([2]).tolist() == [1, 1]
    matrix = tf.constant([[1, 2, 3], [4, 5, 6]])
    assert tuple(tf.shape(matrix)) == (2, 3)
    assert int(tf.rank(matrix)) == 2
    assert tf.one_hot([0, 2], 3).tolist() == [[1, 0, 0], [0, 0, 1]]


IMPORTS = """
import stroma as keras
from stroma import layers
from stroma.layers import Add, BatchNormalization, Conv2D, Dense, Input, ReLU
from stroma.models import Model, Sequential
from stroma.optimizers import Adam
from stroma.optimizers.schedules import CosineDecay
from stroma.losses import SparseCategoricalCrossentropy
from stroma.metrics import SparseCategoricalAccuracy
from stroma.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from stroma.initializers import HeNormal
from stroma.regularizers import l2
from stroma.constraints import MaxNorm
from stroma.activations import relu
from stroma.applications import ResNet50

optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 100))
model = keras.Sequential([
    keras.Input(shape=(8, 8, 3)),
    keras.layers.Conv2D(4, 3, kernel_initializer=HeNormal(), kernel_regularizer=l2(1e-4)),
    keras.layers.GlobalAveragePooling2D(),
    keras.layers.Dense(3, activation="softmax", kernel_constraint=MaxNorm(2)),
])
model.compile(optimizer=optimizer, loss=SparseCategoricalCrossentropy(),
              metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2)])
history = model.fit(x, y, epochs=2, validation_split=0.25, verbose=0,
                    callbacks=[EarlyStopping(patience=3, restore_best_weights=True)])
"""


def test_a_tutorial_with_the_import_changed():
    x, y = np.random.rand(16, 8, 8, 3), np.arange(16) % 3
    history = run(IMPORTS, x=x, y=y)["history"]
    keys = ["accuracy", "loss", "sparse_top_k_categorical_accuracy"]
    assert list(history.history) == [*keys, *(f"val_{key}" for key in keys)]
    assert len(history.history["loss"]) == 2


def test_rooms_are_reached_as_in_keras():
    assert stroma.Sequential is models.Sequential
    assert stroma.Model is models.Model
    assert stroma.Input is layers.Input
    assert stroma.layers is layers
    assert stroma.optimizers.schedules.CosineDecay is optimizers.schedules.CosineDecay
    assert stroma.callbacks.EarlyStopping is callbacks.EarlyStopping
    assert stroma.losses is losses and stroma.metrics is metrics
    star: dict[str, object] = {}
    exec("from stroma.layers import *", star)
    assert {"Conv2D", "Dense", "Input", "BatchNormalization", "Add"} <= set(star)
    assert "torch" not in star
