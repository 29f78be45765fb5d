"""Frozen is frozen: weights and statistics, bit for bit, whatever happens around them."""

import copy

import numpy as np
import pytest
import torch

import stroma
from oracle import keras
from stroma import Model, Sequential, layers
from stroma.callbacks import Callback
from stroma.core.errors import ArgumentError, RunError
from stroma.core.seeds import set_random_seed
from stroma.network.freezing import running_order
from stroma.optimizers import Adam

RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, (64, 8, 8, 3)).astype("float32")
Y = RNG.integers(0, 3, 64)


def block(x, filters, name):
    y = layers.Conv2D(filters, 3, padding="same", name=f"{name}.conv",
                      kernel_constraint="unit_norm", kernel_regularizer="l2")(x)  # fmt: skip
    y = layers.BatchNormalization(momentum=0.5, name=f"{name}.bn")(y)
    return layers.ReLU(name=f"{name}.relu")(y)


def base_network():
    x = layers.Input((8, 8, 3))
    return Model(x, block(block(x, 4, "layer1"), 6, "layer2"), name="base")


def plain():
    """One flat network."""
    set_random_seed(1)
    x = layers.Input((8, 8, 3))
    y = block(block(x, 4, "layer1"), 6, "layer2")
    y = layers.GlobalAveragePooling2D()(y)
    return Model(x, layers.Dense(3, activation="softmax", name="head")(y))


def nested():
    """The frozen part lies in a network inside."""
    set_random_seed(1)
    x = layers.Input((8, 8, 3))
    y = layers.GlobalAveragePooling2D()(base_network()(x))
    return Model(x, layers.Dense(3, activation="softmax", name="head")(y))


def shared():
    """One block is called before and after the boundary."""
    set_random_seed(1)
    x = layers.Input((8, 8, 3))
    both = layers.Conv2D(3, 3, padding="same", name="both")
    norm = layers.BatchNormalization(momentum=0.5, name="norm")
    y = norm(both(x))
    y = layers.Conv2D(3, 1, name="layer2")(y)
    y = layers.GlobalAveragePooling2D()(norm(both(y)))
    return Model(x, layers.Dense(3, activation="softmax", name="head")(y))


def stacked():
    set_random_seed(1)
    return Sequential([layers.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(),
                       Sequential([layers.ReLU(), layers.Conv2D(4, 3, name="layer2")]),
                       layers.GlobalAveragePooling2D(),
                       layers.Dense(3, activation="softmax")])  # fmt: skip


def wrapped():
    """A PyTorch module with a BatchNorm of its own."""
    set_random_seed(1)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    x = layers.Input((8, 8, 3))
    y = layers.TorchModuleWrapper(module, layout="NCHW", name="layer1")(x)
    y = layers.GlobalAveragePooling2D(name="layer2")(y)
    return Model(x, layers.Dense(3, activation="softmax", name="head")(y))


NETWORKS = [plain, nested, shared, stacked, wrapped]
SAVED = [plain, nested, shared, stacked]  # a wrapped module has no config


def frozen_part(model):
    """Every number of the frozen layers: parameters, statistics and counters."""
    names = {}
    for name, module in model.named_modules():
        if isinstance(module, stroma.Layer) and not module.trainable:
            for key, value in module.state_dict().items():
                names[f"{name}.{key}"] = value.clone()
    return names


def same_bits(before, after):
    assert before.keys() == after.keys() and before
    return all(before[k].numpy().tobytes() == after[k].numpy().tobytes() for k in before)


def compiled(model, optimizer=None):
    model.compile(optimizer or Adam(0.01, weight_decay=0.1, use_ema=True,
                                    ema_overwrite_frequency=7),
                  "sparse_categorical_crossentropy")  # fmt: skip
    return model


def hundred_steps(model):
    model.fit(X, Y, batch_size=16, epochs=25, verbose=0, seed=0)


@pytest.mark.parametrize("make", NETWORKS)
def test_hundred_steps_leave_every_frozen_bit(make):
    model = compiled(make())
    model.freeze(until="layer2")
    before, moving = frozen_part(model), {k: v.clone() for k, v in model.state_dict().items()}
    for mode in (model.eval, model.train):
        mode()
        hundred_steps(model)
        assert same_bits(before, frozen_part(model))
    changed = [k for k, v in model.state_dict().items() if not torch.equal(v, moving[k])]
    assert changed and not set(changed) & set(before)


