"""Adamax."""

from __future__ import annotations

from typing import ClassVar

import torch

from stroma.core.checks import check_number
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.checks import check_decay_rate
from stroma.optimizers.gradients import undone_if
from stroma.optimizers.group import Group
from stroma.optimizers.rate import LearningRate


@registry.register("Adamax", "adamax")
class Adamax(Optimizer):
    """Adam with the largest gradient of the past in place of its mean square.

    m <- β1 m + (1 - β1) g;  u <- max(β2 u, |g|);
    w <- w - η / (1 - β1^t) · m / (u + ε), with t = 1 at the first update.

    Args:
        learning_rate: Step size η, or a schedule.
        beta_1: Weight of the past in the mean gradient, in [0, 1).
        beta_2: How much of the largest gradient is left after one update, in [0, 1).
        epsilon: ε >= 0, added to u.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name:
            See `Optimizer`.

    Raises:
        ArgumentError: An option is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> weight.grad = torch.tensor([250.0])
        >>> optimizer = Adamax(learning_rate=0.1)
        >>> optimizer.build([weight])
        >>> optimizer.step()
        >>> round(weight.item(), 4)
        0.9

    Reference: Kingma & Ba 2015, algorithm 2. torch.optim adds ε to |g| before the maximum is
    taken. torch has no fused kernel of this rule: its foreach operations are used.
    """

    interleaved: ClassVar[tuple[str, ...]] = ("momentum", "norm")

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
        self.beta_1 = check_decay_rate("beta_1", beta_1, owner="Adamax")
        self.beta_2 = check_decay_rate("beta_2", beta_2, owner="Adamax")
        self.epsilon = check_number("epsilon", epsilon, owner="Adamax", minimum=0)

    def slot_values(self) -> dict[str, float]:
        return {"momentum": 0.0, "norm": 0.0}

    def update(self, group: Group) -> None:
        gradients, momentums, norms = group.gradients, group.slots["momentum"], group.slots["norm"]
        with undone_if(group.found_inf, group.parameters, momentums, norms):
            group.decay()
            torch._foreach_lerp_(momentums, gradients, 1 - self.beta_1)
            torch._foreach_mul_(norms, self.beta_2)
            torch._foreach_maximum_(norms, list(torch._foreach_abs(gradients)))
            shifted = list(torch._foreach_add(norms, self.epsilon))
            rate = group.learning_rate / (1 - self.beta_1**group.step)
            torch._foreach_addcdiv_(group.parameters, momentums, shifted, -rate)
