"""Attention layers: Keras' numbers under every combination of masks, and what they refuse."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_parity import Apart, call, close, each, random_inputs
from oracle import keras
from stroma import layers, models
from stroma.core.errors import ArgumentError, ShapeError
from stroma.functional import attention

T, S, B = 4, 5, 3
NAMED = ("query_mask", "value_mask", "key_mask", "attention_mask")


def drawn_masks(draw, seed):
    """Any subset of the masks; rows without any key come about by themselves."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"query_mask": (B, T), "value_mask": (B, S), "key_mask": (B, S),
              "attention_mask": (B, T, S)}  # fmt: skip
    return {
        name: torch.rand(shapes[name], generator=generator) < 0.6
        for name in NAMED
        if draw(st.booleans(), label=name)
    }


def outputs_and_gradients(layer, inputs, kwargs):
    inputs = each(lambda x: x.detach().clone().requires_grad_(), inputs)
    kwargs = dict(kwargs)
    if "query_mask" in kwargs and "Multi" in type(layer).__name__:  # Keras reads no argument here
        inputs[0]._keras_mask = kwargs.pop("query_mask")
    outputs = call(layer, inputs, training=False, **kwargs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    weights = [getattr(w, "value", w) for w in layer.weights if "seed" not in w.path]
    loss = sum((y * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum() for y in outputs)
    wanted = [*inputs, *weights]
    grads = torch.autograd.grad(loss, wanted, allow_unused=True)
    specs = [None] * len(inputs) + [getattr(w, "spec", None) for w in layer.weights]
    in_order = [
        g.permute(s.permutation) if s is not None and s.permutation is not None and g is not None
        else g for g, s in zip(grads, [*specs, *[None] * len(grads)])
    ]  # fmt: skip
    return [y.detach() for y in outputs], in_order


def assert_same(name, arguments, inputs, **kwargs):
    ours, theirs = getattr(layers, name)(**arguments), getattr(keras.layers, name)(**arguments)
    call(ours, inputs), call(theirs, inputs)
    generator = torch.Generator().manual_seed(7)
    values = [torch.rand(w.shape, generator=generator) - 0.4 for w in ours.get_weights()]
    ours.set_weights([v.numpy() for v in values])
    kept = [w for w in theirs.weights if "seed" not in w.path]
    for weight, value in zip(kept, values, strict=True):
        weight.assign(value)
    y, grads = outputs_and_gradients(ours, inputs, kwargs)
    expected, expected_grads = outputs_and_gradients(theirs, inputs, kwargs)
    for a, b in zip(y, expected, strict=True):
        close(a, b, 1e-5)
    largest = max(g.abs().max().item() for g in expected_grads if g is not None)
    for a, b in zip(grads, expected_grads, strict=True):
        if a is not None or b is not None:
            a = torch.zeros_like(b) if a is None else a  # a weight that no output depends on
            close(a, torch.zeros_like(a) if b is None else b, 1e-4, floor=max(1e-2, largest / 100))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_multi_head_attention_equals_keras(data):
    draw = data.draw
    arguments = {
        "num_heads": draw(st.integers(1, 4)), "key_dim": draw(st.integers(1, 4)),
        "value_dim": draw(st.sampled_from([None, 3])), "use_bias": draw(st.booleans()),
        "output_shape": draw(st.sampled_from([None, 5, (2, 3)])), "use_gate": draw(st.booleans()),
        "dropout": draw(st.sampled_from([0.0, 0.3])),
        "sliding_window": draw(st.sampled_from([None, 1, 2])),
    }  # fmt: skip
    shapes = Apart([(T, 6), (S, 3)] + [(S, 2)] * draw(st.booleans()))
    kwargs = {
        **drawn_masks(draw, draw(st.integers(0, 99))),
        "use_causal_mask": draw(st.booleans()),
        "return_attention_scores": draw(st.booleans()),
    }
    assert_same("MultiHeadAttention", arguments, random_inputs(shapes, batch=B), **kwargs)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_group_query_attention_equals_keras(data):
    draw = data.draw
    shared = draw(st.integers(1, 3))
    arguments = {
        "head_dim": draw(st.integers(1, 4)), "num_key_value_heads": shared,
        "num_query_heads": shared * draw(st.integers(1, 3)), "use_gate": draw(st.booleans()),
        "dropout": draw(st.sampled_from([0.0, 0.3])),
    }  # fmt: skip
    kwargs = {
        **drawn_masks(draw, draw(st.integers(0, 99))),
        "use_causal_mask": draw(st.booleans()),
        "return_attention_scores": draw(st.booleans()),
    }
    inputs = random_inputs(Apart([(T, 6), (S, 6)]), batch=B)
    assert_same("GroupQueryAttention", arguments, inputs, **kwargs)


@settings(max_examples=20, deadline=None)
@given(
    additive=st.booleans(), use_scale=st.booleans(), mode=st.sampled_from(["dot", "concat"]),
    masked=st.sampled_from(["", "q", "v", "qv"]), causal=st.booleans(), scores=st.booleans(),
    key=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_list_attention_equals_keras(additive, use_scale, mode, masked, causal, scores, key, seed):
    generator = torch.Generator().manual_seed(seed)
    masks = None
    if masked:
        masks = [torch.rand((B, n), generator=generator) < 0.6 if letter in masked else None
                 for letter, n in (("q", T), ("v", S))]  # fmt: skip
        masks += [None] * key
    arguments = {"use_scale": use_scale} | ({} if additive else {"score_mode": mode})
    inputs = random_inputs([(T, 6), (S, 6)] + [(S, 6)] * key, batch=B)
    kwargs = {"mask": masks, "use_causal_mask": causal, "return_attention_scores": scores}
    assert_same("AdditiveAttention" if additive else "Attention", arguments, inputs, **kwargs)


@pytest.mark.parametrize("axes", [None, 1, 2, (1, 2), (2, 1), -2])
@pytest.mark.parametrize("scores", [False, True])
def test_attention_over_other_axes(axes, scores):
    arguments = {"num_heads": 2, "key_dim": 3, "attention_axes": axes}
    inputs = random_inputs(Apart([(3, 4, 6), (3, 4, 5)]), batch=2)
    assert_same("MultiHeadAttention", arguments, inputs, return_attention_scores=scores)
    layer = layers.MultiHeadAttention(**arguments)
    entries = [layers.Input((None, None, 6)), layers.Input((None, None, 5))]
    assert layer(*entries).shape == (None, None, None, 6)


def test_masks_travel_from_an_embedding():
    """Both ends masked: the same numbers as masks given by hand, in a network and eagerly."""
    words, others = layers.Input((T,), dtype="int64"), layers.Input((None,), dtype="int64")
    table = layers.Embedding(9, 6, mask_zero=True)
    attend = layers.MultiHeadAttention(2, 3)
    query, value = table(words), table(others)
    y = attend(query=query, value=value, key=value)
    assert y.mask is not None
    network = models.Model([words, others], y)
    a, b = torch.tensor([[1, 2, 3, 0]]), torch.tensor([[4, 0, 5, 0, 0]])
    by_hand = attend(table(a), table(b), query_mask=a != 0, value_mask=b != 0)
    torch.testing.assert_close(network([a, b]), by_hand)
    torch.testing.assert_close(attend(table(a), table(b)), by_hand)
    different = attend(table.call(a), table.call(b))
    assert (by_hand - different).abs().max() > 1e-4, "the masks make a difference"
    shorter = attend(table(a), table(b[:, :3]))  # what is masked may be left out
    torch.testing.assert_close(shorter[:, :3], by_hand[:, :3])


def test_causal_is_blind_to_the_future():
    layer, x = layers.MultiHeadAttention(2, 3), torch.randn(1, 5, 4)
    before = layer(x, x, use_causal_mask=True)
    x[:, 3:] += 1
    after = layer(x, x, use_causal_mask=True)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert (before[:, 3:] - after[:, 3:]).abs().max() > 1e-3


def test_a_mask_with_heads_meets_one_without():
    """Keras adds (B, T, S) to (B, N, T, S) from the right, where B would stand for the heads."""
    layer, x = layers.MultiHeadAttention(2, 3), torch.randn(B, T, 4)
    heads, rows = torch.rand(B, 2, T, T) < 0.7, torch.rand(B, T) < 0.7
    heads[..., 0], rows[:, 0] = True, True
    both = heads & rows[:, None, None, :]
    y = layer(x, x, attention_mask=heads, value_mask=rows)
    torch.testing.assert_close(y, layer(x, x, attention_mask=both))


def test_scores_are_a_distribution_over_what_is_seen():
    layer, x = layers.MultiHeadAttention(2, 3), torch.randn(B, T, 4)
    mask = torch.rand(B, T, T) < 0.5
    _, scores = layer(x, x, attention_mask=mask, return_attention_scores=True)
    assert (scores.masked_select(~mask[:, None].expand_as(scores)) == 0).all()
    torch.testing.assert_close(scores.sum(-1), mask.any(-1)[:, None].expand(B, 2, T).float())


def test_formula_and_a_planted_mistake():
    """The closed form with 1/sqrt(D); with 1/D, or without the mask, it would be noticed."""
    q, k, v = (torch.randn(2, 3, T, 4) for _ in range(3))
    mask = torch.rand(2, 1, T, T) < 0.7
    mask[..., 0] = True
    scores = (q @ k.transpose(-2, -1)) / math.sqrt(4)
    expected = scores.masked_fill(~mask, -math.inf).softmax(-1) @ v
    fused = attention.dot_product_attention(q, k, v, mask, scale=0.5)
    close(fused, expected, 1e-5)
    close(attention.attention_weights(q, k, mask, scale=0.5) @ v, expected, 1e-5)
    for wrong in (
        attention.dot_product_attention(q, k, v, mask, scale=0.25),
        attention.dot_product_attention(q, k, v, scale=0.5),
    ):
        with pytest.raises(AssertionError):
            close(wrong, expected, 1e-5)


@pytest.mark.parametrize("seed", [None, 3])
def test_dropout_drops_whole_weights_in_training_alone(seed):
    layer = layers.MultiHeadAttention(1, 64, dropout=0.5, seed=seed)
    x = torch.randn(1, 64, 8)
    assert torch.equal(layer(x, x), layer(x, x))
    torch.manual_seed(11)
    first = layer(x, x, training=True)
    assert not torch.equal(layer(x, x, training=True), first)
    torch.manual_seed(12)  # as the loop does before each step
    layer(x, x, training=True)
    torch.manual_seed(11)
    assert torch.equal(layer(x, x, training=True), first)
    plain = layers.Attention(dropout=0.5, seed=seed)
    ones = torch.ones(1, 1000, 1)
    mean = plain([ones, ones], training=True).mean()
    assert abs(mean.item() - 1) < 0.05


def test_seeded_maps_start_as_keras_does():
    arguments = {"num_heads": 2, "key_dim": 3, "kernel_initializer": {
        "class_name": "GlorotUniform", "config": {"seed": 3}}}  # fmt: skip
    ours = layers.MultiHeadAttention(**arguments)
    theirs = keras.layers.MultiHeadAttention(
        2, 3, kernel_initializer=keras.initializers.GlorotUniform(seed=3)
    )
    x = torch.zeros(1, T, 6)
    ours(x, x), theirs(x, x)
    assert all((a == b).all() for a, b in zip(ours.get_weights(), theirs.get_weights()))
    unseeded = layers.MultiHeadAttention(2, 3)
    unseeded(x, x)
    assert not torch.equal(unseeded.query_dense.weight, unseeded.key_dense.weight)


def test_penalties_and_constraints_are_those_of_every_map():
    arguments = {"kernel_regularizer": "l2", "bias_constraint": "non_neg",
                 "activity_regularizer": "l1"}  # fmt: skip
    layer = layers.MultiHeadAttention(2, 3, **arguments)
    x = torch.randn(2, T, 6)
    layer(x, x)
    assert len(layer.losses) == 8
    theirs = keras.layers.MultiHeadAttention(2, 3, **arguments)
    theirs(x, x)
    theirs.set_weights(layer.get_weights())
    theirs(x, x), layer(x, x)
    assert abs(sum(layer.losses).item() - sum(theirs.losses).item()) < 1e-4
    assert layer.key_dense.bias.constraint is not None
    layer.trainable = False
    assert layer.trainable_weights == []


def test_wrong_arguments_and_shapes():
    with pytest.raises(ArgumentError, match="num_heads must be 1 or more, got 0"):
        layers.MultiHeadAttention(0, 3)
    with pytest.raises(ArgumentError, match="cannot share 3 heads of keys evenly"):
        layers.GroupQueryAttention(4, 4, 3)
    with pytest.raises(ArgumentError, match="flash_attention=True does not go with dropout"):
        layers.MultiHeadAttention(2, 3, dropout=0.1, flash_attention=True)
    x = torch.zeros(1, T, 6)
    with pytest.raises(ArgumentError, match="return_attention_scores=True"):
        layers.MultiHeadAttention(2, 3, flash_attention=True)(x, x, return_attention_scores=True)
    with pytest.raises(ShapeError, match="do not fit"):
        layers.MultiHeadAttention(2, 3)(x, x, torch.zeros(1, T + 1, 6))
    with pytest.raises(ShapeError, match="may be used"):
        layers.MultiHeadAttention(2, 3)(x, x, attention_mask=torch.ones(T, dtype=torch.bool))
    with pytest.raises(ShapeError, match="over 2 axes"):
        layers.MultiHeadAttention(2, 3)(x[:, None], x[:, None], use_causal_mask=True)
    with pytest.raises(ShapeError, match="list of 2 or 3 tensors, got one tensor"):
        layers.Attention()(x)
    with pytest.raises(ShapeError, match="batch, time, features"):
        layers.AdditiveAttention()([x[0], x[0]])


def test_the_flash_kernel_gives_the_same():
    x = torch.randn(2, T, 8)
    plain, flash = (layers.MultiHeadAttention(2, 8, flash_attention=f) for f in (None, True))
    plain(x, x), flash(x, x)
    flash.set_weights(plain.get_weights())
    close(flash(x, x, use_causal_mask=True), plain(x, x, use_causal_mask=True), 1e-5)