@pytest.mark.parametrize("make", SAVED)
def test_save_and_load_keep_what_is_frozen(make, tmp_path):
    model = compiled(make())
    model.freeze(until="layer2")
    hundred_steps(model)
    before = frozen_part(model)
    model.save(tmp_path / "model.keras")
    loaded = stroma.models.load_model(tmp_path / "model.keras")
    assert [w.path for w in loaded.trainable_weights] == [w.path for w in model.trainable_weights]
    hundred_steps(loaded)
    assert same_bits(before, frozen_part(loaded))
    for clone in (copy.deepcopy(model), stroma.models.clone_model(model)):
        assert frozen_part(clone).keys() == before.keys()


@pytest.mark.parametrize("make", [plain, nested])
def test_keras_reads_the_same_frozen_part(make, tmp_path):
    model = make()
    model.freeze(until="layer2")
    model.save(tmp_path / "model.keras")
    theirs = keras.models.load_model(tmp_path / "model.keras")
    ours = sorted(tuple(w.keras_view.shape) for w in model.trainable_weights)
    assert sorted(tuple(w.shape) for w in theirs.trainable_weights) == ours


@pytest.mark.parametrize("file", ["w.weights.h5", "w.safetensors"])
def test_weights_are_loaded_into_frozen_layers_which_stay_frozen(file, tmp_path):
    model, other = compiled(nested()), nested()
    hundred_steps(model)
    model.save_weights(tmp_path / file)
    other.freeze(until="layer2")
    names = frozen_part(other).keys()
    other.load_weights(tmp_path / file)
    assert frozen_part(other).keys() == names
    assert all(map(torch.equal, other.weights, model.weights))


class Thaw(Callback):
    """Thaws at the start of an epoch, as gradual unfreezing does."""

    def __init__(self, epoch):
        super().__init__()
        self.at = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.at:
            self.model.unfreeze(from_="layer2")


class KilledError(Exception):
    pass


class Kill(Callback):
    def __init__(self, epoch):
        super().__init__()
        self.at = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.at:
            raise KilledError


@pytest.mark.parametrize("make", [plain, nested, stacked])
def test_a_resumed_run_ends_with_the_same_bits_though_it_thawed_on_the_way(make, tmp_path):
    def start():
        model = compiled(make(), Adam(0.01))
        model.freeze(until="head" if make is not stacked else "dense")
        return model

    whole = start()
    whole.fit(X, Y, epochs=6, verbose=0, seed=3, callbacks=[Thaw(2)])
    broken = start()
    with pytest.raises(KilledError):
        broken.fit(X, Y, epochs=6, verbose=0, seed=3, callbacks=[Thaw(2), Kill(4)],
                   run=tmp_path / "run")  # fmt: skip
    resumed = start()  # a new process builds it as the first one did: all frozen but the head
    frozen = frozen_part(whole)
    resumed.fit(X, Y, epochs=6, verbose=0, callbacks=[Thaw(2)], resume=tmp_path / "run")
    assert same_bits(frozen, frozen_part(resumed))
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_the_optimizer_remembers_weights_that_rest():
    model = compiled(plain(), Adam(0.01))
    hundred_steps(model)
    slots = {(s.name, id(s.parameter)): s.value.clone() for s in model.optimizer.slots}
    model.freeze(until="head")
    hundred_steps(model)
    resting = {id(p) for p in model.parameters() if not p.requires_grad}
    for slot in model.optimizer.slots:
        kept = torch.equal(slot.value, slots[slot.name, id(slot.parameter)])
        assert kept is (id(slot.parameter) in resting)
    model.unfreeze()
    before = model.get_layer("layer1.conv").weight.detach().clone()
    hundred_steps(model)  # without a new compile
    assert not torch.equal(before, model.get_layer("layer1.conv").weight)


