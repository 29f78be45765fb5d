"""What fine-tuning may add to the loss so that it keeps what the base knew. All are opt-in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stroma.core.checks import check_number
from stroma.core.layer import Layer
from stroma.data import Part
from stroma.models import Model


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a penalty may look at before the first step.

    Args:
        body: Pictures 0 to 255, or cached maps -> what the head is given.
        head: Its output -> probabilities.
        photos: Pictures 0 to 255 -> what the head is given, always.
        train: The photos that are learnt.
    """

    body: Model
    head: Model
    photos: Model
    train: Part

    def learning(self, network: Model) -> list[nn.Parameter]:
        """The parameters of a half that training changes."""
        return [parameter for parameter in network.parameters() if parameter.requires_grad]

    @torch.no_grad()
    def features(self, part: Part, batch_size: int = 64) -> Iterator[tuple[Tensor, Tensor]]:
        """What the head is given for each batch of a part, in its order, and the labels."""
        device = next(self.photos.parameters()).device
        for batch in part.batches(batch_size, shuffle=False).epoch(0):
            yield self.photos(batch.x.to(device).float(), training=False), batch.y.to(device)


class Penalty(ABC):
    """A term of the loss beside the cross-entropy: `begin` once, then its value at each step."""

    @abstractmethod
    def begin(self, tuning: Tuning) -> None:
        """Note what the weights are now."""

    @abstractmethod
    def value(self, features: Tensor) -> Tensor:
        """The term for one batch, whose head is given `features` (B, D)."""


class L2SP(Penalty):
    """Weight decay towards the pretrained weights: α/2 ‖w - w⁰‖² + β/2 ‖head‖².

    Args:
        alpha: Strength on the pretrained weights, >= 0.
        beta: Strength on the weights of the head, >= 0.
    Raises: ArgumentError: a strength is negative.
    Example:
        >>> L2SP(alpha=0.1).alpha
        0.1

    Reference: Xuhong, Grandvalet & Davoine 2018, "Explicit inductive bias for transfer learning",
        eq. 2 and 3. The head starts from a closed-form solution here, and still decays to 0.
    """

    def __init__(self, alpha: float = 0.1, beta: float = 0.01) -> None:
        self.alpha = check_number("alpha", alpha, owner="L2SP", minimum=0)
        self.beta = check_number("beta", beta, owner="L2SP", minimum=0)

    def begin(self, tuning: Tuning) -> None:
        self._weights = tuning.learning(tuning.body)
        self._start = [weight.detach().clone() for weight in self._weights]
        self._head = tuning.learning(tuning.head)

    def value(self, features: Tensor) -> Tensor:
        kept = squared_distance(self._weights, self._start)
        own = squared_distance(self._head, [torch.zeros_like(weight) for weight in self._head])
        return (self.alpha * kept + self.beta * own) / 2


def squared_distance(weights: Sequence[Tensor], start: Sequence[Tensor]) -> Tensor:
    """Σ ‖w - w⁰‖² over pairs of tensors; 0 for none."""
    if not weights:
        return torch.zeros(())
    parts = torch._foreach_norm(torch._foreach_sub(list(weights), list(start)))
    return torch.stack(list(parts)).square().sum()


class Penalised(Layer):
    """Hands features on and adds penalties to the loss in training; no part of what ships.

    Args:
        penalties: Begun.
    Shape: (B, *) -> (B, *)
    """

    receptive = None

    def __init__(self, penalties: Sequence[Penalty]) -> None:
        super().__init__()
        self._penalties = tuple(penalties)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if training:
            for penalty in self._penalties:
                self.add_loss(penalty.value(inputs))
        return inputs
