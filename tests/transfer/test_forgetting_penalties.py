"""L2-SP, EWC, LwF and replay against their formulas, values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from stroma import Model, layers
from stroma.core.errors import ArgumentError, ArgumentTypeError
from stroma.transfer.finetune import finetune
from stroma.transfer.forgetting import (
    EWC,
    LwF,
    Replay,
    fisher_diagonal,
    soft_cross_entropy,
)
from stroma.transfer.heads import RidgeHead
from stroma.transfer.penalties import L2SP, Penalised, Tuning, squared_distance
from tuning_networks import few_digits, staged

GENERATOR = torch.Generator().manual_seed(0)


def randn(*shape):
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def tuning(data):
    base = staged(head=4)
    photos = Model(base.input, base.get_layer("pool").output)
    x = layers.Input((16,))
    head = layers.Dense(len(data.class_names), activation="softmax")
    return base, Tuning(photos, Model(x, head(x)), photos, data.train)


def test_l2_sp_by_hand():
    _, parts = tuning(few_digits(range(3), 60))
    penalty = L2SP(alpha=0.3, beta=0.07)
    penalty.begin(parts)
    head = [p.detach().clone() for p in parts.head.parameters()]
    own = sum(p.square().sum() for p in head)
    torch.testing.assert_close(penalty.value(torch.zeros(1, 16)), 0.07 / 2 * own)
    start = [p.detach().clone() for p in parts.body.parameters()]
    with torch.no_grad():
        for p in parts.body.parameters():
            p.add_(0.1)
    value = penalty.value(torch.zeros(1, 16))
    moved = sum(0.01 * p.numel() for p in start)
    torch.testing.assert_close(value, 0.3 / 2 * torch.tensor(moved) + 0.07 / 2 * own)
    value.backward()
    for p, before in zip(parts.body.parameters(), start):
        torch.testing.assert_close(p.grad, 0.3 * (p - before).detach())


def test_distance_has_a_gradient_at_its_own_start():
    w = randn(3).requires_grad_()
    squared_distance([w], [w.detach().clone()]).backward()
    assert torch.equal(w.grad, torch.zeros_like(w))


def test_fisher_of_logistic_regression_in_closed_form():
    """For p = softmax(Wx), F(W_kj) = mean of x_j² p_k (1 - p_k), over every y that may be drawn."""
    weight, x = randn(3, 4).requires_grad_(), randn(40, 4)
    repeated = x.repeat(60, 1)
    (fisher,) = fisher_diagonal(lambda rows: F.log_softmax(rows @ weight.T, -1), [weight], repeated)
    p = F.softmax(x @ weight.T, -1).detach()
    wanted = torch.einsum("bk,bj->kj", p * (1 - p), x.square()) / len(x)
    torch.testing.assert_close(fisher, wanted, rtol=0.15, atol=0.01)
    # the planted mistake: the square of the batch's gradient, which is nearly nothing
    batch = F.log_softmax(x @ weight.T, -1)[torch.arange(40), p.argmax(1)].mean()
    (gradient,) = torch.autograd.grad(batch, weight)
    assert not torch.allclose(gradient.square(), wanted, rtol=0.1, atol=0.01)


def test_ewc_is_a_parabola_around_the_start():
    base, parts = tuning(few_digits(range(3), 60))
    old = few_digits(range(3, 7), 60)
    penalty = EWC(base.get_layer("fc"), old.train, strength=4.0, samples=10)
    penalty.begin(parts)
    assert penalty.value(torch.zeros(1)) == 0
    with torch.no_grad():
        for p in parts.photos.parameters():
            p.add_(0.5)
    wanted = 4.0 / 2 * sum((f * 0.25).sum() for f in penalty.fisher)
    torch.testing.assert_close(penalty.value(torch.zeros(1)), wanted)
    assert wanted > 0


def test_lwf_is_the_cross_entropy_at_a_temperature():
    data = few_digits(range(3), 60)
    base, parts = tuning(data)
    second = LwF(base.get_layer("fc"), strength=0.5, temperature=2.0)
    assert second.strength == 0.5 * 4
    soft = torch.from_numpy(second.targets(parts).soft)
    with torch.no_grad():
        z = base(torch.from_numpy(data.train.images()).float())
    torch.testing.assert_close(soft, F.softmax(z / 2, -1), rtol=1e-4, atol=1e-5)
    features = torch.randn(5, 16)
    wanted = F.cross_entropy(base.get_layer("fc")(features) / 2, soft[:5], reduction="none")
    torch.testing.assert_close(soft_cross_entropy(soft[:5], second(features)), wanted)


def test_a_head_of_probabilities_says_the_same_as_one_of_logits():
    logits = layers.Dense(4)
    features = torch.randn(5, 16)
    wanted = LwF(logits)(features)
    x = layers.Input((16,))
    whole = Model(x, layers.Softmax()(logits(x)))
    torch.testing.assert_close(LwF(whole, logits=False)(features), wanted, rtol=1e-4, atol=1e-5)


def test_penalties_count_in_training_only_and_ship_with_nothing():
    begun = L2SP(beta=2.0)
    begun.begin(tuning(few_digits(range(3), 60))[1])
    layer = Penalised([begun])
    x = torch.randn(4, 6)
    assert torch.equal(layer(x, training=True), x)
    torch.testing.assert_close(sum(layer.losses), begun.value(x))
    assert begun.value(x) > 0
    layer(x, training=False)
    assert not layer.losses
    result = finetune(staged(), few_digits(range(3), 90), epochs=1, penalties=[begun])
    names = {type(part).__name__ for part in result.model.modules()}
    assert "Penalised" not in names and "LwF" not in names


@pytest.mark.parametrize("until", [None, "layer3"])
@pytest.mark.parametrize("kind", ["lwf", "replay"])
def test_second_heads_train_beside_the_new_one(kind, until):
    old, new = few_digits(range(5, 9), 80), few_digits(range(3), 80)
    base = staged(head=4)
    head = base.get_layer("fc")
    second = {
        "lwf": lambda: LwF(head),
        "replay": lambda: Replay(head, old.train),
    }[kind]()
    before = head.weight.detach().clone()
    result = finetune(base, new, layer="pool", epochs=2, until=until, penalties=[second])
    assert result.cached is (until is not None)
    assert {"loss", "accuracy"} <= {k.split("_")[-1] for k in result.history.history}
    assert not torch.equal(before, head.weight)
    assert result.validation.value >= result.start.value


def test_what_cannot_be_meant_is_refused():
    head = layers.Dense(2)
    data = few_digits(range(3), 60)
    with pytest.raises(ArgumentError, match="no old photos"):
        Replay(head, data.train.take(slice(0)))
    with pytest.raises(ArgumentError, match="no old photos"):
        EWC(head, data.train.take(slice(0)))
    for kind in (EWC, Replay):
        with pytest.raises(ArgumentTypeError, match="the pictures are") as caught:
            kind(head, data)
        assert caught.value.where == f"{kind.__name__}(head, part)"
        with pytest.raises(ArgumentTypeError, match="no layer") as caught:
            kind(RidgeHead(), data.train)
        assert "as_layers" in caught.value.fix
    for make in (lambda: L2SP(alpha=-1), lambda: LwF(head, temperature=0)):
        with pytest.raises(ArgumentError):
            make()
    base = staged(head=4)
    pair = [LwF(base.get_layer("fc")), Replay(base.get_layer("fc"), data.train)]
    with pytest.raises(ArgumentError, match="2 second heads"):
        finetune(base, data, layer="pool", penalties=pair)
