"""RMSprop."""

from __future__ import annotations

import torch

from stroma.core.checks import check_bool, check_number
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.checks import check_decay_rate
from stroma.optimizers.gradients import undone_if
from stroma.optimizers.group import Group
from stroma.optimizers.rate import LearningRate


@registry.register("RMSprop", "rmsprop")
class RMSprop(Optimizer):
    """Divide the gradient by the root of a running mean of its square.

    v <- ρ v + (1 - ρ) g²;  d = η g / √(v + ε);  w <- w - d.
    With momentum μ: u <- μ u + d, w <- w - u. Centered: v - a² in place of v under the root, where
    a <- ρ a + (1 - ρ) g, so that the root is an estimate of the standard deviation.

    Args:
        learning_rate: Step size η, or a schedule.
        rho: Weight ρ of the past in the running means, in [0, 1).
        momentum: μ in [0, 1]; 0 keeps no velocity.
        epsilon: ε >= 0, inside the root.
        centered: Subtract the squared running mean of the gradient.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name:
            See `Optimizer`.

    Raises:
        ArgumentError: An option is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> weight.grad = torch.tensor([2.0])
        >>> optimizer = RMSprop(learning_rate=0.1)
        >>> optimizer.build([weight])
        >>> optimizer.step()
        >>> round(weight.item(), 4)  # 1 - 0.1 · 2 / √(0.1 · 4)
        0.6838

    Reference: Hinton 2012, lecture 6e; Graves 2013, eq. 40, for the centered form. torch.optim has
    ε outside the root. Where we differ from Keras: v - a² is held at 0 or more; by rounding it can
    fall below -ε when gradients are large and steady, and Keras' weights then turn to NaN.
    torch has no fused kernel of this rule: its foreach operations are used.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
        self.rho = check_decay_rate("rho", rho, owner="RMSprop")
        self.momentum = check_number("momentum", momentum, owner="RMSprop", minimum=0, maximum=1)
        self.epsilon = check_number("epsilon", epsilon, owner="RMSprop", minimum=0)
        self.centered = check_bool("centered", centered, owner="RMSprop")

    def slot_values(self) -> dict[str, float]:
        slots = {"velocity": 0.0}
        if self.momentum:
            slots["momentum"] = 0.0
        if self.centered:
            slots["average_gradient"] = 0.0
        return slots

    def update(self, group: Group) -> None:
        gradients, slots = group.gradients, group.slots
        with undone_if(group.found_inf, group.parameters, *slots.values()):
            group.decay()
            torch._foreach_mul_(slots["velocity"], self.rho)
            torch._foreach_addcmul_(slots["velocity"], gradients, gradients, 1 - self.rho)
            roots = list(torch._foreach_add(slots["velocity"], self.epsilon))
            if self.centered:
                averages = slots["average_gradient"]
                torch._foreach_lerp_(averages, gradients, 1 - self.rho)
                torch._foreach_addcmul_(roots, averages, averages, -1)
                torch._foreach_clamp_min_(roots, self.epsilon)
            torch._foreach_sqrt_(roots)
            if not self.momentum:
                torch._foreach_addcdiv_(group.parameters, gradients, roots, -group.learning_rate)
                return
            torch._foreach_mul_(slots["momentum"], self.momentum)
            torch._foreach_addcdiv_(slots["momentum"], gradients, roots, group.learning_rate)
            torch._foreach_sub_(group.parameters, slots["momentum"])
