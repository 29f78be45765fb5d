"""What transfer, finetune and features are given: the user's stays, and what is none is told."""

import math
import sys

import numpy as np
import pytest
import torch

import stroma
from stroma import data, layers, zoo
from stroma.callbacks import Callback
from stroma.core.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    RunError,
    ShapeError,
    StromaError,
)
from stroma.transfer import (
    L2SP,
    LDAHead,
    RidgeHead,
    Unlike,
    calibrate,
    expected_calibration_error,
    finetune,
    refuse_below,
    reliability,
    transfer,
)
from stroma.transfer.wise import Average, best_of, interpolated
from tuning_networks import few_digits, staged


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path))


DATA = few_digits(count=120)


def answers(model):
    return model.predict(DATA.validation.images().astype(np.float32), verbose=0)


def weights(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def same(one, other):
    return all(torch.equal(value, other[key]) for key, value in one.items())


def test_the_start_of_an_average_is_the_start_whatever_the_end_is():
    start, end = {"w": torch.ones(3)}, {"w": torch.full((3,), math.nan)}
    assert torch.equal(interpolated(start, end, 0.0)["w"], start["w"])
    bad = Average(alpha=1.0, accuracy=0.9, loss=math.nan)
    assert best_of([Average(alpha=0.0, accuracy=0.5, loss=1.0), bad]).alpha == 0


class Poison(Callback):
    """Makes the loss NaN from the second batch on."""

    def __init__(self, base):
        super().__init__()
        self.base = base

    def on_train_batch_end(self, batch, logs=None):
        with torch.no_grad():
            next(self.base.parameters()).fill_(math.nan)


@pytest.mark.parametrize("batch_size", [16, 1000])  # 1000: only the last weights are NaN
def test_divergence_is_an_error_that_names_the_fix_and_leaves_the_base(batch_size):
    base = staged()
    before = weights(base)
    with pytest.raises(RunError, match="diverged") as raised:
        finetune(base, DATA, epochs=1, batch_size=batch_size, learning_rate=0.5,
                 callbacks=Poison(base), in_place=True)  # fmt: skip
    assert "learning_rate=0.05" in raised.value.fix
    assert same(before, weights(base))


def test_finetune_leaves_the_base_and_what_was_made_of_it():
    base = staged()
    head = [layers.Dense(10, activation="softmax")]
    made, before = transfer(base, DATA), weights(base)
    said, trainable = answers(made.model), [layer.trainable for layer in base.layers]
    result = finetune(base, DATA, head=head, until="layer3", epochs=1, average=False)
    assert same(before, weights(base)) and np.array_equal(said, answers(made.model))
    assert [layer.trainable for layer in base.layers] == trainable
    assert not head[0].built and not np.array_equal(said, answers(result.model))
    finetune(base, DATA, epochs=1, average=False, in_place=True)
    assert not same(before, weights(base))


def test_heads_by_name_are_those_of_transfer():
    for head in ("lda", LDAHead(), [LDAHead().fit(np.eye(16), np.arange(16) % 10, 10)][0]):
        assert finetune(staged(), DATA, head=head, epochs=1).start.value > 0.2
    with pytest.raises(ArgumentError, match="Did you mean 'ridge'"):
        finetune(staged(), DATA, head="rigde")
    with pytest.raises(ArgumentError, match=r"gives \(None, 3\) for 10 classes"):
        finetune(staged(), DATA, head=[layers.Dense(3)])
    with pytest.raises(ArgumentTypeError, match="RidgeHead"):
        finetune(staged(), DATA, head=RidgeHead)
    with pytest.raises(ArgumentError, match="has no head"):
        finetune(staged(), DATA, head="own")
    with pytest.raises(ArgumentError, match="has no head"):
        finetune(staged(head=7), DATA, head="own")


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 0}, {"learning_rate": -1.0}, {"learning_rate": math.nan},
        {"batch_size": 0}, {"penalties": ["l2sp"]}, {"penalties": L2SP}, {"augment": "flip"},
        {"callbacks": [print]}, {"optimizer": torch.optim.SGD}, {"seed": None}, {"seed": -1},
        {"seed": "a"}, {"in_place": "no"}, {"head": None},
    ],
)  # fmt: skip
def test_settings_of_finetune_are_checked_before_anything_runs(options):
    with pytest.raises((ArgumentError, ArgumentTypeError)) as raised:
        finetune(staged(), DATA, **options)
    assert raised.value.fix


def test_a_single_thing_needs_no_list():
    flip = layers.RandomFlip("horizontal")
    result = finetune(staged(), DATA, epochs=1, penalties=L2SP(), augment=flip, callbacks=None)
    assert result.start.value > 0
    assert stroma.features(staged(), DATA.train, views=2, augment=flip).shape[0] == 2
    assert transfer(staged(), DATA, head=None).head.name == "ridge"
    with pytest.raises(ArgumentTypeError, match="RidgeHead"):
        transfer(staged(), DATA, head=RidgeHead)


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ("photos/", "data.images('photos/')"),
        ((np.zeros((4, 8, 8, 1)), np.zeros(4)), "data.arrays(x, y)"),
        (np.zeros((4, 8, 8, 1)), "data.arrays(x, y)"),
        (DATA.train, "data"),
        (None, "data.images"),
    ],
)
def test_other_kinds_of_data_are_told_what_to_type(given, fix):
    for run in (transfer, finetune):
        with pytest.raises(ArgumentTypeError, match="the data is") as raised:
            run(staged(), given)
        assert fix in raised.value.fix
    if given is not DATA.train:
        with pytest.raises(ArgumentTypeError, match="the pictures are") as raised:
            stroma.features(staged(), given)
        assert f"{fix}" in raised.value.fix and ".train" in raised.value.fix
    with pytest.raises(ArgumentTypeError) as raised:
        stroma.features(staged(), DATA)
    assert "data.train" in raised.value.fix


