"""`.keras` files: Keras opens ours, we open Keras', and what is opened computes the same."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_flatten, tree_map

from layer_examples import PREPROCESSING
from oracle import keras
from stroma import layers, models, saving
from stroma.core.errors import ArgumentError, FileFormatError, GraphError, WeightsError

PICTURE, TABLE = (8, 8, 3), (5,)
STEPS, VOLUME = (9, 4), (5, 4, 6, 2)
LAYERS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Dense", {"units": 4, "activation": "gelu", "kernel_regularizer": "l2"}, TABLE),
    ("Dense", {"units": 4, "kernel_constraint": "non_neg", "use_bias": False}, (3, 5)),
    ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": (None, 4)}, (7, 5)),
    ("EinsumDense", {"equation": "ab,bc->ac", "output_shape": 4, "bias_axes": "c"}, TABLE),
    ("Identity", {}, TABLE),
    ("Masking", {"mask_value": 1.0}, (7, 5)),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal"}, STEPS),
    ("Conv3D", {"filters": 4, "kernel_size": (1, 2, 3), "strides": 2}, VOLUME),
    ("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2}, STEPS),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2}, PICTURE),
    ("Conv3DTranspose", {"filters": 4, "kernel_size": 3, "output_padding": 0}, VOLUME),
    ("DepthwiseConv1D", {"kernel_size": 3, "padding": "same", "depth_multiplier": 2}, STEPS),
    ("SeparableConv1D", {"filters": 4, "kernel_size": 3, "strides": 2}, STEPS),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2}, PICTURE),
    ("Conv2D", {"filters": 6, "kernel_size": (3, 1), "groups": 3, "activation": "relu"}, PICTURE),
    ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same", "depth_multiplier": 2}, PICTURE),
    ("SeparableConv2D", {"filters": 4, "kernel_size": 3, "strides": 2}, PICTURE),
    ("BatchNormalization", {"momentum": 0.9}, PICTURE),
    ("BatchNormalization", {"scale": False, "center": False}, TABLE),
    ("LayerNormalization", {"epsilon": 1e-5}, PICTURE),
    ("MaxPooling1D", {"pool_size": 3, "padding": "same"}, STEPS),
    ("MaxPooling3D", {}, VOLUME),
    ("AveragePooling1D", {"pool_size": 2}, STEPS),
    ("AveragePooling3D", {"pool_size": 2}, VOLUME),
    ("GlobalMaxPooling1D", {}, STEPS),
    ("GlobalMaxPooling3D", {"keepdims": True}, VOLUME),
    ("GlobalAveragePooling1D", {"keepdims": True}, STEPS),
    ("GlobalAveragePooling3D", {}, VOLUME),
    ("AdaptiveAveragePooling1D", {"output_size": 4}, STEPS),
    ("AdaptiveAveragePooling3D", {"output_size": 2}, VOLUME),
    ("AdaptiveMaxPooling1D", {"output_size": 4}, STEPS),
    ("AdaptiveMaxPooling2D", {"output_size": (3, 5)}, PICTURE),
    ("AdaptiveMaxPooling3D", {"output_size": 2}, VOLUME),
    ("UpSampling1D", {"size": 3}, STEPS),
    ("UpSampling3D", {"size": (1, 2, 3)}, VOLUME),
    ("ZeroPadding1D", {"padding": (1, 2)}, STEPS),
    ("ZeroPadding3D", {"padding": 1}, VOLUME),
    ("Cropping1D", {"cropping": (1, 2)}, STEPS),
    ("Cropping3D", {"cropping": ((1, 0), (1, 1), (2, 1))}, VOLUME),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, PICTURE),
    ("AveragePooling2D", {"pool_size": 2}, PICTURE),
    ("GlobalMaxPooling2D", {"keepdims": True}, PICTURE),
    ("GlobalAveragePooling2D", {}, PICTURE),
    ("AdaptiveAveragePooling2D", {"output_size": (3, 5)}, PICTURE),
    ("UpSampling2D", {"size": (2, 3)}, PICTURE),
    ("ZeroPadding2D", {"padding": ((1, 2), (0, 3))}, PICTURE),
    ("Cropping2D", {"cropping": 1}, PICTURE),
    ("Dropout", {"rate": 0.3, "seed": 1}, TABLE),
    ("SpatialDropout2D", {"rate": 0.3}, PICTURE),
    ("Activation", {"activation": "softmax"}, TABLE),
    ("ReLU", {"max_value": 6.0, "negative_slope": 0.1}, TABLE),
    ("ELU", {"alpha": 0.3}, TABLE),
    ("PReLU", {"shared_axes": [1, 2]}, PICTURE),
    ("RepeatVector", {"n": 3}, TABLE),
    ("GroupNormalization", {"groups": 3}, PICTURE),
    ("RMSNormalization", {"axis": [2, 3]}, PICTURE),
    ("UnitNormalization", {"axis": [1, 2]}, PICTURE),
    ("GaussianNoise", {"stddev": 0.3, "seed": 1}, TABLE),
    ("GaussianDropout", {"rate": 0.3}, TABLE),
    ("AlphaDropout", {"rate": 0.3}, TABLE),
    ("ActivityRegularization", {"l1": 0.3}, TABLE),
    ("LeakyReLU", {"negative_slope": 0.2}, TABLE),
    ("Softmax", {"axis": 1}, PICTURE),
    ("Flatten", {}, PICTURE),
    ("Reshape", {"target_shape": (16, -1)}, PICTURE),
    ("Permute", {"dims": (3, 1, 2)}, PICTURE),
    ("Rescaling", {"scale": 1 / 255, "offset": -1.0}, PICTURE),
    ("Normalization", {"mean": [0.0, 1.0, 2.0], "variance": [1.0, 4.0, 9.0]}, PICTURE),
    ("Resizing", {"height": 5, "width": 11}, PICTURE),
    ("RandomFlip", {"mode": "horizontal", "seed": 1}, PICTURE),
    ("RandomCrop", {"height": 6, "width": 6}, PICTURE),
    ("RandomRotation", {"factor": 0.1}, PICTURE),
    ("RandomZoom", {"height_factor": (0.1, 0.2)}, PICTURE),
    ("RandomTranslation", {"height_factor": 0.1, "width_factor": 0.2}, PICTURE),
    ("CenterCrop", {"height": 5, "width": 6}, PICTURE),
    ("RandomShear", {"x_factor": (0.1, 0.2)}, PICTURE),
    ("RandomPerspective", {"scale": 0.5}, PICTURE),
    ("RandomElasticTransform", {"scale": (0.1, 0.5), "seed": 3}, PICTURE),
    ("RandomBrightness", {"factor": 0.2}, PICTURE),
    ("RandomContrast", {"factor": (0.1, 0.2)}, PICTURE),
    ("RandomSaturation", {"factor": (0.1, 0.2)}, PICTURE),
    ("RandomHue", {"factor": 0.2}, PICTURE),
    ("RandomGrayscale", {"factor": 0.2}, PICTURE),
    ("RandomColorDegeneration", {"factor": (0.1, 0.2)}, PICTURE),
    ("RandomColorJitter", {"brightness_factor": 0.2}, PICTURE),
    ("RandomInvert", {"factor": 0.2}, PICTURE),
    ("RandomPosterization", {"factor": 4}, PICTURE),
    ("AutoContrast", {"value_range": (0, 1)}, PICTURE),
    (
        "ContrastLimitedAdaptiveHistogramEqualization",
        {"tile_grid_size": (2, 2), "clip_limit": 0.0},
        PICTURE,
    ),
    ("Solarization", {"threshold_factor": 0.2}, PICTURE),
    ("RandomSharpness", {"factor": 0.2}, PICTURE),
    ("RandomGaussianBlur", {"kernel_size": 5}, PICTURE),
    ("RandomErasing", {"fill_value": 0.5}, PICTURE),
    ("MixUp", {"alpha": 0.3}, PICTURE),
    ("CutMix", {"factor": 0.3}, PICTURE),
    ("RandAugment", {"num_ops": 3}, PICTURE),
    ("AugMix", {"chain_depth": 2}, PICTURE),
    ("MaxNumBoundingBoxes", {"max_number": 3}, PICTURE),
    ("MelSpectrogram", {"fft_length": 16, "num_mel_bins": 4}, (40,)),
    ("STFTSpectrogram", {"frame_length": 8, "padding": "same"}, (40, 2)),
]
OURS = {"StochasticDepth": {"rate": 0.3}, "ConvNeXtBlock": {"layer_scale": 0.5}}  # not Keras'
MERGES = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def ours(model: Any, x: Any) -> list[np.ndarray]:
    with torch.no_grad():
        outputs = model(tree_map(torch.as_tensor, x))
    return [leaf.numpy() for leaf in tree_flatten(outputs)[0]]


def theirs(model: Any, x: Any) -> list[np.ndarray]:
    return [leaf.detach().numpy() for leaf in keras.tree.flatten(model(x, training=False))]


def same(a: list[np.ndarray], b: list[np.ndarray]) -> None:
    assert len(a) == len(b)
    for left, right in zip(a, b):
        scale = max(1.0, float(np.abs(right).max()))
        np.testing.assert_allclose(left, right, atol=1e-5 * scale, rtol=0)


def shake(model: Any) -> Any:
    """Other weights than the initial ones, so that a loader that loads nothing is caught."""
    model.set_weights([abs(numbers(*w.shape, seed=7)) * 0.3 for w in model.get_weights()])
    return model


def reloaded(model: models.Model, folder: Path, **options: Any) -> Any:
    path = model.save(folder / "model.keras")
    again = models.load_model(path, **options)
    assert list(again.state_dict()) == list(model.state_dict())
    return again


@pytest.mark.parametrize(("name", "arguments", "shape"), LAYERS)
def test_every_layer_both_ways(
    name: str, arguments: dict[str, Any], shape: tuple[int, ...], tmp_path: Path
) -> None:
    x = numbers(2, *shape)
    mine = models.Sequential([layers.Input(shape), getattr(layers, name)(**arguments)])
    shake(mine).save(tmp_path / "ours.keras")
    there = keras.models.load_model(tmp_path / "ours.keras")
    there.save(tmp_path / "theirs.keras")
    back = models.load_model(tmp_path / "theirs.keras")
    same(ours(back, x), ours(mine, x))
    if name != "RandomCrop":  # Keras' own gives another shape in inference than it promises
        same(ours(mine, x), theirs(there, x))
    assert list(back.state_dict()) == list(mine.state_dict())
    own = models.load_model(tmp_path / "ours.keras")
    assert own.layers[0].get_config() == mine.layers[0].get_config()


def test_the_list_above_names_every_layer() -> None:
    from stroma.layers.registry import layers_registry

    tested = {name for name, *_ in LAYERS} | {*MERGES, *OURS, "InputLayer"}
    tested |= {
        "MultiHeadAttention",
        "GroupQueryAttention",
        "Attention",
        "AdditiveAttention",
        "Embedding",
        "ReversibleEmbedding",
    }  # test_attention_files.py
    tested |= PREPROCESSING  # test_text_files.py
    tested |= {
        "SimpleRNN",
        "LSTM",
        "GRU",
        "RNN",
        "Bidirectional",
        "TimeDistributed",
        "ConvLSTM1D",
        "ConvLSTM2D",
        "ConvLSTM3D",
    }  # tests/layers/test_recurrent.py
    tested |= {"SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells"}  # inside these
    tested |= {"LayerScale", "CustomScaleLayer"}  # in tests/applications
    same_class = {"SpatialDropout1D", "SpatialDropout3D"}
    tested |= {"Dot", "SpectralNormalization"}  # where the layers themselves are tested
    tested |= {"Pipeline", "Equalization"}  # Keras' own cannot be in a network: by their configs
    assert set(layers_registry.canonical()) - tested - same_class == set()


@pytest.mark.parametrize("name", OURS)
def test_layers_that_keras_has_not(name: str, tmp_path: Path) -> None:
    x = numbers(2, *PICTURE)
    mine = shake(models.Sequential([layers.Input(PICTURE), getattr(layers, name)(**OURS[name])]))
    back = reloaded(mine, tmp_path)
    same(ours(back, x), ours(mine, x))
    assert back.layers[0].get_config() == mine.layers[0].get_config()
    with pytest.raises(Exception, match=f"Could not .*{name}") as error:
        keras.models.load_model(tmp_path / "model.keras")
    assert "'module': 'stroma'" in str(error.value)


def test_stroma_says_itself_which_layers_keras_has_not() -> None:
    from stroma.layers.registry import ELSEWHERE, layers_registry

    hidden = {n for n in layers_registry.canonical() if not hasattr(keras.layers, n)}
    assert hidden == {*ELSEWHERE}
    assert set(OURS) == {name for name, module in ELSEWHERE.items() if module == "stroma"}


def test_layers_that_keras_keeps_beside_its_applications(tmp_path: Path) -> None:
    inputs = layers.Input((4,))
    scaled = layers.LayerScale(0.5, 4)(inputs)
    mine = models.Model(inputs, layers.CustomScaleLayer(0.25)([inputs, scaled]))
    x = numbers(3, 4)
    there = keras.models.load_model(mine.save(tmp_path / "mine.keras"))
    np.testing.assert_allclose(theirs(there, x)[0], x * 1.125, rtol=1e-6)
    there.layers[1].set_weights([np.arange(4, dtype="float32")])
    there.save(tmp_path / "theirs.keras")
    back = models.load_model(tmp_path / "theirs.keras")
    same(ours(back, x), theirs(there, x))


@pytest.mark.parametrize("name", MERGES)
def test_merging_layers_both_ways(name: str, tmp_path: Path) -> None:
    a, b = layers.Input(TABLE, name="a"), layers.Input(TABLE, name="b")
    mine = models.Model([a, b], getattr(layers, name)()([a, b]))
    x = [numbers(2, 5), numbers(2, 5, seed=1)]
    mine.save(tmp_path / "ours.keras")
    there = keras.models.load_model(tmp_path / "ours.keras")
    same(ours(mine, x), theirs(there, x))
    there.save(tmp_path / "theirs.keras")
    same(ours(models.load_model(tmp_path / "theirs.keras"), x), theirs(there, x))


# Graphs


def residual() -> models.Model:
    """Two branches of one class, so that the order of the layers matters for their arrays."""
    x = layers.Input(PICTURE)
    y = layers.Conv2D(4, 3, padding="same", name="layer1.0.conv1")(x)
    y = layers.BatchNormalization(name="layer1.0.bn1")(y)
    y = layers.Activation("relu")(y)
    y = layers.Conv2D(4, 3, padding="same", name="layer1.0.conv2")(y)
    side = layers.Conv2D(4, 1, name="layer1.0.downsample.0")(x)
    y = layers.Add()([y, side])
    y = layers.GlobalAveragePooling2D()(y)
    return shake(models.Model(x, layers.Dense(3, name="fc")(y)))


def shared() -> models.Model:
    a, b = layers.Input(TABLE, name="left"), layers.Input(TABLE, name="right")
    twin = layers.Dense(4, activation="tanh", name="twin")
    other = layers.Dense(4)
    y = layers.Concatenate()([twin(a), other(twin(b) * 1.0), twin(b)])
    return shake(models.Model({"left": a, "right": b}, {"sum": layers.Dense(2)(y), "all": y}))


def nested() -> models.Model:
    base = residual()
    cut = models.Model(base.input, base.get_layer("layer1.0.conv2").output, name="trunk")
    x = layers.Input(PICTURE)
    y = layers.Flatten()(cut(x))
    return shake(models.Model(x, layers.Dense(2, name="output")(y)))


def cut_inside() -> models.Model:
    """From one intermediate tensor to another."""
    base = residual()
    first, last = base.get_layer("layer1.0.bn1").output, base.get_layer("layer1.0.conv2").output
    return models.Model(first, last)


def sliced() -> models.Model:
    x = layers.Input((6, 4))
    y = x[:, ::2] * 2
    first, second = y.chunk(2, dim=-1)
    both = torch.cat([first - second, torch.relu(second)], dim=-1)
    y = both[..., None, :].squeeze(2).permute(0, 2, 1).reshape(-1, 12)
    return shake(models.Model(x, [layers.Dense(3)(y), y.sum(-1, keepdim=True)]))


def stacked() -> models.Model:
    inner = models.Sequential([layers.Dense(4, activation="relu"), layers.Dense(3)], name="inner")
    return shake(models.Sequential([layers.Input(TABLE), inner, layers.Dense(2)], name="outer"))


GRAPHS: dict[str, tuple[Any, Any]] = {
    "residual": (residual, numbers(2, *PICTURE)),
    "shared": (shared, {"left": numbers(2, 5), "right": numbers(2, 5, seed=3)}),
    "nested": (nested, numbers(2, *PICTURE)),
    "cut inside": (cut_inside, numbers(2, 8, 8, 4)),
    "sliced": (sliced, numbers(2, 6, 4)),
    "stacked": (stacked, numbers(2, *TABLE)),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_come_back_equal(name: str, tmp_path: Path) -> None:
    make, x = GRAPHS[name]
    model = make()
    again = reloaded(model, tmp_path)
    for left, right in zip(ours(model, x), ours(again, x), strict=True):
        assert np.array_equal(left, right)
    third = reloaded(again, tmp_path)
    assert third.to_json() == again.to_json()


@pytest.mark.parametrize("name", [n for n in GRAPHS if n != "sliced"])
def test_graphs_go_to_keras_and_back(name: str, tmp_path: Path) -> None:
    make, x = GRAPHS[name]
    model = make()
    model.save(tmp_path / "ours.keras")
    there = keras.models.load_model(tmp_path / "ours.keras")
    same(sorted_outputs(model, x), theirs(there, x))
    there.save(tmp_path / "theirs.keras")
    back = models.load_model(tmp_path / "theirs.keras")
    same(sorted_outputs(back, x), theirs(there, x))


def sorted_outputs(model: Any, x: Any) -> list[np.ndarray]:
    with torch.no_grad():
        outputs = model(tree_map(torch.as_tensor, x))
    return [leaf.numpy() for leaf in keras.tree.flatten(outputs)]


def test_keras_operations_open(tmp_path: Path) -> None:
    ops = keras.ops
    x = keras.Input((6, 4))
    y = ops.relu(x[:, ::2] * 2.0) + ops.softmax(x[:, 1::2], axis=-1)
    first, second = ops.split(y, 2, axis=-1)
    y = ops.concatenate([first, ops.transpose(second, (0, 1, 2))], axis=1)
    y = (
        ops.reshape(ops.expand_dims(y, 1), (-1, 12))
        - ops.mean(y, axis=(1, 2), keepdims=False)[:, None]
    )
    y = ops.where(y > 0.5, y, ops.gelu(y, approximate=False)) / 3.0
    model = keras.Model(x, [y, ops.max(y, axis=-1), ops.var(y, axis=0, keepdims=True)])
    model.save(tmp_path / "ops.keras")
    data = numbers(3, 6, 4)
    same(ours(models.load_model(tmp_path / "ops.keras"), data), theirs(model, data))


def test_our_operations_open_in_keras(tmp_path: Path) -> None:
    x = layers.Input((6, 4))
    y = torch.relu(x[:, ::2] * 2) + x[:, 1::2].softmax(-1)
    y = torch.cat([y.unsqueeze(1).squeeze(1), y.transpose(1, 2).permute(0, 2, 1)], 1)
    y = y.reshape(-1, 24).clamp(-1.0, 1.0) + torch.tensor(1.0)
    model = models.Model(x, [y, y.mean(-1, keepdim=True), torch.maximum(y, y * 2)])
    model.save(tmp_path / "ops.keras")
    data = numbers(3, 6, 4)
    same(ours(model, data), theirs(keras.models.load_model(tmp_path / "ops.keras"), data))


def test_a_function_outside_the_table_names_its_line(tmp_path: Path) -> None:
    x = layers.Input((4,))
    model = models.Model(x, torch.special.gammaln(x))
    with pytest.raises(GraphError, match="closed table") as caught:
        model.save(tmp_path / "model.keras")
    assert "test_keras_files.py" in caught.value.where and "class " in caught.value.fix
    assert list(tmp_path.iterdir()) == []


def test_constants_in_a_graph_are_written_or_refused(tmp_path: Path) -> None:
    x = layers.Input((4,))
    small = models.Model(x, x * torch.arange(4.0))
    again = reloaded(small, tmp_path)
    assert np.array_equal(ours(again, numbers(2, 4)), ours(small, numbers(2, 4)))
    big = models.Model(x, x.sum(-1, keepdim=True) * torch.zeros(1, 70_000))
    with pytest.raises(GraphError, match="too large"):
        big.save(tmp_path / "big.keras")


# Names


def test_dots_come_back_and_keras_sees_none(tmp_path: Path) -> None:
    model = residual()
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = json.loads(archive.read("config.json"))["config"]
        names = [entry["name"] for entry in config["layers"]]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
    assert "layer1__0__conv1" in names and not any("." in name for name in names)
    assert "layer1.0.conv1.weight" in models.load_model(tmp_path / "model.keras").state_dict()


@pytest.mark.parametrize("name", ["output", "in", "train.class", "a b", "x-1", "lambda"])
def test_awkward_names(name: str, tmp_path: Path) -> None:
    x = layers.Input(TABLE)
    model = models.Model(x, layers.Dense(2, name=name)(x))
    again = reloaded(model, tmp_path)
    assert np.array_equal(ours(again, numbers(2, 5)), ours(model, numbers(2, 5)))
    assert again.get_layer(name).name == name
    same(
        ours(model, numbers(2, 5)),
        theirs(keras.models.load_model(tmp_path / "model.keras"), numbers(2, 5)),
    )


def test_two_reloaded_models_meet_in_one_network(tmp_path: Path) -> None:
    x = layers.Input(TABLE)
    model = models.Model(x, layers.Dense(2)(x))
    left, right = reloaded(model, tmp_path), reloaded(model, tmp_path)
    both = models.Model(x, layers.Average()([left(x), right(x)]))
    assert np.array_equal(ours(reloaded(both, tmp_path), numbers(2, 5)), ours(both, numbers(2, 5)))


# Own classes


class Scale(layers.Layer):
    """In Keras' style: `**kwargs`, own get_config, sublayers in a list, a constant."""

    def __init__(self, factor: float, widths: Any = (3, 4), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor, self.widths = factor, list(widths)
        self.stages: list[Any] = []
        self.ramp = torch.arange(5.0)

    def build(self, input_shape: Any) -> None:
        for width in self.widths:
            self.stages.append(layers.Dense(width))
        self.gain = self.add_weight(shape=(5,), initializer="ones", name="gain")
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, inputs: Any, training: Any = None) -> Any:
        if training:
            self.seen.assign_add(1.0)
        x = inputs * self.factor * self.gain + self.ramp
        for stage in self.stages:
            x = stage(x)
        return x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "widths": self.widths}


