"""Against forgetting: ways to learn new classes that keep, or use, an old head. All are opt-in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.checks import check_int, check_number, check_positive_int
from stroma.core.errors import ArgumentError
from stroma.core.layer import Layer
from stroma.data import Part
from stroma.transfer.inputs import as_old_head, as_part
from stroma.transfer.penalties import Penalty, Tuning


@dataclass(frozen=True, slots=True)
class Targets:
    """What an old head should say.

    Args:
        soft: (N, K_old) wanted probabilities for the photos that are learnt; None: nothing.
        old: Photos of before that are shown again, with their labels.
    """

    soft: np.ndarray | None = None
    old: Part | None = None


class SecondHead(Layer, ABC):
    """An old head that stays on the features while a new one is learnt: (B, D) -> (B, K_old).

    Args:
        head: The old head as one layer (or model) on the features; it may end in softmax.
        strength: Weight λ of its loss, >= 0.
        temperature: T > 0; probabilities are compared as softmax(z / T).
        logits: Whether `head` gives z itself, not probabilities.
    """

    def __init__(
        self, head: Layer, strength: float, temperature: float = 1.0, logits: bool = True
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.head, self.logits = as_old_head(head, owner=owner), logits
        self.strength = check_number("strength", strength, owner=owner, minimum=0)
        self.temperature = check_number(
            "temperature", temperature, owner=owner, minimum=0, exclusive=True
        )

    def call(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.head(inputs)
        z = scores if self.logits else scores.clamp_min(1e-12).log()
        return F.log_softmax(z / self.temperature, -1)

    @abstractmethod
    def targets(self, tuning: Tuning) -> Targets:
        """What this head should say; called before the first step."""

    def answers(self, tuning: Tuning) -> np.ndarray:
        """(N, K_old) what it says now of the photos that are learnt."""
        with torch.no_grad():
            rows = [self(x).exp().cpu() for x, _ in tuning.features(tuning.train)]
        return torch.cat(rows).numpy()


def soft_cross_entropy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """-Σ p log q for each sample, of wanted probabilities p and log-probabilities log q.

    Shape: (B, K), (B, K) -> (B,)
    """
    return -(y_true * y_pred).sum(-1)


class LwF(SecondHead):
    """Learning without forgetting: the old head keeps saying of the new photos what it says now.

    λ T² · cross-entropy(softmax(z⁰ / T), softmax(z / T)), z⁰ recorded before the first step.

    Args:
        head, strength, temperature, logits: See `SecondHead`.
    Raises: ArgumentError: a number out of its range.
    Example:
        >>> from stroma import layers
        >>> lwf = LwF(layers.Dense(10), temperature=2.0)
        >>> torch.allclose(lwf(torch.zeros(3, 64)).exp().sum(-1), torch.ones(3))
        True

    Reference: Li & Hoiem 2016, "Learning without forgetting", section 3 (T = 2, λ = 1); T² keeps
        the gradient's size, as Hinton et al. 2015, section 2, note.
    """

    def __init__(
        self, head: Layer, strength: float = 1.0, temperature: float = 2.0, logits: bool = True
    ) -> None:
        super().__init__(head, strength * temperature**2, temperature, logits)

    def targets(self, tuning: Tuning) -> Targets:
        return Targets(soft=self.answers(tuning))


class Replay(SecondHead):
    """Old photos among the new ones: the old head goes on learning its own classes on them.

    Args:
        head: The old head on the features.
        photos: Those that are kept of before, labelled with the old head's classes.
        strength, logits: See `SecondHead`.
    Raises: ArgumentError: a strength is negative, or there are no photos.
    Example:
        >>> from stroma import layers
        >>> from stroma.data import digits
        >>> Replay(layers.Dense(10), digits().train.take(slice(50))).strength
        1.0

    Reference: Robins 1995, "Catastrophic forgetting, rehearsal and pseudorehearsal"; with few
        photos a class: Chaudhry et al. 2019, "On tiny episodic memories".
    """

    def __init__(
        self, head: Layer, photos: Part, strength: float = 1.0, logits: bool = True
    ) -> None:
        super().__init__(head, strength, 1.0, logits)
        if not len(as_part(photos, owner="Replay", first="head")):
            raise ArgumentError(
                "Replay: there are no old photos",
                where="Replay(head, photos)",
                why="nothing could be shown again",
                fix="old_data.train.take(slice(200))",
            )
        self._photos = photos

    def targets(self, tuning: Tuning) -> Targets:
        return Targets(old=self._photos)


class EWC(Penalty):
    """Elastic weight consolidation: λ/2 Σ F (w - w⁰)², stiff where the old task needs a weight.

    F is the diagonal of the Fisher information on old photos, E[(∂ log p(y | x) / ∂w)²] with y
    drawn from what the old network itself says.

    Args:
        head: The old head on the features.
        photos: Photos of the old task; their labels are not used.
        strength: λ, >= 0.
        samples: How many of them F is the mean over, >= 1.
        logits: Whether `head` gives logits, not probabilities.
        seed: Of the drawn y.
    Raises: ArgumentError: a number out of its range, or there are no photos.
        ArgumentTypeError: the head is no layer, or the photos are no part.
    Example:
        >>> from stroma import layers
        >>> from stroma.data import digits
        >>> EWC(layers.Dense(10), digits().train, strength=50.0).strength
        50.0

    Reference: Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting", eq. 3; y is drawn from
        the network: Martens 2014, section 9.2 (labels of the data give another matrix).
    """

    def __init__(
        self,
        head: Layer,
        photos: Part,
        strength: float = 100.0,
        samples: int = 200,
        logits: bool = True,
        seed: int = 0,
    ) -> None:
        self.head, self.logits = as_old_head(head, owner="EWC"), logits
        self.photos = as_part(photos, owner="EWC", first="head")
        if not len(self.photos):
            raise ArgumentError(
                "EWC: there are no old photos",
                where="EWC(head, photos)",
                why="how much the old task needs a weight is measured on them",
                fix="old_data.train",
            )
        self.seed = check_int("seed", seed, owner="EWC", minimum=0)
        self.strength = check_number("strength", strength, owner="EWC", minimum=0)
        self.samples = check_positive_int("samples", samples, owner="EWC")

    def begin(self, tuning: Tuning) -> None:
        self._weights = tuning.learning(tuning.photos)
        self._start = [weight.detach().clone() for weight in self._weights]
        chosen = np.random.default_rng(self.seed).permutation(len(self.photos))[: self.samples]
        device = next(tuning.photos.parameters()).device
        pictures = torch.from_numpy(self.photos.images(np.sort(chosen))).to(device).float()
        self.fisher = fisher_diagonal(
            lambda x: self._log_probabilities(tuning.photos(x, training=False)),
            self._weights, pictures, seed=self.seed,
        )  # fmt: skip

    def _log_probabilities(self, features: Tensor) -> Tensor:
        scores: Tensor = self.head(features)
        return F.log_softmax(scores, -1) if self.logits else scores.clamp_min(1e-12).log()

    def value(self, features: Tensor) -> Tensor:
        if not self._weights:
            return features.new_zeros(())
        terms = [
            (fisher * (weight - start).square()).sum()
            for fisher, weight, start in zip(self.fisher, self._weights, self._start)
        ]
        return self.strength / 2 * torch.stack(terms).sum()


def fisher_diagonal(
    log_probabilities: Callable[[Tensor], Tensor],
    weights: Sequence[Tensor],
    inputs: Tensor,
    *,
    seed: int = 0,
) -> list[Tensor]:
    """E[(∂ log p(y | x) / ∂w)²] over the inputs, one y drawn for each; a tensor for each weight."""
    generator = torch.Generator().manual_seed(seed)
    sums = [torch.zeros_like(weight) for weight in weights]
    if not weights:
        return sums
    for x in torch.split(inputs, 1):  # one at a time: the square of a sum is not the sum of squares
        log_p = log_probabilities(x)[0]
        y = torch.multinomial(log_p.detach().exp().cpu(), 1, generator=generator).to(log_p.device)
        gradients = torch.autograd.grad(log_p[y].sum(), weights, allow_unused=True)
        for total, gradient in zip(sums, gradients):
            if gradient is not None:
                total.add_(gradient.square())
    return [total / max(len(inputs), 1) for total in sums]
