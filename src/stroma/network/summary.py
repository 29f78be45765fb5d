"""`summary()`: the table of a network, never cut off, in any width."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence

from stroma.core.axes import shape_text
from stroma.core.errors import ArgumentError
from stroma.core.records import LayerRow
from stroma.core.text import table
from stroma.network.design import design
from stroma.network.network import Network


def summary_text(
    network: Network,
    *,
    width: int | None = None,
    nested: bool = False,
    optimizer_parameters: int | None = None,
    layer_range: Sequence[str] | None = None,
) -> str:
    """The network as a table and its totals.

    Args:
        network: What is described.
        width: Columns; the terminal's when None.
        nested: Show the layers inside nested networks.
        optimizer_parameters: Numbers that the optimizer keeps, when it is known.
        layer_range: Patterns for the names of the first and of the last layer to show.
    """
    every_row = design(network, nested=nested)
    rows = every_row if layer_range is None else _between(every_row, layer_range)
    columns = width or max(shutil.get_terminal_size((100, 24)).columns, 40)
    chain = _is_chain(rows)
    headers = ["layer", "output", "parameters", "MACs", "sees"]
    cells = [
        [
            f"{row.name} ({row.kind})" + _frozen(row),
            shape_text(row.output_shape) if row.output_shape else "?",
            f"{row.parameters:,}",
            "?" if row.macs is None else _count(row.macs),
            _sees(row),
        ]
        for row in rows
    ]
    if not chain:
        headers.append("connected to")
        cells = [[*cell, ", ".join(row.connected_to)] for cell, row in zip(cells, rows)]
    lines = [f"Model: {network.name!r}", *table(headers, cells, columns, right=(2, 3))]
    # What runs inside a nested network is in that network's own row already
    outermost = design(network) if nested else every_row
    lines += totals(network, outermost, optimizer_parameters)
    return "\n".join(lines)


def totals(
    network: Network, rows: list[LayerRow], optimizer_parameters: int | None = None
) -> list[str]:
    """The lines under the table: parameters with their bytes, and the work for one sample.

    `rows` are those of the network itself, without the ones inside nested networks.
    """
    weights = network.weights
    trainable = [weight for weight in weights if weight.requires_grad]
    fixed = [weight for weight in weights if not weight.requires_grad]
    lines = []
    for label, group in (
        ("Total params", weights),
        ("Trainable params", trainable),
        ("Non-trainable params", fixed),
    ):
        count = sum(weight.numel() for weight in group)
        size = sum(weight.numel() * weight.element_size() for weight in group)
        lines.append(f"{label}: {count:,} ({_bytes(size)})")
    if optimizer_parameters is not None:
        size = optimizer_parameters * 4
        lines.append(f"Optimizer params: {optimizer_parameters:,} ({_bytes(size)})")
    if rows and all(row.macs is not None for row in rows[1:]) and len(rows) > 1:
        macs = sum(row.macs or 0 for row in rows)
        lines.append(f"Multiply-accumulates for one sample: {macs:,}")
    return lines


def print_summary(
    network: Network,
    *,
    line_length: int | None = None,
    print_fn: Callable[[str], None] | None = None,
    nested: bool = False,
    optimizer_parameters: int | None = None,
    layer_range: Sequence[str] | None = None,
) -> None:
    """Print `summary_text`, or hand each line to `print_fn`."""
    text = summary_text(
        network, width=line_length, nested=nested, optimizer_parameters=optimizer_parameters,
        layer_range=layer_range,
    )  # fmt: skip
    if print_fn is None:
        print(text)
    else:
        for line in text.splitlines():
            print_fn(line)


def _between(rows: list[LayerRow], layer_range: Sequence[str]) -> list[LayerRow]:
    """From the first row whose name fits the first pattern to the last that fits the second."""
    first, last = layer_range
    starts = [at for at, row in enumerate(rows) if re.match(first, row.name)]
    ends = [at for at, row in enumerate(rows) if re.match(last, row.name)]
    if not starts or not ends:
        raise ArgumentError(
            f"no layer fits {(last if starts else first)!r}",
            where="summary(layer_range=...)",
            why="both are patterns for the beginning of a layer's name",
            fix=f"names here: {', '.join(row.name for row in rows)}",
        )
    return rows[starts[0] : ends[-1] + 1]


def _is_chain(rows: list[LayerRow]) -> bool:
    """Whether each row is fed by the one before: then "connected to" tells nothing."""
    return all(row.connected_to in ((), (rows[i].name,)) for i, row in enumerate(rows[1:]))


def _frozen(row: LayerRow) -> str:
    if not row.trainable:
        return " frozen"
    return " partly frozen" if row.frozen_parameters else ""


def _sees(row: LayerRow) -> str:
    if row.receptive_field is None:
        return "" if row.kind == "InputLayer" or len(row.output_shape) < 3 else "unknown"
    return " × ".join(map(str, row.receptive_field))


def _count(number: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def _bytes(size: float) -> str:
    """Bytes as Keras writes them: 1024 to the step."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024 or unit == "TB":
            break
        size /= 1024
    return f"{size:.2f} {unit}"
