"""Muon."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from stroma.core.checks import check_bool, check_number, check_positive_int
from stroma.optimizers.adam import adam_update
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.checks import check_decay_rate
from stroma.optimizers.gradients import undone_if
from stroma.optimizers.group import Group
from stroma.optimizers.rate import LearningRate


@registry.register("Muon", "muon")
class Muon(Optimizer):
    """Momentum made orthogonal for matrices; AdamW for all other weights.

    m <- μ m + g;  G = g + μ m (nesterov) or m;  X = G / ‖G‖, then ns_steps times
    X <- a X + (b X Xᵀ + c (X Xᵀ)²) X;  w <- w - η √max(rows, columns) · rms_rate · X.

    Args:
        learning_rate: Step size η, or a schedule.
        adam_beta_1, adam_beta_2, epsilon: AdamW's, see `Adam`.
        adam_weight_decay: Decoupled decay of the weights that AdamW moves. None: none.
        weight_decay: Decoupled decay of the matrices. None: none.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            loss_scale_factor, gradient_accumulation_steps, name: See `Optimizer`.
        exclude_layers: Regular expressions; AdamW moves the weights in whose `path` one is found.
            The layer that gives the outputs belongs here.
        exclude_embeddings: AdamW moves what has "embedding" in its path.
        muon_a, muon_b, muon_c: a, b and c.
        adam_lr_ratio: AdamW's rate over η, above 0.
        momentum: μ in [0, 1].
        ns_steps: How often X is made more orthogonal, 1 or more.
        nesterov: Whether to look ahead along the momentum.
        rms_rate: Size of a step's elements, as Adam's are; None leaves the factor away.

    Raises:
        ArgumentError: An option is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(2, 2))
        >>> weight.grad = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
        >>> optimizer = Muon(learning_rate=1.0, rms_rate=None)
        >>> optimizer.build([weight])
        >>> optimizer.step()  # both directions weigh about as much
        >>> [round(value, 1) for value in weight.diagonal().tolist()]
        [-0.8, -1.1]

    Reference: Jordan et al. 2024; Liu et al. 2025 for rms_rate. Which weights are matrices is asked
    of Keras' view; the rule is the same for a matrix and its transpose.
    """

    interleaved: ClassVar[tuple[str, ...]] = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
        )
        self.adam_beta_1 = check_decay_rate("adam_beta_1", adam_beta_1, owner="Muon")
        self.adam_beta_2 = check_decay_rate("adam_beta_2", adam_beta_2, owner="Muon")
        if adam_weight_decay is not None:
            check_number("adam_weight_decay", adam_weight_decay, owner="Muon", minimum=0)
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = check_number("epsilon", epsilon, owner="Muon", minimum=0)
        self.exclude_layers = list(exclude_layers or ())
        self.exclude_embeddings = check_bool("exclude_embeddings", exclude_embeddings, owner="Muon")
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.adam_lr_ratio = check_number(
            "adam_lr_ratio", adam_lr_ratio, owner="Muon", minimum=0, exclusive=True
        )
        self.momentum = check_number("momentum", momentum, owner="Muon", minimum=0, maximum=1)
        self.ns_steps = check_positive_int("ns_steps", ns_steps, owner="Muon")
        self.nesterov = check_bool("nesterov", nesterov, owner="Muon")
        self.rms_rate = rms_rate

    def slot_values(self) -> dict[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    def slot_shape(self, name: str, parameter: Tensor) -> tuple[int, ...] | None:
        if name == "velocity" and not self._by_adam(parameter):
            return None
        return tuple(parameter.shape)

    def decay_of(self, parameter: Tensor) -> float:
        by_adam = self._by_adam(parameter)
        return (self.adam_weight_decay if by_adam else self.weight_decay) or 0.0

    def _by_adam(self, parameter: Tensor) -> bool:
        path: str = getattr(parameter, "path", "")
        return (
            parameter.dim() != 2
            or parameter.is_complex()
            or (self.exclude_embeddings and "embedding" in path.lower())
            or any(re.search(keyword, path) for keyword in self.exclude_layers)
        )

    def update(self, group: Group) -> None:
        if "velocity" in group.slots:
            ratio = self.adam_lr_ratio  # of the rate alone: the decay follows η itself
            own = replace(
                group,
                learning_rate=group.learning_rate * ratio,
                weight_decay=group.weight_decay / ratio,
            )
            adam_update(own, self.adam_beta_1, self.adam_beta_2, self.epsilon)
            return
        weights, momentums = group.parameters, group.slots["momentum"]
        with undone_if(group.found_inf, weights, momentums):
            group.decay()
            torch._foreach_mul_(momentums, self.momentum)
            torch._foreach_add_(momentums, group.gradients)
            ahead = momentums
            if self.nesterov:
                ahead = list(torch._foreach_add(group.gradients, momentums, alpha=self.momentum))
            for weight, matrix in zip(weights, ahead):
                size = 1.0
                if self.rms_rate is not None:
                    size = math.sqrt(max(matrix.shape)) * self.rms_rate
                weight.sub_(self._orthogonal(matrix), alpha=group.learning_rate * size)

    def _orthogonal(self, matrix: Tensor) -> Tensor:
        """Newton-Schulz: the singular values of `matrix` go towards 1."""
        tall = matrix.shape[0] > matrix.shape[1]
        x = matrix.T if tall else matrix  # the smaller of the two squares
        x = x.div(torch.linalg.matrix_norm(x) + 1e-7)
        for _ in range(self.ns_steps):
            square = x @ x.T
            x = self.muon_a * x + (self.muon_b * square + self.muon_c * square @ square) @ x
        return x.T if tall else x