def test_a_frozen_batchnorm_without_scale_and_centre_rests_too():
    model = compiled(Sequential([layers.Input((8, 8, 3)),
                                 layers.BatchNormalization(center=False, scale=False),
                                 layers.GlobalAveragePooling2D(),
                                 layers.Dense(3, activation="softmax", name="head")]))  # fmt: skip
    model.freeze(until="head")
    before = frozen_part(model)
    hundred_steps(model)
    assert same_bits(before, frozen_part(model))


def test_planted_mistakes_are_seen():
    """Freezing by `requires_grad` alone, as tutorials do, leaves the statistics running."""
    model = compiled(plain(), Adam(0.01))
    model.freeze(until="layer2")
    before = frozen_part(model)
    model.get_layer("layer1.bn")._trainable = True  # its weights stay frozen
    hundred_steps(model)
    model.get_layer("layer1.bn")._trainable = False
    assert not same_bits(before, frozen_part(model))
    model.freeze(until="layer2")
    before = frozen_part(model)
    model.get_layer("layer1.conv").weight.requires_grad_(True)
    hundred_steps(model)
    assert not same_bits(before, frozen_part(model))


def test_names():
    model = nested()
    everything = {place.path for place in running_order(model)}
    assert "base.layer1.conv" in everything and "head" in everything
    for name, free in [("layer2", 7), ("base.layer2", 7), ("layer2.bn", 4), ("head", 2),
                       ("base", 12)]:  # fmt: skip
        model.unfreeze()
        model.freeze(until=name)
        frozen = len(model.weights) - free
        assert sum(not w.trainable or not w.requires_grad for w in model.weights) >= frozen
        thawed = nested()
        thawed.freeze()
        assert not thawed.trainable_weights and not thawed.trainable
        thawed.unfreeze(from_=name)
        assert thawed.trainable
        assert len(thawed.trainable_weights) == len(model.trainable_weights)
    with pytest.raises(ArgumentError, match="layer2"):
        model.freeze(until="layer_2")
    with pytest.raises(ArgumentError, match="no layer"):
        model.unfreeze(from_="lay")  # the beginning of a word is no name
    x = layers.Input((8, 8, 3))
    twins = Model(x, layers.Add()([base_network()(x), Model(*_io(), name="other")(x)]))
    with pytest.raises(ArgumentError, match=r"base.layer2, other.layer2"):
        twins.freeze(until="layer2")
    twins.freeze(until="other.layer2")


def _io():
    x = layers.Input((8, 8, 3))
    return x, block(block(x, 4, "layer1"), 6, "layer2")


def test_batchnorm_can_stay_frozen_while_the_rest_thaws():
    model = compiled(nested())
    model.freeze()
    model.unfreeze(batch_normalization=False)
    norms = [m for m in model.modules() if isinstance(m, layers.BatchNormalization)]
    assert not any(norm.trainable for norm in norms)
    assert len(model.trainable_weights) == 2 * 3  # two convolutions, one head
    before = frozen_part(norms[0])
    hundred_steps(model)
    assert same_bits(before, frozen_part(norms[0]))


def test_shared_layers_follow_the_frozen_part():
    model = shared()
    model.freeze(until="layer2")
    assert not model.get_layer("both").trainable and not model.get_layer("norm").trainable
    model.unfreeze(from_="layer2")  # shared with the frozen part: it stays
    assert not model.get_layer("both").trainable
    assert model.get_layer("layer2").trainable and model.get_layer("head").trainable


def test_summary_shows_it():
    model, lines = nested(), []
    model.freeze(until="layer2")
    model.summary(print_fn=lines.append, expand_nested=True, line_length=200)
    text = "\n".join(lines)
    assert "base (Model) partly frozen" in text
    assert "base.layer1.conv (Conv2D) frozen" in text
    assert "head (Dense) frozen" not in text and "base.layer2.conv (Conv2D) frozen" not in text
    trainable = sum(w.numel() for w in model.trainable_weights)
    assert f"Trainable params: {trainable:,}" in text


def test_training_a_wholly_frozen_model_says_so():
    model = compiled(plain(), "sgd")
    model.freeze()
    with pytest.raises(RunError, match="unfreeze"):
        model.fit(X, Y, verbose=0)
