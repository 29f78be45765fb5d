"""Cuts and stages: what is shared, what carries over, and where a network cannot be cut."""

import pytest
import torch

from stroma import Model, layers, zoo
from stroma.core.errors import ArgumentError, GraphError
from stroma.transfer.compose import feature_extractor, with_head
from stroma.transfer.stages import layer_at, split, stages
from tuning_networks import staged


def classifier(base):
    head = layers.Dense(3, activation="softmax", name="head")
    return with_head(feature_extractor(base), [head]), head


@pytest.mark.parametrize(
    ("build", "starts"),
    [
        (staged, ["base.scale", "base.layer2.a.conv", "base.layer3.conv"]),
        (zoo.resnet20, ["resnet20.conv1", "resnet20.layer2.0.conv1", "resnet20.layer3.0.conv1"]),
        (zoo.resnet50, ["resnet50.conv1", "resnet50.maxpool", "resnet50.layer2.0.conv1",
                        "resnet50.layer3.0.conv1", "resnet50.layer4.0.conv1"]),
    ],
)  # fmt: skip
def test_stages_begin_where_maps_shrink_and_never_inside_a_block(build, starts):
    base = build() if build is staged else build(include_top=False)
    model, head = classifier(base)
    found = stages(model, [head])
    assert [stage.start for stage in found] == [*starts, "global_average_pooling2d"]
    ids = [id(p) for stage in found for p in stage.parameters]
    assert len(ids) == len(set(ids)) and set(ids) == {id(p) for p in model.parameters()}


def test_every_stage_is_a_cut_and_the_halves_share_everything():
    model, head = classifier(staged())
    x = torch.rand(2, 8, 8, 1) * 255
    for stage in stages(model, [head])[1:]:
        below, above = split(model, layer_at(model, stage.start))
        assert torch.equal(above(below(x)), model(x))
        for half in (below, above):
            assert {id(p) for p in half.parameters()} <= {id(p) for p in model.parameters()}
    with torch.no_grad():
        head.bias.add_(1)
    assert torch.equal(above(below(x)), model(x))


def test_a_cut_before_the_first_layer_or_inside_a_shortcut_is_refused():
    model, _ = classifier(staged())
    for name in ("layer2.add", "layer2.a.relu", "layer2.skip"):
        with pytest.raises(GraphError, match=r"layer2\.a\.conv") as caught:
            split(model, layer_at(model, name))
        assert "tensors lead past" in str(caught.value)
    x = layers.Input((4,))
    flat = Model(x, layers.Dense(2, name="only")(x))
    with pytest.raises(GraphError, match="nothing runs before"):
        split(flat, flat.get_layer("only"))
    with pytest.raises(GraphError, match="not in there"):
        split(flat, layers.Dense(1))
    with pytest.raises(ArgumentError, match="no layer"):
        layer_at(model, "nowhere")


def test_a_shortcut_around_a_nested_network_leaves_no_cut_in_it():
    x = layers.Input((8, 8, 2))
    i = layers.Input((8, 8, 2))
    inner = Model(i, layers.Conv2D(2, 3, padding="same", name="b")(
        layers.Conv2D(2, 3, padding="same", name="a")(i)), name="inner")  # fmt: skip
    y = layers.Add()([inner(x), x])
    model = Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D(name="pool")(y)))
    with pytest.raises(GraphError, match="tensors lead past"):
        split(model, layer_at(model, "inner.b"))
    assert [stage.start for stage in stages(model)] == ["inner.a", "pool"]


def test_open_sizes_have_stages_too():
    base = zoo.resnet18(include_top=False, input_shape=(None, None, 3))
    model, head = classifier(base)
    assert len(stages(model, [head])) == 6


def test_a_network_with_its_own_call_says_so():
    class Own(Model):
        def call(self, x):
            return x

    with pytest.raises(GraphError, match="no recorded network"):
        stages(Own())
