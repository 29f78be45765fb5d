"""Features of a frozen network over a part of a data set: computed once, kept on disk.

Fitting a head takes a tenth of a second, the features half a minute: so they are kept under the
hash of all they depend on, and a second head, or a second run, costs nothing.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stroma.core.checks import check_bool, check_int, check_positive_int
from stroma.core.errors import ArgumentError
from stroma.core.layer import Layer
from stroma.core.preprocessing import Preprocessing
from stroma.core.runs import write_atomic
from stroma.core.seeds import seed_step
from stroma.data import Part
from stroma.data.cache import cache_key, cache_root
from stroma.layers import RandomFlip, RandomTranslation
from stroma.layers.torch_module import Layout
from stroma.models import Model
from stroma.network.folding import fold_batch_norm
from stroma.network.network import Network
from stroma.training.fitting import choose_device
from stroma.transfer.compose import feature_extractor, modes_kept
from stroma.transfer.inputs import as_base, as_part, as_tuple, check_pictures
from stroma.transfer.maps import boundary_maps
from stroma.transfer.rounding import feature_precision

_PROBES = 8  # photos that are computed again before a cache is believed


def features(
    base: nn.Module,
    part: Part,
    *,
    layer: str | None = None,
    preprocessing: Preprocessing | None = None,
    layout: Layout | None = None,
    batch_size: int | None = None,
    precision: str = "auto",
    device: str = "auto",
    cache: bool = True,
    pooled: bool = True,
    views: int = 1,
    augment: Layer | Sequence[Layer] | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """The feature vector of every picture of a part, in the part's order; nothing is trained.

    The cache is found by the hash of the weights, the graph, the names and the precision. It is
    believed only when the pixels hash the same and the first pictures, run again, give what it
    says: the weights' hash does not see a changed line in a user's own layer.

    Args:
        base: Network or module as in `feature_extractor`, or what that made.
        part: Part of a data set; of the test part, what `open_test()` gave.
        layer, preprocessing, layout: As in `feature_extractor`.
        batch_size: Pictures at once; None: 16 on a CPU, where the maps then stay near the core, 256
            elsewhere.
        precision: What the network computes in: "float32", "bfloat16", or "auto": bfloat16 where it
            is faster and a trial on some of the photos shows that heads answer and rank as before
            (`rounding.feature_precision`). Parts that are compared should be given the same one.
        device: "auto", "cpu", "cuda".
        cache: Whether to look on disk first, and to leave the features there.
        pooled: False gives the maps of `layer` as they are, in float32: what is above them can be
            trained on them. They lie in a file that is mapped, so they may exceed the memory. Then
            `batch_size` and `precision` are not used, and there is one view.
        views: How often each picture is seen: once as it is, then changed by `augment`. Views of
            a picture are no new pictures: leave-one-out of a head fitted on all of them is too
            good, since the other views stay. Fit on their mean, or judge on validation.
        augment: Layer or layers that change pictures (B, H, W, C) from 0 to 255; None: mirrored
            half of the time, and moved by up to a tenth.
        seed: Of the changes. The same seed, batch size and machine give the same views.
        progress: Called with (done, total) pictures, each counted once for each view.
    Shape: -> (N, D) float32; with views=V above 1: (V, N, D); not pooled: (N, h, w, D)
    Raises: ArgumentError: views below 1, or augment with nothing to do. ArgumentTypeError: `base`
        is no network, or `part` no part. ShapeError: pictures of another size or other channels.
    """
    as_base(base, owner="features")
    as_part(part, owner="features")
    check_pictures(base, part.shape, owner="features")
    if not check_bool("pooled", pooled, owner="features") and views != 1:
        raise ArgumentError(
            f"features: pooled=False with views={views}",
            where="features(pooled=False, views=...)",
            why="maps are kept to train on, and augmented pictures have to be seen anew each time",
            fix="features(pooled=False), or finetune(augment=[...])",
        )
    seen = _Views.of(views, augment, seed)
    if batch_size is not None:
        batch_size = check_positive_int("batch_size", batch_size, owner="features")
    place = choose_device(device)
    with modes_kept(base):
        base.eval()
        extractor = feature_extractor(
            base, layer=layer, preprocessing=preprocessing, input_shape=part.shape, layout=layout,
            pooled=pooled,
        ).to(place)  # fmt: skip
        if not pooled:
            return boundary_maps(extractor, part, cache=cache)
        shape = (len(part), -1) if views == 1 else (views, len(part), -1)
        if not len(part):
            return np.zeros((*shape[:-1], int(extractor.output_shape[-1])), np.float32)
        size = batch_size or (16 if place.type == "cpu" else 256)
        verdict = verdict_path(extractor, part, place) if cache and precision == "auto" else None
        dtype = feature_precision(precision, extractor, part, place, verdict).dtype
        run = _Runner(extractor, part, size, dtype, place, seen)
        return _found(run, cache, progress).reshape(shape)


def _found(run: _Runner, cache: bool, progress: Callable[[int, int], None] | None) -> np.ndarray:
    """The features, from the cache where they are there."""
    if not cache:
        return run.whole(progress)[0]
    path = _cache_path(run)
    if (kept := _load(path, run)) is not None:
        if progress:
            progress(len(kept), len(kept))
        return kept
    computed, pixels = run.whole(progress)
    _keep(path, computed, pixels)
    return computed


def feature_blocks(
    base: nn.Module, part: Part, *, rows: int = 8192, **options: Any
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features and labels of a part, `rows` pictures at a time: for those that fit no memory.

    Blocks add up: `RidgeHead().fit_moments(reduce(Moments.merge, (Moments.of(x, y, classes) for
    x, y in feature_blocks(base, part))))` is the head of all pictures, and blocks may as well be
    computed on several machines.

    Args:
        base, part: As in `features`.
        rows: Pictures in a block, >= 1.
        **options: Of `features`, all but `views`. Each block is cached on its own.
    Shape: -> (rows, D) float32 and (rows,) int64
    Raises: ArgumentError: rows below 1.
    """
    check_positive_int("rows", rows, owner="feature_blocks")
    for start in range(0, len(part), rows):
        block = part.take(slice(start, start + rows))
        yield features(base, block, **options), block.labels


