"""Lamb."""

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


@registry.register("Lamb", "lamb")
class Lamb(Optimizer):
    """Adam whose step has, in each weight tensor, a fixed share of that tensor's length.

    m and v as in Adam;  d = m / (1 - β1^t) / (√(v / (1 - β2^t)) + ε);
    w <- w - η ‖w‖ / ‖d‖ · d, with the factor 1 where a norm is 0.

    Args:
        learning_rate: Share η of the length that one step changes, or a schedule.
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
        >>> optimizer = Lamb(learning_rate=0.1)
        >>> optimizer.build([weight])
        >>> optimizer.step()
        >>> round(weight.item(), 4)
        0.9

    Reference: You et al. 2020, algorithm 2, for large batches. As in Keras the weight decay stays
    outside the norm of the step. torch has no kernel of this rule: its foreach operations are used.
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
        self.beta_1 = check_decay_rate("beta_1", beta_1, owner="Lamb")
        self.beta_2 = check_decay_rate("beta_2", beta_2, owner="Lamb")
        self.epsilon = check_number("epsilon", epsilon, owner="Lamb", minimum=0)

    def slot_values(self) -> dict[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    def update(self, group: Group) -> None:
        weights, gradients = group.parameters, group.gradients
        momentums, velocities = group.slots["momentum"], group.slots["velocity"]
        with undone_if(group.found_inf, weights, momentums, velocities):
            group.decay()
            torch._foreach_lerp_(momentums, gradients, 1 - self.beta_1)
            torch._foreach_mul_(velocities, self.beta_2)
            torch._foreach_addcmul_(velocities, gradients, gradients, 1 - self.beta_2)
            roots = list(torch._foreach_sqrt(velocities))
            torch._foreach_div_(roots, math.sqrt(1 - self.beta_2**group.step))
            torch._foreach_add_(roots, self.epsilon)
            steps = list(torch._foreach_div(momentums, roots))
            torch._foreach_div_(steps, 1 - self.beta_1**group.step)
            lengths = torch.stack(torch._foreach_norm(weights))
            moved = torch.stack(torch._foreach_norm(steps))
            ratios = torch.where((lengths > 0) & (moved > 0), lengths / moved, 1.0)
            torch._foreach_mul_(steps, list(ratios.unbind()))
            torch._foreach_add_(weights, steps, alpha=-group.learning_rate)
