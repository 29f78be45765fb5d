"""Regression on the classes with few weights: the elastic net, by coordinate descent."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from stroma.core.checks import check_number
from stroma.core.optional import require
from stroma.transfer.heads.head import ClassWeight, CrossValidatedHead, Samples
from stroma.transfer.heads.logistic import check_penalties
from stroma.transfer.heads.scoring import Target
from stroma.transfer.heads.solutions import Linear, Solution

_SWEEPS = 1000


class ElasticNetHead(CrossValidatedHead):
    """One-versus-all: 1/2 mean of w (t - d)² + λ (ρ |W|₁ + (1 - ρ)/2 |W|²), targets t = ±1.

    The |W|₁ makes most weights exactly 0: `share_used` says how many features are left. Features
    are scaled to deviation 1, so one λ suits all; the intercept is not penalised.

    Args:
        penalties: Values of λ to try, > 0; they are tried from the largest on.
        mix: ρ in [0, 1]: 1 is the lasso; towards 0 it becomes ridge regression.
        class_weight, target, seed: As in `Head`.
    Shape: `fit`: (N, D), (N,); `decision`, `probabilities`: (B, D) -> (B, K)
    Raises: ArgumentError: a number out of its range. DataError: features and labels that do not
        fit together. RunError: used before `fit`.
    Example:
        >>> x = np.array([[0.0, 3.0], [1.0, 3.0], [9.0, 3.0], [10.0, 3.0]])
        >>> head = ElasticNetHead().fit(x, [0, 0, 1, 1], classes=2)
        >>> head.predict([[2.0, 3.0], [8.0, 3.0]]), head.share_used
        (array([0, 1]), 0.5)

    Reference: Zou & Hastie 2005; coordinate descent on the Gram matrix: Friedman et al. 2010, in
        scikit-learn's `enet_path`.
    """

    name, setting_name = "elastic_net", "penalty"

    def __init__(
        self,
        penalties: float | Sequence[float] = (0.1, 0.03, 0.01, 0.003),
        mix: float = 0.5,
        *,
        class_weight: ClassWeight = None,
        target: Target = "accuracy",
        seed: int = 0,
    ) -> None:
        super().__init__(class_weight=class_weight, target=target, seed=seed)
        self.settings = check_penalties(penalties, owner="ElasticNetHead")
        self.mix = check_number("mix", mix, owner="ElasticNetHead", minimum=0, maximum=1)

    @property
    def share_used(self) -> float:
        """Share of the features that any class looks at."""
        assert isinstance(self.solution, Linear)
        return float(self.solution.weight.any(1).mean())

    def work(self, count: int, size: int, classes: int) -> float:
        sweeps = 50.0 * classes * len(self.settings) * size**2
        return 5 * (2.0 * count * size**2 + sweeps)

    def _prepare(self, samples: Samples) -> tuple[Samples, Callable[[Any], Solution]]:
        mean, scale = samples.moments_of_features()

        def back(found: Linear) -> Linear:
            return Linear.of_standardised(found.weight, found.bias, mean, scale)

        return replace(samples, x=(samples.x - mean) / scale), back

    def _path(self, samples: Samples, settings: Sequence[float]) -> list[Solution]:
        weight = (samples.weight / samples.weight.mean())[:, None]
        targets = 2 * np.eye(samples.classes)[samples.y] - 1
        mean, middle = (weight * samples.x).mean(0), (weight * targets).mean(0)
        x = np.asfortranarray((samples.x - mean) * np.sqrt(weight))
        t = (targets - middle) * np.sqrt(weight)
        gram, cross = x.T @ x, x.T @ t
        path = require("sklearn.linear_model").enet_path
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", require("sklearn.exceptions").ConvergenceWarning)
            coefficients = [  # of each class (D, settings), from the largest penalty on
                path(
                    x, np.ascontiguousarray(t[:, k]), l1_ratio=self.mix, alphas=list(settings),
                    precompute=gram, Xy=np.ascontiguousarray(cross[:, k]), max_iter=_SWEEPS,
                )[1]
                for k in range(samples.classes)
            ]  # fmt: skip
        weights = np.stack(coefficients, -1)  # (D, settings, K)
        return [
            Linear(weights[:, at], middle - mean @ weights[:, at]) for at in range(len(settings))
        ]
