"""Adagrad."""

from __future__ import annotations

import torch

from stroma.core.checks import check_number
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.gradients import undone_if
from stroma.optimizers.group import Group
from stroma.optimizers.rate import LearningRate


@registry.register("Adagrad", "adagrad")
class Adagrad(Optimizer):
    """Divide the gradient by the root of the sum of all its squares so far.

    a <- a + g²;  w <- w - η g / √(a + ε).

    Args:
        learning_rate: Step size η, or a schedule.
        initial_accumulator_value: Start of the sum a, 0 or more.
        epsilon: ε >= 0, inside the root.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name:
            See `Optimizer`.

    Raises:
        ArgumentError: An option is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> weight.grad = torch.tensor([2.0])
        >>> optimizer = Adagrad(learning_rate=0.1, initial_accumulator_value=0.0)
        >>> optimizer.build([weight])
        >>> optimizer.step()
        >>> round(weight.item(), 4)
        0.9

    Reference: Duchi, Hazan & Singer 2011. torch.optim has ε outside the root and starts at 0, so
    torch's fused kernel of this rule gives other numbers: its foreach operations are used.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
        )
        self.initial_accumulator_value = check_number(
            "initial_accumulator_value", initial_accumulator_value, owner="Adagrad", minimum=0
        )
        self.epsilon = check_number("epsilon", epsilon, owner="Adagrad", minimum=0)

    def slot_values(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value}

    def update(self, group: Group) -> None:
        gradients, sums = group.gradients, group.slots["accumulator"]
        with undone_if(group.found_inf, group.parameters, sums):
            group.decay()
            torch._foreach_addcmul_(sums, gradients, gradients)
            roots = list(torch._foreach_add(sums, self.epsilon))
            torch._foreach_sqrt_(roots)
            torch._foreach_addcdiv_(group.parameters, gradients, roots, -group.learning_rate)
