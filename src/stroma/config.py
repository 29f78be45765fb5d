"""What holds for everything made from now on, under Keras' names."""

from __future__ import annotations

from typing import Literal, NoReturn

import torch

from stroma.core.dtypes import dtype_policy, floatx, set_dtype_policy, set_floatx
from stroma.core.errors import ArgumentError
from stroma.core.settings import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from stroma.functional.pairing import EPSILON

__all__ = [
    "backend", "disable_flash_attention", "disable_interactive_logging",
    "disable_traceback_filtering", "dtype_policy", "enable_flash_attention",
    "enable_interactive_logging", "enable_unsafe_deserialization", "epsilon", "floatx",
    "image_data_format", "is_flash_attention_enabled", "is_interactive_logging_enabled",
    "is_traceback_filtering_enabled", "set_backend", "set_dtype_policy", "set_epsilon",
    "set_floatx", "set_image_data_format",
]  # fmt: skip


def backend() -> Literal["torch"]:
    """The library that computes: torch.

    Example:
        >>> backend()
        'torch'
    """
    return "torch"


def set_backend(backend: str) -> None:
    """Accepts "torch".

    Raises: ArgumentError: it is another.
    """
    if backend != "torch":
        raise ArgumentError(
            f"the backend cannot be {backend!r}",
            where="set_backend(backend)",
            why="every stroma layer is a torch module",
            fix='set_backend("torch"), or leave it away',
        )


def epsilon() -> float:
    """The least probability and divisor in losses and metrics.

    Example:
        >>> epsilon()
        1e-07
    """
    return EPSILON


def set_epsilon(value: float) -> None:
    """Accepts the value that `epsilon` has.

    Raises: ArgumentError: it is another: losses and metrics hold it as a constant.
    """
    if value != EPSILON:
        raise ArgumentError(
            f"epsilon cannot be set to {value!r}",
            where="set_epsilon(value)",
            why=f"losses and metrics compute with {EPSILON:g}, so that figures can be compared",
            fix="layers and optimizers take epsilon=... one by one",
        )


def image_data_format() -> Literal["channels_last"]:
    """The order of axes of layers made without `data_format=`.

    Example:
        >>> image_data_format()
        'channels_last'
    """
    return "channels_last"


def set_image_data_format(data_format: str) -> None:
    """Accepts "channels_last".

    Raises: ArgumentError: it is another.
    """
    if data_format != "channels_last":
        raise ArgumentError(
            f"the order of axes cannot be {data_format!r} everywhere",
            where="set_image_data_format(data_format)",
            why="pictures, files and the rest of stroma are (batch, height, width, channels), "
            "which in memory is torch's fastest format",
            fix='give single layers data_format="channels_first"',
        )


def is_flash_attention_enabled() -> bool:
    """Whether torch may use its flash-attention kernel on a GPU."""
    return bool(torch.backends.cuda.flash_sdp_enabled())  # type: ignore[no-untyped-call]  # torch's


def enable_flash_attention() -> None:
    """Let torch use its flash-attention kernel where it can: so it is at first."""
    torch.backends.cuda.enable_flash_sdp(True)


def disable_flash_attention() -> None:
    """Keep torch from its flash-attention kernel."""
    torch.backends.cuda.enable_flash_sdp(False)


def is_traceback_filtering_enabled() -> bool:
    """False: no line of a traceback is ever left out."""
    return False


def disable_traceback_filtering() -> None:
    """Nothing to do: no line of a traceback is ever left out."""


def enable_unsafe_deserialization() -> NoReturn:
    """Never: a file runs no code here.

    Raises: ArgumentError: always.
    """
    raise ArgumentError(
        "files never run code",
        where="enable_unsafe_deserialization()",
        why="a model from elsewhere could do anything to this machine",
        fix="load_model(FILE, custom_objects={'name': your_function})",
    )
