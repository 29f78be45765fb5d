"""What all optimizers share: options, slots, clipping, accumulation, averages and state.

A rule (`SGD`, `Adam`, ...) says which slots it keeps and how one `Group` of parameters moves.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from stroma.core.checks import check_bool, check_int, check_number, check_positive_int
from stroma.core.config import Configurable
from stroma.core.errors import ArgumentError, WeightsError
from stroma.core.names import snake_case
from stroma.core.registry import Registry
from stroma.optimizers.checks import check_clipping
from stroma.optimizers.gradients import clip_each_norm, clip_global_norm, clip_values
from stroma.optimizers.group import Group, grouped
from stroma.optimizers.rate import LearningRate, call_schedule, schedule_from_config
from stroma.optimizers.slots import Slot, SlotTable

AVERAGE, ACCUMULATOR = "average", "gradient_accumulator"  # Keras' names of the shared slots


class Optimizer(Configurable, ABC):
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
    interleaved: ClassVar[tuple[str, ...]] = ()  # slots that go together in Keras' files

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
        self.calls = 0  # of step or apply; with accumulation more than there were updates
        self._table = SlotTable()
        self._undecayed: set[Tensor] = set()
        self._undecayed_names: re.Pattern[str] | None = None
        self._decayed: list[bool] = []
        self._rate_factors: dict[Tensor, float] = {}

    # What a rule says of itself

    @abstractmethod
    def slot_values(self) -> dict[str, float]:
        """The slots that the rule keeps for each parameter, in Keras' order, with start values."""

    @abstractmethod
    def update(self, group: Group) -> None:
        """Change the group's parameters and slots in place by one update."""

    # Parameters and their slots

    @property
    def built(self) -> bool:
        """Whether the optimizer knows any parameter."""
        return bool(self._table.parameters)

    def build(self, parameters: Iterable[nn.Parameter], frozen_too: bool = False) -> None:
        """Make the slots of those parameters that are not known yet; the others keep theirs.

        Slots have the parameter's dtype, device and memory layout. Parameters that are frozen now
        may be given: they are passed over, and have no slots before `requires_grad` is True;
        with `frozen_too` they have them at once, for what was trained before it was frozen.
        """
        parameters = list(parameters)
        self._table.add(parameters, self._shared_slots() | self.slot_values())
        if frozen_too:
            self._table.make(self._table.index[parameter] for parameter in parameters)
        self._decayed = [self._is_decayed(parameter) for parameter in self.parameters]

    def _shared_slots(self) -> dict[str, float | None]:
        """Slots of the options, in Keras' order; None starts at the parameter itself."""
        average: dict[str, float | None] = {AVERAGE: None} if self.use_ema else {}
        return average | ({ACCUMULATOR: 0.0} if self.gradient_accumulation_steps else {})

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters known so far, in the order in which they came."""
        return list(self._table.parameters)

    @property
    def slots(self) -> list[Slot]:
        """Every slot in the order of Keras' files: averages, accumulators, then the rule's own.

        Slots named in `interleaved` go parameter by parameter (Adam: m, v, m, v, ..., then every
        v̂), the others slot by slot (RMSprop: every v, then every u). Values are the live tensors
        in the parameter's layout; whoever writes a file permutes them as the parameter's
        `keras_view` is permuted.
        """
        if not self.built:
            return []
        return [slot for block in self.slot_blocks for slot in self._table.ordered(block)]

    @property
    def slot_blocks(self) -> list[tuple[str, ...]]:
        """Names of the slots in the order of `slots`, those together that go together."""
        together, names = self.interleaved, [*self._shared_slots(), *self.slot_values()]
        return [together if n in together[:1] else (n,) for n in names if n not in together[1:]]

    @property
    def variables(self) -> list[Tensor]:
        """The values of `slots`, in their order: what Keras' files hold besides count and rate."""
        return [slot.value for slot in self.slots]

    def exclude_from_weight_decay(
        self, var_list: Iterable[Tensor] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Leave parameters without weight decay; replaces what an earlier call said.

        Args:
            var_list: The parameters themselves.
            var_names: Regular expressions, sought in the Keras name of a weight ("bias", "gamma"),
                the last part of its `path`. A plain `nn.Parameter` has no name: use `var_list`.
        """
        self._undecayed = set(var_list or ())
        names = list(var_names or ())
        self._undecayed_names = re.compile("|".join(names)) if names else None
        self._decayed = [self._is_decayed(parameter) for parameter in self.parameters]

    def set_rate_factors(self, factors: Mapping[Tensor, float]) -> None:
        """Move parameters at a multiple of the learning rate; replaces what an earlier call said.

        The decoupled weight decay of a parameter follows its rate, as in torch's groups.

        Args:
            factors: Parameter to factor, 0 or more; those not named move at the rate itself.
        Raises: ArgumentError: a factor is negative.
        Example:
            >>> from stroma.optimizers import SGD
            >>> slow, fast = (nn.Parameter(torch.zeros(1)) for _ in range(2))
            >>> optimizer = SGD(learning_rate=1.0)
            >>> optimizer.set_rate_factors({slow: 0.25})
            >>> optimizer.apply([torch.ones(1), torch.ones(1)], [slow, fast])
            >>> slow.item(), fast.item()
            (-0.25, -1.0)

        Reference: Howard & Ruder 2018, section 3.2 (discriminative fine-tuning).
        """
        owner = f"{type(self).__name__}.set_rate_factors"
        self._rate_factors = {
            parameter: check_number("factor", factor, owner=owner, minimum=0)
            for parameter, factor in factors.items()
        }

    def _is_decayed(self, parameter: Tensor) -> bool:
        if parameter in self._undecayed:
            return False
        if self._undecayed_names is None:
            return True
        path: str | None = getattr(parameter, "path", None)
        if path is None:
            raise ArgumentError(
                f"{type(self).__name__}: a parameter of shape {tuple(parameter.shape)} has no name",
                where="exclude_from_weight_decay(var_names=...)",
                why="only weights made by stroma's layers know their Keras name",
                fix="exclude_from_weight_decay(var_list=[module.bias, ...])",
            )
        return self._undecayed_names.search(path.rsplit("/", 1)[-1]) is None

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
            decay = self.weight_decay or 0.0
            for group in grouped(
                self._table,
                active,
                self._clip(gradients),
                [decay if decayed else 0.0 for decayed in self._decayed],
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

    # State

    def state_dict(self) -> dict[str, Tensor]:
        """Everything needed to go on bit for bit, as plain tensors.

        Keys: `iterations` (calls so far), `learning_rate` (float64, absent under a schedule),
        `first_iterations` (for each parameter the updates done before its first, or -1), and
        `{parameter index}.{slot name}`. Slots are the live tensors, as in torch: clone to keep.
        """
        state = {"iterations": torch.tensor(self.calls)} | self._table.state()
        if not callable(self._learning_rate):
            state["learning_rate"] = torch.tensor(self._learning_rate, dtype=torch.float64)
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave, built on the same parameters before.

        A schedule in use stays in use. Nothing changes when the state does not fit.

        Raises:
            WeightsError: A key is missing or unknown, or a shape differs.
        """
        rest = dict(state)
        calls, rate = rest.pop("iterations", torch.tensor(0)), rest.pop("learning_rate", None)
        self._table.check(rest, owner=type(self).__name__)
        self._table.load(rest)
        self.calls = int(calls)
        if rate is not None and not callable(self._learning_rate):
            self.learning_rate = rate.item()

    @torch.no_grad()
    def load_slots(
        self, values: Sequence[Tensor], iterations: int, first: Sequence[int] | None = None
    ) -> None:
        """Take over what a file holds: values in the order of `slots`, and the call count.

        Args:
            values: The slots.
            iterations: Calls so far.
            first: For each of `parameters` the updates done before its first, -1: none yet. None:
                all began at once; Keras keeps one count.
        Raises: WeightsError: the values are not those of `slots`.
        """
        slots = self.slots
        if [value.shape for value in values] != [slot.value.shape for slot in slots]:
            raise WeightsError(
                f"{type(self).__name__}: {len(values)} slot values do not fit {len(slots)} slots",
                where=f"{type(self).__name__}.load_slots(values)",
                why="count, order and shapes must be those of `slots`",
                fix="build the optimizer on the parameters that the file was written from",
            )
        for slot, value in zip(slots, values, strict=True):
            slot.value.copy_(value)
        self.calls = iterations
        one = [0 if iterations else -1] * len(self._table.first)
        self._table.first = one if first is None else list(first)

    @property
    def first_iterations(self) -> dict[nn.Parameter, int]:
        """For each parameter the updates done before its first one; -1: none yet."""
        return dict(zip(self._table.parameters, self._table.first))


registry: Registry[type[Optimizer]] = Registry("optimizer", "keras.optimizers")
