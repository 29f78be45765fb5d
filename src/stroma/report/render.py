"""A run record becomes one HTML file: offline, readable without script, light and dark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from stroma.core.records import SMALL_SUPPORT, EpochRow, Prediction, RunRecord
from stroma.core.runs import REPORT_FILE, read_run, write_atomic
from stroma.report import facts, ladder, measured, svg
from stroma.report.embedding import photo_map
from stroma.report.page import fill
from stroma.report.photos import Album, Photo

PAGE_LIMIT = 5_000_000  # bytes; mail and chat programs take files of this size (UX 3.2)
_MATRIX_CLASSES = 20  # above this the matrix gives way to the most frequent mix-ups
_STRIP, _GALLERY, _PER_CELL, _FURTHEST = 10, 48, 12, 12
_SHARES = ("accuracy", "precision", "recall", "auc", "f1", "top")
_CHARTS = 4
_MOST_ROWS = 500  # of files named in a table; a mislaid archive can bring a hundred thousand
_MOST_LISTED = 200  # of photos to look at in a table; who looks at so many mends the rest alike


def render(run: RunRecord, *, photos: bool = True, limit: int = PAGE_LIMIT) -> str:
    """The report of `run` as HTML text.

    Args:
        run: The record; `stroma.core.runs.read_run(folder)` gives one.
        photos: False makes a page without pictures, to be shared where the photos may not be.
        limit: Bytes the page may have; thumbnails are left out, and counted, to stay below.
    """
    if not photos:
        return _page(run, Album(run, 0), photos=False)
    bare = len(_page(run, Album(run, 0), photos=True).encode())
    return _page(run, Album(run, limit - bare), photos=True)


def write_report(folder: Path | str, *, photos: bool = True) -> Path:
    """Read a run folder and put `report.html` into it, in one atomic step.

    Raises:
        RunError: The folder is no run, or a file in it is damaged.
    """
    folder = Path(folder)
    html = render(read_run(folder), photos=photos)
    return write_atomic(folder / REPORT_FILE, html.encode())


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the confusion matrix, or one mix-up, with the photos it opens."""

    truth: int
    predicted: int
    count: int
    share: float
    heat: int  # 1 to 10, by share: the style sheet's ten shades
    photos: list[Photo]

    @property
    def anchor(self) -> str:
        return f"cell-{self.truth}-{self.predicted}"

    @property
    def right(self) -> bool:
        return self.truth == self.predicted


@dataclass(frozen=True, slots=True)
class Chart:
    """A metric over epochs, drawn; `log` is its logarithmic twin where one can be drawn."""

    name: str
    linear: Markup
    log: Markup


def _page(run: RunRecord, album: Album, *, photos: bool) -> str:
    # Most telling first: when the budget ends, it is the last that go without a picture.
    strip = album.show(_strip(run)) if photos else []
    wrong = facts.mistakes(run)
    gallery = album.show(wrong[:_GALLERY], why=True)
    cells = _cells(run, album)
    context: dict[str, Any] = {
        "run": run,
        "photos": photos,
        "album": album,
        "strip": strip,
        "wrong": len(wrong),
        "gallery": gallery,
        "cells": cells,
        "matrix": _matrix(run, cells),
        "mix_ups": facts.mix_ups(run),
        "findings": facts.worst_first(run.findings),
        "scores": facts.scores(run),
        "worst": facts.worst_class(run),
        "verdict": measured.measured_verdict(run.measured) if run.measured else facts.verdict(run),
        "baseline": facts.best_baseline(run),
        "charts": _charts(run),
        "rates": _rates(run),
        "metric_names": _metric_names(run.history),
        "window": svg.smoothing_window(len(run.history)),
        "bins": facts.reliability(run),
        "bins_before": facts.reliability_before(run),
        "refusals": facts.refusals(run),
        "small_support": SMALL_SUPPORT,
        "most_rows": _MOST_ROWS,
        "most_listed": _MOST_LISTED,
        "total_parameters": sum(layer.parameters for layer in run.layers),
    }
    return fill("report.html", context | _transfer(run, gallery) | _measured(run, album))


def _transfer(run: RunRecord, gallery: list[Photo]) -> dict[str, Any]:
    """What a pretrained base adds to the page."""
    return {
        "steps": ladder.climbed(run.ladder),
        "ladder_chart": ladder.ladder_chart(run.ladder),
        "chosen": ladder.chosen(run),
        "heads": ladder.heads_in_order(run.heads),
        "lead": ladder.lead_sentence(run.heads, run.lead),
        "map": photo_map(run, {one.path: f"wrong-{n}" for n, one in enumerate(gallery)}),
    }


