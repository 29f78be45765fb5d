"""Support vector machines: linear, and with a radial kernel. scikit-learn solves them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import torch

from stroma.core.checks import check_number
from stroma.core.errors import ArgumentError
from stroma.core.layer import Layer
from stroma.core.optional import require
from stroma.layers import Input
from stroma.models import Model
from stroma.transfer.heads.head import ClassWeight, CrossValidatedHead, Samples
from stroma.transfer.heads.logistic import check_penalties
from stroma.transfer.heads.scoring import Target
from stroma.transfer.heads.solutions import NEVER, Linear, Solution, dense, standardise

_STEPS = 2000
_ROWS = 2048  # whose kernel values are in memory at once


class LinearSVMHead(CrossValidatedHead):
    """A hyperplane for each class against the others: mean of w max(0, 1 - t d)² + λ/2 |W|².

    Args:
        penalties: Values of λ to try, > 0; they are tried from the largest on.
        class_weight, target, seed: As in `Head`.
    Shape: `fit`: (N, D), (N,); `decision`, `probabilities`: (B, D) -> (B, K)
    Raises: ArgumentError: a penalty that is not > 0. DataError: features and labels that do not
        fit together. RunError: used before `fit`.
    Example:
        >>> x = np.array([[0.0], [1.0], [9.0], [10.0]])
        >>> LinearSVMHead().fit(x, [0, 0, 1, 1], classes=2).predict([[2.0], [8.0]])
        array([0, 1])

    Reference: Cortes & Vapnik 1995; the squared hinge in the primal: Fan et al. 2008 (liblinear,
        through scikit-learn's `LinearSVC` with C = 1 / (N λ); it penalises the intercept too).
    """

    name, setting_name = "linear_svm", "penalty"

    def __init__(
        self,
        penalties: float | Sequence[float] = (0.1, 0.01),
        *,
        class_weight: ClassWeight = None,
        target: Target = "accuracy",
        seed: int = 0,
    ) -> None:
        super().__init__(class_weight=class_weight, target=target, seed=seed)
        self.settings = check_penalties(penalties, owner="LinearSVMHead")

    def work(self, count: int, size: int, classes: int) -> float:
        return 1200.0 * count * size * classes * 5 * len(self.settings)  # measured

    def _prepare(self, samples: Samples) -> tuple[Samples, Callable[[Any], Solution]]:
        mean, scale = samples.moments_of_features()

        def back(found: Linear) -> Linear:
            return Linear.of_standardised(found.weight, found.bias, mean, scale)

        return replace(samples, x=(samples.x - mean) / scale), back

    def _path(self, samples: Samples, settings: Sequence[float]) -> list[Solution]:
        found: list[Solution] = []
        for penalty in settings:
            model = require("sklearn.svm").LinearSVC(
                C=1 / (penalty * len(samples.y)), dual="auto", max_iter=_STEPS,
                random_state=samples.seed & 0xFFFFFFFF,
            )  # fmt: skip
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", require("sklearn.exceptions").ConvergenceWarning)
                model.fit(samples.x, samples.y, samples.weight / samples.weight.mean())
            weight, bias = model.coef_, model.intercept_
            if samples.classes == 2:  # scikit-learn keeps the second one's alone: t d for t = ±1
                weight, bias = np.concatenate([-weight, weight]), np.append(-bias, bias)
            found.append(Linear(weight.T, bias))
        return found


class RBFSVMHead(CrossValidatedHead):
    """Support vectors and the kernel exp(-|z - s|² / D): boundaries of any shape.

    For each two classes i < j, d = Σ α k(z, s) + b is above 0 for i. A class collects the votes of
    its pairs, each cut off at ±1: outside the margin a vote is a whole one, inside a part of one,
    so that the decision has no jumps.

    Args:
        costs: Values of C to try, > 0: the price of a sample on the wrong side.
        gamma: Factor on the squared distance; None: 1 / D for features of deviation 1.
        class_weight, target, seed: As in `Head`.
    Shape: `fit`: (N, D), (N,); `decision`, `probabilities`: (B, D) -> (B, K)
    Raises: ArgumentError: a cost or gamma that is not > 0. DataError: features and labels that do
        not fit together. RunError: used before `fit`.
    Example:
        >>> x = np.array([[-4.0], [-3.0], [0.0], [0.5], [3.0], [4.0]])
        >>> head = RBFSVMHead().fit(x, [0, 0, 1, 1, 0, 0], classes=2)
        >>> head.predict([[-3.5], [0.2], [3.5]])
        array([0, 1, 0])

    Reference: Cortes & Vapnik 1995; libsvm (Chang & Lin 2011) through scikit-learn's `SVC`, whose
        pairs these are; its own votes are whole ones everywhere.
    """

    name, setting_name = "rbf_svm", "cost"

    def __init__(
        self,
        costs: Sequence[float] = (1.0, 10.0),
        gamma: float | None = None,
        *,
        class_weight: ClassWeight = None,
        target: Target = "accuracy",
        seed: int = 0,
    ) -> None:
        super().__init__(class_weight=class_weight, target=target, seed=seed)
        owner = "RBFSVMHead"
        if not len(costs):
            raise ArgumentError(
                f"{owner}: no costs to try",
                where=f"{owner}(costs=[])",
                why="the one that does best on samples left out is taken",
                fix=f"{owner}(costs=(1.0,))",
            )
        self.settings = tuple(
            sorted(check_number("cost", c, owner=owner, minimum=0, exclusive=True) for c in costs)
        )
        self.gamma = gamma
        if gamma is not None:
            self.gamma = check_number("gamma", gamma, owner=owner, minimum=0, exclusive=True)

    def work(self, count: int, size: int, classes: int) -> float:
        return 20.0 * count**2 * size * len(self.settings)  # libsvm's kernel is no matrix product

    def _prepare(self, samples: Samples) -> tuple[Samples, Callable[[Any], Solution]]:
        mean, scale = samples.moments_of_features()

        def back(found: Radial) -> Radial:
            return replace(found, mean=mean, scale=scale)

        return replace(samples, x=(samples.x - mean) / scale), back

    def _path(self, samples: Samples, settings: Sequence[float]) -> list[Solution]:
        size = samples.x.shape[1]
        gamma = 1 / size if self.gamma is None else self.gamma
        found: list[Solution] = []
        for cost in settings:
            model = require("sklearn.svm").SVC(C=cost, gamma=gamma, cache_size=500)
            model.fit(samples.x, samples.y, samples.weight / samples.weight.mean())
            pairs, bias = _pairs(model, samples.classes)
            found.append(Radial(
                np.zeros(size), np.ones(size), model.support_vectors_, gamma, pairs, bias,
                votes(samples.classes), np.zeros(samples.classes),
            ))  # fmt: skip
        return found


def _pairs(model: Any, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (S, P) and bias (P,) of each two classes i < j, from libsvm's packed table.

    Row r of `dual_coef_` holds, for a vector of class k, its part in the pair with the r-th of the
    other classes.
    """
    ends = np.cumsum(model.n_support_)
    of_class = [slice(end - count, end) for end, count in zip(ends, model.n_support_)]
    sign = -1.0 if classes == 2 else 1.0  # of two, scikit-learn turns the sign for the user
    pairs = np.zeros((ends[-1], classes * (classes - 1) // 2))
    for at, (i, j) in enumerate(combinations(range(classes), 2)):
        pairs[of_class[i], at] = sign * model.dual_coef_[j - 1, of_class[i]]
        pairs[of_class[j], at] = sign * model.dual_coef_[i, of_class[j]]
    return pairs, sign * model.intercept_


def votes(classes: int) -> np.ndarray:
    """(P, K): +1 where the pair's first class is k, -1 where its second is.

    Example:
        >>> votes(3).tolist()
        [[1.0, -1.0, 0.0], [1.0, 0.0, -1.0], [0.0, 1.0, -1.0]]
    """
    one = np.eye(classes)
    return np.stack([one[i] - one[j] for i, j in combinations(range(classes), 2)])


@dataclass(frozen=True, slots=True)
class Radial:
    """Votes of pairs of classes, each from kernel values with the support vectors.

    Args:
        mean, scale: (D,) z = (x - mean) / scale.
        vectors: (S, D) in z.
        gamma: Factor on squared distances.
        pairs: (S, P). pair_bias: (P,).
        votes: (P, K). bias: (K,).
    """

    mean: np.ndarray
    scale: np.ndarray
    vectors: np.ndarray
    gamma: float
    pairs: np.ndarray
    pair_bias: np.ndarray
    votes: np.ndarray
    bias: np.ndarray

    def pair_decision(self, x: np.ndarray) -> np.ndarray:
        """(B, P) as `SVC(decision_function_shape="ovo")` gives."""
        squares = (self.vectors**2).sum(1)
        parts = []
        for start in range(0, len(x), _ROWS):
            z = (np.asarray(x[start : start + _ROWS], np.float64) - self.mean) / self.scale
            distances = (z**2).sum(1, keepdims=True) - 2 * z @ self.vectors.T + squares
            parts.append(np.exp(-self.gamma * distances) @ self.pairs + self.pair_bias)
        return np.concatenate(parts) if parts else np.zeros((0, len(self.pair_bias)))

    def decision(self, x: np.ndarray) -> np.ndarray:
        values: np.ndarray = np.clip(self.pair_decision(x), -1, 1) @ self.votes + self.bias
        return values

    def layers(self, sharpness: float) -> list[Layer]:
        size = len(self.mean)
        inputs: Any = Input((size,))
        squares = (self.vectors**2).sum(1)
        # |z - s|² = |z|² - 2 z·s + |s|²: a dense layer, and the length of z
        products = dense(-2 * self.vectors.T, squares, None, "products")(inputs)
        distances = products + torch.sum(torch.square(inputs), -1, keepdim=True)
        kernel = torch.exp(distances * -self.gamma)
        pairs = dense(self.pairs, self.pair_bias, None, "pairs")(kernel)
        return [
            *standardise(self.mean, self.scale, "head_scale"),
            Model(inputs, torch.clamp(pairs, -1.0, 1.0), name="head_pairs"),
            dense(sharpness * self.votes, sharpness * self.bias, "softmax", "head"),
        ]

    def spread(self, present: np.ndarray, classes: int) -> Radial:
        wide, bias = np.zeros((len(self.votes), classes)), np.full(classes, NEVER)
        wide[:, present], bias[present] = self.votes, self.bias
        return replace(self, votes=wide, bias=bias)
