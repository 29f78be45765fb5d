"""The map of the photos: each a mark where its features lie, a shape and a colour for each class.

Shape alone tells the classes apart, so colour is never needed: seven shapes, filled, then hollow.
Classes beyond these fourteen are small grey discs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stroma.core.records import RunRecord
from stroma.core.records_transfer import EmbeddedPhoto
from stroma.report.drawing import Scale, frame
from stroma.report.facts import visible

WIDTH, HEIGHT, _MARGIN = 640, 440, 14
MOST_POINTS = 2000
_SHAPES = (
    "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0-4 0z",  # disc
    "M-3.6-3.6H3.6V3.6H-3.6z",  # square
    "M0-4.8L4.6 3.4H-4.6z",  # triangle
    "M0-5.2L5.2 0L0 5.2L-5.2 0z",  # diamond
    "M-1.5-4.8H1.5V-1.5H4.8V1.5H1.5V4.8H-1.5V1.5H-4.8V-1.5H-1.5z",  # plus
    "M0 4.8L4.6-3.4H-4.6z",  # triangle on its tip
    "M-2.4-4.5L0-2 2.4-4.5 4.5-2.4 2 0 4.5 2.4 2.4 4.5 0 2-2.4 4.5-4.5 2.4-2 0-4.5-2.4z",  # cross
)
_COLOURS = 4
_MOST_MARKS = 2 * len(_SHAPES)
_PATH_END = 60


@dataclass(frozen=True, slots=True)
class Kind:
    """One class on the map, or all others together.

    Args:
        mark: Which of the fourteen marks it has; None: a grey disc.
    """

    name: str
    count: int
    mark: int | None

    @property
    def style(self) -> str:
        if self.mark is None:
            return "points other"
        hollow = " hollow" if self.mark >= len(_SHAPES) else ""
        return f"points s{self.mark % _COLOURS + 1}{hollow}"

    @property
    def shape(self) -> str:
        return f"shape-{(self.mark or 0) % len(_SHAPES)}"


@dataclass(frozen=True, slots=True)
class PhotoMap:
    """The map as drawn: the classes on it, how many photos, how many of them were mistaken.

    Args:
        linked: How many of the mistaken ones the page shows.
    """

    chart: Markup
    kinds: list[Kind]
    shown: int
    wrong: int
    linked: int


def photo_map(run: RunRecord, anchors: Mapping[str, str]) -> PhotoMap | None:
    """The map of a run's photos, or None where it has none.

    Args:
        anchors: Path of a mistaken photo to the id of the element that shows it: on the map its
            ring leads there.
    """
    photos = [p for p in run.embedding.photos if _finite(p)] if run.embedding else []
    photos = photos[:: math.ceil(len(photos) / MOST_POINTS) or 1]
    if not photos:
        return None
    x, y = _scales(photos)
    of_class: dict[int, list[EmbeddedPhoto]] = {}
    for photo in photos:
        of_class.setdefault(photo.label, []).append(photo)
    marked = _marked(run, of_class)
    rest = [photo for photo in photos if photo.label not in marked]
    kinds = [Kind(_name(run, k), len(of_class[k]), at) for at, k in enumerate(marked)]
    groups = [*zip(kinds, (of_class[label] for label in marked), strict=True)]
    if rest:
        groups.insert(
            0, (Kind(f"{len(of_class) - len(marked)} other classes", len(rest), None), rest)
        )
    wrong = {p.path for p in run.predictions if not p.right}
    mistaken = [photo for photo in photos if photo.path in wrong]
    body = [
        _definitions(),
        *(_points(kind, members, x, y) for kind, members in groups),
        *(_ring(photo, anchors.get(photo.path, ""), x, y) for photo in mistaken),
    ]
    told = f"{len(photos)} photos of {len(of_class)} classes"
    chart = frame("Map of the photos", f"{told}.", WIDTH, HEIGHT, body, role="group")
    linked = sum(photo.path in anchors for photo in mistaken)
    return PhotoMap(chart, [kind for kind, _ in groups], len(photos), len(mistaken), linked)


def _finite(photo: EmbeddedPhoto) -> bool:
    return math.isfinite(photo.x) and math.isfinite(photo.y)


def _name(run: RunRecord, label: int) -> str:
    return run.class_names[label] if 0 <= label < len(run.class_names) else f"class {label}"


def _marked(run: RunRecord, of_class: Mapping[int, Sequence[EmbeddedPhoto]]) -> list[int]:
    """The classes that get a mark of their own: all, or those most often mistaken."""
    if len(of_class) <= _MOST_MARKS:
        return sorted(of_class)
    missed = Counter(p.truth for p in run.predictions if not p.right)
    order = sorted(of_class, key=lambda label: (-missed[label], -len(of_class[label]), label))
    return sorted(order[:_MOST_MARKS])


def _scales(photos: Sequence[EmbeddedPhoto]) -> tuple[Scale, Scale]:
    """One unit is as long across as upwards: distances on the map are to be compared."""
    xs, ys = [photo.x for photo in photos], [photo.y for photo in photos]
    room = (WIDTH - 2 * _MARGIN, HEIGHT - 2 * _MARGIN)
    spans = (max(xs) - min(xs), max(ys) - min(ys))
    unit = max(span / space for span, space in zip(spans, room, strict=True)) or 1.0
    left, top = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    return (
        lambda value: WIDTH / 2 + (value - left) / unit,
        lambda value: HEIGHT / 2 - (value - top) / unit,
    )


def _definitions() -> Markup:
    shapes = [
        Markup('<path id="shape-{}" d="{}"/>').format(number, path)
        for number, path in enumerate(_SHAPES)
    ]
    return Markup('<defs>{}</defs><rect class="sheet" width="{}" height="{}" rx="8"/>').format(
        Markup("").join(shapes), WIDTH, HEIGHT
    )


def _points(kind: Kind, photos: Sequence[EmbeddedPhoto], x: Scale, y: Scale) -> Markup:
    mark = Markup('<use href="#{}" x="{:.1f}" y="{:.1f}"><title>{}</title></use>')
    points = [mark.format(kind.shape, x(p.x), y(p.y), _told(p)) for p in photos]
    return Markup('<g class="{}" aria-hidden="true">{}</g>').format(
        kind.style, Markup("").join(points)
    )


def _ring(photo: EmbeddedPhoto, anchor: str, x: Scale, y: Scale) -> Markup:
    """Round a mistaken photo; it leads to the photo where the page shows it."""
    told = f"{_told(photo)}: taken for another class"
    ring = Markup(
        '<circle class="ring" cx="{:.1f}" cy="{:.1f}" r="7"><title>{}</title></circle>'
    ).format(x(photo.x), y(photo.y), told)
    if not anchor:
        return ring
    return Markup('<a href="#{}" aria-label="{}">{}</a>').format(anchor, told, ring)


def _told(photo: EmbeddedPhoto) -> str:
    """The end of the path: thousands of whole ones would fill the page."""
    path = photo.path if len(photo.path) <= _PATH_END else f"…{photo.path[-_PATH_END:]}"
    return visible(f"{path} ({photo.part})" if photo.part else path)
