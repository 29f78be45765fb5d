"""Lists and dicts of layers in attributes: tracked, in Keras' way, under torch's names.

`self.blocks = [Dense(4), Dense(4)]` registers the layers as `blocks.0`, `blocks.1`, exactly as an
`nn.ModuleList` would, and so does a later `self.blocks.append(...)`. A tracked list is a list *and*
a module, since torch walks to `blocks.0` through the attribute `blocks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import nn


class Container(nn.Module):
    """The module under which the layers of a dotted name stand."""

    def __init__(self) -> None:
        super().__init__()
        self.training = False


class TrackedList(list[Any], nn.Module):
    """A list that is also the module of its layers, whatever is done to the list."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # torch keeps modules in sets

    def __init__(self, items: Iterable[Any] = ()) -> None:
        nn.Module.__init__(self)
        self.training = False
        list.__init__(self, items)
        self._hold()

    def _hold(self) -> None:
        self._items = list(list.__iter__(self))
        _replace_children(self, enumerate(self._items))

    # torch.compile traces Python code on a module, not list's own slots: hence the plain copy

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]


class TrackedDict(dict[Any, Any], nn.Module):
    """A dict that is also the module of its layers, whatever is done to the dict."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # torch keeps modules in sets

    def __init__(self, items: Any = ()) -> None:
        nn.Module.__init__(self)
        self.training = False
        dict.__init__(self, items)
        self._hold()

    def _hold(self) -> None:
        self._items = dict(dict.items(self))
        _replace_children(self, self._items.items())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def keys(self) -> Any:
        return self._items.keys()

    def values(self) -> Any:
        return self._items.values()

    def items(self) -> Any:
        return self._items.items()


def _replace_children(module: nn.Module, members: Iterable[tuple[Any, Any]]) -> None:
    module._modules.clear()
    module._modules.update(
        (str(name), member) for name, member in members if isinstance(member, nn.Module)
    )


def _holding(kind: type, name: str) -> Callable[..., Any]:
    change = getattr(kind, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = change(self, *args, **kwargs)
        self._hold()
        return result

    method.__name__, method.__doc__ = name, change.__doc__
    return method


_LIST_CHANGES = (
    "append extend insert pop remove clear reverse sort __setitem__ __delitem__ __iadd__"
)
_DICT_CHANGES = "update pop popitem clear setdefault __setitem__ __delitem__ __ior__"
for _kind, _base, _changes in (
    (TrackedList, list, _LIST_CHANGES),
    (TrackedDict, dict, _DICT_CHANGES),
):
    for _name in _changes.split():
        setattr(_kind, _name, _holding(_base, _name))


def track(value: Any) -> Any:
    """`value` tracked, when it is a list or dict that holds layers or may come to (is empty)."""
    if isinstance(value, (TrackedList, TrackedDict)) or type(value) not in (list, dict):
        return value
    members = value.values() if isinstance(value, dict) else value
    if value and not any(isinstance(member, nn.Module) for member in members):
        return value
    return TrackedDict(value) if isinstance(value, dict) else TrackedList(value)
