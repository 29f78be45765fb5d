"""`.keras` files with attention and embeddings: Keras opens ours, we open Keras'."""

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import layers, models

WORDS = [np.random.default_rng(seed).integers(0, 11, (2, size)) for seed, size in ((0, 5), (1, 5))]


def attended(kind, queries, values, of):
    if kind == "MultiHeadAttention":
        attend = of.MultiHeadAttention(2, 3, use_gate=True, kernel_regularizer="l2")
        return attend(queries, values, use_causal_mask=True)
    if kind == "by name":
        return of.MultiHeadAttention(2, 3)(query=queries, value=values, key=values)
    if kind == "with scores":
        output, scores = of.MultiHeadAttention(2, 3)(queries, values, return_attention_scores=True)
        # Keras promises (B, N, T, T) whatever the values' length is, hence one length for both
        return of.Concatenate()([output, of.Permute((2, 1, 3))(scores)[:, :, 0]])
    if kind == "GroupQueryAttention":
        return of.GroupQueryAttention(3, 4, 2, use_gate=True, use_bias=False)(queries, values)
    if kind == "Attention":
        return of.Attention(use_scale=True, score_mode="concat")([queries, values])
    return of.AdditiveAttention()([queries, values, values], use_causal_mask=True)


def network(kind, of, model, entry):
    first, second = entry((5,)), entry((None if kind != "with scores" else 5,))
    table = of.Embedding(11, 6, mask_zero=kind not in ("GroupQueryAttention", "with scores"))
    y = attended(kind, table(first), table(second), of)
    return model([first, second], of.Dense(3)(y))


def answer(model):
    return model([torch.as_tensor(words) for words in WORDS]).detach().numpy()


KINDS = ["MultiHeadAttention", "by name", "with scores", "GroupQueryAttention", "Attention",
         "AdditiveAttention"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_files_both_ways(kind, tmp_path):
    mine = network(kind, layers, models.Model, layers.Input)
    rng = np.random.default_rng(3)
    mine.set_weights([rng.normal(size=w.shape).astype("float32") for w in mine.get_weights()])
    expected = answer(mine)
    mine.save(tmp_path / "ours.keras")
    there = keras.models.load_model(tmp_path / "ours.keras")
    np.testing.assert_allclose(answer(there), expected, atol=1e-5 * abs(expected).max())
    there.save(tmp_path / "again.keras")
    np.testing.assert_array_equal(answer(models.load_model(tmp_path / "again.keras")), expected)
    theirs = network(kind, keras.layers, keras.Model, keras.Input)
    theirs.set_weights(mine.get_weights())
    theirs.save(tmp_path / "theirs.keras")
    opened = models.load_model(tmp_path / "theirs.keras")
    np.testing.assert_array_equal(answer(opened), expected)
    for a, b in zip(opened.get_weights(), there.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_reversible_embedding_both_ways(tmp_path):
    def build(of, model, entry):
        words = entry((5,))
        table = of.ReversibleEmbedding(11, 6, tie_weights=False, logit_soft_cap=3.0)
        return model(words, table(of.Dense(6)(table(words)), reverse=True))

    mine = build(layers, models.Model, layers.Input)
    words = torch.as_tensor(WORDS[0])
    expected = mine(words).detach().numpy()
    mine.save(tmp_path / "ours.keras")
    there = keras.models.load_model(tmp_path / "ours.keras")
    np.testing.assert_allclose(there(words).detach().numpy(), expected, atol=1e-5)
    there.save(tmp_path / "theirs.keras")
    opened = models.load_model(tmp_path / "theirs.keras")
    np.testing.assert_array_equal(opened(words).detach().numpy(), expected)
