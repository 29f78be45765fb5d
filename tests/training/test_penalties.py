"""Penalties of weights and outputs: each counts once, however often its layer is reached."""

import torch

from stroma import layers
from stroma.models import Model


def test_a_shared_layer_is_penalised_once() -> None:
    shared = layers.Dense(3, kernel_regularizer="l2", name="shared")
    inner_input = layers.Input((3,))
    inner = Model(inner_input, shared(inner_input))
    other = Model(inner_input, layers.ReLU()(shared(inner_input)))
    x = layers.Input((3,))
    model = Model(x, layers.Add()([inner(x), other(x)]))
    (penalty,) = model.losses
    torch.testing.assert_close(penalty, 0.01 * shared.weight.square().sum())


def test_penalties_of_outputs_are_forgotten_at_the_next_call() -> None:
    x = layers.Input((3,))
    inner = Model(x, layers.ReLU(activity_regularizer="l1")(x))
    model = Model(x, inner(x))
    for value in (1.0, 2.0):
        model.clear_losses()
        model(torch.full((2, 3), value), training=True)
        (penalty,) = model.losses
        torch.testing.assert_close(penalty, torch.tensor(0.01 * 3 * value))


def test_a_loop_around_a_compiled_model_clears_the_penalties_itself() -> None:
    x = layers.Input((4,))
    model = Model(x, layers.ReLU(activity_regularizer="l1")(x))
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    for value in (1.0, 2.0):
        model.clear_losses()
        compiled(torch.full((2, 4), value))
        (penalty,) = model.losses
        torch.testing.assert_close(penalty, torch.tensor(0.01 * 4 * value))