@dataclass(frozen=True, slots=True)
class _Views:
    """How often pictures are seen, and how they are changed from the second time on."""

    count: int
    augment: tuple[Layer, ...]
    seed: int

    @classmethod
    def of(cls, count: int, augment: Layer | Sequence[Layer] | None, seed: int) -> _Views:
        check_positive_int("views", count, owner="features")
        check_int("seed", seed, owner="features", minimum=0)
        if count == 1 and augment is not None:
            raise ArgumentError(
                "features: augment without views",
                where="features(augment=..., views=1)",
                why="the first view is the picture as it is",
                fix="features(augment=..., views=4)",
            )
        if augment is None:
            augment = (RandomFlip("horizontal"), RandomTranslation(0.1, 0.1)) if count > 1 else ()
        return cls(count, as_tuple("augment", augment, Layer, owner="features"), seed)

    def of_batch(self, x: Tensor, view: int, start: int) -> Tensor:
        """View number `view` of the pictures from number `start` on."""
        if view == 0:
            return x
        with torch.random.fork_rng():  # the caller's draws are not touched
            seed_step(self.seed, start, view)
            x = x.float()
            for layer in self.augment:
                x = layer(x, training=True)
        return x

    def key(self, batch_size: int) -> list[object]:
        """What the views depend on besides the pictures; nothing for a single one."""
        if self.count == 1:
            return []
        changes = [(type(layer).__name__, layer.get_config()) for layer in self.augment]
        return [self.count, self.seed, batch_size, str(changes)]


