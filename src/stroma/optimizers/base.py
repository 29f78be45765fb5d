"""What all optimizers share: options, slots, clipping, accumulation, averages and state.

A rule (`SGD`, `Adam`, ...) says which slots it keeps and how one `Group` of parameters moves.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from stroma.core.checks import check_bool, check_int, check_number, check_positive_int
from stroma.core.errors import ArgumentError
from stroma.core.names import snake_case
from stroma.core.registry import Registry
from stroma.optimizers.checks import check_clipping
from stroma.optimizers.gradients import clip_each_norm, clip_global_norm, clip_values
from stroma.optimizers.group import Group, grouped
from stroma.optimizers.memory import ACCUMULATOR, AVERAGE, Memory
from stroma.optimizers.rate import LearningRate, call_schedule, schedule_from_config


class Optimizer(Memory):
    """Base of the optimizers: Keras' options and numbers on torch's fused and foreach kernels.

    Each call of `step` or `apply` does, in this order, what Keras does: unscale the gradients,
    accumulate them, clip them, decay the weights, apply the rule, update the averages. Nothing on
    this way waits for the device.

    Args:
        learning_rate: Step size, 0 or more; or a function of the number of updates done
            (a schedule), or of nothing, that returns it.
        weight_decay: Decoupled decay λ of every parameter, w <- w (1 - learning_rate · λ), before
            the rule is applied. None: none. See `exclude_from_weight_decay`.
        clipnorm: Largest L2 norm of each parameter's gradient, by itself.
        clipvalue: Largest absolute value of a gradient's element.
        global_clipnorm: Largest joint L2 norm of all gradients. At most one of the three is given.
        use_ema: Keep an exponential moving average of each parameter.
        ema_momentum: Weight of the old average, in [0, 1].
        ema_overwrite_frequency: Replace the parameters by their averages every so many updates.
            None: only when `finalize_variable_values` is called.
        loss_scale_factor: Gradients are divided by it; `scale_loss` multiplies the loss.
        gradient_accumulation_steps: Update once in so many calls (2 or more), with the mean of
            their gradients. A schedule counts calls, everything else counts updates.
        name: Name of the optimizer; the class's name in snake case when None.

    Raises:
        ArgumentError: An option is out of its range, or two ways of clipping are given.

    Reference: Keras 3.15's `keras.optimizers.Optimizer`. Where we differ: parameters may join, be
    frozen and be thawed at any time and keep their slots (Keras raises "Unknown variable"); the
    bias correction of a parameter counts from its own first update; a schedule can be
    replaced by a number.
    """

    known_elsewhere_as: ClassVar[dict[str, str]] = {  # Keras of old, torch
        "lr": "learning_rate", "eps": "epsilon", "betas": "beta_1", "decay": "weight_decay",
    }  # fmt: skip

    def __init__(
        self,
        learning_rate: LearningRate,
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
        super().__init__()
        owner = type(self).__name__
        self.name = name or snake_case(owner)
        self.learning_rate = learning_rate
        check_clipping(
            {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm},
            owner=owner,
        )
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        if weight_decay is not None:
            check_number("weight_decay", weight_decay, owner=owner, minimum=0)
        self.weight_decay = weight_decay
        self.use_ema = check_bool("use_ema", use_ema, owner=owner)
        check_number("ema_momentum", ema_momentum, owner=owner, minimum=0, maximum=1)
        self.ema_momentum = ema_momentum
        if ema_overwrite_frequency is not None:
            check_positive_int("ema_overwrite_frequency", ema_overwrite_frequency, owner=owner)
        self.ema_overwrite_frequency = ema_overwrite_frequency
        if (scale := loss_scale_factor) is not None:
            check_number("loss_scale_factor", scale, owner=owner, minimum=0, exclusive=True)
        self.loss_scale_factor = loss_scale_factor
        if (steps := gradient_accumulation_steps) is not None:
            check_int("gradient_accumulation_steps", steps, owner=owner, minimum=2)
        self.gradient_accumulation_steps = gradient_accumulation_steps

    @abstractmethod
    def update(self, group: Group) -> None:
        """Change the group's parameters and slots in place by one update."""

    def decay_of(self, parameter: Tensor) -> float:
        """The decoupled weight decay of a parameter that is not excluded from it."""
        return self.weight_decay or 0.0

    # Rate and count

    @property
    def iterations(self) -> int:
        """Number of updates done: Keras' count, which includes updates skipped by `found_inf`."""
        return self.calls // (self.gradient_accumulation_steps or 1)

    @property
    def learning_rate(self) -> float:
        """The rate of the next update. It can be set to a number or a schedule at any time."""
        rate = self._learning_rate
        return call_schedule(rate, self.calls) if callable(rate) else rate

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        if not callable(value):
            owner = type(self).__name__
            value = check_number("learning_rate", value, owner=owner, minimum=0, example=0.001)
        self._learning_rate = value

    def _noted(self, cls: type) -> dict[str, Any]:
        noted = super()._noted(cls)  # a config holds the rate of now, as Keras' does
        if "learning_rate" in noted and hasattr(self, "_learning_rate"):
            noted = noted | {"learning_rate": self._learning_rate}
        return noted

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """An optimizer made with the arguments in `config`; a schedule may be a config itself."""
        if isinstance(config.get("learning_rate"), dict):
            rate = schedule_from_config(config["learning_rate"], owner=cls.__name__)
            config = config | {"learning_rate": rate}
        return cls(**config)

    # Updates

    def step(self, found_inf: Tensor | None = None) -> None:
        """Update every known parameter that has a gradient and is not frozen.

        Args:
            found_inf: Scalar tensor; where it is not 0 on the device, parameters and slots stay
                as they are (with accumulation: this call's gradients count as zero).
        """
        self._require_built("step")
        active, gradients = [], []
        for index, parameter in enumerate(self._table.parameters):
            if parameter.requires_grad and parameter.grad is not None:
                active.append(index)
                gradients.append(parameter.grad)
        self._advance(active, gradients, found_inf)

    def apply(
        self,
        grads: Sequence[Tensor | None],
        trainable_variables: Iterable[nn.Parameter] | None = None,
    ) -> None:
        """Update parameters by the gradients given; `None` gradients are passed over.

        Args:
            grads: One gradient, or None, for each parameter.
            trainable_variables: The parameters; unknown ones join. None: all known ones.

        Raises:
            ArgumentError: The lists differ in length, or no gradient is given at all.
        """
        if trainable_variables is None:
            self._require_built("apply")
            parameters = self._table.parameters
        else:
            parameters = list(trainable_variables)
            self.build(parameters)
        owner = type(self).__name__
        if len(grads) != len(parameters):
            raise ArgumentError(
                f"{owner}: got {len(grads)} gradients for {len(parameters)} parameters",
                where=f"{owner}.apply(grads, trainable_variables)",
                why="gradients and parameters are matched by position",
                fix="give None where a parameter has no gradient",
            )
        pairs = [(p, g) for p, g in zip(parameters, grads, strict=True) if g is not None]
        if grads and not pairs:
            raise ArgumentError(
                f"{owner}: no gradient is given for any parameter",
                where=f"{owner}.apply(grads)",
                why="the loss does not depend on the parameters, or backward() was not called",
                fix="loss.backward(), then optimizer.step()",
            )
        if pairs:
            active = [self._table.index[parameter] for parameter, _ in pairs]
            self._advance(active, [gradient for _, gradient in pairs], None)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Tensor | None, nn.Parameter]]) -> int:
        """Keras' older spelling of `apply`, for pairs; returns the number of calls so far."""
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [parameter for _, parameter in pairs])
        return self.calls

    def zero_grad(self) -> None:
        """Drop the gradients of all known parameters."""
        for parameter in self._table.parameters:
            parameter.grad = None

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss times `loss_scale_factor`, for `backward`."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def finalize_variable_values(self, var_list: Iterable[nn.Parameter] | None = None) -> None:
        """With `use_ema`, set the parameters (all that are not frozen) to their averages."""
        if not self.use_ema:
            return
        chosen = self._trainable() if var_list is None else [self._table.index[p] for p in var_list]
        self._overwrite_by_average(chosen)

    def _require_built(self, verb: str) -> None:
        if not self.built:
            raise ArgumentError(
                f"{type(self).__name__} knows no parameters yet",
                where=f"{type(self).__name__}.{verb}()",
                why="slots are made for given parameters",
                fix="optimizer.build(model.parameters())",
            )

    @torch.no_grad()
    def _advance(
        self, active: list[int], gradients: list[Tensor], found_inf: Tensor | None
    ) -> None:
        self._table.make(active)  # a parameter thawed since `build`
        if gradients and self.loss_scale_factor is not None:
            gradients = list(torch._foreach_div(gradients, self.loss_scale_factor))
        if gradients and self.gradient_accumulation_steps is not None:
            gradients = self._accumulate(active, gradients, found_inf)
            found_inf = None  # its gradients were left out
        if gradients:
            for group in grouped(
                self._table,
                active,
                self._clip(gradients),
                [
                    self.decay_of(parameter) if decayed else 0.0
                    for parameter, decayed in zip(self._table.parameters, self._decayed)
                ],
                names=list(self.slot_values()),
                learning_rate=self.learning_rate,
                rate_factors=self._rate_factors,
                iterations=self.iterations,
                found_inf=found_inf,
            ):
                self.update(group)
        if self.use_ema:
            self._update_average()
        self.calls += 1

    def _accumulate(
        self, active: list[int], gradients: list[Tensor], found_inf: Tensor | None
    ) -> list[Tensor]:
        """Add to the sums; their means when it is time for an update, else nothing."""
        steps = self.gradient_accumulation_steps or 1
        if found_inf is not None:
            gradients = [g.masked_fill((found_inf != 0).to(g.device), 0) for g in gradients]
        sums = self._table.at(ACCUMULATOR, active)
        torch._foreach_add_(sums, gradients)
        if (self.calls + 1) % steps:
            return []
        means = list(torch._foreach_div(sums, steps))
        torch._foreach_zero_(list(self._table.values[ACCUMULATOR].values()))
        return means

    def _clip(self, gradients: list[Tensor]) -> list[Tensor]:
        if self.clipnorm:
            return clip_each_norm(gradients, self.clipnorm)
        if self.global_clipnorm:
            return clip_global_norm(gradients, self.global_clipnorm)
        if self.clipvalue:
            return clip_values(gradients, self.clipvalue)
        return gradients

    def _trainable(self) -> list[int]:
        return [index for index, p in enumerate(self._table.parameters) if p.requires_grad]

    def _update_average(self) -> None:
        chosen = self._trainable()  # a frozen weight must not drift to its average
        if not chosen:  # foreach operations take no empty list
            return
        self._table.make(chosen)
        weight = 1.0 if self.iterations == 0 else 1.0 - self.ema_momentum
        averages = self._table.at(AVERAGE, chosen)
        torch._foreach_lerp_(averages, [self._table.parameters[index] for index in chosen], weight)
        frequency = self.ema_overwrite_frequency
        if frequency is not None and (self.iterations + 1) % frequency == 0:
            self._overwrite_by_average(chosen)

    @torch.no_grad()
    def _overwrite_by_average(self, chosen: list[int]) -> None:
        if not chosen:
            return
        self._table.make(chosen)
        averages = self._table.at(AVERAGE, chosen)
        torch._foreach_copy_([self._table.parameters[index] for index in chosen], averages)


registry: Registry[type[Optimizer]] = Registry("optimizer", "keras.optimizers")
