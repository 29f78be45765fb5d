"""What Keras cannot be asked: resuming, freezing, skipping, layouts, devices without kernels."""

import copy

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from stroma import optimizers
from stroma.core.errors import ArgumentError, ArgumentTypeError, WeightsError
from stroma.optimizers import (
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Ftrl,
    Lamb,
    Lion,
    Muon,
    Nadam,
    Optimizer,
    RMSprop,
    ScheduleFreeAdamW,
)
from stroma.optimizers.gradients import clip_each_norm, clip_global_norm
from stroma.optimizers.group import Group

RULES = {
    "sgd": lambda **o: SGD(0.1, **o),
    "momentum": lambda **o: SGD(0.1, momentum=0.9, **o),
    "nesterov": lambda **o: SGD(0.1, momentum=0.9, nesterov=True, **o),
    "rmsprop": lambda **o: RMSprop(0.01, momentum=0.9, centered=True, **o),
    "adagrad": lambda **o: Adagrad(0.1, **o),
    "adam": lambda **o: Adam(0.01, **o),
    "amsgrad": lambda **o: Adam(0.01, amsgrad=True, **o),
    "adamw": lambda **o: AdamW(0.01, **o),
    "adadelta": lambda **o: Adadelta(1.0, **o),
    "adafactor": lambda **o: Adafactor(0.05, **o),
    "adamax": lambda **o: Adamax(0.01, **o),
    "ftrl": lambda **o: Ftrl(0.1, beta=0.1, l1_regularization_strength=0.01, **o),
    "lamb": lambda **o: Lamb(0.01, **o),
    "lion": lambda **o: Lion(0.01, **o),
    "muon": lambda **o: Muon(0.01, **o),
    "nadam": lambda **o: Nadam(0.01, **o),
    "schedule free": lambda **o: ScheduleFreeAdamW(0.01, **o),
}
every_rule = pytest.mark.parametrize("rule", RULES)


