"""ScheduleFreeAdamW."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from stroma.core.checks import check_int, check_number
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.checks import check_decay_rate
from stroma.optimizers.gradients import undone_if
from stroma.optimizers.group import Group
from stroma.optimizers.rate import LearningRate


@registry.register("ScheduleFreeAdamW", "schedulefreeadamw")
class ScheduleFreeAdamW(Optimizer):
    """Adam without a schedule: an average over the path takes the place of a falling rate.

    With weights y, a sequence z and its average x:
    v <- β2 v + (1 - β2) g²;  z' = z - η g / (√(v / (1 - β2^t)) + ε);
    x' = (1 - 1/t) x + z' / t;  y <- (1 - β1) z' + β1 x', with t = 1 at the first update.

    Args:
        learning_rate: Step size η; larger than Adam's.
        beta_1: Share of the average x in the weights, in [0, 1).
        beta_2: Weight of the past in the mean squared gradient, in [0, 1).
        epsilon: ε >= 0, added to the root.
        warmup_steps: Updates over which η rises from 0, 0 or more.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name:
            See `Optimizer`.

    Raises:
        ArgumentError: An option is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> weight.grad = torch.tensor([250.0])
        >>> optimizer = ScheduleFreeAdamW(learning_rate=0.1)
        >>> optimizer.build([weight])
        >>> optimizer.step()
        >>> round(weight.item(), 4)
        0.9

    Reference: Defazio et al. 2024, algorithm 1. As in Keras the model keeps the weights y, also
    after training. x is not kept: it follows from y and z, which the slot `momentum` holds. Keras
    on torch takes x from the z that has moved already (its variables change in place): there
    stroma follows the paper, as Keras on JAX does.
    """

    interleaved: ClassVar[tuple[str, ...]] = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: LearningRate = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
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
        self.beta_1 = check_decay_rate("beta_1", beta_1, owner="ScheduleFreeAdamW")
        self.beta_2 = check_decay_rate("beta_2", beta_2, owner="ScheduleFreeAdamW")
        self.epsilon = check_number("epsilon", epsilon, owner="ScheduleFreeAdamW", minimum=0)
        self.warmup_steps = check_int(
            "warmup_steps", warmup_steps, owner="ScheduleFreeAdamW", minimum=0
        )

    def slot_values(self) -> dict[str, float | None]:
        return {"momentum": None, "velocity": 0.0}

    def update(self, group: Group) -> None:
        weights, gradients = group.parameters, group.gradients
        sequence, velocities = group.slots["momentum"], group.slots["velocity"]
        rate = group.learning_rate
        if self.warmup_steps:
            rate *= min(group.step / self.warmup_steps, 1.0)
        past = 1 - 1 / group.step
        with undone_if(group.found_inf, weights, sequence, velocities):
            group.decay()
            torch._foreach_mul_(velocities, self.beta_2)
            torch._foreach_addcmul_(velocities, gradients, gradients, 1 - self.beta_2)
            roots = list(torch._foreach_sqrt(velocities))
            torch._foreach_div_(roots, math.sqrt(1 - self.beta_2**group.step))
            torch._foreach_add_(roots, self.epsilon)
            # y' = (1 - 1/t) (y - (1 - β1) z) + (1 - β1 + β1/t) z', which is the formula above
            # with x put in: nothing is divided by β1
            torch._foreach_mul_(weights, past)
            torch._foreach_add_(weights, sequence, alpha=-past * (1 - self.beta_1))
            torch._foreach_addcdiv_(sequence, gradients, roots, -rate)
            now = 1 - self.beta_1 * past
            torch._foreach_add_(weights, sequence, alpha=now)
