"""torchvision's and Keras' variants refuse each other's weights by name, and say which is which."""

import pytest
import torch

from stroma import applications, layers, models, zoo
from stroma.core.errors import ArgumentTypeError, FileFormatError, WeightsError
from stroma.core.weight import values_come_later
from stroma.saving.weights import load_into

PAIRS = {
    "ResNet": ("resnet50", "ResNet50"),
    "MobileNetV2": ("mobilenet_v2", "MobileNetV2"),
    "EfficientNet": ("efficientnet_b0", "EfficientNetB0"),
    "DenseNet": ("densenet121", "DenseNet121"),
}


@pytest.mark.parametrize("family", PAIRS)
def test_each_names_the_other(family):
    ours, theirs = PAIRS[family]
    with values_come_later(device="meta"):
        networks = getattr(zoo, ours)(), getattr(applications, theirs)()
    rooms = "stroma.zoo", "stroma.applications"
    for network, other, room in (networks + rooms[1:], (*networks[::-1], rooms[0])):
        with pytest.raises(WeightsError, match=f"of the {family}, the network is") as error:
            load_into(network, other.state_dict())
        assert error.value.fix == f"build the network from {room}"


def test_a_densenet_is_no_resnet():
    with values_come_later(device="meta"):
        network, other = zoo.resnet18(), applications.DenseNet121()
    with pytest.raises(WeightsError, match="do not fit"):
        load_into(network, other.state_dict())


def test_a_whole_keras_model_is_no_weights(tmp_path):
    path = models.Sequential([layers.Input((2,)), layers.Dense(1)]).save(tmp_path / "k.keras")
    for build in (applications.MobileNetV2, zoo.resnet20):
        with pytest.raises(FileFormatError, match="a whole Keras model") as error:
            build(weights=path)
        assert "models.load_model" in error.value.fix
        with pytest.raises(ArgumentTypeError, match="5 is no path"):
            build(weights=5)
    torch.save({"fc.bias": torch.zeros(2)}, tmp_path / "plain.pth")
    with pytest.raises(WeightsError, match="do not fit"):
        zoo.resnet20(weights=tmp_path / "plain.pth")
