"""Grad-CAM and its kin: closed forms, any kind of model, any layer, and errors that help."""

import numpy as np
import pytest
import torch
from torch import nn

from stroma import layers, models, zoo
from stroma.core.errors import ArgumentError, GraphError, ShapeError
from stroma.core.seeds import set_random_seed
from stroma.explain import METHODS, gradcam, gradcam_plus_plus, hires_cam

CAMS = [gradcam, gradcam_plus_plus, hires_cam]


@pytest.fixture(autouse=True)
def seeds():
    set_random_seed(3)


def photo(side=12, channels=3, seed=0):
    return np.random.default_rng(seed).random((side, side, channels)).astype(np.float32)


def averaging(activation="softmax"):
    """Convolutions, global average, one dense layer: the network that CAM was defined for."""
    inputs = layers.Input((12, 12, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    return models.Model(inputs, layers.Dense(4, activation=activation, name="head")(x))


def class_activation_map(model, image, index):
    """Zhou et al. 2016: the head's weights at each place, over the number of places."""
    maps = models.Model(model.input, model.get_layer("conv").output)(image[None])[0]
    return (maps @ model.get_layer("head").kernel[:, index] / maps[..., 0].numel()).relu()


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("method", [gradcam, hires_cam])
def test_it_is_cam_where_cam_is_defined(method, index):
    model, image = averaging(), photo()
    found = method(model, image, index)
    expected = class_activation_map(model, image, index).numpy(force=True)
    assert found.layer == "conv" and found.map.shape == (10, 10)
    np.testing.assert_allclose(found.map, expected, atol=1e-5 * max(expected.max(), 1e-3))


def test_a_planted_mistake_is_caught():
    """The gradient of the probability, which many scripts take, is not CAM."""
    model, image = averaging(), photo()
    maps = models.Model(model.input, model.get_layer("conv").output)(image[None]).detach()
    maps.requires_grad_()
    probability = model.get_layer("head")(maps.mean((1, 2)))[0, 2]
    (gradient,) = torch.autograd.grad(probability, maps)
    wrong = (gradient.mean((1, 2)) * maps).sum(-1).relu()[0].numpy(force=True)
    right = class_activation_map(model, image, 2).numpy(force=True)
    assert abs(wrong - right).max() > 0.1 * right.max()


@pytest.mark.parametrize("method", CAMS)
def test_softmax_and_logits_are_explained_alike(method):
    model, logits = averaging(), averaging(activation=None)
    logits.set_weights(model.get_weights())
    for index in range(4):
        one, other = method(model, photo(), index), method(logits, photo(), index)
        np.testing.assert_allclose(one.map, other.map, atol=1e-6)
        assert one.probability == pytest.approx(other.probability, abs=1e-6)


def test_gradcam_plus_plus_by_derivatives_of_three_orders():
    """The paper's alpha from autograd itself, for Y = exp(S), on a head that is linear in A."""
    model, image, index = averaging(), photo(), 1
    maps = models.Model(model.input, model.get_layer("conv").output)(image[None])[0]
    A = maps.detach().double().requires_grad_()
    kernel = model.get_layer("head").kernel[:, index].detach().double()
    Y = (A.mean((0, 1)) @ kernel).exp()
    (first,) = torch.autograd.grad(Y, A, create_graph=True)
    second, third = torch.zeros_like(A), torch.zeros_like(A)
    for place in np.ndindex(*A.shape):  # the diagonal derivatives, one by one
        (two,) = torch.autograd.grad(first[place], A, create_graph=True)
        (three,) = torch.autograd.grad(two[place], A, retain_graph=True)
        second[place], third[place] = two[place].detach(), three[place]
    alpha = second / (2 * second + A.sum((0, 1)) * third)
    weights = (alpha * first.relu()).sum((0, 1))
    expected = ((weights * A).sum(-1).relu() / Y).numpy(force=True)  # exp(S) is left out
    found = gradcam_plus_plus(model, image, index).map
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_hires_cam_gives_nothing_where_the_score_does_not_look():
    """A head that sees the left half only: Grad-CAM's average spreads to the right."""
    inputs = layers.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(inputs)
    left = layers.Flatten()(x[:, :, :4])
    model = models.Model(inputs, layers.Dense(8, name="head")(left))
    image = photo(8, 1)
    spread, exact = (
        [method(model, image, index, layer="conv").map[:, 4:].sum() for index in range(8)]
        for method in (gradcam, hires_cam)
    )
    assert max(exact) == 0 and max(spread) > 0


# Any model


class Residual(layers.Layer):
    """A user's own layer with layers inside; its last step is a torch function."""

    def __init__(self, filters, **options):
        super().__init__(**options)
        self.first = layers.Conv2D(filters, 3, padding="same", activation="relu")
        self.second = layers.Conv2D(filters, 3, padding="same")

    def call(self, inputs):
        return torch.relu(self.second(self.first(inputs)) + inputs)


class Subclassed(models.Model):
    def __init__(self):
        super().__init__()
        self.stem = layers.Conv2D(6, 3, name="stem")
        self.block = Residual(6)
        self.pool = layers.GlobalAveragePooling2D()
        self.head = layers.Dense(4)

    def call(self, inputs):
        return self.head(self.pool(self.block(self.stem(inputs))))


def torch_module():
    """Works in place after the map, as torchvision's networks do."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(6, 4),
    )  # fmt: skip


def nested():
    inputs = layers.Input((12, 12, 3))
    base = zoo.small_cnn(include_top=False, input_shape=(12, 12, 3))
    x = layers.GlobalAveragePooling2D()(base(layers.Rescaling(1 / 255)(inputs)))
    return models.Model(inputs, layers.Dense(4, activation="softmax")(x))


def wrapped():
    inputs = layers.Input((12, 12, 3))
    x = layers.TorchModuleWrapper(torch_module()[:3], layout="NCHW", name="theirs")(inputs)
    return models.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


KINDS = {
    "functional": (averaging, "conv", {}),
    "sequential": (
        lambda: models.Sequential(
            [layers.Input((12, 12, 3)), layers.Conv2D(5, 3, name="c"), layers.Flatten(),
             layers.Dense(4)]),
        "c", {},
    ),
    "nested base": (nested, "small_cnn.stage3.1.relu", {}),
    "subclassed": (Subclassed, "block", {}),
    "wrapped torch module": (wrapped, "theirs.module.2", {}),
    "torch module": (torch_module, "2", {"layout": "NCHW"}),
}  # fmt: skip


@pytest.mark.parametrize("method", CAMS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_model(kind, method):
    make, layer, options = KINDS[kind]
    model, image = make(), photo()
    modes = [module.training for module in model.modules()]
    found = method(model, image, 2, class_names=list("abcd"), **options)
    assert (found.layer, found.class_index, found.class_name) == (layer, 2, "c")
    assert found.map.ndim == 2 and np.isfinite(found.map).all() and (found.map >= 0).all()
    assert found.resized().shape == (12, 12)
    assert [module.training for module in model.modules()] == modes
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_torch_module_by_hand():
    module, image = torch_module().eval(), photo()
    maps = module[:3](torch.from_numpy(image).permute(2, 0, 1)[None]).detach()
    expected = (maps[0] * module[5].weight[3][:, None, None]).sum(0).relu() / maps[0, 0].numel()
    for layer in (None, "2"):
        found = gradcam(module, image, 3, layer=layer, layout="NCHW")
        np.testing.assert_allclose(found.map, expected.numpy(force=True), atol=1e-6)
    # The same network as a wrapped layer of another, its own layers named through it
    inputs = layers.Input((12, 12, 3))
    outside = models.Model(
        inputs, layers.TorchModuleWrapper(module, layout="NCHW", name="net")(inputs)
    )
    np.testing.assert_allclose(gradcam(outside, image, 3).map, found.map, atol=1e-6)
    assert gradcam(outside, image, 3, layer="net.module.0").layer == "net.module.0"


def test_the_map_before_a_layer_that_works_in_place_is_its_own():
    module, image = torch_module().eval(), photo()
    before = gradcam(module, image, 3, layer="1", layout="NCHW")
    maps = module[:2](torch.from_numpy(image).permute(2, 0, 1)[None]).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(module[3:](maps.relu())[0, 3], maps)
    expected = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).relu()[0]
    np.testing.assert_allclose(before.map, expected.numpy(force=True), atol=1e-6)


def test_frozen_weights_and_whole_numbers_are_no_obstacle():
    model = averaging()
    bytes_ = (photo() * 255).astype(np.uint8)
    bytes_.flags.writeable = False
    free = gradcam(model, bytes_, 1)
    model.trainable = False
    np.testing.assert_array_equal(gradcam(model, bytes_, 1).map, free.map)
    with torch.inference_mode():
        np.testing.assert_array_equal(gradcam(model, bytes_[None], 1).map, free.map)


def test_every_layer_with_a_map_can_be_named():
    model = nested()
    for layer in ("small_cnn.stage1.0.conv", "stage2.0.bn", "pool2", "small_cnn"):
        found = gradcam(model, photo(), 0, layer=layer)
        assert found.layer.endswith(layer) and found.map.size > 1


def test_channels_first_layers():
    inputs = layers.Input((3, 12, 12))
    x = layers.Conv2D(6, 3, activation="relu", data_format="channels_first", name="conv")(inputs)
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(x)
    model = models.Model(inputs, layers.Dense(4, name="head")(x))
    last = averaging(activation=None)
    last.set_weights(model.get_weights())
    found = gradcam(model, photo(), 1, layout="NCHW")
    np.testing.assert_allclose(found.map, gradcam(last, photo(), 1).map, atol=1e-6)


def test_one_output_unit_is_two_classes():
    inputs = layers.Input((12, 12, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, name="conv")(inputs))
    model = models.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    yes, no = (gradcam(model, photo(), index, class_names=["no", "yes"]) for index in (1, 0))
    assert yes.probability + no.probability == pytest.approx(1)
    assert yes.details["score"] == -no.details["score"]
    assert not ((yes.map > 0) & (no.map > 0)).any()


def test_preprocessing_is_applied_and_the_picture_kept_as_given():
    model, image = averaging(), photo() * 255
    found = gradcam(model, image, 1, preprocessing=lambda x: x / 255)
    np.testing.assert_allclose(found.map, gradcam(model, image / 255, 1).map, atol=1e-6)
    np.testing.assert_allclose(found.image, image)


def test_the_most_probable_class_is_the_default():
    model = averaging()
    answer = model(photo()[None])[0]
    found = gradcam(model, photo(), class_names=list("abcd"))
    assert found.class_index == int(answer.argmax())
    assert found.probability == pytest.approx(float(answer.detach().max()))
    assert gradcam(model, photo(), "c", class_names=list("abcd")).class_index == 2


# Errors


def flat():
    return models.Sequential(
        [layers.Input((12, 12, 3)), layers.Rescaling(2.0), layers.Flatten(), layers.Dense(4)]
    )


@pytest.mark.parametrize(
    ("make", "image", "options", "error", "said"),
    [
        (flat, photo(), {}, GraphError, "no layer of Sequential gives a spatial map"),
        (averaging, photo(), {"layer": "cnov"}, ArgumentError, "Did you mean 'conv'"),
        (averaging, photo(), {"layer": "head"}, ArgumentError, "no map"),
        (averaging, photo(), {"target": 4}, ArgumentError, "there is no class 4"),
        (averaging, photo(), {"target": "dg", "class_names": ["cat", "dog", "c", "d"]},
         ArgumentError, "Did you mean 'dog'"),
        (averaging, photo(), {"class_names": ["a"]}, ArgumentError, "1 class names for 4"),
        (averaging, np.stack([photo()] * 2), {}, ShapeError, "one picture"),
        (averaging, photo()[..., 0], {}, ShapeError, "one picture"),
        (torch_module, photo(), {}, ArgumentError, "in which layout"),
        (lambda: zoo.small_cnn(include_top=False, input_shape=(12, 12, 3)), photo(), {},
         ShapeError, "not one score for each class"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained_is_said_in_four_parts(make, image, options, error, said):
    with pytest.raises(error, match=said) as caught:
        gradcam(make(), image, **options)
    assert set(caught.value.parts()) == {"what", "where", "why", "try"}


def test_a_layer_beside_the_road_has_no_gradient():
    inputs = layers.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    aside = layers.Conv2D(4, 3, name="aside")(inputs)
    y = layers.Dense(2)(layers.GlobalAveragePooling2D()(x + 0 * torch.detach(aside)))
    with pytest.raises(GraphError, match="does not depend on layer 'aside'"):
        gradcam(models.Model(inputs, y), photo(), 0, layer="aside")


def test_the_table_of_methods_is_whole():
    assert all(function.__name__ == name for name, function in METHODS.items())
    for name, method in METHODS.items():
        found = method(averaging(), photo())
        assert found.method == name and len(found.limits) > 60


def test_of_several_classes_at_once_each_has_its_own_probability():
    set_random_seed(0)
    x = layers.Input((8, 8, 3))
    top = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(x))
    model = models.Model(x, layers.Dense(3, activation="sigmoid")(top))
    picture = np.random.default_rng(0).random((8, 8, 3), np.float32)
    found = gradcam(model, picture, 1, preprocessing=False)
    assert found.probability == pytest.approx(model(picture[None])[0, 1].item(), 1e-5)
