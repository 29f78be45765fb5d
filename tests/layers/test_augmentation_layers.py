"""Augmentations of colour, tone, shape and mixture: their sums against Keras, draw by draw.

Where a factor (f, f) leaves one outcome Keras is called as it is; else its own draw is taken
apart and handed to both. What is random is tested by its distribution.
"""

import pytest
import torch

from oracle import keras
from stroma import layers
from stroma.core.errors import ArgumentError, DataError, ShapeError
from stroma.core.seeds import seed_step
from stroma.functional.geometry import resample

BYTES = torch.randint(0, 256, (6, 12, 15, 3), dtype=torch.uint8)
EVERY = [
    (layers.RandomShear, {"x_factor": 0.3, "y_factor": 0.2}),
    (layers.RandomPerspective, {"factor": (1, 1)}),
    (layers.RandomElasticTransform, {"factor": (1, 1), "scale": (0.5, 1)}),
    (layers.RandomBrightness, {"factor": 0.3}),
    (layers.RandomContrast, {"factor": (0.2, 0.3)}),
    (layers.RandomSaturation, {"factor": (0.3, 0.9)}),
    (layers.RandomHue, {"factor": (0.1, 0.9)}),
    (layers.RandomGrayscale, {"factor": 0.5}),
    (layers.RandomColorDegeneration, {"factor": (0.1, 0.9)}),
    (layers.RandomColorJitter, {"brightness_factor": 0.2, "saturation_factor": (0.3, 0.6)}),
    (layers.RandomInvert, {}),
    (layers.RandomPosterization, {"factor": 6}),
    (layers.Solarization, {"addition_factor": 0.2, "threshold_factor": (0.2, 0.9)}),
    (layers.RandomSharpness, {"factor": (0.1, 0.9)}),
    (layers.RandomGaussianBlur, {"factor": (1, 1)}),
    (layers.RandomErasing, {}),
    (layers.RandAugment, {}),
    (layers.AugMix, {}),
]
FIXED = [  # no draws
    (layers.CenterCrop, {"height": 5, "width": 7}),
    (layers.AutoContrast, {}),
    (layers.Equalization, {}),
    (layers.ContrastLimitedAdaptiveHistogramEqualization, {"tile_grid_size": (3, 4)}),
]
MIXING = [(layers.MixUp, {"alpha": 1.0}), (layers.CutMix, {})]


def cases(rows):
    return pytest.mark.parametrize(("kind", "arguments"), rows, ids=[k.__name__ for k, _ in rows])


@cases(EVERY)
def test_each_picture_has_its_own_draw_in_training_only(kind, arguments):
    many = BYTES[:1].expand(24, -1, -1, -1)
    layer = kind(**arguments)
    two = kind in (layers.RandomInvert, layers.RandomGrayscale)  # outcomes are not more
    assert len(layer(many, training=True).flatten(1).unique(dim=0)) > (1 if two else 2)
    assert torch.equal(layer(many, training=False), many.float())
    layer.eval()
    assert torch.equal(layer(many), many.float())


@cases(EVERY + FIXED + MIXING)
def test_ranges_dtypes_layouts_and_single_pictures(kind, arguments):
    seed = {} if kind in [fixed for fixed, _ in FIXED] else {"seed": 3}
    layer = kind(**arguments, **seed)
    first = kind(**arguments, **seed, data_format="channels_first")
    y = layer(BYTES, training=True)
    assert y.dtype == torch.float32
    assert y.min() >= -1e-3 and y.max() <= 255 + 1e-3
    turned = first(BYTES.permute(0, 3, 1, 2), training=True).permute(0, 2, 3, 1)
    torch.testing.assert_close(turned, y, rtol=0, atol=1e-3)
    assert layer(BYTES[0], training=True).shape == y.shape[1:]
    whole = kind(**arguments, dtype="uint8")(BYTES, training=True)
    assert whole.dtype == torch.uint8
    assert layer(layers.Input(tuple(BYTES.shape[1:]))).shape == (None, *y.shape[1:])
    with pytest.raises(ShapeError, match="takes pictures"):
        layer(torch.zeros(3, 4))


