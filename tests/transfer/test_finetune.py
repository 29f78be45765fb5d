"""`finetune`: LP-FT, rates by stage, gradual thawing, the boundary cache, WiSE-FT."""

import numpy as np
import pytest
import torch

from stroma import layers
from stroma.callbacks import Callback
from stroma.core.errors import ArgumentError, GraphError
from stroma.models import load_model
from stroma.optimizers import SGD
from stroma.transfer import RidgeHead, features
from stroma.transfer.finetune import finetune
from stroma.transfer.heads import NearestMeanHead
from tuning_networks import few_digits, staged


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path))


DATA = few_digits(count=300)


def state(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def test_it_starts_at_the_closed_form_and_never_ends_below_it():
    base = staged()
    head = RidgeHead().fit(features(base, DATA.train), DATA.train.labels, 10)
    right = head.predict(features(base, DATA.validation)) == DATA.validation.labels
    result = finetune(base, DATA, epochs=3, learning_rate=3e-3)
    assert result.start.value == pytest.approx(right.mean())
    assert result.validation.value >= result.start.value
    assert result.averages[0].alpha == 0 and result.averages[0].accuracy == result.start.value
    answers = result.model(torch.from_numpy(DATA.validation.images()).float()).argmax(1).numpy()
    assert (answers == DATA.validation.labels).mean() == pytest.approx(result.validation.value)
    assert DATA.test.reads == 0
    plain = finetune(staged(), DATA, head="random", epochs=3, learning_rate=3e-3)
    assert plain.start.value < result.start.value
    assert plain.validation.value < result.validation.value


def test_the_boundary_cache_changes_nothing_but_the_work():
    """The same steps on kept maps and on pictures; and everything below stays bit for bit."""
    results, models = [], []
    for cache in (True, False):
        base = staged()
        below = state(base)
        result = finetune(base, DATA, until="layer3", cache=cache, epochs=2, average=False,
                          precision="float32", in_place=True)  # fmt: skip
        assert result.cached is cache
        for key, value in base.state_dict().items():
            if not key.startswith("layer3"):
                assert torch.equal(value, below[key]), key
        results.append(result.history.history["loss"])
        models.append(result.model.state_dict())
        assert [row.rate for row in result.stages][:2] == [0, 0]
    # gathered maps lie otherwise in memory, so sums are taken in another order
    np.testing.assert_allclose(results[0], results[1], rtol=2e-3)
    for key, value in models[0].items():
        torch.testing.assert_close(value, models[1][key], rtol=2e-2, atol=2e-3)


def test_stages_move_at_their_rates():
    """One step of plain gradient descent: the change is the rate times the gradient."""
    moved = {}
    for decay in (1.0, 0.5):
        base = staged()
        before = state(base)
        finetune(base, DATA, epochs=1, batch_size=1000, optimizer=SGD(), learning_rate=0.01,
                 rate_decay=decay, warmup=0, average=False, precision="float32",
                 in_place=True)  # fmt: skip
        moved[decay] = {k: v - before[k] for k, v in base.state_dict().items() if "conv" in k}
    for name, factor in (("layer1", 0.125), ("layer2.a", 0.25), ("layer3", 0.5)):
        key = f"{name}.conv.weight"
        torch.testing.assert_close(moved[0.5][key], factor * moved[1.0][key], rtol=1e-3, atol=1e-6)
        assert moved[1.0][key].abs().max() > 0


class Watch(Callback):
    """Which stages moved in which epoch."""

    def __init__(self, base):
        super().__init__()
        self.base, self.moved = base, []

    def on_epoch_begin(self, epoch, logs=None):
        self.before = state(self.base)

    def on_epoch_end(self, epoch, logs=None):
        now = self.base.state_dict()
        self.moved.append({k.split(".")[0] for k, v in now.items()
                           if not torch.equal(v, self.before[k])})  # fmt: skip


def test_gradual_thawing_begins_at_the_top_and_normalization_rests():
    base = staged()
    watch = Watch(base)
    statistics = {k: v for k, v in state(base).items() if ".bn." in k}
    finetune(
        base, DATA, epochs=4, gradual=True, warmup=0, average=False, callbacks=watch, in_place=True
    )
    assert watch.moved == [set(), {"layer3"}, {"layer3", "layer2"}, {"layer3", "layer2", "layer1"}]
    for key, value in statistics.items():
        assert torch.equal(value, base.state_dict()[key])


def test_normalization_learns_when_it_is_asked_to():
    base = staged()
    before = state(base)
    finetune(base, DATA, epochs=1, batch_normalization=True, average=False, in_place=True)
    assert not torch.equal(before["layer1.bn.running_mean"], state(base)["layer1.bn.running_mean"])


def test_a_model_with_its_own_head_is_tuned_as_it_is(tmp_path):
    model = staged(head=10)  # logits
    result = finetune(
        model, DATA, head="own", epochs=4, learning_rate=1e-2, rate_decay=1.0, in_place=True
    )
    assert result.model is model and result.validation.value > result.start.value + 0.2
    result.model.save(tmp_path / "own.keras")
    x = torch.from_numpy(DATA.validation.images()).float()
    torch.testing.assert_close(load_model(tmp_path / "own.keras")(x), model(x))


def test_other_heads_augmentation_and_seeds():
    result = finetune(staged(), DATA, head=NearestMeanHead(), epochs=1)
    assert result.validation.value >= result.start.value
    views = [layers.RandomTranslation(0.1, 0.1)]
    one, other, third = (
        finetune(staged(), DATA, epochs=1, augment=views, seed=seed).history.history["loss"]
        for seed in (1, 1, 2)
    )
    assert one == other != third


def test_what_cannot_be_meant_is_refused():
    for options, message in (
        ({"until": "layer3", "cache": True, "augment": [layers.RandomFlip()]}, "exclude"),
        ({"until": "head"}, "only the head"),
        ({"epochs": 0}, "epochs"),
        ({"rate_decay": 2.0}, "rate_decay"),
        ({"until": "layer9"}, "layer9"),
    ):
        with pytest.raises(ArgumentError, match=message):
            finetune(staged(), DATA, **options)
    with pytest.raises(GraphError, match="tensors lead past"):
        finetune(staged(), DATA, until="layer2.add")
    with pytest.raises(ArgumentError, match="own"):
        finetune(torch.nn.Identity(), DATA, head="own")
