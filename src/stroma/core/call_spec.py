"""What a layer's `call` takes, read from its signature once per class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple


class CallSpec(NamedTuple):
    """The parameters of a `call`.

    Args:
        arguments: Those that hold data.
        training, mask: Whether it takes these.
        argument_masks: Those called `<argument>_mask`.
        positional: All that may be given by position.
        switch: Place of the first of `training` and `mask` among the positional ones, or None.
    """

    arguments: tuple[str, ...] = ()
    training: bool = False
    mask: bool = False
    argument_masks: tuple[str, ...] = ()
    positional: tuple[str, ...] = ()
    switch: int | None = None

    def by_name(self, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments given by position up to `training` or `mask`, the others by name."""
        return args[: self.switch], dict(
            zip(self.positional[self.switch :], args[self.switch :], strict=False)
        )

    def in_place(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Data given by name (`query=x`) in their places: masks and dtypes go by place."""
        for name in self.positional[len(args) : self.switch]:
            if name not in self.arguments or isinstance(kwargs.get(name, ""), (str, int, float)):
                break  # not given, or a setting of the call (a bool is an int)
            args = (*args, kwargs.pop(name))
        return args, kwargs


def read_call(call: Callable[..., Any]) -> CallSpec:
    """The specification of a `call(self, ...)` method."""
    parameters = dict(list(inspect.signature(call).parameters.items())[1:])
    switches = ("training", "mask")
    positional = tuple(name for name, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD)
    places = [place for place, name in enumerate(positional) if name in switches]
    return CallSpec(
        arguments=tuple(
            name
            for name, p in parameters.items()
            if p.kind is not p.VAR_KEYWORD and name not in switches and not name.endswith("_mask")
        ),
        training="training" in parameters,
        mask="mask" in parameters,
        argument_masks=tuple(name for name in parameters if name.endswith("_mask")),
        positional=positional,
        switch=min(places, default=None),
    )
