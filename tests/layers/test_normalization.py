"""Batch and layer normalisation against Keras, torch and closed forms."""

import copy

import numpy as np
import pytest
import torch
import torch.multiprocessing as multiprocessing
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import keras
from stroma import Input, layers
from stroma.core.errors import ArgumentError, ArgumentTypeError, ShapeError

SHAPES = [
    ((6, 4), -1), ((5, 6, 4), -1), ((5, 4, 6), 1), ((4, 5, 6, 3), -1), ((4, 3, 5, 6), 1),
    ((4, 5, 3, 6), 2), ((3, 4, 5, 6, 2), -1), ((3, 2, 4, 5, 6), 1),
]  # fmt: skip


def pair(name, shape, **arguments):
    """A stroma and a Keras layer with the same random weights."""
    ours, theirs = getattr(layers, name)(**arguments), getattr(keras.layers, name)(**arguments)
    ours(torch.zeros(shape)), theirs.build(shape)
    torch.manual_seed(1)
    values = [torch.rand(weight.shape).numpy() + 0.5 for weight in ours.get_weights()]
    ours.set_weights(values), theirs.set_weights(values)
    return ours, theirs


def numbers(layer):
    """All weights, of either library (Keras' own `numpy()` warns under this NumPy)."""
    return [weight.value.detach().clone() for weight in layer.weights]


def close(ours, theirs, tolerance=1e-5):
    ours, theirs = torch.as_tensor(ours).detach(), torch.as_tensor(theirs).detach()
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= tolerance * max(1.0, float(theirs.abs().max()))


def gradients(layer, x, weights, **kwargs):
    x = x.clone().requires_grad_()
    target = torch.linspace(-1, 1, x.numel()).reshape(x.shape)
    (layer(x, **kwargs) * target).sum().backward()
    grads = [x.grad, *[weight.grad for weight in weights]]
    for weight in weights:
        weight.grad = None
    return grads


@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
@pytest.mark.parametrize("extra", [{}, {"center": False}, {"scale": False, "momentum": 0.7}])
def test_batch_normalization_is_that_of_keras_over_steps(shape, axis, extra):
    ours, theirs = pair("BatchNormalization", shape, axis=axis, **extra)
    for step in range(4):
        x = torch.randn(shape) * (step + 1) + 3
        close(ours(x, training=True), theirs(x, training=True))
        mine = gradients(ours, x, ours.trainable_weights, training=True)
        keras_weights = [v.value for v in theirs.trainable_variables]
        for ours_grad, theirs_grad in zip(
            mine, gradients(theirs, x, keras_weights, training=True), strict=True
        ):
            close(ours_grad, theirs_grad, 1e-4)
        for mine_now, keras_now in zip(numbers(ours), numbers(theirs), strict=True):
            close(mine_now, keras_now)
    close(ours(x), theirs(x, training=False))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(1, 5),
    st.integers(2, 4),
    st.data(),
)
def test_any_rank_and_axis_against_keras(spatial, channels, batch, data):
    shape = [batch, *spatial]
    axis = data.draw(st.integers(1, len(shape)))
    shape.insert(axis, channels)
    axis -= data.draw(st.sampled_from([0, len(shape)]))
    ours, theirs = pair("BatchNormalization", tuple(shape), axis=axis)
    x = torch.randn(shape)
    close(ours(x, training=True), theirs(x, training=True))
    for mine_now, keras_now in zip(numbers(ours), numbers(theirs), strict=True):
        close(mine_now, keras_now)


