"""Networks as pictures: SVG of our own, without Graphviz."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from stroma.core.axes import shape_text
from stroma.core.errors import ArgumentError, MissingDependencyError
from stroma.core.records import LayerRow
from stroma.network.design import design

_LINE, _PAD, _GAP, _LETTER = 18, 10, 36, 7.2  # pixels, at 12 pixels of font size


def plot_model(
    model: Any,
    to_file: str = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> str:
    """Draw a network's layers and their connections as SVG.

    Args:
        model: A network whose graph is known.
        to_file: Where; the ending becomes `.svg`.
        show_shapes: The shape of each output.
        show_dtype: The dtype that each layer computes in.
        show_layer_names: The names of the layers, above their kinds.
        rankdir: "TB" from the top, "LR" from the left.
        expand_nested: Show the layers inside networks too.
        dpi, splines: Accepted for Keras' signature: SVG has no resolution, lines are straight.
        show_layer_activations: The activation of each layer that has one.
        show_trainable: Which layers are frozen.
        kwargs: Accepted for Keras' signature.
    Returns: The path of the file.
    Raises: ArgumentError: `rankdir` is another.
    """
    if rankdir not in ("TB", "LR"):
        raise ArgumentError(
            f"plot_model: rankdir must be 'TB' or 'LR', got {rankdir!r}",
            where="plot_model(rankdir=...)",
            why="layers follow one another down or to the right",
            fix="plot_model(model, rankdir='TB')",
        )
    layers = {layer.name: layer for layer in model.layers}
    rows = design(model, nested=expand_nested)

    def words(row: LayerRow) -> list[str]:
        layer = layers.get(row.name)
        activation = getattr(getattr(layer, "activation", None), "__name__", None)
        return [
            *([row.name] if show_layer_names else []),
            row.kind,
            *([activation] if show_layer_activations and activation else []),
            *([shape_text(row.output_shape)] if show_shapes and row.output_shape else []),
            *([str(getattr(layer, "compute_dtype", ""))] if show_dtype else []),
            *(["trainable" if row.trainable else "frozen"] if show_trainable else []),
        ]

    path = Path(to_file).with_suffix(".svg")
    path.write_text(_drawing(rows, [words(row) for row in rows], rankdir == "LR"), "utf-8")
    return str(path)


def _depths(rows: list[LayerRow]) -> list[int]:
    """The longest way from an input to each row."""
    depth: dict[str, int] = {}
    for row in rows:
        depth[row.name] = 1 + max((depth.get(name, -1) for name in row.connected_to), default=-1)
    return [depth[row.name] for row in rows]


def _drawing(rows: list[LayerRow], texts: list[list[str]], sideways: bool) -> str:
    """Boxes in ranks of equal depth, an arrow for each connection."""
    depths = _depths(rows)
    width = max((len(line) for text in texts for line in text), default=1) * _LETTER + 2 * _PAD
    height = max(map(len, texts), default=1) * _LINE + _PAD
    taken: dict[int, int] = {}
    corners: dict[str, tuple[float, float]] = {}
    for row, depth in zip(rows, depths):
        place = taken.get(depth, 0)
        taken[depth] = place + 1
        along, across = (width, height) if sideways else (height, width)
        far, near = _GAP + depth * (along + _GAP), _GAP + place * (across + _GAP)
        corners[row.name] = (far, near) if sideways else (near, far)
    right = max((x for x, _ in corners.values()), default=0) + width + _GAP
    bottom = max((y for _, y in corners.values()), default=0) + height + _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right:.0f} {bottom:.0f}" '
        f'width="{right:.0f}" font-family="monospace" font-size="12" text-anchor="middle">',
        '<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
    ]
    parts += [
        _arrow(corners[name], corners[row.name], width, height, sideways)
        for row in rows
        for name in row.connected_to
        if name in corners
    ]
    parts += [_box(*corners[row.name], width, height, text) for row, text in zip(rows, texts)]
    return "\n".join([*parts, "</svg>\n"])


def _arrow(start: tuple[float, float], end: tuple[float, float], width: float, height: float,
           sideways: bool) -> str:  # fmt: skip
    out = (width, height / 2) if sideways else (width / 2, height)
    into = (0, height / 2) if sideways else (width / 2, 0)
    return (
        f'<line x1="{start[0] + out[0]:.0f}" y1="{start[1] + out[1]:.0f}" '
        f'x2="{end[0] + into[0]:.0f}" y2="{end[1] + into[1]:.0f}" stroke="black" '
        'marker-end="url(#a)"/>'
    )


def _box(x: float, y: float, width: float, height: float, text: list[str]) -> str:
    middle = x + width / 2
    lines = "".join(
        f'<text x="{middle:.0f}" y="{y + _LINE * (i + 1):.0f}">{escape(line)}</text>'
        for i, line in enumerate(text)
    )
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="4" '
        f'fill="white" stroke="black"/>{lines}'
    )


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Refused in words: it gives a graph of Graphviz, which stroma does without.

    Raises: MissingDependencyError: always.
    """
    raise MissingDependencyError(
        "model_to_dot gives a graph of Graphviz, and stroma draws without it",
        where="utils.model_to_dot(model)",
        why="the drawing is an SVG file",
        fix="utils.plot_model(model, 'model.svg', show_shapes=True)",
    )
