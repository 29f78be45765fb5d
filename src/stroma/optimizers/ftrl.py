"""Ftrl."""

from __future__ import annotations

from typing import ClassVar

import torch

from stroma.core.checks import check_number
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.gradients import undone_if
from stroma.optimizers.group import Group
from stroma.optimizers.rate import LearningRate


@registry.register("Ftrl", "ftrl")
class Ftrl(Optimizer):
    """Follow the regularized leader: weights that are exactly 0 until a feature has earned them.

    With p = -learning_rate_power, n' = n + g² and λ2' = λ2 + β / (2 η):
    z <- z + g + 2 s w - (n'^p - n^p) / η · w;  n <- n';
    w <- (clip(z, -λ1, λ1) - z) / (n^p / η + 2 λ2').

    Args:
        learning_rate: Step size η, or a schedule; a rate of 0 leaves everything as it is.
        learning_rate_power: -p, 0 or less; 0 keeps the rate fixed.
        initial_accumulator_value: Start of the sum n, 0 or more.
        l1_regularization_strength: λ1, 0 or more: weights with |z| <= λ1 are 0.
        l2_regularization_strength: λ2, 0 or more.
        l2_shrinkage_regularization_strength: s, 0 or more: L2 on the weights of now.
        beta: β of the paper, 0 or more.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name:
            See `Optimizer`.

    Raises:
        ArgumentError: An option is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> weight.grad = torch.tensor([2.0])
        >>> optimizer = Ftrl(learning_rate=0.1, l1_regularization_strength=100.0)
        >>> optimizer.build([weight])
        >>> optimizer.step()
        >>> round(weight.item(), 4)
        0.0

    Reference: McMahan et al. 2013, algorithm 1. Weights do not start from where they are: the
    first update sets them anew, as in Keras. A rate of 0 gives NaN in Keras. torch has no kernel
    of this rule: its foreach operations are used.
    """

    interleaved: ClassVar[tuple[str, ...]] = ("accumulator", "linear")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        check_number("learning_rate_power", learning_rate_power, owner="Ftrl", maximum=0)
        self.learning_rate_power = learning_rate_power
        strengths = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
            "beta": beta,
        }
        for option, value in strengths.items():
            check_number(option, value, owner="Ftrl", minimum=0)
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    def slot_values(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value, "linear": 0.0}

    def update(self, group: Group) -> None:
        rate = group.learning_rate
        if rate == 0:  # everything is divided by it
            return
        weights, gradients = group.parameters, group.gradients
        sums, linears = group.slots["accumulator"], group.slots["linear"]
        limit, shrinkage = (
            self.l1_regularization_strength,
            self.l2_shrinkage_regularization_strength,
        )
        with undone_if(group.found_inf, weights, sums, linears):
            group.decay()
            before = list(torch._foreach_pow(sums, -self.learning_rate_power))
            torch._foreach_addcmul_(sums, gradients, gradients)
            curvatures = list(torch._foreach_pow(sums, -self.learning_rate_power))
            torch._foreach_sub_(before, curvatures)  # minus what it grew by
            torch._foreach_add_(linears, gradients)
            torch._foreach_add_(linears, weights, alpha=2 * shrinkage)
            torch._foreach_addcmul_(linears, before, weights, 1 / rate)
            torch._foreach_div_(curvatures, rate)
            torch._foreach_add_(curvatures, 2 * self.l2_regularization_strength + self.beta / rate)
            moved = list(torch._foreach_clamp_min(linears, -limit))
            torch._foreach_clamp_max_(moved, limit)
            torch._foreach_sub_(moved, linears)
            torch._foreach_div_(moved, curvatures)
            torch._foreach_copy_(weights, moved)