def _measured(run: RunRecord, album: Album) -> dict[str, Any]:
    """What the page shows of several classes or a number."""
    furthest = measured.furthest_off(run, _FURTHEST)
    return {
        "measured": run.measured,
        "told": measured.told,
        "blind": measured.blind(run.measured) if run.measured else "",
        "weakest": measured.weakest(run.measured) if run.measured else None,
        "scatter": measured.scatter_chart(run),
        "quantiles": measured.error_quantiles(run),
        "furthest": [(one, album.picture(one.thumbnail)) for one in furthest],
    }


def _strip(run: RunRecord) -> list[Prediction]:
    """A row of photos for the verdict: every class in turn, as they come."""
    turns: dict[int, list[Prediction]] = {}
    for prediction in (p for p in run.predictions if p.thumbnail):
        turns.setdefault(prediction.truth, []).append(prediction)
    rows = max(map(len, turns.values()), default=0)
    mixed = [
        turns[truth][row]
        for row in range(rows)
        for truth in sorted(turns)
        if row < len(turns[truth])
    ]
    return mixed[:_STRIP]


def _cells(run: RunRecord, album: Album) -> list[Cell]:
    """The cells that hold photos, mistakes before right answers."""
    of_cell: dict[tuple[int, int], list[Prediction]] = {}
    # A run keeps no thumbnail of every photo of a large set: show those that have one.
    for prediction in sorted(
        run.predictions, key=lambda p: (not p.thumbnail, -(p.probability or 0))
    ):
        of_cell.setdefault((prediction.truth, prediction.predicted), []).append(prediction)
    pairs = facts.mix_ups(run)
    if len(run.class_names) > _MATRIX_CLASSES:
        pairs = pairs[:20]
    else:
        pairs += [
            facts.MixUp(i, i, row[i], row[i] / sum(row))
            for i, row in enumerate(run.confusion)
            if row[i]
        ]
    return [
        Cell(
            truth=pair.truth,
            predicted=pair.predicted,
            count=pair.count,
            share=pair.share,
            heat=_heat(pair),
            photos=album.show(of_cell.get((pair.truth, pair.predicted), [])[:_PER_CELL]),
        )
        for pair in pairs
    ]


def _heat(pair: facts.MixUp) -> int:
    """Shade 1 to 10. Mix-ups go by the root of their share: 2 % and 20 % should look different."""
    share = pair.share if pair.truth == pair.predicted else pair.share**0.5
    return max(1, round(10 * share))


def _matrix(run: RunRecord, cells: list[Cell]) -> list[list[Cell | None]]:
    """The cells as rows and columns; empty above 20 classes, where no screen holds them."""
    if not run.confusion or len(run.class_names) > _MATRIX_CLASSES:
        return []
    placed = {(cell.truth, cell.predicted): cell for cell in cells}
    classes = range(len(run.class_names))
    return [[placed.get((i, j)) for j in classes] for i in classes]


def _metric_names(history: tuple[EpochRow, ...]) -> list[str]:
    return list(dict.fromkeys(name for row in history for name in row.metrics))


def _charts(run: RunRecord) -> list[Chart]:
    """One chart per metric, training beside validation."""
    names = _metric_names(run.history)
    bases = list(dict.fromkeys(name.removeprefix("val_") for name in names))
    charts = []
    for base in bases[:_CHARTS]:
        series = [
            svg.Series(label, [(r.epoch, r.metrics[n]) for r in run.history if n in r.metrics])
            for n, label in ((base, "training"), (f"val_{base}", "validation"))
        ]
        share = any(word in base for word in _SHARES)
        title = base.replace("_", " ")
        linear = svg.line_chart(series, title=title, share=share, best=run.best_epoch)
        log = svg.line_chart(series, title=f"{title}, logarithmic", log=True, best=run.best_epoch)
        charts.append(
            Chart(f"{title}, %" if share else title, linear, Markup("") if share else log)
        )
    return [chart for chart in charts if chart.linear]


def _rates(run: RunRecord) -> Markup:
    rates = [(r.epoch, r.learning_rate) for r in run.history if r.learning_rate is not None]
    return svg.rate_chart(rates) if len(rates) > 1 else Markup("")
