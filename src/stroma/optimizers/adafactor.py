"""Adafactor."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from stroma.core.checks import check_bool, check_number
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.gradients import undone_if
from stroma.optimizers.group import Group, keras_shape
from stroma.optimizers.rate import LearningRate


@registry.register("Adafactor", "adafactor")
class Adafactor(Optimizer):
    """Adam's second moment from its row and column means, in steps relative to the weights.

    With β = 1 - t^beta_2_decay and G = g² + ε1, over the last two axes of Keras' view:
    r <- β r + (1 - β) mean(G, -1);  c <- β c + (1 - β) mean(G, -2);  v = r c / mean(r, -1);
    u = g / √v;  w <- w - max(ε2, rms(w)) min(η, 1/√t) · u / max(1, rms(u) / clip_threshold).
    A weight with fewer than two axes keeps v itself: v <- β v + (1 - β) G.

    Args:
        learning_rate: Largest relative step η, or a schedule.
        beta_2_decay: Exponent of the growing weight of the past, below 0.
        epsilon_1: ε1, added to the squared gradient.
        epsilon_2: ε2, the least size that weights count as.
        clip_threshold: Largest root mean square of u, above 0.
        relative_step: Accepted for Keras' signature: the step is min(η, 1/√t) either way.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name:
            See `Optimizer`.

    Raises:
        ArgumentError: An option is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> weight.grad = torch.tensor([250.0])
        >>> optimizer = Adafactor(learning_rate=0.1)
        >>> optimizer.build([weight])
        >>> optimizer.step()
        >>> round(weight.item(), 4)
        0.9

    Reference: Shazeer & Stern 2018, algorithms 4 and 5. As in Keras v is kept whole beside r and
    c, since its files hold it. Complex weights are not factored. Shapes differ from weight to
    weight, so they move one by one.
    """

    interleaved: ClassVar[tuple[str, ...]] = ("row", "column", "velocity")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        check_number("beta_2_decay", beta_2_decay, owner="Adafactor", maximum=0)
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = check_number("epsilon_1", epsilon_1, owner="Adafactor", minimum=0)
        self.epsilon_2 = check_number("epsilon_2", epsilon_2, owner="Adafactor", minimum=0)
        self.clip_threshold = check_number(
            "clip_threshold", clip_threshold, owner="Adafactor", minimum=0, exclusive=True
        )
        self.relative_step = check_bool("relative_step", relative_step, owner="Adafactor")

    def slot_values(self) -> dict[str, float]:
        return {"row": 0.0, "column": 0.0, "velocity": 0.0}

    def slot_shape(self, name: str, parameter: Tensor) -> tuple[int, ...] | None:
        if name not in ("row", "column"):
            return tuple(parameter.shape)
        if parameter.dim() < 2 or parameter.is_complex():
            return ()  # Keras' files have a zero here
        *rest, rows, columns = keras_shape(parameter)
        return (*rest, rows) if name == "row" else (*rest, columns)

    def update(self, group: Group) -> None:
        weights, slots = group.parameters, group.slots
        with undone_if(group.found_inf, weights, *slots.values()):
            group.decay()
            views = (group.keras_views(t) for t in (weights, group.gradients, slots["velocity"]))
            for weight, gradient, v, row, column in zip(*views, slots["row"], slots["column"]):
                self._second_moment(gradient, v, row, column, group.step)
                step = gradient * v.rsqrt()
                step /= (_rms(step) / self.clip_threshold).clamp_min(1.0)
                rate = min(group.learning_rate, 1 / math.sqrt(group.step))
                weight.sub_(step * _rms(weight).clamp_min(self.epsilon_2), alpha=rate)

    def _second_moment(
        self, gradient: Tensor, v: Tensor, row: Tensor, column: Tensor, step: int
    ) -> None:
        new = float(step) ** self.beta_2_decay
        squares = gradient.square() + self.epsilon_1
        if row.dim() == 0:
            v.lerp_(squares, new)
            return
        row.lerp_(squares.mean(-1), new)
        column.lerp_(squares.mean(-2), new)
        torch.mul((row / row.mean(-1, keepdim=True))[..., None], column[..., None, :], out=v)


def _rms(values: Tensor) -> Tensor:
    return values.square().mean().sqrt()
