"""Knowledge distillation: a small network learns what a large one answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stroma import layers
from stroma.core.checks import check_number
from stroma.core.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError
from stroma.core.layer import Layer
from stroma.data import Part
from stroma.layers.torch_module import Layout
from stroma.losses import MeanSquaredError, SparseCategoricalCrossentropy
from stroma.models import Model
from stroma.training.state import History

Features = Mapping[str, str] | None  # layer of the student -> layer of the teacher
_TINY = 1e-12


def distillation_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 4.0, alpha: float = 0.9
) -> Tensor:
    """α T² KL(softmax(t/T) ‖ softmax(s/T)) + (1 - α) cross-entropy(s, labels), the mean over B.

    T² keeps the size of the gradient: for large T and α = 1 that by s tends to
    ((s - mean s) - (t - mean t)) / K, whatever T is.

    Args:
        student, teacher: (B, K) logits s and t. No gradient flows to the teacher.
        labels: (B,) class indices.
        temperature: T > 0; above 1 it shows what the teacher thinks of the wrong classes.
        alpha: Share of the soft loss, 0 to 1.
    Shape: (B, K), (B, K), (B,) -> ()
    Raises: ArgumentError: a number out of its range.
    Example:
        >>> s = torch.tensor([[1.0, 0.0]])
        >>> round(distillation_loss(s, s, torch.tensor([0]), alpha=1.0).item(), 4)
        0.0

    Reference: Hinton, Vinyals & Dean 2015, "Distilling the knowledge in a neural network", section
        2; the idea: Buciluă et al. 2006.
    """
    t, share = _checked(temperature, alpha, "distillation_loss")
    soft = _divergence(F.softmax(teacher.detach() / t, -1), F.log_softmax(student / t, -1)).mean()
    return share * t**2 * soft + (1 - share) * F.cross_entropy(student, labels)


def distill(
    teacher: nn.Module,
    student: Model,
    data: Part | tuple[Any, Any],
    *,
    unlabelled: Any = None,
    temperature: float = 4.0,
    alpha: float = 0.9,
    features: Features = None,
    feature_strength: float = 1.0,
    layout: Layout | None = None,
    optimizer: Any = "adam",
    epochs: int = 30,
    batch_size: int = 32,
    seed: int = 0,
    verbose: str | int = 0,
    **options: Any,
) -> History:
    """Train `student` on `distillation_loss`; the teacher is only asked, once, and not changed.

    The teacher's answers are computed before the first step, so an epoch costs what it costs
    without a teacher. It can hurt: a student with room enough, on the same few labelled photos,
    may do worse than with the labels alone; what helps most are photos without labels.

    Args:
        teacher: Trained, a model or any PyTorch module (left in eval mode); it ends in logits or
            in softmax, which is found by looking at its answers.
        student: Trained in place; it ends in logits or in softmax.
        data: A part of a data set, or (x, y): labelled samples, y (N,) class indices.
        unlabelled: (M, *) more x, of which the student hears what the teacher says.
        temperature: T > 0.
        alpha: Share of the soft loss, 0 to 1.
        features: Layers of the student to layers of the teacher: the student's features, through
            one trained affine map of the channels that is thrown away, should equal the teacher's;
            of a teacher that is a recorded model.
        feature_strength: Weight of that mean squared error, >= 0.
        layout: "NCHW" or "NHWC", what a teacher that is a PyTorch module takes of pictures.
        optimizer, epochs, batch_size, seed, verbose, options: As in `Model.fit` and `compile`.
    Returns: What `fit` gives.
    Raises: ArgumentError: a number out of its range; both networks share weights. ShapeError: they
        answer with different numbers of classes, or features lie on different grids.
        DataError: no labelled samples. ArgumentTypeError: a teacher or student that is none.
    Example:
        >>> from stroma.data import digits
        >>> def network(units):
        ...     x = layers.Input((8, 8, 1))
        ...     y = layers.Dense(units, activation="relu")(layers.Flatten()(x))
        ...     return Model(x, layers.Dense(10)(y))
        >>> history = distill(network(64), network(8), digits().train, epochs=1)
        >>> len(history.history["loss"])
        1

    Reference: Hinton et al. 2015; features: Romero et al. 2015, "FitNets", section 2.2, whose two
        stages are here one sum. T² multiplies the soft loss, as in their section 2's note.
    """
    t, share = _checked(temperature, alpha, "distill")
    strength = check_number("feature_strength", feature_strength, owner="distill", minimum=0)
    _check_apart(teacher, student)
    x, y = _samples(data)
    labelled = len(y)
    if unlabelled is not None:
        x = np.concatenate([x, np.asarray(unlabelled)])
        y = np.concatenate([y, np.zeros(len(x) - labelled, y.dtype)])
    pairs = dict(features or {})
    answers, *maps = _asked(_recorded(teacher, x.shape[1:], layout), list(pairs.values()), x)
    inputs = layers.Input(batch_shape=student.input_shape)
    scores, *seen = _several(_with_layers(student, list(pairs)), inputs)
    if scores.shape[-1] != answers.shape[-1]:
        raise ShapeError(
            f"the student has {scores.shape[-1]} classes, the teacher {answers.shape[-1]}",
            where="distill(teacher, student)", why="their answers are compared class by class",
            fix="give both the same classes",
        )  # fmt: skip
    probabilities = _are_probabilities(student.predict(x[:8], verbose=0))
    translated = [_translated(s, m, pair) for s, m, pair in zip(seen, maps, pairs.items())]
    trained = Model(inputs, [scores, _Softened(t, probabilities)(scores), *translated])
    trained.compile(
        optimizer,
        [SparseCategoricalCrossentropy(from_logits=not probabilities), _divergence,
         *(MeanSquaredError() for _ in maps)],
        loss_weights=[(1 - share) * len(x) / labelled, share * t**2, *(strength for _ in maps)],
    )  # fmt: skip
    hard = (np.arange(len(x)) < labelled).astype(np.float32)
    return trained.fit(
        x, [y, _softened(answers, t), *maps],
        sample_weight=[hard, *(np.ones_like(hard) for _ in range(1 + len(maps)))],
        epochs=epochs, batch_size=batch_size, seed=seed, verbose=verbose, **options,
    )  # fmt: skip


def _samples(data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Labelled samples (N, *) and their class indices (N,)."""
    where = "distill(data=...)"
    if not isinstance(data, Part) and not (isinstance(data, (tuple, list)) and len(data) == 2):
        raise DataError(
            f"distill: the data are {type(data).__name__}, no part and no pair", where=where,
            why="the student learns from labelled samples", fix="photos.train, or (x, y)",
        )  # fmt: skip
    if isinstance(data, Part):
        return data.images(), data.labels
    x, y = np.asarray(data[0]), np.asarray(data[1])
    if not y.size:
        raise DataError("distill: there are no labelled samples", where=where,
                        why="the hard loss needs labels", fix="data=(x, y)")  # fmt: skip
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu":
        raise DataError(
            f"distill: samples {x.shape} and labels {y.shape} of {y.dtype} do not fit together",
            where=where, why="each sample has the index of its class", fix="y (N,) whole numbers",
        )  # fmt: skip
    return x, y