@cases(EVERY + MIXING)
def test_draws_repeat(kind, arguments):
    one, other, third = (kind(**arguments, seed=seed) for seed in (3, 3, 5))
    runs = [one(BYTES) for _ in range(3)]
    assert all(torch.equal(y, other(BYTES)) for y in runs)
    assert any(not torch.equal(y, third(BYTES)) for y in runs)
    layer = kind(**arguments)
    seed_step(1, 5)
    y = layer(BYTES)
    layer(BYTES)
    seed_step(1, 5)
    assert torch.equal(y, layer(BYTES))


@cases(EVERY + FIXED + MIXING)
def test_configs_go_both_ways(kind, arguments):
    layer = kind(**arguments, name="a")
    assert kind.from_config(layer.get_config()).get_config() == layer.get_config()
    theirs = getattr(keras.layers, kind.__name__)
    loaded = kind.from_config(theirs(**arguments).get_config())
    for name in ("factor", "value_range", "scale", "alpha", "x_factor", "bins", "kernel_size"):
        if hasattr(layer, name):
            assert getattr(loaded, name) == pytest.approx(getattr(layer, name)), name
    if kind is not layers.RandomShear or isinstance(arguments["x_factor"], tuple):
        theirs.from_config(layer.get_config())


@pytest.mark.parametrize("value_range", [(0, 255), (0, 1)], ids=str)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("AutoContrast", {}),
        ("RandomBrightness", {"factor": (0.3, 0.3)}),
        ("RandomBrightness", {"factor": (-0.4, -0.4)}),
        ("RandomContrast", {"factor": (0.0, 0.0)}),
        ("RandomHue", {"factor": (0, 0)}),
        ("RandomSaturation", {"factor": (0.3, 0.3)}),
        ("RandomSaturation", {"factor": (0, 0)}),
        ("RandomColorDegeneration", {"factor": (0.6, 0.6)}),
        ("RandomColorDegeneration", {"factor": (-0.6, -0.6)}),
        ("RandomSharpness", {"factor": (0.1, 0.1)}),
        ("RandomSharpness", {"factor": (0.9, 0.9)}),
        ("RandomInvert", {"factor": (1, 1)}),
        ("RandomPosterization", {"factor": (3, 3)}),
        ("RandomPosterization", {"factor": (8, 8)}),
        ("Solarization", {}),
        ("RandomErasing", {"factor": (1, 1), "scale": (1, 1), "fill_value": 0.5}),
        ("RandomGaussianBlur", {"factor": (1, 1), "kernel_size": 5, "sigma": (0.7, 0.7)}),
        # limits that are whole counts of pixels: Keras on torch rounds others down
        ("ContrastLimitedAdaptiveHistogramEqualization", {"clip_limit": 64.0}),
        ("ContrastLimitedAdaptiveHistogramEqualization",
         {"clip_limit": 16.0, "tile_grid_size": (3, 4)}),
        ("ContrastLimitedAdaptiveHistogramEqualization",
         {"clip_limit": 32.0, "tile_grid_size": (3, 4)}),
        ("ContrastLimitedAdaptiveHistogramEqualization", {"clip_limit": 0.0}),
    ],
    ids=str,
)  # fmt: skip
def test_one_outcome_is_that_of_keras(name, arguments, value_range):
    x = BYTES.float() if value_range[1] == 255 else BYTES / 255
    theirs = getattr(keras.layers, name)(**arguments, value_range=value_range)
    ours = getattr(layers, name)(**arguments, value_range=value_range)
    expected = theirs(x.clone(), training=True)
    y = ours(x, training=True)
    torch.testing.assert_close(y, expected, rtol=0, atol=value_range[1] * 1e-5)
    one = torch.cat([ours(picture[None], training=True) for picture in x])
    torch.testing.assert_close(one, y, rtol=0, atol=value_range[1] * 1e-6)


