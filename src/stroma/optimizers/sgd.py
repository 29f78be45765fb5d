"""Stochastic gradient descent, with momentum and Nesterov momentum."""

from __future__ import annotations

import torch

from stroma.core.checks import check_bool, check_number
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.gradients import undone_if
from stroma.optimizers.group import Group
from stroma.optimizers.rate import LearningRate


@registry.register("SGD", "sgd")
class SGD(Optimizer):
    """Gradient descent: w <- w - η g; with momentum μ it keeps a velocity v.

    v <- μ v - η g, then w <- w + v; with Nesterov momentum w <- w + μ v - η g.

    Args:
        learning_rate: Step size η, or a schedule.
        momentum: μ in [0, 1]; 0 keeps no velocity.
        nesterov: Look ahead along the velocity; needs momentum.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name:
            See `Optimizer`.

    Raises:
        ArgumentError: An option is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> weight.grad = torch.tensor([2.0])
        >>> optimizer = SGD(learning_rate=0.1, momentum=0.9)
        >>> optimizer.build([weight])
        >>> optimizer.step()
        >>> round(weight.item(), 4)
        0.8

    Reference: Sutskever et al. 2013; Keras' form, in which the velocity holds the rate: when the
    rate changes, past gradients keep the rate they came with (torch.optim.SGD rescales them).
    Computed by torch's fused kernels on CPU and CUDA, by its foreach operations elsewhere.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        self.momentum = check_number("momentum", momentum, owner="SGD", minimum=0, maximum=1)
        self.nesterov = check_bool("nesterov", nesterov, owner="SGD")

    def slot_values(self) -> dict[str, float]:
        return {"momentum": 0.0} if self.momentum else {}

    def update(self, group: Group) -> None:
        if not group.fused:
            self._update_foreach(group)
        elif not self.momentum:
            _descend(group)
        elif self.nesterov:
            # v after this step is μ v - η g, so w + μ v - η g is two moves, each of them fused
            _descend(group)
            self._move_velocity(group, along=self.momentum)
        else:
            group.decay()
            self._move_velocity(group, along=1.0)

    def _move_velocity(self, group: Group, along: float) -> None:
        """v <- μ v - η g and w <- w + along · v, in one pass."""
        # The kernel does b <- μ b + (1 - dampening) g and w <- w - lr b. With dampening = 1 + η
        # its buffer b is Keras' v itself; lr = -along. It computes the difference in double.
        torch._fused_sgd_(
            group.parameters,
            group.gradients,
            group.slots["momentum"],
            weight_decay=0.0,
            momentum=self.momentum,
            lr=-along,
            dampening=1.0 + group.learning_rate,
            nesterov=False,
            maximize=False,
            is_first_step=False,
            found_inf=group.found_inf,
        )

    def _update_foreach(self, group: Group) -> None:
        rate, gradients = group.learning_rate, group.gradients
        velocities = group.slots.get("momentum", [])
        with undone_if(group.found_inf, group.parameters, velocities):
            group.decay()
            if not velocities:
                torch._foreach_add_(group.parameters, gradients, alpha=-rate)
                return
            torch._foreach_mul_(velocities, self.momentum)
            torch._foreach_add_(velocities, gradients, alpha=-rate)
            if self.nesterov:
                torch._foreach_add_(group.parameters, gradients, alpha=-rate)
                torch._foreach_add_(group.parameters, velocities, alpha=self.momentum)
            else:
                torch._foreach_add_(group.parameters, velocities)


def _descend(group: Group) -> None:
    """w <- w - η (g + λ w): the plain step and decoupled decay, which for it are the same thing."""
    torch._fused_sgd_(
        group.parameters,
        group.gradients,
        [],
        weight_decay=group.weight_decay,
        momentum=0.0,
        lr=group.learning_rate,
        dampening=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
        found_inf=group.found_inf,
    )