def test_values_and_gradients_of_torch_batch_norm():
    x = torch.randn(4, 5, 6, 3)
    ours, theirs = layers.BatchNormalization(epsilon=1e-5), torch.nn.BatchNorm2d(3)
    ours(x)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.weight.data.uniform_(0.5, 2)
    ours.load_state_dict(theirs.state_dict())
    mine = gradients(ours, x, [ours.weight, ours.bias], training=True)
    channels_first = lambda v: theirs(v.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # noqa: E731
    reference = gradients(channels_first, x, [theirs.weight, theirs.bias])
    for ours_grad, theirs_grad in zip(mine, reference, strict=True):
        close(ours_grad, theirs_grad)
    assert ours.num_batches_tracked == theirs.num_batches_tracked == 1


def test_the_running_variance_is_biased():
    """torch's own update (n/(n-1) times larger) is a mistake that this test catches."""
    x = torch.randn(3, 2)
    layer, wrong = layers.BatchNormalization(momentum=0.0), torch.nn.BatchNorm1d(2, momentum=1.0)
    layer(x, training=True), wrong(x)
    biased = x.var(0, correction=0)
    torch.testing.assert_close(layer.moving_variance.detach(), biased)
    assert not torch.allclose(wrong.running_var, biased, rtol=0.1)


def test_a_large_mean_with_a_small_deviation_stays_finite():
    x = 1000 + 0.01 * torch.randn(16, 8, 8, 32)
    layer = layers.BatchNormalization()
    assert layer(x, training=True).isfinite().all()
    assert (layer.moving_variance >= 0).all()
    assert not keras.layers.BatchNormalization()(x, training=True).isfinite().all()


def test_one_value_per_channel():
    x = torch.randn(1, 4)
    ours, theirs = pair("BatchNormalization", (1, 4))
    close(ours(x, training=True), theirs(x, training=True))
    for mine_now, keras_now in zip(numbers(ours), numbers(theirs), strict=True):
        close(mine_now, keras_now)


@pytest.mark.parametrize("shape", [(5, 7, 3), (4, 5, 6, 3)])
def test_a_mask_counts_valid_steps_only(shape):
    ours, theirs = pair("BatchNormalization", shape)
    for _ in range(3):
        x, mask = torch.randn(shape), torch.rand(shape[:-1]) > 0.4
        close(ours(x, training=True, mask=mask), theirs(x, training=True, mask=mask), 2e-5)
        for mine_now, keras_now in zip(numbers(ours), numbers(theirs), strict=True):
            close(mine_now, keras_now)
    full = copy.deepcopy(ours)
    close(ours(x, training=True), full(x, training=True, mask=torch.ones(shape[:-1])))
    close(ours.moving_variance, full.moving_variance)
    with pytest.raises(ShapeError, match="mask has shape"):
        ours(x, training=True, mask=torch.ones(2))


def test_frozen_it_infers_even_in_training():
    layer = layers.BatchNormalization()
    x = torch.randn(8, 3)
    layer(x, training=True)
    layer.trainable = False
    before = copy.deepcopy(layer.state_dict())
    assert torch.equal(layer(x, training=True), layer(x, training=False))
    assert all(torch.equal(before[key], value) for key, value in layer.state_dict().items())
    layer.trainable = True
    assert not torch.equal(layer(x, training=True), layer(x))


def test_two_calls_before_one_backward():
    """Updating the buffer that autograd keeps would raise here."""
    layer = layers.BatchNormalization()
    x = torch.randn(4, 3, requires_grad=True)
    (layer(x, training=True) * layer(2 * x, training=True)).sum().backward()
    assert x.grad.isfinite().all()
    assert layer.num_batches_tracked == 2


@pytest.mark.parametrize("axis", [-1, 1])
def test_gradcheck(axis):
    layer = layers.BatchNormalization(axis=axis, dtype="float64")
    x = torch.randn(3, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    assert layer(x).dtype == layer.moving_mean.dtype == torch.float64
    assert torch.autograd.gradcheck(lambda v: layer(v, training=True), x)
    mask = torch.rand(3, 4, 2) > 0.3
    if axis == -1:
        assert torch.autograd.gradcheck(lambda v: layer(v, training=True, mask=mask), x)


def test_bfloat16_activations_have_float32_statistics():
    x = torch.randn(16, 6, 6, 4) * 3 + 20
    layer, exact = layers.BatchNormalization(), layers.BatchNormalization()
    exact(x.bfloat16().float(), training=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x.bfloat16(), training=True)
    assert (y.dtype, layer.moving_mean.dtype) == (torch.bfloat16, torch.float32)
    close(layer.moving_mean, exact.moving_mean, 1e-6)
    close(layer.moving_variance, exact.moving_variance, 1e-6)
    assert layers.BatchNormalization(dtype="mixed_bfloat16")(x, training=True).dtype == y.dtype


def test_integers_are_normalised_as_floats():
    x = torch.randint(0, 255, (4, 3, 3, 2), dtype=torch.uint8)
    layer = layers.BatchNormalization()
    torch.testing.assert_close(layer(x), layer(x.float()))


def synchronized_step(rank, folder):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    torch.manual_seed(0)
    x = torch.randn(6, 3)
    mine = (x[:2] if rank == 0 else x[2:]).clone().requires_grad_()
    layer = layers.BatchNormalization(synchronized=True)
    y = layer(mine, training=True)
    y.pow(3).sum().backward()
    torch.save((y.detach(), mine.grad, layer.state_dict()), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_synchronized_statistics_are_those_of_the_whole_batch(tmp_path):
    multiprocessing.spawn(synchronized_step, (str(tmp_path),), nprocs=2)
    torch.manual_seed(0)
    x = torch.randn(6, 3, requires_grad=True)
    layer = layers.BatchNormalization()
    y = layer(x, training=True)
    y.pow(3).sum().backward()
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    close(torch.cat([part[0] for part in parts]), y)
    close(torch.cat([part[1] for part in parts]), x.grad, 1e-4)
    for part in parts:
        close(part[2]["running_var"], layer.running_var)


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((4, 6), {}),
        ((2, 5, 6), {"epsilon": 1e-5}),
        ((2, 3, 4, 5), {"axis": [2, 3], "center": False}),
        ((2, 3, 4, 5), {"axis": [-3, -2, -1], "scale": False}),
        ((2, 3, 6), {"rms_scaling": True}),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:You passed `rms_scaling")
def test_layer_normalization_is_that_of_keras(shape, arguments):
    ours, theirs = pair("LayerNormalization", shape, **arguments)
    x = torch.randn(shape) * 2 + 1
    close(ours(x), theirs(x))
    keras_weights = [v.value for v in theirs.trainable_variables]
    for ours_grad, theirs_grad in zip(
        gradients(ours, x, ours.trainable_weights), gradients(theirs, x, keras_weights), strict=True
    ):
        close(ours_grad, theirs_grad, 1e-4)


@pytest.mark.parametrize("axis", [1, [1, 3], [1, 2], -3])
def test_layer_normalization_over_inner_axes(axis):
    """By moving the axes to the end: Keras on torch fails here."""
    x = torch.randn(3, 4, 5, 6)
    layer = layers.LayerNormalization(axis=axis)
    layer(x)
    axes = sorted(a % 4 for a in (axis if isinstance(axis, list) else [axis]))
    shape = tuple(x.shape[a] for a in axes)
    assert layer.gamma.shape == shape
    layer.set_weights([torch.rand(shape).numpy() for _ in "ab"])
    last = list(range(-len(axes), 0))
    moved = torch.nn.functional.layer_norm(
        x.movedim(axes, last), shape, layer.gamma, layer.beta, 1e-3
    )
    close(layer(x), moved.movedim(last, axes))


def test_layer_normalization_gradcheck_and_dtypes():
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layers.LayerNormalization(dtype="float64"), x)
    y = layers.LayerNormalization(dtype="mixed_bfloat16")(torch.randn(2, 3))
    assert y.dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["BatchNormalization", "LayerNormalization"])
def test_config_shapes_and_single_samples(name):
    layer = getattr(layers, name)(epsilon=0.01, gamma_regularizer="l2", name="n")
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert layer(Input((None, None, 3))).shape == (None, None, None, 3)
    x = torch.randn(4, 5, 6, 3)
    close(layer(x), torch.cat([layer(x[i : i + 1]) for i in range(4)]))
    assert torch.equal(layer(x), layer(x))
    keras_again = getattr(keras.layers, name).from_config(
        {**getattr(keras.layers, name)(epsilon=0.01).get_config()}
    )
    ours = getattr(layers, name).from_config(keras_again.get_config())
    assert ours.epsilon == 0.01


def test_compile_and_export():
    torch.manual_seed(0)
    x = torch.randn(4, 5, 5, 3)
    layer = layers.BatchNormalization()
    layer(x)
    other = copy.deepcopy(layer)
    compiled = torch.compile(lambda v: other(v, training=True), fullgraph=True, backend="aot_eager")
    close(compiled(x), layer(x, training=True))
    close(other.moving_variance, layer.moving_variance)
    exported = torch.export.export(layer, (x,)).module()
    close(exported(x), layer(x))


def test_errors_have_four_parts():
    with pytest.raises(ShapeError) as error:
        layers.BatchNormalization(axis=3)(torch.zeros(2, 3))
    assert set(error.value.parts()) == {"what", "where", "why", "try"}
    with pytest.raises(ShapeError, match="named once"):
        layers.LayerNormalization(axis=[1, -1])(torch.zeros(2, 3))
    with pytest.raises(ShapeError, match="known sizes"):
        layers.BatchNormalization()(Input((4, None)))
    with pytest.raises(ArgumentError, match="renorm"):
        layers.BatchNormalization(renorm=True)
    with pytest.raises(ArgumentError, match="momentum"):
        layers.BatchNormalization(momentum=1.5)
    with pytest.raises(ArgumentTypeError, match="whole number"):
        layers.LayerNormalization(axis="last")
    assert isinstance(layers.BatchNormalization().get_config()["momentum"], float)
    assert np.shape(layers.BatchNormalization(axis=1).get_config()["axis"]) == ()