class Classifier(models.Model):
    """A subclassed model with its own call."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.zeta, self.alpha = layers.Dense(units), layers.Dense(units)

    def call(self, inputs: Any) -> Any:
        return self.alpha(torch.tanh(self.zeta(inputs)))


def test_own_layers_reload_with_custom_objects(tmp_path: Path) -> None:
    model = models.Sequential([layers.Input(TABLE), Scale(2.0), layers.Dense(2)])
    shake(model)
    again = reloaded(model, tmp_path, custom_objects={"Scale": Scale})
    assert np.array_equal(ours(again, numbers(2, 5)), ours(model, numbers(2, 5)))
    with pytest.raises(FileFormatError, match=r"'Scale'.*does not know") as caught:
        models.load_model(tmp_path / "model.keras")
    assert "custom_objects" in caught.value.fix


def test_registered_layers_reload_by_themselves(tmp_path: Path) -> None:
    name = f"Halving{len(saving.vocabulary.REGISTERED)}"
    cls = type(name, (Scale,), {})
    saving.register_keras_serializable("tests")(cls)
    model = models.Sequential([layers.Input(TABLE), cls(0.5)])
    assert type(reloaded(model, tmp_path).layers[0]) is cls


def test_subclassed_models_reload(tmp_path: Path) -> None:
    model = Classifier(3)
    model(torch.zeros(2, 5))
    shake(model)
    again = reloaded(model, tmp_path, custom_objects={"Classifier": Classifier})
    assert np.array_equal(ours(again, numbers(2, 5)), ours(model, numbers(2, 5)))


def test_subclassed_models_have_keras_places_for_their_arrays(tmp_path: Path) -> None:
    class TheirClassifier(keras.Model):
        def __init__(self, units: int) -> None:
            super().__init__()
            self.zeta, self.alpha = keras.layers.Dense(units), keras.layers.Dense(units)

        def call(self, inputs: Any) -> Any:
            return self.alpha(keras.ops.tanh(self.zeta(inputs)))

    model, there = Classifier(3), TheirClassifier(3)
    model(torch.zeros(2, 5)), there(np.zeros((2, 5), "float32"))
    shake(model).save_weights(tmp_path / "w.weights.h5")
    there.load_weights(tmp_path / "w.weights.h5")
    same(ours(model, numbers(2, 5)), theirs(there, numbers(2, 5)))


def test_a_wrapped_module_offers_weights_only(tmp_path: Path) -> None:
    x = layers.Input(PICTURE)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    model = models.Model(x, layers.TorchModuleWrapper(module, layout="NCHW")(x))
    with pytest.raises(GraphError, match="cannot be written as a config"):
        model.save(tmp_path / "model.keras")
    before = ours(model, numbers(2, *PICTURE))
    for ending in ("safetensors", "weights.h5"):
        model.save_weights(tmp_path / f"w.{ending}")
        shake(model)
        model.load_weights(tmp_path / f"w.{ending}")
        assert np.array_equal(ours(model, numbers(2, *PICTURE)), before)


def squash(x: Any) -> Any:
    return torch.tanh(x) * 2


def test_own_functions_are_handed_in_and_lambdas_refused(tmp_path: Path) -> None:
    model = models.Sequential([layers.Input(TABLE), layers.Dense(3, activation=squash)])
    again = reloaded(model, tmp_path, custom_objects={"squash": squash})
    assert np.array_equal(ours(again, numbers(2, 5)), ours(model, numbers(2, 5)))
    with pytest.raises(ArgumentError, match="unknown activation 'squash'"):
        models.load_model(tmp_path / "model.keras")
    nameless = models.Sequential([layers.Input(TABLE), layers.Dense(3, activation=lambda x: x)])
    with pytest.raises(GraphError, match="no file can hold"):
        nameless.save(tmp_path / "nameless.keras")


class Named(models.Model):
    """A subclass made from inputs and outputs: nested, it is still a graph."""


def test_a_subclass_with_a_graph_nests(tmp_path: Path) -> None:
    x = layers.Input(TABLE)
    inner = Named(x, layers.Dense(3)(x))
    model = models.Model(x, [inner(x), inner(x * 2.0)])
    again = reloaded(model, tmp_path, custom_objects={"Named": Named})
    for left, right in zip(ours(model, numbers(2, 5)), ours(again, numbers(2, 5)), strict=True):
        assert np.array_equal(left, right)


# Weights alone


@pytest.mark.parametrize("ending", ["weights.h5", "safetensors", "keras"])
def test_weights_alone(ending: str, tmp_path: Path) -> None:
    model, other = residual(), models.clone_model(residual())
    path = tmp_path / f"w.{ending}"
    (model.save if ending == "keras" else model.save_weights)(path)
    other.load_weights(path)
    x = numbers(2, *PICTURE)
    assert np.array_equal(ours(model, x), ours(other, x))
    small = models.Sequential([layers.Input(TABLE), layers.Dense(2)])
    before = small.get_weights()
    with pytest.raises(WeightsError):
        small.load_weights(path)
    assert all(np.array_equal(a, b) for a, b in zip(before, small.get_weights()))


def test_keras_weights_open(tmp_path: Path) -> None:
    model = residual()
    model.save(tmp_path / "model.keras")
    there = keras.models.load_model(tmp_path / "model.keras")
    there.set_weights([numbers(*w.shape, seed=9) ** 2 for w in there.get_weights()])
    there.save_weights(tmp_path / "w.weights.h5")
    model.load_weights(tmp_path / "w.weights.h5")
    same(ours(model, numbers(2, *PICTURE)), theirs(there, numbers(2, *PICTURE)))


def test_a_swapped_array_is_caught(tmp_path: Path) -> None:
    """The planted mistake: two equal-shaped arrays in each other's place change the outputs."""
    import io

    import h5py

    model = residual()
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        group = file["layers/batch_normalization/vars"]
        first, second = group["0"][()], group["2"][()] + 1
        group["0"][...], group["2"][...] = second, first
    members["model.weights.h5"] = buffer.getvalue()
    with zipfile.ZipFile(tmp_path / "swapped.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    x = numbers(2, *PICTURE)
    with pytest.raises(AssertionError):
        same(ours(models.load_model(tmp_path / "swapped.keras"), x), ours(model, x))


# Configs


def test_configs_clones_and_json(tmp_path: Path) -> None:
    model = nested()
    clone = models.clone_model(model)
    assert list(clone.state_dict()) == list(model.state_dict())
    assert not np.array_equal(ours(clone, numbers(2, *PICTURE)), ours(model, numbers(2, *PICTURE)))
    clone.set_weights(model.get_weights())
    again = models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    third = models.Model.from_config(model.get_config())
    third.set_weights(model.get_weights())
    for other in (clone, again, third):
        assert np.array_equal(ours(other, numbers(2, *PICTURE)), ours(model, numbers(2, *PICTURE)))
    with_own = models.Sequential([layers.Input(TABLE), Scale(3.0)])
    assert type(models.clone_model(with_own).layers[0]) is Scale


def test_old_keras_can_read_what_we_write(tmp_path: Path) -> None:
    """No setting that is None without need, and public modules only."""
    model = residual()
    model.compile("adam", "mse", metrics=["mae"])
    text = model.to_json()
    assert '"quantization_config"' not in text and '"input_axes"' not in text
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = json.loads(archive.read("config.json"))
    assert config["compile_config"]["optimizer"]["module"] == "keras.optimizers"
    assert None not in config["compile_config"]["optimizer"]["config"].values()


def test_extra_travels_with_the_model(tmp_path: Path) -> None:
    model = stacked()
    extra = {"classes": ["cat", "dog"], "preprocessing": {"scale": 0.5}}
    model.save(tmp_path / "model.keras", extra=extra)
    assert saving.read_extra(tmp_path / "model.keras") == extra


def test_the_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: Any) -> None:
    model = stacked()
    path = model.save(tmp_path / "model.keras")
    before = path.read_bytes()

    def no_room(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_room)
    with pytest.raises(WeightsError, match="No space left"):
        shake(model).save(path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ArgumentError, match="already there"):
        model.save(path, overwrite=False)
    with pytest.raises(ArgumentError, match="must end in"):
        model.save(tmp_path / "model.h5")
    with pytest.raises(GraphError, match="no weights yet"):
        models.Sequential([layers.Dense(3)]).save(path)