def parameters(seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    kernel = torch.randn(4, 3, 3, 3, generator=generator)
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    tensors = [kernel, torch.randn(4, generator=generator), torch.randn(5, 4, generator=generator)]
    return [nn.Parameter(tensor.to(dtype)) for tensor in tensors]


def train(optimizer, weights, steps, seed=1, found_inf=None):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for weight in weights:
            gradient = torch.randn(weight.shape, generator=generator).to(weight.dtype)
            weight.grad = gradient if weight.requires_grad else None
        optimizer.step(found_inf)


def built(rule, weights, **options):
    optimizer = RULES[rule](**options)
    optimizer.build(weights)
    return optimizer


def everything(optimizer):
    return [p.detach().clone() for p in optimizer.parameters] + [
        slot.value.clone() for slot in optimizer.slots
    ]


def all_equal(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@every_rule
def test_resume_is_bit_exact(rule):
    options = {"weight_decay": 0.01, "use_ema": True, "gradient_accumulation_steps": 2}
    whole = built(rule, parameters(), **options)
    train(whole, whole.parameters, 7, seed=1)
    state = {key: value.clone() for key, value in whole.state_dict().items()}
    weights = [nn.Parameter(p.detach().clone()) for p in whole.parameters]
    train(whole, whole.parameters, 6, seed=2)

    resumed = built(rule, weights, **options)
    resumed.learning_rate = 123.0
    resumed.load_state_dict(state)
    train(resumed, weights, 6, seed=2)
    assert all_equal(everything(resumed), everything(whole))
    assert resumed.calls == whole.calls == 13
    assert resumed.learning_rate == whole.learning_rate


def test_resume_test_can_fail():
    """Planted mistake: a state without its iterations gives other weights."""
    whole = built("adam", parameters())
    train(whole, whole.parameters, 5)
    state = {key: value.clone() for key, value in whole.state_dict().items()}
    weights = [nn.Parameter(p.detach().clone()) for p in whole.parameters]
    state["first_iterations"].fill_(-1)
    resumed = built("adam", weights)
    resumed.load_state_dict(state)
    train(whole, whole.parameters, 1, seed=2)
    train(resumed, weights, 1, seed=2)
    assert not all_equal(everything(resumed), everything(whole))


@every_rule
def test_frozen_parameters_stay_and_keep_their_state(rule):
    weights = parameters()
    optimizer = built(rule, weights, weight_decay=0.1, use_ema=True, ema_overwrite_frequency=2)
    train(optimizer, weights, 3)
    weights[0].requires_grad_(False)
    weights[0].grad = torch.ones_like(weights[0])  # a gradient left over must not count either
    frozen = [weights[0].detach().clone()] + [
        s.value.clone() for s in optimizer.slots if s.parameter is weights[0]
    ]
    before = weights[1].detach().clone()
    train(optimizer, weights, 3, seed=2)
    kept = [weights[0].detach()] + [s.value for s in optimizer.slots if s.parameter is weights[0]]
    assert all_equal(kept, frozen) and not torch.equal(weights[1], before)
    weights[0].requires_grad_(True)
    train(optimizer, weights, 1, seed=3)
    assert not torch.equal(weights[0], frozen[0])


def test_all_frozen_is_a_step_that_changes_nothing():
    weights = [weight.requires_grad_(False) for weight in parameters()]
    optimizer = built("adam", weights, use_ema=True, gradient_accumulation_steps=2)
    before = everything(optimizer)
    train(optimizer, weights, 2)
    optimizer.finalize_variable_values()
    assert all_equal(everything(optimizer), before) and optimizer.iterations == 1


@every_rule
def test_parameters_can_join_later(rule):
    weights = parameters()
    optimizer = built(rule, weights[:1])
    train(optimizer, weights[:1], 5)
    state = [slot.value.clone() for slot in optimizer.slots]
    optimizer.build(weights)
    optimizer.build(weights)  # idempotent
    assert [id(p) for p in optimizer.parameters] == [id(w) for w in weights]
    own = [slot.value for slot in optimizer.slots if slot.parameter is weights[0]]
    assert all_equal(own, state)
    train(optimizer, weights, 1, seed=9)

    alone = [nn.Parameter(w.detach().clone()) for w in parameters()[1:]]
    fresh = built(rule, alone)  # the newcomers' first step is the first step of a new optimizer
    for weight, newcomer in zip(alone, weights[1:], strict=True):
        weight.grad = newcomer.grad
    fresh.step()
    assert all_equal(alone, weights[1:])


@every_rule
@pytest.mark.parametrize("foreach", [False, True], ids=["kernel", "foreach"])
def test_found_inf_skips_everything_on_the_device(rule, foreach, monkeypatch):
    if foreach:
        monkeypatch.setattr(Group, "fused", property(lambda group: False))
    weights = parameters()
    optimizer = built(rule, weights, weight_decay=0.1)
    train(optimizer, weights, 2, found_inf=torch.zeros(()))
    before = everything(optimizer)
    for weight in weights:
        weight.grad = torch.full_like(weight, float("nan"))
    optimizer.step(found_inf=torch.tensor(True))
    assert all_equal(everything(optimizer), before)
    train(optimizer, weights, 1, found_inf=torch.tensor(0.0))
    assert not all_equal(everything(optimizer), before)
    assert all(torch.isfinite(tensor).all() for tensor in everything(optimizer))


def test_found_inf_under_accumulation_leaves_the_bad_gradients_out():
    first, second = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    skipping = SGD(0.1, gradient_accumulation_steps=2)
    plain = SGD(0.1, gradient_accumulation_steps=2)
    skipping.build([first])
    plain.build([second])
    first.grad, second.grad = torch.full((3,), float("inf")), torch.zeros(3)
    skipping.step(torch.tensor(1.0))
    plain.step()
    first.grad = second.grad = torch.ones(3)
    skipping.step(torch.tensor(0.0))
    plain.step()
    assert torch.equal(first, second) and first[0] != 1


@every_rule
def test_foreach_operations_agree_with_the_kernels(rule, monkeypatch):
    fused = built(rule, parameters(dtype=torch.float64), weight_decay=0.1)
    train(fused, fused.parameters, 10)
    monkeypatch.setattr(Group, "fused", property(lambda group: False))
    plain = built(rule, parameters(dtype=torch.float64), weight_decay=0.1)
    train(plain, plain.parameters, 10)
    for mine, theirs in zip(everything(plain), everything(fused), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


@every_rule
def test_any_memory_layout_of_gradient_gives_the_same_numbers(rule):
    """The kernels ignore strides: without `like` this fails (see the next test)."""
    dense = nn.Parameter(parameters()[0].detach().contiguous())
    strided = nn.Parameter(parameters()[0].detach())
    first, second = built(rule, [dense]), built(rule, [strided])
    for seed in range(3):
        gradient = torch.randn(dense.shape, generator=torch.Generator().manual_seed(seed))
        dense.grad = gradient.contiguous(memory_format=torch.channels_last)
        strided.grad = gradient
        first.step()
        second.step()
    torch.testing.assert_close(dense, strided, rtol=1e-6, atol=1e-6)  # a vector's tail may round
    assert strided.is_contiguous(memory_format=torch.channels_last)


def test_layout_test_can_fail(monkeypatch):
    """Planted mistake: a gradient handed to the kernel in another layout."""
    monkeypatch.setattr("stroma.optimizers.group.like", lambda gradient, parameter: gradient)
    weight = nn.Parameter(parameters()[0].detach())
    optimizer = built("sgd", [weight])
    weight.grad = torch.randn(weight.shape)
    expected = weight.detach() - 0.1 * weight.grad
    optimizer.step()
    assert not torch.allclose(weight, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@every_rule
def test_dtypes_and_mixtures(rule, dtype):
    weights = [*parameters(dtype=dtype), *parameters()]
    optimizer = built(rule, weights)
    train(optimizer, weights, 2)
    single = [torch.ones(weight.shape) for weight in weights]  # cast to each weight's dtype
    optimizer.apply(single, weights)
    for slot in optimizer.slots:
        assert slot.value.dtype == slot.parameter.dtype
        if slot.value.shape == slot.parameter.shape:  # not Adafactor's row and column means
            assert slot.value.stride() == slot.parameter.stride()
    assert all(torch.isfinite(weight).all() for weight in weights)


@pytest.mark.parametrize("rule", sorted(RULES.keys() - {"muon"}))  # for it the pairs are a matrix
def test_complex_numbers_move_as_two_real_ones(rule):
    pair = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, -1.0]]))
    number = nn.Parameter(torch.view_as_complex(pair.detach().clone()))
    real, complex_ = built(rule, [pair]), built(rule, [number])
    for _ in range(3):
        pair.grad = torch.tensor([[0.5, -1.0], [2.0, 0.1]])
        number.grad = torch.view_as_complex(pair.grad)
        real.step()
        complex_.step()
    assert torch.equal(torch.view_as_real(number.detach()), pair.detach())


