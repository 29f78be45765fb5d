"""Nadam."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from stroma.core.checks import check_number
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.checks import check_decay_rate
from stroma.optimizers.gradients import undone_if
from stroma.optimizers.group import Group
from stroma.optimizers.rate import LearningRate


@registry.register("Nadam", "nadam")
class Nadam(Optimizer):
    """Adam that looks ahead along its momentum, as Nesterov's method does.

    μ_t = β1 (1 - 0.96^t / 2);  m <- β1 m + (1 - β1) g;  v <- β2 v + (1 - β2) g²;
    m̂ = μ_{t+1} m / (1 - μ_1 ··· μ_{t+1}) + (1 - μ_t) g / (1 - μ_1 ··· μ_t);
    w <- w - η m̂ / (√(v / (1 - β2^t)) + ε), with t = 1 at the first update.

    Args:
        learning_rate: Step size η, or a schedule.
        beta_1: Weight of the past in the mean gradient, in [0, 1).
        beta_2: Weight of the past in the mean squared gradient, in [0, 1).
        epsilon: ε >= 0, added to the root.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name:
            See `Optimizer`.

    Raises:
        ArgumentError: An option is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> weight.grad = torch.tensor([250.0])
        >>> optimizer = Nadam(learning_rate=0.1, beta_1=0.0)
        >>> optimizer.build([weight])
        >>> optimizer.step()
        >>> round(weight.item(), 4)
        0.9

    Reference: Dozat 2016. t counts a parameter's own updates; in Keras t is common to all. torch
    has no fused kernel of this rule: its foreach operations are used.
    """

    interleaved: ClassVar[tuple[str, ...]] = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = check_decay_rate("beta_1", beta_1, owner="Nadam")
        self.beta_2 = check_decay_rate("beta_2", beta_2, owner="Nadam")
        self.epsilon = check_number("epsilon", epsilon, owner="Nadam", minimum=0)
        self._products = [1.0]  # μ_1 ··· μ_t at place t

    def slot_values(self) -> dict[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    def file_scalars(self) -> list[float]:
        return [self._product(self.iterations)]

    def update(self, group: Group) -> None:
        gradients, step = group.gradients, group.step
        momentums, velocities = group.slots["momentum"], group.slots["velocity"]
        ahead = self._weight(step + 1) / (1 - self._product(step + 1))
        here = (1 - self._weight(step)) / (1 - self._product(step))
        with undone_if(group.found_inf, group.parameters, momentums, velocities):
            group.decay()
            torch._foreach_lerp_(momentums, gradients, 1 - self.beta_1)
            torch._foreach_mul_(velocities, self.beta_2)
            torch._foreach_addcmul_(velocities, gradients, gradients, 1 - self.beta_2)
            moves = list(torch._foreach_mul(momentums, ahead))
            torch._foreach_add_(moves, gradients, alpha=here)
            roots = list(torch._foreach_sqrt(velocities))
            torch._foreach_div_(roots, math.sqrt(1 - self.beta_2**step))
            torch._foreach_add_(roots, self.epsilon)
            torch._foreach_addcdiv_(group.parameters, moves, roots, -group.learning_rate)

    def _weight(self, step: int) -> float:
        return self.beta_1 * (1 - 0.5 * 0.96**step)

    def _product(self, step: int) -> float:
        products = self._products
        while len(products) <= step and products[-1] > 1e-40:  # float32 knows nothing smaller
            products.append(products[-1] * self._weight(len(products)))
        return products[step] if step < len(products) else 0.0