def test_the_limit_of_a_histogram_may_be_a_fraction():
    """As on TF and JAX; between two whole counts the answer lies apart from both."""
    kind = layers.ContrastLimitedAdaptiveHistogramEqualization
    x = BYTES.float() / 4
    answers = [kind(clip_limit=c, tile_grid_size=(3, 4))(x) for c in (16.0, 24.0, 32.0)]
    assert not torch.allclose(answers[1], answers[0]) and not torch.allclose(*answers[1:])


@pytest.mark.filterwarnings("ignore:Tensor.T is deprecated")  # Keras' own
@pytest.mark.parametrize("bins", [256, 30])
@pytest.mark.parametrize("value_range", [(0, 255), (0, 1)], ids=str)
def test_equalization_is_that_of_keras_for_one_picture(bins, value_range):
    """Keras has one histogram for a batch: given the pictures one by one."""
    x = (BYTES // 3 + 40).float() * (value_range[1] / 255)
    x[0, ..., 0] = 0.25  # a channel of one value
    theirs = keras.layers.Equalization(bins=bins, value_range=value_range)
    expected = torch.stack([theirs(picture, training=True) for picture in x])
    y = layers.Equalization(bins=bins, value_range=value_range)(x)
    torch.testing.assert_close(y, expected, rtol=0, atol=value_range[1] * 1e-5)


@pytest.mark.parametrize("size", [(5, 7), (12, 15), (6, 4), (13, 4), (20, 30)], ids=str)
def test_center_crop_is_that_of_keras(size):
    x = BYTES.float()
    for training in (True, False):
        expected = keras.layers.CenterCrop(*size)(x, training=training)
        y = layers.CenterCrop(*size)(x, training=training)
        torch.testing.assert_close(y, expected, rtol=0, atol=255e-5)


def test_grayscale_is_that_of_keras():
    x = BYTES.float()
    expected = keras.layers.RandomGrayscale(factor=1.0)(x, training=True)
    torch.testing.assert_close(layers.RandomGrayscale(1.0)(x), expected, rtol=0, atol=255e-5)


def numbers(tensor):
    return tensor.reshape(len(tensor), -1).squeeze(1)


@pytest.mark.parametrize(
    ("name", "arguments", "taken"),
    [
        ("RandomContrast", {"factor": 0.4}, lambda d: (numbers(d["contrast_factor"]),)),
        ("RandomHue", {"factor": 0.9}, lambda d: (numbers(d["factor"]),)),
        ("Solarization", {"addition_factor": 0.4, "threshold_factor": 0.9},
         lambda d: (numbers(d["additions"]), numbers(d["thresholds"]))),
        ("RandomPosterization", {"factor": 8},
         lambda d: (8 - d["shift_factor"].reshape(-1).long(),)),
        ("RandomPerspective", {"factor": (1, 1)},
         lambda d: (d["apply_perspective"], d["end_points"] / torch.tensor([14.0, 11.0]))),
        ("MixUp", {"alpha": 0.5}, lambda d: (d["permutation_order"], d["mix_weight"])),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_draw_of_keras_gives_the_pictures_of_keras(name, arguments, taken):
    x = BYTES.float()
    theirs = getattr(keras.layers, name)(**arguments)
    drawn = theirs.get_random_transformation(x, training=True)
    mine = taken(drawn)
    expected = theirs.transform_images(x.clone(), drawn, training=True)
    y = getattr(layers, name)(**arguments).change(x, *mine)
    # a corner of a picture that is turned by float32 numbers may lie just beyond the edge
    wrong = (y - expected).abs() > 255e-5 * (20 if name == "RandomPerspective" else 1)
    assert wrong.float().mean() < (0.01 if name == "RandomPerspective" else 1e-9)


@pytest.mark.parametrize("name", ["CutMix", "RandomErasing"])
def test_windows_of_keras(name):
    """The same mask of the same corners, fractions of pixels included."""
    from stroma.functional.geometry import window_mask

    theirs = getattr(keras.layers, name)()
    rows = torch.tensor([[0.0, 0.5], [0.25, 0.3], [1.0, 0.9], [0.7, 0.1], [0.2, 1.0], [0.4, 0.0]])
    places = torch.rand(6, 2)
    sizes = rows * torch.tensor([12.0, 15.0])
    starts = places * (torch.tensor([12.0, 15.0]) - sizes)
    y0, x0 = starts.unbind(1)
    y1, x1 = (starts + sizes).unbind(1)
    mask = theirs._generate_batch_mask(tuple(BYTES.shape), (x0, x1, y0, y1))
    mask = mask[0] if isinstance(mask, tuple) else mask
    assert torch.equal(window_mask(BYTES, places, rows).expand(BYTES.shape), mask)


@pytest.mark.parametrize("fill_mode", ["constant", "nearest", "reflect", "wrap", "mirror"])
def test_pixels_moved_to_places_are_those_of_keras(fill_mode):
    """What an elastic transform does once its field is drawn."""
    x = BYTES[0].float()
    away = torch.randn(2, 12, 15) * 6
    rows, columns = torch.arange(12.0)[:, None] + away[0], torch.arange(15.0) + away[1]
    expected = torch.stack(
        [
            keras.ops.image.map_coordinates(
                x[..., channel], torch.stack([rows, columns]), order=1,
                fill_mode=fill_mode, fill_value=3.0,
            )
            for channel in range(3)
        ], -1,
    )  # fmt: skip
    y = resample(x[None], columns[None], rows[None], fill_mode, "bilinear", 3.0)[0]
    torch.testing.assert_close(y, expected, rtol=0, atol=255e-5)


def test_elastic_fields_are_smooth_and_as_strong_as_those_of_keras():
    """Alpha and sigma by Keras' formula: the deviation of the shift, measured on a ramp."""
    ramp = torch.arange(40.0).expand(30, 40)[None, :, :, None].expand(60, -1, -1, -1)
    middle = slice(10, 30)
    ours = layers.RandomElasticTransform((1, 1), (0.3, 0.3))(ramp)
    theirs = keras.layers.RandomElasticTransform((1, 1), (0.3, 0.3))(ramp, training=True)
    shifts = [(y - ramp)[:, 10:20, middle] for y in (ours, theirs)]
    assert shifts[0].std().item() == pytest.approx(shifts[1].std().item(), rel=0.1)
    rough = [(shift.diff(dim=1).std() / shift.std()).item() for shift in shifts]
    assert rough[0] == pytest.approx(rough[1], rel=0.1)


def share(layer, changed, count=4000):
    x = torch.full((count, 2, 2, 3), 60.0) + torch.arange(3.0) * 50
    return changed(layer(x), x).float().mean().item()


def test_probabilities_are_drawn_as_in_keras():
    """One number f is an upper bound: half of it on average."""
    for kind in (layers.RandomInvert, layers.RandomErasing):

        def changed(y, x):
            return (y != x).flatten(1).any(1)

        more = {} if kind is layers.RandomInvert else {"scale": (1, 1), "fill_value": 0}
        assert share(kind(1.0, **more), changed) == pytest.approx(0.5, abs=0.04)
        assert share(kind((1, 1), **more), changed) == 1
        assert share(kind(0.0, **more), changed) == 0
    assert share(layers.RandomGrayscale(0.3), changed) == pytest.approx(0.3, abs=0.04)


def test_ranges_of_the_draws():
    x = torch.full((4000, 1, 1, 3), 100.0)

    def draws(layer):
        drawn = layer.draw(x, None)[0]
        return [round(v, 2) for v in (drawn.min().item(), drawn.mean().item(), drawn.max().item())]

    assert draws(layers.RandomBrightness(0.4)) == pytest.approx([-0.4, 0, 0.4], abs=0.02)
    assert draws(layers.RandomContrast(0.4)) == pytest.approx([0.6, 1, 1.4], abs=0.02)
    assert draws(layers.RandomContrast((0.1, 0.5))) == pytest.approx([0.9, 1.2, 1.5], abs=0.02)
    assert draws(layers.RandomHue(0.6)) == pytest.approx([-0.3, 0, 0.3], abs=0.02)
    assert draws(layers.RandomSharpness(0.6)) == pytest.approx([0, 0.3, 0.6], abs=0.02)
    assert draws(layers.RandomColorDegeneration(0.6)) == pytest.approx([0, 0.3, 0.6], abs=0.02)
    bits = layers.RandomPosterization(4).draw(x, None)[0]
    assert bits.unique().tolist() == [1, 2, 3]
    theirs = keras.layers.RandomPosterization(4).get_random_transformation(x, training=True)
    assert (8 - theirs["shift_factor"].long()).unique().tolist() == [1, 2, 3]


def test_labels_pass_through_and_boxes_are_refused():
    data = {"images": BYTES, "labels": torch.arange(6)}
    assert layers.RandomFlip()(data)["labels"] is data["labels"]
    for key in ("bounding_boxes", "segmentation_masks"):
        with pytest.raises(DataError, match=key):
            layers.RandomFlip()({**data, key: 1})
    with pytest.raises(DataError, match="no 'images'"):
        layers.RandomFlip()({"labels": 1})


@cases([case for case in EVERY if case[0] not in (layers.RandomPosterization,)] + MIXING)
def test_gradients_flow(kind, arguments):
    x = torch.rand(8, 10, 12, 3) * 200 + 20
    x.requires_grad_()
    kind(**arguments)(x, training=True).square().mean().backward()
    assert x.grad.isfinite().all() and x.grad.abs().sum() > 0


def test_jitter_is_its_parts_in_order():
    x = BYTES.float()
    jitter = layers.RandomColorJitter((0, 255), (0.2, 0.2), (0, 0), (0.4, 0.4), (0, 0))
    y = layers.RandomBrightness((0.2, 0.2))(x)
    y = layers.RandomSaturation((0.4, 0.4))(y)
    torch.testing.assert_close(jitter(x), y, rtol=0, atol=255e-5)


def test_wrong_arguments_are_named():
    for make, message in (
        (lambda: layers.RandomBrightness(2), "must lie in"),
        (lambda: layers.RandomContrast((0.1, 0.2, 0.3)), "a number or two"),
        (lambda: layers.RandomHue(-0.1), "must lie in"),
        (lambda: layers.RandomGaussianBlur(kernel_size=4), "must be odd"),
        (lambda: layers.AutoContrast(value_range=(1, 1)), "value_range must be two numbers"),
        (lambda: layers.AutoContrast(value_range=255), "value_range must be two numbers"),
        (lambda: layers.MixUp(0), "must lie in"),
        (lambda: layers.RandomPosterization(9), "must lie in"),
        (lambda: layers.RandomErasing(fill_value=()), "is empty"),
        (lambda: layers.RandomShear(fill_mode="mirror"), "must be one of"),
        (lambda: layers.Pipeline([abs]), "is no layer"),
        (lambda: layers.MelSpectrogram(64, sequence_length=65), "is below sequence_length"),
        (lambda: layers.STFTSpectrogram(frame_length=8, frame_step=9), "is below frame_step"),
    ):
        with pytest.raises((ArgumentError, TypeError), match=message):
            make()
    with pytest.raises(ShapeError, match="channels, not 3"):
        layers.RandomHue(0.1)(torch.zeros(2, 4, 4, 1))


PLANTED = [
    ("stroma.layers.tones.stretch", lambda x, low, high: (x - x.amin()) / x.amax() * high,
     lambda: test_one_outcome_is_that_of_keras("AutoContrast", {}, (0, 255))),
    ("stroma.layers.sharpness.smooth", lambda x: x,
     lambda: test_one_outcome_is_that_of_keras(
         "RandomSharpness", {"factor": (0.1, 0.1)}, (0, 255))),
    ("stroma.layers.colour._LUMA", (0.114, 0.587, 0.2989),
     lambda: test_grayscale_is_that_of_keras()),
]  # fmt: skip


@pytest.mark.parametrize(("place", "wrong", "test"), PLANTED, ids=[p for p, _, _ in PLANTED])
def test_planted_mistakes_are_caught(place, wrong, test, monkeypatch):
    monkeypatch.setattr(place, wrong)
    with pytest.raises(AssertionError):
        test()