class _Softened(Layer):
    """log softmax(z / T) of what a network gives: logits, or probabilities p = softmax(z)."""

    def __init__(self, temperature: float, probabilities: bool) -> None:
        super().__init__(name="soft_answers")  # what its loss is called in the history
        self.temperature, self.probabilities = temperature, probabilities

    def call(self, inputs: Tensor) -> Tensor:
        z = inputs.clamp_min(_TINY).log() if self.probabilities else inputs
        return F.log_softmax(z / self.temperature, -1)


def _divergence(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """KL(p ‖ q) of each sample, of probabilities p and log-probabilities log q: (B,)."""
    return (torch.xlogy(y_true, y_true) - y_true * y_pred).sum(-1)


def _softened(answers: np.ndarray, temperature: float) -> np.ndarray:
    z = np.log(np.maximum(answers, _TINY)) if _are_probabilities(answers) else answers
    return F.softmax(torch.from_numpy(z) / temperature, -1).numpy()


def _are_probabilities(answers: np.ndarray) -> bool:
    return bool((answers >= 0).all() and np.allclose(answers.sum(-1), 1, atol=1e-3))


def _recorded(teacher: nn.Module, shape: tuple[int, ...], layout: Layout | None) -> Model:
    if isinstance(teacher, Model):
        return teacher
    inputs = layers.Input(shape)
    return Model(inputs, layers.TorchModuleWrapper(teacher, layout=layout)(inputs))


def _with_layers(network: Model, names: Sequence[str]) -> Model:
    outputs = [network.get_layer(name).output for name in names]
    return Model(network.input, [network.output, *outputs]) if names else network


def _several(network: Model, x: Any) -> list[Any]:
    found = network(x)
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _asked(teacher: Model, names: Sequence[str], x: np.ndarray) -> list[np.ndarray]:
    found = _with_layers(teacher, names).predict(x, batch_size=64, verbose=0)
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _translated(seen: Any, wanted: np.ndarray, pair: tuple[str, str]) -> Any:
    if tuple(seen.shape[1:-1]) != wanted.shape[1:-1]:
        raise ShapeError(
            f"features of {pair[0]!r} are {tuple(seen.shape[1:])}, of the teacher's {pair[1]!r}"
            f" {wanted.shape[1:]}",
            where=f"distill(features={{{pair[0]!r}: {pair[1]!r}}})",
            why="they are compared place by place; only channels are translated",
            fix="name layers whose maps have the same height and width",
        )
    return layers.Dense(wanted.shape[-1])(seen)


def _check_apart(teacher: nn.Module, student: Model) -> None:
    for name, given, kind in (("teacher", teacher, nn.Module), ("student", student, Model)):
        if not isinstance(given, kind):
            raise ArgumentTypeError(
                f"distill: the {name} is {given!r} ({type(given).__name__}), no network",
                where=f"distill({name}=...)", why="one network learns what another answers",
                fix="a trained teacher, a model or any PyTorch module; a student built by stroma",
            )  # fmt: skip
    own = {id(weight) for weight in student.parameters()}
    if any(id(weight) in own for weight in teacher.parameters()):
        raise ArgumentError(
            "distill: teacher and student share weights",
            where="distill(teacher, student)", why="training one would change the other",
            fix="make the student anew, or clone the teacher: models.clone_model",
        )  # fmt: skip


def _checked(temperature: float, alpha: float, owner: str) -> tuple[float, float]:
    t = check_number("temperature", temperature, owner=owner, minimum=0, exclusive=True)
    return t, check_number("alpha", alpha, owner=owner, minimum=0, maximum=1)
