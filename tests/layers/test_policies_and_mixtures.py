"""RandAugment, AugMix, MixUp, CutMix: who gets what, by statistics and by planted draws."""

import pytest
import torch

from stroma import layers
from stroma.core.errors import DataError

BYTES = torch.randint(0, 256, (6, 12, 15, 3), dtype=torch.uint8)


@pytest.mark.parametrize("kind", [layers.RandAugment, layers.AugMix, layers.MixUp, layers.CutMix])
def test_policies_and_mixtures_compile(kind):
    layer = kind(num_chains=1, chain_depth=2) if kind is layers.AugMix else kind()
    compiled = torch.compile(lambda x: layer(x, training=True), fullgraph=True, backend="eager")
    assert compiled(BYTES[:2].float()).shape == BYTES[:2].shape


@pytest.mark.parametrize(
    ("kind", "arguments"), [(layers.MixUp, {"alpha": 1.0}), (layers.CutMix, {})]
)
def test_mixtures_keep_what_they_mix(kind, arguments):
    """Labels are shares of the classes whose pixels are seen."""
    classes = torch.eye(5).repeat(40, 1)
    images = classes[:, None, None, :3].expand(-1, 20, 20, -1)
    given = {"images": images, "labels": classes, "names": "kept"}
    mixed = kind(**arguments)(given, training=True)
    assert mixed["names"] == "kept" and given["images"] is images
    torch.testing.assert_close(mixed["labels"].sum(1), torch.ones(200))
    seen = mixed["images"].mean((1, 2))
    assert (seen - mixed["labels"][:, :3]).abs().max() < (1e-5 if kind is layers.MixUp else 0.1)
    assert not torch.equal(mixed["labels"], classes)
    rest = kind(**arguments)(given, training=False)
    assert torch.equal(rest["images"], images) and torch.equal(rest["labels"], classes)
    with pytest.raises(DataError, match="class numbers"):
        kind()({"images": images, "labels": torch.arange(200)})


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 3.0])
def test_shares_are_beta(alpha):
    """Mean 1/2, variance 1 / (4 (2 alpha + 1)); none is lost where alpha is small."""
    w = layers.MixUp(alpha).draw(torch.zeros(20000, 1, 1, 1), None)[1]
    assert not w.isnan().any()
    assert w.mean().item() == pytest.approx(0.5, abs=0.02)
    assert w.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_rand_augment_takes_every_operation_about_as_often():
    layer = layers.RandAugment(num_ops=1)
    which = layer.draw(torch.zeros(5500, 4, 4, 3), None)[0][0]
    counts = which.bincount(minlength=11)
    assert len(layer._operations) == len(counts) == 11
    assert (counts - 500).abs().max() < 120


@pytest.mark.parametrize("kind", [layers.RandAugment, layers.AugMix])
def test_both_roads_of_a_policy_are_one(kind, monkeypatch):
    """Operations on the pictures that drew them, or on all with the others thrown away."""
    x, layer = BYTES.float(), kind()
    drawn = layer.draw(x, None)
    few = layer.change(x, *drawn)
    monkeypatch.setattr("torch.compiler.is_compiling", lambda: True)
    torch.testing.assert_close(layer.change(x, *drawn), few, rtol=0, atol=1e-3)


def test_aug_mix_of_idle_chains_is_the_picture():
    x, layer = BYTES.float(), layers.AugMix()
    shares, own, chains = layer.draw(x, None)
    torch.testing.assert_close(shares.sum(1), torch.ones(6))
    idle = tuple(
        tuple((torch.full_like(w, len(layer._operations)), d) for w, d in c) for c in chains
    )
    torch.testing.assert_close(layer.change(x, shares, own, idle), x, rtol=0, atol=1e-3)


def test_planted_shares_that_are_even_are_caught(monkeypatch):
    monkeypatch.setattr(
        "stroma.layers.mixing.beta", lambda alpha, generator: torch.rand_like(alpha)
    )
    with pytest.raises(AssertionError):
        test_shares_are_beta(0.2)