def test_sparse_gradients_are_taken():
    weight = nn.Parameter(torch.ones(4, 2))
    optimizer = built("adam", [weight])
    weight.grad = torch.sparse_coo_tensor([[1]], [[2.0, 2.0]], (4, 2), check_invariants=True)
    optimizer.step()
    assert torch.equal(weight[0], torch.ones(2)) and weight[1, 0] < 1


@every_rule
@pytest.mark.parametrize("clip", [{}, {"clipnorm": 0.1}, {"clipvalue": 0.1}])
def test_gradients_are_left_as_they_are(rule, clip):
    weights = parameters()
    optimizer = built(rule, weights, weight_decay=0.1, **clip)
    given = [torch.randn(weight.shape) for weight in weights]
    for weight, gradient in zip(weights, given, strict=True):
        weight.grad = gradient.clone()
    optimizer.step()
    assert all_equal([weight.grad for weight in weights], given)
    optimizer.zero_grad()
    assert all(weight.grad is None for weight in weights)


def test_clipping_bounds_the_norms():
    gradients = [torch.randn(5, 3), torch.randn(7) * 1e-3, torch.zeros(2)]
    each = clip_each_norm(gradients, 0.5)
    assert each[0].norm() == pytest.approx(0.5) and torch.equal(each[1], gradients[1])
    assert torch.equal(each[2], gradients[2])
    joint = clip_global_norm(gradients, 0.5)
    assert torch.cat([g.flatten() for g in joint]).norm() == pytest.approx(0.5)
    infinite = clip_global_norm([torch.tensor([float("inf")]), torch.ones(2)], 0.5)
    assert all(torch.isnan(gradient).all() for gradient in infinite)


def test_centered_rmsprop_survives_large_steady_gradients():
    """Keras' weights turn to NaN here: v - a² rounds to less than -ε."""
    weight = nn.Parameter(torch.zeros(50))
    optimizer = RMSprop(1e-3, centered=True)
    optimizer.build([weight])
    smallest = 0.0
    for _ in range(200):
        weight.grad = torch.linspace(900.0, 1100.0, 50)
        optimizer.step()
        velocity, average = (slot.value for slot in optimizer.slots)
        smallest = min(smallest, (velocity + 1e-7 - average**2).min().item())
    assert smallest < 0  # the root that Keras would take
    assert torch.isfinite(weight).all()


def test_excluded_parameters_do_not_decay():
    weights = parameters()
    weights[1].path, weights[0].path, weights[2].path = "bias/bias", "bias/kernel", "kernel"
    optimizer = SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[weights[2]], var_names=["bias"])
    optimizer.build(weights)
    before = [weight.detach().clone() for weight in weights]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    torch.testing.assert_close(weights[0].detach(), before[0] * 0.95)
    assert torch.equal(weights[1], before[1]) and torch.equal(weights[2], before[2])
    with pytest.raises(ArgumentError, match="has no name"):
        optimizer.build([nn.Parameter(torch.ones(1))])


