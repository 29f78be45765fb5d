"""Lion."""

from __future__ import annotations

import torch

from stroma.core.checks import check_number
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.checks import check_decay_rate
from stroma.optimizers.gradients import undone_if
from stroma.optimizers.group import Group
from stroma.optimizers.rate import LearningRate


@registry.register("Lion", "lion")
class Lion(Optimizer):
    """Step by the sign of the momentum: every weight moves by the same amount.

    w <- w - η sign(β1 m + (1 - β1) g);  m <- β2 m + (1 - β2) g.

    Args:
        learning_rate: Step size η, or a schedule; 3 to 10 times smaller than Adam's.
        beta_1: Weight of the momentum in the step, in (0, 1]; at 0 only the gradient's sign counts.
        beta_2: Weight of the past in the momentum, in [0, 1).
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name:
            See `Optimizer`.

    Raises:
        ArgumentError: An option is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> weight.grad = torch.tensor([250.0])
        >>> optimizer = Lion(learning_rate=0.1)
        >>> optimizer.build([weight])
        >>> optimizer.step()
        >>> round(weight.item(), 4)
        0.9

    Reference: Chen et al. 2023, algorithm 2. One slot for each weight, where Adam has two. torch
    has no kernel of this rule: its foreach operations are used.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        self.beta_1 = check_number(
            "beta_1", beta_1, owner="Lion", minimum=0, maximum=1, exclusive=True
        )
        self.beta_2 = check_decay_rate("beta_2", beta_2, owner="Lion")

    def slot_values(self) -> dict[str, float]:
        return {"momentum": 0.0}

    def update(self, group: Group) -> None:
        gradients, momentums = group.gradients, group.slots["momentum"]
        with undone_if(group.found_inf, group.parameters, momentums):
            group.decay()
            signs = list(torch._foreach_lerp(momentums, gradients, 1 - self.beta_1))
            torch._foreach_sign_(signs)
            torch._foreach_add_(group.parameters, signs, alpha=-group.learning_rate)
            torch._foreach_lerp_(momentums, gradients, 1 - self.beta_2)