class _Runner:
    """The forward pass over a part."""

    def __init__(
        self,
        extractor: Model,
        part: Part,
        batch_size: int,
        precision: torch.dtype | None,
        device: torch.device,
        views: _Views,
    ) -> None:
        self.views = views
        self.extractor, self.part, self.device = extractor, part, device
        self.network: Network = extractor  # what is run
        self.batch_size = batch_size
        self.dtype = precision

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)

    def _forward(self, x: Tensor) -> np.ndarray:
        pixels = x.to(self.device, non_blocking=True).float()
        out: np.ndarray = self.network(pixels, training=False).float().cpu().numpy()
        return out

    @torch.no_grad()
    def first(self) -> np.ndarray:
        """Features of the first pictures."""
        batch = next(iter(self.part.take(slice(_PROBES)).batches(_PROBES, shuffle=False).epoch(0)))
        with self._autocast():
            return self._forward(batch.x)

    @torch.no_grad()
    def whole(self, progress: Callable[[int, int], None] | None) -> tuple[np.ndarray, bytes]:
        """Features (V * N, D) of all pictures, view by view, and the hash of their pixels."""
        self.network = fold_batch_norm(self.extractor)  # some percent faster; not worth it for few
        digest, rows, done = hashlib.sha256(), [], 0
        with self._autocast():  # around the loop: the casts of the weights are made once
            for view in range(self.views.count):
                for batch in self.part.batches(self.batch_size, shuffle=False).epoch(0):
                    if view == 0:
                        digest.update(batch.x.numpy())
                    rows.append(self._forward(self.views.of_batch(batch.x, view, done)))
                    done += batch.size
                    if progress:
                        progress(done, len(self.part) * self.views.count)
        return np.concatenate(rows), digest.digest()


def verdict_path(extractor: Model, part: Part, device: torch.device) -> Path:
    """Where the outcome of the trial of bfloat16 on these photos is kept."""
    return _place(extractor, part, device.type, "precision").with_suffix(".json")


def _cache_path(run: _Runner) -> Path:
    facts = (str(run.dtype), run.device.type, *run.views.key(run.batch_size))
    return _place(run.extractor, run.part, *facts).with_suffix(".npz")


def _place(extractor: Model, part: Part, *facts: object) -> Path:
    """The name in the cache of what depends on this network, these photos and more `facts`."""
    weights = hashlib.sha256()
    for name, tensor in extractor.state_dict().items():
        values = tensor.detach().cpu().contiguous()
        weights.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        weights.update(values.reshape(-1).view(torch.uint8).numpy())
    key = cache_key(weights.hexdigest(), str(extractor.graph), part.names, part.shape, *facts)
    return cache_root() / "features" / key


def _load(path: Path, run: _Runner) -> np.ndarray | None:
    """What was kept at `path`, when it belongs to these pixels and this network."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            rows, pixels = file["features"], file["pixels"].tobytes()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # none there, or damaged: as good as none
    probe = run.first()
    if rows.dtype != np.float32 or rows.shape != (len(run.part) * run.views.count, probe.shape[1]):
        return None
    # Another batch size may take another kernel; bfloat16 keeps 8 bits.
    slack = (1e-3 if run.dtype is None else 5e-2) * max(float(np.abs(probe).max()), 1e-6)
    if not np.allclose(rows[: len(probe)], probe, rtol=0, atol=slack):
        return None
    digest = hashlib.sha256()
    for batch in run.part.batches(256, shuffle=False).epoch(0):
        digest.update(batch.x.numpy())
    return rows if digest.digest() == pixels else None


def _keep(path: Path, rows: np.ndarray, pixels: bytes) -> None:
    content = io.BytesIO()
    np.savez(content, features=rows, pixels=np.frombuffer(pixels, np.uint8))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content.getvalue())
    except OSError:  # no room, no permission: the features are there all the same
        pass