def test_apply_takes_pairs_and_passes_over_none():
    weights = parameters()
    optimizer = SGD(0.1)
    gradients = [torch.ones_like(weights[0]), None, torch.ones_like(weights[2])]
    before = [weight.detach().clone() for weight in weights]
    assert optimizer.apply_gradients(zip(gradients, weights, strict=True)) == 1
    assert torch.equal(weights[1], before[1])
    torch.testing.assert_close(weights[2].detach(), before[2] - 0.1)
    optimizer.apply(gradients)
    torch.testing.assert_close(weights[2].detach(), before[2] - 0.2)
    with pytest.raises(ArgumentError, match="2 gradients for 3 parameters"):
        optimizer.apply(gradients[:2])
    with pytest.raises(ArgumentError, match="no gradient"):
        optimizer.apply([None, None, None])


def test_rate_can_be_a_function_of_the_step_or_of_nothing():
    optimizer = SGD(lambda step: 1.0 / (step + 1))
    weight = nn.Parameter(torch.zeros(1))
    optimizer.build([weight])
    for _ in range(3):
        weight.grad = torch.ones(1)
        optimizer.step()
    assert weight.item() == pytest.approx(-(1 + 1 / 2 + 1 / 3))
    assert "learning_rate" not in optimizer.state_dict()
    optimizer.learning_rate = lambda: 0.25
    assert optimizer.learning_rate == 0.25
    optimizer.learning_rate = 0.5
    assert optimizer.learning_rate == 0.5


def test_a_copy_is_independent():
    weights = parameters()
    model = nn.ParameterList(weights)
    optimizer = built("adam", weights)
    train(optimizer, weights, 2)
    model_copy, copied = copy.deepcopy((model, optimizer))
    before = [weight.detach().clone() for weight in weights]
    train(copied, list(model_copy), 1)
    assert all_equal(weights, before) and not torch.equal(model_copy[0], before[0])


