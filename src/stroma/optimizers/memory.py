"""What an optimizer remembers of its parameters: slots, rates, what does not decay; its state."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from stroma.core.checks import check_number
from stroma.core.config import Configurable
from stroma.core.errors import ArgumentError, WeightsError
from stroma.optimizers.rate import LearningRate
from stroma.optimizers.slots import Slot, SlotTable

AVERAGE, ACCUMULATOR = "average", "gradient_accumulator"  # Keras' names of the shared slots


class Memory(Configurable, ABC):
    """The parameters that an optimizer knows, and everything that it keeps for them.

    `Optimizer` adds the options and the updates.
    """

    interleaved: ClassVar[tuple[str, ...]] = ()  # slots that go together in Keras' files
    use_ema: bool
    gradient_accumulation_steps: int | None
    learning_rate: float | LearningRate
    _learning_rate: LearningRate

    def __init__(self) -> None:
        self.calls = 0  # of step or apply; with accumulation more than there were updates
        self._table = SlotTable(self.slot_shape)
        self._undecayed: set[Tensor] = set()
        self._undecayed_names: re.Pattern[str] | None = None
        self._decayed: list[bool] = []
        self._rate_factors: dict[Tensor, float] = {}

    # What a rule says of itself

    @abstractmethod
    def slot_values(self) -> Mapping[str, float | None]:
        """The slots that the rule keeps for each parameter, in Keras' order, with start values.

        A start of None is the parameter itself.
        """

    def slot_shape(self, name: str, parameter: Tensor) -> tuple[int, ...] | None:
        """The shape of one slot: the parameter's, in its layout, unless a rule says otherwise.

        Another number of axes means axes in Keras' order; None means that there is no such slot.
        """
        return tuple(parameter.shape)

    def file_scalars(self) -> list[float]:
        """Numbers that follow the slots in Keras' files; they follow from the count of updates."""
        return []

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
        self._table.add(parameters, {**self._shared_slots(), **self.slot_values()})
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
