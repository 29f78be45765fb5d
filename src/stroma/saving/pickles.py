"""What a PyTorch pickle claims to hold, found without running any of it.

A pickle is a program for a small stack machine; what makes it dangerous is that the program may
name any function and call it. The machine here has 35 instructions and a closed list of names,
and none of these names is ever looked up or called: a tensor becomes a record of what it claims
(which storage, which part of it), a table becomes a dict. The claims are then checked against
the file's real sizes before `torch.load` is let near it.

Reference: https://docs.python.org/3/library/pickletools.html; PyTorch CVE-2025-32434 and
CVE-2026-24747, where checks inside `torch.load(weights_only=True)` were not enough.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import torch

MAX_INSTRUCTIONS = 1_000_000  # ResNet-152 with its optimizer's state takes about 110,000

STORAGES = {
    "FloatStorage": torch.float32, "HalfStorage": torch.float16, "DoubleStorage": torch.float64,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}  # fmt: skip
_NAMES = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch Size",
    "torch device",
    *(f"torch {name}" for name in STORAGES),
    *(f"torch {str(dtype).removeprefix('torch.')}" for dtype in STORAGES.values()),
}
_LITERALS = {
    "NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (),
}  # fmt: skip
_WITH_VALUE = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING",
    "BINSTRING",
}  # fmt: skip
_MARK = object()


class PickleError(ValueError):
    """The pickle does what a file of weights never does; the message says what."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name the pickle asked for. It stays a name."""

    text: str


@dataclass(frozen=True, slots=True)
class StorageClaim:
    """A run of numbers that should be in the file."""

    key: str
    dtype: torch.dtype
    count: int

    @property
    def bytes(self) -> int:
        """Bytes that `count` numbers take."""
        return self.count * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class TensorClaim:
    """A view of a storage."""

    storage: StorageClaim
    shape: tuple[int, ...]


