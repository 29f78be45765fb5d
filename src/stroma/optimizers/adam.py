"""Adam and AdamW."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from stroma.core.checks import check_bool, check_number
from stroma.core.errors import ArgumentTypeError
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.checks import check_decay_rate
from stroma.optimizers.gradients import undone_if
from stroma.optimizers.group import Group
from stroma.optimizers.rate import LearningRate


@registry.register("Adam", "adam")
class Adam(Optimizer):
    """Step along the mean gradient over the root of the mean squared gradient.

    m <- β1 m + (1 - β1) g;  v <- β2 v + (1 - β2) g²;
    w <- w - η √(1 - β2^t) / (1 - β1^t) · m / (√v + ε), with t = 1 at the first update.

    Args:
        learning_rate: Step size η, or a schedule.
        beta_1: Weight of the past in the mean gradient, in [0, 1).
        beta_2: Weight of the past in the mean squared gradient, in [0, 1).
        epsilon: ε > 0, added to √v before its bias is corrected (ε̂ of the paper).
        amsgrad: Divide by the largest v so far, v̂ <- max(v̂, v).
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name:
            See `Optimizer`.

    Raises:
        ArgumentError: An option is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> weight.grad = torch.tensor([250.0])
        >>> optimizer = Adam(learning_rate=0.1)
        >>> optimizer.build([weight])
        >>> optimizer.step()
        >>> round(weight.item(), 4)  # the first step is the rate, whatever the gradient's size
        0.9

    Reference: Kingma & Ba 2015, the form at the end of section 2; Reddi et al. 2018 for amsgrad.
    torch.optim.Adam adds ε after the correction, which for the same ε gives other numbers: its
    fused kernel (used here on CPU and CUDA) gets ε / √(1 - β2^t) instead. Elsewhere foreach
    operations are used. t counts a parameter's own updates, so one that is thawed late starts
    gently; in Keras t is common to all.
    """

    interleaved: ClassVar[tuple[str, ...]] = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        owner = type(self).__name__
        self.beta_1 = check_decay_rate("beta_1", beta_1, owner=owner)
        self.beta_2 = check_decay_rate("beta_2", beta_2, owner=owner)
        self.epsilon = check_number("epsilon", epsilon, owner=owner, minimum=0)
        self.amsgrad = check_bool("amsgrad", amsgrad, owner=owner)

    def slot_values(self) -> dict[str, float]:
        slots = {"momentum": 0.0, "velocity": 0.0}
        return slots | ({"velocity_hat": 0.0} if self.amsgrad else {})

    def update(self, group: Group) -> None:
        adam_update(group, self.beta_1, self.beta_2, self.epsilon)


def adam_update(group: Group, beta_1: float, beta_2: float, epsilon: float) -> None:
    """One update of a group by Adam, by amsgrad where it has the slot `velocity_hat`."""
    if not group.fused:
        _update_foreach(group, beta_1, beta_2, epsilon)
        return
    count = torch.full((), float(group.step), device=group.parameters[0].device)
    # The kernel's AdamW decays w by w (1 - η λ) first, as Keras does for every optimizer;
    # with λ = 0 it is Adam.
    torch._fused_adamw_(
        group.parameters,
        group.gradients,
        group.slots["momentum"],
        group.slots["velocity"],
        group.slots.get("velocity_hat", []),
        [count] * len(group.parameters),
        lr=group.learning_rate,
        beta1=beta_1,
        beta2=beta_2,
        weight_decay=group.weight_decay,
        eps=epsilon / math.sqrt(1 - beta_2**group.step),
        amsgrad="velocity_hat" in group.slots,
        maximize=False,
        found_inf=group.found_inf,
    )


def _update_foreach(group: Group, beta_1: float, beta_2: float, epsilon: float) -> None:
    gradients, slots = group.gradients, group.slots
    momentums, velocities = slots["momentum"], slots["velocity"]
    correction = math.sqrt(1 - beta_2**group.step) / (1 - beta_1**group.step)
    with undone_if(group.found_inf, group.parameters, *slots.values()):
        group.decay()
        torch._foreach_lerp_(momentums, gradients, 1 - beta_1)
        torch._foreach_mul_(velocities, beta_2)
        torch._foreach_addcmul_(velocities, gradients, gradients, 1 - beta_2)
        if "velocity_hat" in slots:
            torch._foreach_maximum_(slots["velocity_hat"], velocities)
            velocities = slots["velocity_hat"]
        roots = list(torch._foreach_sqrt(velocities))
        torch._foreach_add_(roots, epsilon)
        torch._foreach_addcdiv_(
            group.parameters, momentums, roots, -group.learning_rate * correction
        )


@registry.register("AdamW", "adamw")
class AdamW(Adam):
    """Adam with decoupled weight decay: w <- w (1 - η λ), then Adam's step.

    Args:
        learning_rate: Step size η, or a schedule.
        weight_decay: λ, 0 or more.
        beta_1, beta_2, epsilon, amsgrad: See `Adam`.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            loss_scale_factor, gradient_accumulation_steps, name: See `Optimizer`.

    Raises:
        ArgumentTypeError: weight_decay is None.
        ArgumentError: An option is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> weight.grad = torch.tensor([0.0])
        >>> optimizer = AdamW(learning_rate=0.1, weight_decay=0.5)
        >>> optimizer.build([weight])
        >>> optimizer.step()
        >>> round(weight.item(), 4)
        0.95

    Reference: Loshchilov & Hutter 2019. As in Keras, every parameter decays, biases too: see
    `exclude_from_weight_decay`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        if weight_decay is None:
            raise ArgumentTypeError(
                "AdamW: weight_decay must be a number, got None",
                where="AdamW(weight_decay=None)",
                why="without decay it is Adam",
                fix="Adam(...) or AdamW(weight_decay=0.004)",
            )
        super().__init__(
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            amsgrad=amsgrad,
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
