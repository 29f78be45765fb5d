"""LossScaleOptimizer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from stroma.core.checks import check_number, check_positive_int
from stroma.core.errors import ArgumentTypeError
from stroma.core.registry import resolve
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.group import Group
from stroma.optimizers.rate import LearningRate

_COUNTER, _SCALE = "loss_scale_counter", "loss_scale"


@registry.register("LossScaleOptimizer", "lossscaleoptimizer")
class LossScaleOptimizer(Optimizer):
    """Scale the loss so that small float16 gradients do not vanish; another optimizer updates.

    The loss is multiplied by s and the gradients are divided by it. A gradient that is not finite
    halves s, and this update is left out; after `dynamic_growth_steps` updates in a row s doubles.

    Args:
        inner_optimizer: What updates, with all options; its own `loss_scale_factor` becomes None.
        initial_scale: s at first, above 0. Too high costs a few updates left out, too low lasts
            `dynamic_growth_steps` for each factor of two.
        dynamic_growth_steps: Updates in a row without overflow after which s doubles.
        name: Name of the optimizer; the class's name in snake case when None.

    Raises:
        ArgumentTypeError: inner_optimizer is no optimizer, or one of this class.
        ArgumentError: An option is out of its range.

    Example:
        >>> from stroma.optimizers import SGD
        >>> weight = nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = LossScaleOptimizer(SGD(0.1), initial_scale=8.0)
        >>> optimizer.build([weight])
        >>> optimizer.scale_loss(2 * weight.sum()).backward()
        >>> weight.grad
        tensor([16.])
        >>> optimizer.step()
        >>> round(weight.item(), 4)
        0.8
        >>> optimizer.apply([torch.tensor([torch.inf])])
        >>> round(weight.item(), 4), optimizer.dynamic_scale
        (0.8, 4.0)

    Reference: Micikevicius et al. 2018, section 3.2. Whether gradients are finite is asked of the
    device at every update, as `torch.amp.GradScaler` does: it waits for it once.
    """

    def __init__(
        self,
        inner_optimizer: Any,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
    ) -> None:
        if not isinstance(inner_optimizer, Optimizer) or isinstance(inner_optimizer, type(self)):
            raise ArgumentTypeError(
                f"LossScaleOptimizer: {inner_optimizer!r} cannot be the optimizer inside",
                where="LossScaleOptimizer(inner_optimizer=...)",
                why="it must be an optimizer, and the loss is scaled once",
                fix="LossScaleOptimizer(optimizers.Adam(0.001))",
            )
        self.inner_optimizer = inner_optimizer
        calls = inner_optimizer.calls
        super().__init__(learning_rate=inner_optimizer._learning_rate, name=name)
        self.calls = calls  # what the base began anew is the count of the optimizer inside
        self._table = inner_optimizer._table
        inner_optimizer.loss_scale_factor = None
        self.interleaved = inner_optimizer.interleaved  # type: ignore[misc]
        self.use_ema = inner_optimizer.use_ema
        self.gradient_accumulation_steps = inner_optimizer.gradient_accumulation_steps
        owner = "LossScaleOptimizer"
        self.initial_scale = check_number(
            "initial_scale", initial_scale, owner=owner, minimum=0, exclusive=True
        )
        self.dynamic_growth_steps = check_positive_int(
            "dynamic_growth_steps", dynamic_growth_steps, owner=owner
        )
        self.dynamic_scale = float(self.initial_scale)
        self.step_counter = 0  # updates since the scale changed

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """An optimizer made with the arguments in `config`; the one inside is a config itself."""
        return cls(**config | {"inner_optimizer": resolve(registry, config["inner_optimizer"])})

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss times the scale of now, for `backward`."""
        return loss * self.dynamic_scale

    def _advance(
        self, active: list[int], gradients: list[Tensor], found_inf: Tensor | None
    ) -> None:
        if gradients and not _all_finite(gradients):
            self.step_counter = 0
            self.dynamic_scale *= 0.5
            return
        with torch.no_grad():
            unscaled = list(torch._foreach_div(gradients, self.dynamic_scale)) if gradients else []
        self.inner_optimizer._advance(active, unscaled, found_inf)
        self.step_counter += 1
        if self.step_counter == self.dynamic_growth_steps:
            self.step_counter = 0
            self.dynamic_scale *= 2.0

    # What the optimizer inside knows

    @property
    def calls(self) -> int:
        """Updates that the optimizer inside was asked for: those left out do not count."""
        return self.inner_optimizer.calls

    @calls.setter
    def calls(self, value: int) -> None:
        self.inner_optimizer.calls = value

    @property
    def _learning_rate(self) -> LearningRate:
        return self.inner_optimizer._learning_rate

    @_learning_rate.setter
    def _learning_rate(self, value: LearningRate) -> None:
        self.inner_optimizer._learning_rate = value

    def slot_values(self) -> Mapping[str, float | None]:
        return self.inner_optimizer.slot_values()

    def slot_shape(self, name: str, parameter: Tensor) -> tuple[int, ...] | None:
        return self.inner_optimizer.slot_shape(name, parameter)

    def file_scalars(self) -> list[float]:
        return self.inner_optimizer.file_scalars()

    def update(self, group: Group) -> None:
        self.inner_optimizer.update(group)

    def build(self, parameters: Iterable[nn.Parameter], frozen_too: bool = False) -> None:
        self.inner_optimizer.build(parameters, frozen_too)

    def exclude_from_weight_decay(
        self, var_list: Iterable[Tensor] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    def set_rate_factors(self, factors: Mapping[Tensor, float]) -> None:
        self.inner_optimizer.set_rate_factors(factors)

    def finalize_variable_values(self, var_list: Iterable[nn.Parameter] | None = None) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    # State

    def state_dict(self) -> dict[str, Tensor]:
        """What the optimizer inside gives, with `loss_scale` and `loss_scale_counter`."""
        own = {_SCALE: self.dynamic_scale, _COUNTER: self.step_counter}
        return self.inner_optimizer.state_dict() | {k: torch.tensor(v) for k, v in own.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        rest = dict(state)
        scale = rest.pop(_SCALE, torch.tensor(self.initial_scale))
        counter = rest.pop(_COUNTER, torch.tensor(0))
        self.inner_optimizer.load_state_dict(rest)
        self.dynamic_scale, self.step_counter = float(scale), int(counter)


def _all_finite(gradients: list[Tensor]) -> bool:
    device = gradients[0].device
    found = [torch.isfinite(gradient).all().to(device) for gradient in gradients]
    return bool(torch.stack(found).all())