class PickleReader:
    """Runs one pickle after the other on the inert machine, and keeps the storages they claim."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.storages: dict[str, StorageClaim] = {}
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._left = MAX_INSTRUCTIONS

    def load(self) -> Any:
        """What the pickle that starts at the file's position describes."""
        self._stack, self._memo = [], {}
        try:
            for opcode, argument, _ in pickletools.genops(self.file):
                self._left -= 1
                if self._left < 0:
                    raise PickleError(f"it has more than {MAX_INSTRUCTIONS:,} instructions")
                self._step(opcode.name, argument)
            return self._stack.pop()
        except PickleError:
            raise
        except Exception as error:  # an ill-formed program fails in as many ways as there are
            raise PickleError(f"its pickle is damaged ({error})") from error

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _WITH_VALUE:
            stack.append(argument)
        elif name in _LITERALS:
            stack.append(_LITERALS[name])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "MARK":
            stack.append(_MARK)
        elif name == "GLOBAL":
            stack.append(_allowed(argument))
        elif name in _ACTIONS:
            _ACTIONS[name](self)
        elif name == "PROTO":
            if argument != 2:
                raise PickleError(f"it uses pickle protocol {argument}; torch.save writes 2")
        elif name != "STOP":
            raise PickleError(f"it uses the pickle instruction {name}, which no weights need")

    def _to_mark(self) -> list[Any]:
        stack = self._stack
        position = len(stack) - 1
        while stack[position] is not _MARK:
            position -= 1
            if position < 0:
                raise PickleError("its pickle is damaged (a missing mark)")
        items = stack[position + 1 :]
        del stack[position:]
        return items

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise PickleError("its pickle is damaged (an empty stack)")
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._stack.append(items)

    def _set_items(self, items: list[Any]) -> None:
        table = self._stack[-1]
        if type(table) is not dict:
            raise PickleError("it stores items into something that is not a table")
        for key, value in zip(items[::2], items[1::2], strict=True):
            _set(table, key, value)

    def _append(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise PickleError("it appends to something that is not a list")
        self._stack[-1].extend(items)

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if type(function) is not Name or type(arguments) is not tuple:
            raise PickleError("it calls something that is not a name")
        self._stack.append(_call(function.text, arguments))

    def _build(self) -> None:
        self._stack.pop()  # an OrderedDict's attributes: PyTorch keeps version numbers there
        if type(self._stack[-1]) is not dict:
            raise PickleError("it sets the state of something that is not a table")

    def _storage(self) -> None:
        match self._stack.pop():
            case ("storage", Name(text=text), str() as key, str(), int() as count, *view) if (
                text.removeprefix("torch ") in STORAGES and count >= 0 and view in ([], [None])
            ):
                claim = StorageClaim(key, STORAGES[text.removeprefix("torch ")], count)
            case other:
                raise PickleError(f"it refers to {str(other)[:80]!r}, which is no storage")
        if self.storages.setdefault(key, claim) != claim:
            raise PickleError(f"it describes storage {key!r} in two ways")
        self._stack.append(claim)


_ACTIONS: dict[str, Callable[[PickleReader], None]] = {
    "EMPTY_DICT": lambda reader: reader._stack.append({}),
    "EMPTY_LIST": lambda reader: reader._stack.append([]),
    "TUPLE": lambda reader: reader._stack.append(tuple(reader._to_mark())),
    "TUPLE1": lambda reader: reader._tuple(1),
    "TUPLE2": lambda reader: reader._tuple(2),
    "TUPLE3": lambda reader: reader._tuple(3),
    "APPEND": lambda reader: reader._append([reader._stack.pop()]),
    "APPENDS": lambda reader: reader._append(reader._to_mark()),
    "SETITEM": lambda reader: reader._set_items([reader._stack.pop(-2), reader._stack.pop()]),
    "SETITEMS": lambda reader: reader._set_items(reader._to_mark()),
    "REDUCE": PickleReader._reduce,
    "BUILD": PickleReader._build,
    "BINPERSID": PickleReader._storage,
}


def _allowed(name: str) -> Name:
    if name not in _NAMES:
        raise PickleError(f"it asks for {name.replace(' ', '.')!r}, which no weights need")
    return Name(name)


def _set(table: dict[Any, Any], key: Any, value: Any) -> None:
    # Plain keys only: hashing a tuple of tuples of tuples can take for ever
    if type(key) not in (str, int, float, bool, type(None)):
        raise PickleError(f"it uses a {type(key).__name__} as a key")
    table[key] = value


def _call(name: str, arguments: tuple[Any, ...]) -> Any:
    match name.split(" ")[1], arguments:
        case "OrderedDict", ():
            return {}
        case "OrderedDict", (list() as pairs,):
            table: dict[Any, Any] = {}
            for key, value in pairs:
                _set(table, key, value)
            return table
        case ("_rebuild_tensor_v2" | "_rebuild_tensor"), (
            StorageClaim() as storage, int() as offset, tuple() as shape, tuple() as strides, *_,
        ):  # fmt: skip
            return _tensor(storage, offset, shape, strides)
        case "_rebuild_parameter", (TensorClaim() as tensor, *_):
            return tensor
        case (("Size" | "device"), _):
            return Name(name)
    raise PickleError(f"it calls {name.replace(' ', '.')} with arguments of the wrong kind")


def _tensor(
    storage: StorageClaim, offset: int, shape: tuple[Any, ...], strides: tuple[Any, ...]
) -> TensorClaim:
    if len(shape) != len(strides) or not all(
        type(number) is int and number >= 0 for number in (offset, *shape, *strides)
    ):
        raise PickleError(f"a tensor has shape {shape}, strides {strides} and offset {offset}")
    reach = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
    # A stride of 0 repeats numbers: a few bytes would claim terabytes
    if 0 not in shape and (
        reach >= storage.count
        or any(stride == 0 and size > 1 for size, stride in zip(shape, strides))
    ):
        raise PickleError(
            f"a tensor of shape {shape} at {offset} does not lie in the {storage.count} numbers"
            f" of storage {storage.key!r}"
        )
    return TensorClaim(storage, shape)
