"""Augmentations: ranges, signs and fill against Keras; draws by statistics; exact where planted."""

import math

import pytest
import torch

from oracle import keras
from stroma import layers
from stroma.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from stroma.core.seeds import seed_step
from stroma.functional.geometry import affine, translation_matrices

EVERY = [
    (layers.RandomFlip, {}),
    (layers.RandomCrop, {"height": 6, "width": 5}),
    (layers.RandomRotation, {"factor": 0.2}),
    (layers.RandomZoom, {"height_factor": (-0.5, 0.3)}),
    (layers.RandomTranslation, {"height_factor": 0.2, "width_factor": (0.1, 0.3)}),
]
every = pytest.mark.parametrize(("kind", "arguments"), EVERY, ids=[k.__name__ for k, _ in EVERY])
PIXELS = torch.randint(1, 256, (16, 8, 9, 3), dtype=torch.uint8)


@every
def test_each_picture_has_its_own_draw_in_training_only(kind, arguments):
    same = PIXELS[:1].expand(64, -1, -1, -1).contiguous()
    y = kind(**arguments)(same, training=True)
    assert len(y.flatten(1).unique(dim=0)) > 2
    rest = kind(**arguments)(same, training=False)
    assert len(rest.flatten(1).unique(dim=0)) == 1
    if kind is not layers.RandomCrop:
        assert torch.equal(rest, same.float())


@every
def test_dtypes_are_those_of_keras(kind, arguments):
    """Floats out, unless the layer's own dtype says bytes."""
    theirs = getattr(keras.layers, kind.__name__)
    for dtype in ("float32", "uint8"):
        ours = kind(**arguments, dtype=dtype)(PIXELS, training=True)
        assert ours.dtype == theirs(**arguments, dtype=dtype)(PIXELS, training=True).dtype
        assert ours.dtype == getattr(torch, dtype)
    assert kind(**arguments)(PIXELS, training=False).dtype == torch.float32


@every
def test_called_alone_it_augments_as_in_keras(kind, arguments):
    layer = kind(**arguments)
    many = PIXELS[:1].expand(64, -1, -1, -1)
    assert len(layer(many).flatten(1).unique(dim=0)) > 2
    layer.eval()
    assert len(layer(many).flatten(1).unique(dim=0)) == 1


@every
def test_layouts_and_single_pictures(kind, arguments):
    x = PIXELS.float()
    layer = kind(**arguments, seed=5)
    first = kind(**arguments, seed=5, data_format="channels_first")
    y = layer(x, training=True)
    turned = first(x.permute(0, 3, 1, 2), training=True).permute(0, 2, 3, 1)
    assert torch.equal(turned, y)
    assert kind(**arguments)(x[0], training=True).shape == y.shape[1:]
    with pytest.raises(ShapeError, match="takes pictures"):
        layer(torch.zeros(3, 4))
    symbolic = layer(layers.Input((8, 9, 3)))
    assert symbolic.shape == (None, *y.shape[1:])


@every
def test_draws_repeat(kind, arguments):
    one, other, third = (kind(**arguments, seed=seed) for seed in (3, 3, 4))
    run = [one(PIXELS, training=True) for _ in range(2)]
    assert not torch.equal(run[0], run[1])
    assert all(torch.equal(y, other(PIXELS, training=True)) for y in run)
    assert not torch.equal(run[0], third(PIXELS, training=True))
    layer = kind(**arguments)
    seed_step(1, 5)
    y = layer(PIXELS, training=True)
    layer(PIXELS, training=True)
    seed_step(1, 5)
    assert torch.equal(y, layer(PIXELS, training=True))


@every
def test_config_compile_and_keras_config(kind, arguments):
    layer = kind(**arguments, seed=2, name="a")
    assert kind.from_config(layer.get_config()).get_config() == layer.get_config()
    theirs = getattr(keras.layers, kind.__name__)
    kind.from_config(theirs(**arguments, seed=2).get_config())
    theirs.from_config(layer.get_config())
    compiled = torch.compile(lambda x: layer(x, training=True), fullgraph=True, backend="aot_eager")
    assert compiled(PIXELS).shape == layer(PIXELS).shape