# Training goes on

OPTIMIZERS = [
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {"use_ema": True}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adagrad", {}),
]


def compiled(optimizer: Any) -> models.Model:
    x = layers.Input(PICTURE)
    y = layers.Conv2D(4, 3)(x)
    y = layers.BatchNormalization()(y)
    y = layers.Conv2D(2, 3, activation="relu")(y)
    model = models.Model(x, layers.Dense(3, activation="softmax")(layers.Flatten()(y)))
    shake(model).compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def losses_of(model: Any, steps: int) -> list[float]:
    y = np.arange(8) % 3
    return [
        float(model.train_on_batch(numbers(8, *PICTURE, seed=s), y, return_dict=True)["loss"])
        for s in range(steps)
    ]


@pytest.mark.parametrize(("name", "arguments"), OPTIMIZERS)
def test_training_goes_on_with_equal_losses(
    name: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    from stroma import optimizers

    model = compiled(getattr(optimizers, name)(learning_rate=0.003, **arguments))
    losses_of(model, 3)
    again = reloaded(model, tmp_path)
    assert again.optimizer.iterations == 3
    model.reset_metrics()
    assert losses_of(again, 3) == losses_of(model, 3)


@pytest.mark.parametrize(("name", "arguments"), OPTIMIZERS)
def test_keras_goes_on_where_we_stopped(
    name: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    from stroma import optimizers

    model = compiled(getattr(optimizers, name)(learning_rate=0.003, **arguments))
    losses_of(model, 3)
    model.save(tmp_path / "model.keras")
    there = keras.models.load_model(tmp_path / "model.keras")
    there.save(tmp_path / "theirs.keras")
    back = models.load_model(tmp_path / "theirs.keras")
    model.reset_metrics()
    expected = losses_of(model, 3)
    np.testing.assert_allclose(losses_of(there, 3), expected, rtol=1e-4)
    np.testing.assert_allclose(losses_of(back, 3), expected, rtol=1e-4)


def test_frozen_layers_stay_frozen_and_training_goes_on(tmp_path: Path) -> None:
    model = compiled("adam")
    model.layers[1].trainable = model.layers[2].trainable = False
    losses_of(model, 3)
    again = reloaded(model, tmp_path)
    assert [w.requires_grad for w in again.weights] == [w.requires_grad for w in model.weights]
    model.reset_metrics()
    there = keras.models.load_model(tmp_path / "model.keras")
    expected = losses_of(model, 3)
    assert losses_of(again, 3) == expected
    np.testing.assert_allclose(losses_of(there, 3), expected, rtol=1e-4)


def test_schedules_and_objects_in_compile(tmp_path: Path) -> None:
    from stroma import losses, metrics, optimizers, schedules

    rate = schedules.CosineDecay(0.1, 10)
    model = compiled(optimizers.SGD(rate, momentum=0.9))
    model.compile(
        model.optimizer,
        losses.SparseCategoricalCrossentropy(from_logits=False),
        metrics=["accuracy", metrics.SparseTopKCategoricalAccuracy(k=2)],
    )
    losses_of(model, 4)
    again = reloaded(model, tmp_path)
    assert again.optimizer.learning_rate == model.optimizer.learning_rate
    model.reset_metrics()
    assert losses_of(again, 2) == losses_of(model, 2)
    assert again.metrics_names == model.metrics_names
    there = keras.models.load_model(tmp_path / "model.keras")
    assert int(there.optimizer.iterations) == 4


def own_loss(y_true: Any, y_pred: Any) -> Any:
    return ((y_true - y_pred) ** 2).mean(-1)


def test_own_losses_are_handed_in(tmp_path: Path) -> None:
    model = stacked()
    model.compile("sgd", own_loss)
    path = model.save(tmp_path / "model.keras")
    assert models.load_model(path, {"own_loss": own_loss}).compiled
    assert not models.load_model(path, compile=False).compiled
    with pytest.raises(FileFormatError, match="own_loss"):
        models.load_model(path)
    model.compile("sgd", lambda y_true, y_pred: own_loss(y_true, y_pred))
    with pytest.warns(UserWarning, match="lambda"):
        model.save(path)


def test_a_file_holds_the_slots_of_a_weight_thawed_since_the_last_step(tmp_path: Path) -> None:
    model = models.Sequential([layers.Input((4,)), layers.Dense(3), layers.Dense(1)])
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    model.fit(np.ones((4, 4), "float32"), np.ones((4, 1), "float32"), verbose=0)
    assert len(model.optimizer.variables) == 4  # Keras' count: two for each trainable weight
    model.layers[0].trainable = True
    model.save(tmp_path / "model.keras")
    assert len(saving.load_model(tmp_path / "model.keras").optimizer.variables) == 8


@pytest.mark.parametrize(("name", "arguments"), OPTIMIZERS)
def test_what_the_optimizer_knows_of_a_frozen_weight_comes_back(
    name: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    from stroma import optimizers

    model = compiled(getattr(optimizers, name)(learning_rate=0.003, **arguments))
    losses_of(model, 3)
    model.layers[1].trainable = model.layers[2].trainable = False
    again = reloaded(model, tmp_path)
    assert len(again.optimizer.slots) == len(model.optimizer.slots)
    there = keras.models.load_model(tmp_path / "model.keras")  # Keras takes those that it asks for
    model.reset_metrics()
    expected = losses_of(model, 2)
    assert losses_of(again, 2) == expected
    np.testing.assert_allclose(losses_of(there, 2), expected, rtol=1e-4)
    for one in (model, again):
        one.unfreeze()
        one.reset_metrics()
    assert losses_of(again, 3) == losses_of(model, 3)


def test_a_weight_that_began_later_keeps_its_age(tmp_path: Path) -> None:
    model = compiled("adam")
    model.layers[1].trainable = False
    losses_of(model, 3)
    model.layers[1].trainable = True
    losses_of(model, 1)
    again = reloaded(model, tmp_path)
    model.reset_metrics()
    assert losses_of(again, 3) == losses_of(model, 3)


def test_a_keras_model_frozen_after_it_was_trained_keeps_its_slots(tmp_path: Path) -> None:
    there = keras.Sequential(
        [keras.layers.Input(TABLE), keras.layers.Dense(4), keras.layers.Dense(1)]
    )
    there.compile("adam", "mse")
    x, y = numbers(8, *TABLE), numbers(8, 1)
    there.train_on_batch(x, y)
    there.layers[0].trainable = False
    there.save(tmp_path / "theirs.keras")
    back = models.load_model(tmp_path / "theirs.keras")
    slots = [slot.value for slot in back.optimizer.slots]
    for slot, expected in zip(slots, there.optimizer.variables[2:], strict=True):
        torch.testing.assert_close(slot, expected.value.T if slot.ndim == 2 else expected.value)
