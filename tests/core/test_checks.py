"""Settings that are no numbers, and the messages that say what to type instead."""

import numpy as np
import pytest
import torch

from stroma.core.checks import check_bool, check_number
from stroma.core.errors import ArgumentError, ArgumentTypeError
from stroma.optimizers import SGD, Adam, RMSprop


def test_a_number_in_text_is_refused_and_the_number_offered():
    with pytest.raises(TypeError, match=r"Did you mean Adam\(learning_rate=0.1\)\?") as error:
        Adam("0.1")
    assert error.value.fix == "Adam(learning_rate=0.1)"


@pytest.mark.parametrize(
    ("make", "fix"),
    [
        (lambda: Adam(beta_1="0.9"), "Adam(beta_1=0.9)"),
        (lambda: Adam(epsilon="1e-3"), "Adam(epsilon=0.001)"),
        (lambda: Adam("cosine"), "Adam(learning_rate=0.001)"),
        (lambda: Adam(True), "Adam(learning_rate=0.001)"),
        (lambda: Adam([0.1]), "Adam(learning_rate=0.001)"),
        (lambda: SGD(0.1, "0.9"), "SGD(momentum=0.9)"),
        (lambda: SGD(0.1, nesterov="no"), "SGD(nesterov=True)"),
        (lambda: RMSprop(rho=b"0.9"), "RMSprop(rho=0.5)"),
        (lambda: RMSprop(centered=1), "RMSprop(centered=True)"),
        (lambda: Adam(amsgrad="yes"), "Adam(amsgrad=True)"),
        (lambda: Adam(use_ema=None), "Adam(use_ema=True)"),
        (lambda: Adam(clipnorm="1"), "Adam(clipnorm=1)"),
        (lambda: Adam(weight_decay="0.004"), "Adam(weight_decay=0.004)"),
    ],
)
def test_hyperparameters_of_another_type(make, fix):
    with pytest.raises(ArgumentTypeError) as error:
        make()
    assert error.value.fix == fix


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), np.array(0.5), torch.tensor(0.5)])
def test_numbers_of_any_library_count(value):
    assert check_number("rate", value, owner="Adam") == float(value)


@pytest.mark.parametrize(
    ("limits", "value"), [({"minimum": 0}, -1), ({"maximum": 3}, 4), ({"exclusive": True}, np.inf),
                          ({"minimum": 0, "maximum": 1, "exclusive": True}, 1)],
)  # fmt: skip
def test_what_the_message_tells_to_type_passes(limits, value):
    with pytest.raises(ArgumentError) as error:
        check_number("rate", value, owner="Thing", **limits)
    number = float(error.value.fix.removeprefix("Thing(rate=").removesuffix(")"))
    assert check_number("rate", number, owner="Thing", **limits) == number


def test_truth_values():
    assert check_bool("on", np.True_, owner="Thing") is True