def keras_draw(layer, images):
    """The affine matrices (B, 2, 3) that a Keras layer draws for a batch."""
    drawn = layer.get_random_transformation(images, training=True)
    if "rotation_matrix" in drawn:
        flat = drawn["rotation_matrix"]
    elif "translations" in drawn:
        flat = layer._get_translation_matrix(drawn["translations"])
    else:
        zooms = torch.cat([drawn["width_zoom"], drawn["height_zoom"]], 1)
        flat = layer._get_zoom_matrix(zooms, images.shape[1], images.shape[2])
    return flat[:, :6].reshape(-1, 2, 3)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("RandomRotation", {"factor": (-0.1, 0.25)}),
        ("RandomRotation", {"factor": 0.1}),
        ("RandomZoom", {"height_factor": (-0.3, 0.1)}),
        ("RandomZoom", {"height_factor": 0.2, "width_factor": (0.1, 0.4)}),
        ("RandomTranslation", {"height_factor": (0.1, 0.3), "width_factor": 0.2}),
    ],
    ids=str,
)
def test_the_matrices_are_distributed_as_those_of_keras(name, arguments):
    """Entry by entry: the same range and the same mean, so the same signs."""
    images = torch.zeros(4000, 10, 14, 1)
    ours = getattr(layers, name)(**arguments).matrices(images, None)
    theirs = keras_draw(getattr(keras.layers, name)(**arguments), images)
    spread = (theirs.amax(0) - theirs.amin(0)).clamp(min=1e-6)
    for measure in (torch.amin, torch.amax, torch.mean):
        difference = (measure(ours, 0) - measure(theirs, 0)).abs() / spread
        assert difference.max() < 0.05, (measure, difference)
    if "width_factor" not in arguments and name == "RandomZoom":
        assert torch.equal(ours[:, 0, 0], ours[:, 1, 1])


@pytest.mark.parametrize("fill_mode", ["constant", "nearest", "reflect", "wrap"])
@pytest.mark.parametrize("name", ["RandomRotation", "RandomZoom", "RandomTranslation"])
def test_planted_matrices_give_the_pictures_of_keras(name, fill_mode, monkeypatch):
    arguments = {"fill_mode": fill_mode, "fill_value": 20.0}
    factors = (0.3,) if name == "RandomRotation" else (0.3, 0.4)
    theirs = getattr(keras.layers, name)(*factors, **arguments)
    ours = getattr(layers, name)(*factors, **arguments)
    drawn = theirs.get_random_transformation(PIXELS, training=True)
    monkeypatch.setattr(theirs, "get_random_transformation", lambda *_, **__: drawn)
    matrices = keras_draw(theirs, PIXELS).clone()
    monkeypatch.setattr(ours, "matrices", lambda *_: matrices)
    expected = theirs(PIXELS, training=True)
    torch.testing.assert_close(ours(PIXELS, training=True), expected, rtol=0, atol=255e-5)


def test_a_planted_wrong_sign_is_caught(monkeypatch):
    """Shifting up instead of down fails the test of distributions."""
    wrong = lambda down, right: translation_matrices(-down, right)  # noqa: E731
    monkeypatch.setattr("stroma.layers.augmentation.translation_matrices", wrong)
    arguments = {"height_factor": (0.1, 0.3), "width_factor": 0.2}
    with pytest.raises(AssertionError):
        test_the_matrices_are_distributed_as_those_of_keras("RandomTranslation", arguments)


@pytest.mark.parametrize("mode", ["horizontal", "vertical", "horizontal_and_vertical"])
def test_flips_are_even_odds_for_each_axis(mode):
    image = torch.arange(4.0).reshape(1, 2, 2, 1).expand(4000, -1, -1, -1)
    y = layers.RandomFlip(mode)(image, training=True)[..., 0]
    horizontal = y[:, 0, 0] % 2 == 1
    vertical = y[:, 0, 0] >= 2
    for flipped, name in ((horizontal, "horizontal"), (vertical, "vertical")):
        share = flipped.float().mean().item()
        assert abs(share - 0.5) < 0.04 if name in mode else share == 0
    if mode == "horizontal_and_vertical":  # each by itself: all four outcomes
        assert abs((horizontal & vertical).float().mean() - 0.25) < 0.04
    else:
        theirs = keras.layers.RandomFlip(mode)(image, training=True)[..., 0]
        assert set(map(tuple, theirs.flatten(1).tolist())) == set(map(tuple, y.flatten(1).tolist()))