def test_a_base_is_a_network():
    for base in ("resnet20", None, 5):
        for run in (transfer, finetune):
            with pytest.raises(ArgumentTypeError, match="no network"):
                run(base, DATA)
        with pytest.raises(ArgumentTypeError, match="no network"):
            stroma.features(base, DATA.train)


def test_channels_are_named_before_sizes():
    for run in (transfer, finetune):
        with pytest.raises(ShapeError, match=r"1 channel \(grey\).*3 channels \(RGB\)"):
            run(zoo.resnet20(include_top=False, input_shape=(8, 8, 3)), DATA)
    with pytest.raises(ShapeError, match=r"\(8, 8, 1\), the base takes \(32, 32, 1\)"):
        transfer(zoo.resnet20(include_top=False, input_shape=(32, 32, 1)), DATA)


def test_one_class_is_found_before_the_features(monkeypatch):
    few = data.arrays(DATA.train.images()[:30], np.zeros(30, int), ["a"])
    for module in ("ladder", "finetune"):  # the room's names of these are functions
        monkeypatch.setattr(sys.modules[f"stroma.transfer.{module}"], "features", None)
    for run in (transfer, finetune):
        with pytest.raises(DataError, match="of class 0"):
            run(staged(), few)


def test_features_leave_the_mode_of_the_callers_modules():
    torch_base = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4)).train()
    torch_base[1].eval()
    own = staged().train()
    stroma.features(torch_base, DATA.train, layout="NCHW")
    stroma.features(own, DATA.train)
    assert [m.training for m in torch_base.modules()] == [True, True, False]
    assert all(module.training for module in own.modules())
    for batch_size in (0, -1, 2.5):
        with pytest.raises(StromaError, match="batch_size"):
            stroma.features(own, DATA.train, batch_size=batch_size)
    for options in ({"seed": -1}, {"seed": "a"}, {"views": 2, "augment": ["flip"]}):
        with pytest.raises((ArgumentError, ArgumentTypeError)):
            stroma.features(own, DATA.train, **options)


def test_probabilities_are_probabilities():
    logits, labels = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 3
    for check in (refuse_below, reliability, expected_calibration_error):
        for given in (logits, np.abs(logits), np.full((20, 3), 0.5)):
            with pytest.raises(DataError, match="row 0 are no probabilities"):
                check(given, labels)
    [row] = refuse_below(np.eye(3)[labels], labels, 0.5)
    assert row.threshold == 0.5


def test_tensors_of_any_float_are_scores_and_features():
    rows = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)).bfloat16()
    rows.requires_grad_()
    labels = torch.arange(40) % 6
    assert calibrate(rows, labels).temperature > 0
    unlike = Unlike.fit(rows[:20], rows[20:])
    assert unlike.score(rows).shape == (40,) and len(unlike.rates(rows, None, 0.5)) == 1
    far = Unlike.fit(rows[:20].float() * 1e25, rows[20:].float() * 1e25)
    np.testing.assert_allclose(far.distance(rows.float() * 1e-20), unlike.distance(rows), atol=1e-5)
    for bad in (["a"], np.full((3, 6), np.nan), [[1.0], [1.0, 2.0]], np.zeros((3, 0))):
        with pytest.raises(DataError):
            unlike.score(bad)
        with pytest.raises(DataError):
            calibrate(bad, [0])


def torch_base():
    """A PyTorch base with a BatchNorm, in train mode but for that."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(),
        torch.nn.AvgPool2d(2),
    ).train()  # fmt: skip
    module[1].eval()
    module[1].running_mean += 10
    return module


def modes(module):
    return [part.training for part in module.modules()]


def test_transfer_takes_pytorch_modules_to_the_end():
    base = torch_base()
    before, mode = weights(base), modes(base)
    result = stroma.transfer(base, DATA, layout="NCHW", budget=60, epochs=3)
    assert [rung.name for rung in result.rungs] == ["features + ridge", "tuned whole"]
    assert result.rungs[1].score is not None
    assert same(before, weights(base)) and modes(base) == mode
    untuned = stroma.transfer(base, DATA, layout="NCHW")
    x = torch.from_numpy(DATA.validation.images()).permute(0, 3, 1, 2).float()
    by_hand = base.eval()(x).mean((2, 3)).numpy(force=True)
    np.testing.assert_allclose(
        answers(untuned.model), untuned.head.probabilities(by_hand), atol=1e-4
    )
    with pytest.raises(ShapeError, match="order is not said") as raised:
        stroma.transfer(torch_base(), DATA)
    assert "layout" in raised.value.fix


def test_normalization_in_a_pytorch_module_rests_unless_it_is_asked_to_learn():
    for learns in (False, True):
        result = finetune(torch_base(), DATA, layout="NCHW", epochs=1, average=False,
                          batch_normalization=learns)  # fmt: skip
        [bn] = [m for m in result.model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert torch.equal(bn.running_mean, torch_base()[1].running_mean) is not learns
        assert torch.equal(bn.weight, torch_base()[1].weight) is not learns
        assert all(m.weight.requires_grad for m in result.model.modules()
                   if isinstance(m, torch.nn.Conv2d))  # fmt: skip


def test_an_extractor_leaves_the_mode_of_the_module_it_is_made_of():
    base = torch_base()
    mode = modes(base)
    extractor = stroma.transfer.feature_extractor(base, input_shape=(8, 8, 1), layout="NCHW")
    assert modes(base) == mode
    x = torch.rand(4, 8, 8, 1)
    wanted = torch_base().eval()(x.permute(0, 3, 1, 2)).mean((2, 3))
    torch.testing.assert_close(extractor(x), wanted)  # it infers all the same