def test_state_that_does_not_fit_changes_nothing():
    optimizer = built("adam", parameters())
    other = built("amsgrad", parameters())
    train(other, other.parameters, 1)
    before = everything(optimizer)
    for state in (
        other.state_dict(),
        {},
        {k: v for k, v in optimizer.state_dict().items() if k != "1.velocity"},
        optimizer.state_dict() | {"1.velocity": torch.zeros(9)},
    ):
        with pytest.raises(WeightsError, match="does not fit"):
            optimizer.load_state_dict(state)
    assert all_equal(everything(optimizer), before) and optimizer.calls == 0
    with pytest.raises(WeightsError, match="slot values"):
        optimizer.load_slots([torch.zeros(3)], iterations=1)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: SGD(-1.0), ArgumentError, "learning_rate"),
        (lambda: SGD("fast"), ArgumentTypeError, "learning_rate"),
        (lambda: SGD(float("nan")), ArgumentError, "learning_rate"),
        (lambda: SGD(momentum=1.5), ArgumentError, "momentum"),
        (lambda: SGD(clipnorm=1.0, clipvalue=1.0), ArgumentError, "clipnorm and clipvalue"),
        (lambda: SGD(gradient_accumulation_steps=1), ArgumentError, "gradient_accumulation"),
        (lambda: SGD(use_ema=True, ema_momentum=2), ArgumentError, "ema_momentum"),
        (lambda: SGD(ema_overwrite_frequency=0), ArgumentError, "ema_overwrite_frequency"),
        (lambda: Adam(beta_2=1.0), ArgumentError, "below 1"),
        (lambda: Adam(loss_scale_factor=0.0), ArgumentError, "loss_scale_factor"),
        (lambda: AdamW(weight_decay=None), ArgumentTypeError, "weight_decay"),
        (lambda: RMSprop(rho=-0.1), ArgumentError, "rho"),
        (lambda: SGD().step(), ArgumentError, "knows no parameters"),
        (lambda: SGD().apply([torch.ones(1)]), ArgumentError, "knows no parameters"),
        (lambda: optimizers.get("adamm"), ArgumentError, "Did you mean 'adam'"),
        (lambda: optimizers.get(3), ArgumentTypeError, "as a"),
        (lambda: optimizers.get(print), ArgumentTypeError, "as an optimizer"),
    ],
)
def test_errors_say_what_was_wrong(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_get_takes_names_configs_classes_and_optimizers():
    adam = Adam(0.5)
    assert optimizers.get(adam) is adam
    assert optimizers.get(None) is None
    assert type(optimizers.get("ADAMW")) is AdamW
    assert type(optimizers.get(SGD)) is SGD
    assert optimizers.get({"class_name": "adam", "config": {"learning_rate": 0.5}}).learning_rate
    assert Adam(name="mine").name == "mine" and AdamW().name == "adam_w"


def test_a_users_own_rule_is_two_methods():
    class SignDescent(Optimizer):
        def __init__(self, learning_rate=0.1, **options):
            super().__init__(learning_rate, **options)

        def slot_values(self):
            return {}

        def update(self, group):
            signs = torch._foreach_sign(group.gradients)
            torch._foreach_add_(group.parameters, signs, alpha=-group.learning_rate)

    optimizer = SignDescent(0.5)
    weight = nn.Parameter(torch.tensor([1.0, 1.0]))
    weight.grad = torch.tensor([3.0, -0.1])
    optimizer.build([weight])
    optimizer.step()
    assert weight.tolist() == [0.5, 1.5]
    assert SignDescent.from_config(optimizer.get_config()).learning_rate == 0.5


OPTIONS = [
    {},
    {"clipnorm": 1.0},
    {"global_clipnorm": 1.0},
    {"clipvalue": 1.0, "loss_scale_factor": 8.0},
    {"use_ema": True, "ema_overwrite_frequency": 1},
    {"gradient_accumulation_steps": 2},
]


@every_rule
@pytest.mark.parametrize("foreach", [False, True], ids=["kernel", "foreach"])
def test_a_step_never_asks_for_a_tensors_value(rule, foreach, monkeypatch):
    """Tensors without numbers: reading one, which on a GPU would wait for it, raises."""
    if foreach:
        monkeypatch.setattr(Group, "fused", property(lambda group: False))
    for options in OPTIONS:
        with FakeTensorMode():
            weights = [nn.Parameter(torch.empty(3, 2)), nn.Parameter(torch.empty(3))]
            optimizer = built(rule, weights, weight_decay=0.1, **options)
            for weight in weights:
                weight.grad = torch.empty_like(weight)
            optimizer.step()
            optimizer.step(torch.zeros(()))
            with pytest.raises(DataDependentOutputException):  # the test can fail
                weights[0].sum().item()


@every_rule
def test_what_was_never_thawed_has_no_slots(rule):
    weights = parameters()
    weights[0].requires_grad_(False)
    optimizer = built(rule, weights, use_ema=True)
    full = built(rule, parameters(), use_ema=True)
    train(optimizer, weights, 2)
    assert all(slot.parameter is not weights[0] for slot in optimizer.slots)
    others = [slot for slot in full.slots if slot.parameter is not full.parameters[0]]
    assert [slot.name for slot in optimizer.slots] == [slot.name for slot in others]
    weights[0].requires_grad_(True)  # thawed between two steps, without a new build
    train(optimizer, weights, 1)
    assert len(optimizer.slots) == len(full.slots)
    kept = [slot.value.clone() for slot in optimizer.slots]
    weights[0].requires_grad_(False)
    assert all_equal([slot.value for slot in optimizer.slots], kept)


@every_rule
@pytest.mark.parametrize("thawed_when_loaded", [True, False])
def test_a_state_with_frozen_parameters_goes_on_bit_for_bit(rule, thawed_when_loaded):
    weights = parameters()
    weights[0].requires_grad_(False)
    whole = built(rule, weights, use_ema=True)
    train(whole, weights, 2)
    twins = [nn.Parameter(w.detach().clone(), w.requires_grad) for w in weights]
    twins[0].requires_grad_(thawed_when_loaded)
    resumed = built(rule, twins, use_ema=True)
    resumed.load_state_dict({key: value.clone() for key, value in whole.state_dict().items()})
    for optimizer, own in ((whole, weights), (resumed, twins)):
        own[0].requires_grad_(True)
        train(optimizer, own, 2, seed=3)
    assert all_equal(everything(whole), everything(resumed))


def test_a_state_without_the_slots_of_what_was_updated_is_refused():
    weights = parameters()
    optimizer = built("adam", weights)
    train(optimizer, weights, 1)
    state = {k: v for k, v in optimizer.state_dict().items() if not k.startswith("0.")}
    with pytest.raises(WeightsError, match=r"0\.momentum, 0\.velocity"):
        optimizer.load_state_dict(state)