def test_crops_come_from_everywhere_and_are_windows():
    grid = torch.arange(48.0).reshape(1, 6, 8, 1).expand(3000, -1, -1, -1)
    y = layers.RandomCrop(4, 5)(grid, training=True)[..., 0]
    corners = y[:, 0, 0].long()
    window = torch.arange(4)[:, None] * 8 + torch.arange(5)
    assert torch.equal(y.long(), corners[:, None, None] + window)
    counts = corners.bincount(minlength=48).reshape(6, 8)
    assert (counts[:3, :4] > 0.7 * 3000 / 12).all()
    assert counts.sum() == counts[:3, :4].sum()


def test_crop_at_rest_is_the_centred_window_resized():
    x = torch.rand(2, 10, 20, 3)
    for size in [(8, 8), (16, 16), (5, 30), (10, 20)]:
        expected = keras.layers.Resizing(*size, crop_to_aspect_ratio=True)(x)
        torch.testing.assert_close(layers.RandomCrop(*size)(x, training=False), expected)
    small = layers.RandomCrop(16, 16)  # a picture smaller than the window, in training
    torch.testing.assert_close(small(x, training=True), small(x, training=False))
    assert torch.equal(layers.RandomCrop(10, 20)(x, training=True), x)


def test_rotation_covers_its_range():
    m = layers.RandomRotation((0.0, 0.25)).matrices(torch.zeros(2000, 4, 4, 1), None)
    angles = torch.atan2(m[:, 1, 0], m[:, 0, 0])
    assert angles.min() >= 0
    assert angles.min() < 0.01
    assert math.pi / 2 - 0.01 < angles.max() <= math.pi / 2 + 1e-6


def test_in_a_model_the_model_decides():
    class Wrapped(layers.Layer):
        def __init__(self):
            super().__init__()
            self.flip = layers.RandomFlip("horizontal")

        def call(self, inputs):
            return self.flip(inputs)

    x = PIXELS[:1].float().expand(64, -1, -1, -1)
    wrapped = Wrapped()
    assert torch.equal(wrapped(x, training=False), x)
    assert not torch.equal(wrapped(x, training=True), x)
    assert torch.equal(wrapped(x), x)


def test_gradients_reach_the_pixels():
    for kind, arguments in EVERY:
        x = torch.rand(2, 8, 9, 1, requires_grad=True)
        kind(**arguments)(x, training=True).sum().backward()
        assert x.grad.abs().sum() > 0
    y = affine(x.double(), translation_matrices(torch.zeros(2), torch.zeros(2)))
    torch.testing.assert_close(y, x.double())


def test_errors():
    with pytest.raises(ArgumentError, match="factor must lie in") as error:
        layers.RandomRotation(1.5)
    assert set(error.value.parts()) == {"what", "where", "why", "try"}
    with pytest.raises(ArgumentError, match="height_factor must lie in"):
        layers.RandomZoom((-1.0, 0.0))
    assert layers.RandomZoom(1.0).height_factor == (-1.0, 1.0)  # as in Keras
    with pytest.raises(ArgumentError, match="a number or two"):
        layers.RandomTranslation((0.1, 0.2, 0.3), 0.1)
    with pytest.raises(ArgumentError, match="fill_mode must be one of"):
        layers.RandomRotation(0.1, fill_mode="mirror")
    with pytest.raises(ArgumentError, match="Did you mean 'horizontal'"):
        layers.RandomFlip("horizontl")
    with pytest.raises(ArgumentTypeError, match="whole number"):
        layers.RandomCrop(3.5, 3)
    with pytest.raises(ArgumentTypeError, match="factor must be a number"):
        layers.RandomRotation("a bit")
