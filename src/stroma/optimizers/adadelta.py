"""Adadelta."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from stroma.core.checks import check_number
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.checks import check_decay_rate
from stroma.optimizers.gradients import undone_if
from stroma.optimizers.group import Group
from stroma.optimizers.rate import LearningRate


@registry.register("Adadelta", "adadelta")
class Adadelta(Optimizer):
    """Step by the ratio of the past steps' size to the past gradients' size.

    a <- ρ a + (1 - ρ) g²;  d = √(s + ε) / √(a + ε) · g;  s <- ρ s + (1 - ρ) d²;  w <- w - η d.

    Args:
        learning_rate: Factor η of the step, or a schedule. The paper's is 1.
        rho: Weight ρ of the past in both running means, in [0, 1).
        epsilon: ε >= 0, inside the roots; it sets the size of the first steps.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name:
            See `Optimizer`.

    Raises:
        ArgumentError: An option is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> weight.grad = torch.tensor([2.0])
        >>> optimizer = Adadelta(learning_rate=1.0, rho=0.0, epsilon=1.0)
        >>> optimizer.build([weight])
        >>> optimizer.step()  # d = √1 / √(4 + 1) · 2
        >>> round(weight.item(), 4)
        0.1056

    Reference: Zeiler 2012, algorithm 1. torch has no fused kernel of this rule: its foreach
    operations are used.
    """

    interleaved: ClassVar[tuple[str, ...]] = ("accumulated_grad", "accumulated_delta_var")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.95,
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
        self.rho = check_decay_rate("rho", rho, owner="Adadelta")
        self.epsilon = check_number("epsilon", epsilon, owner="Adadelta", minimum=0)

    def slot_values(self) -> dict[str, float]:
        return {"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}

    def update(self, group: Group) -> None:
        gradients = group.gradients
        squares, steps = group.slots["accumulated_grad"], group.slots["accumulated_delta_var"]
        with undone_if(group.found_inf, group.parameters, squares, steps):
            group.decay()
            torch._foreach_mul_(squares, self.rho)
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - self.rho)
            moves = self._roots(steps)
            torch._foreach_div_(moves, self._roots(squares))
            torch._foreach_mul_(moves, gradients)
            torch._foreach_mul_(steps, self.rho)
            torch._foreach_addcmul_(steps, moves, moves, 1 - self.rho)
            torch._foreach_add_(group.parameters, moves, alpha=-group.learning_rate)

    def _roots(self, values: list[Tensor]) -> list[Tensor]:
        roots = list(torch._foreach_add(values, self.epsilon))
        torch._foreach_sqrt_(roots)
        return roots
