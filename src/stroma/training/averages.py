"""The `SwapEMAWeights` callback: judge and keep the averaged weights, train the others."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stroma.core.checks import check_bool
from stroma.core.errors import ArgumentError
from stroma.optimizers.memory import AVERAGE
from stroma.training.callbacks import Callback


class SwapEMAWeights(Callback):
    """Put the optimizer's averages in place of the weights while the model is evaluated.

    Args:
        swap_on_epoch: Also between the end of an epoch and the beginning of the next, so that
            `ModelCheckpoint(save_freq="epoch")`, listed after this one, saves the averages.

    Raises: ArgumentError: the optimizer was not made with `use_ema=True`.
    Example:
        >>> SwapEMAWeights(swap_on_epoch=True).swap_on_epoch
        True

    Reference: Polyak & Juditsky 1992. The weights that training goes on with are kept aside, not
    in the optimizer, as Keras does: there a `fit` that stops early ends with the weights that were
    not averaged.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = check_bool("swap_on_epoch", swap_on_epoch, owner="SwapEMAWeights")
        self._aside: list[Tensor] = []  # the weights being trained, while averages are in place

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._put_back()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.swap_on_epoch:
            self._put_averages()

    def on_train_end(self, logs: Any = None) -> None:
        self._aside = []  # the averages stay: with use_ema that is how training ends

    def on_test_begin(self, logs: Any = None) -> None:
        self._put_averages()

    def on_test_end(self, logs: Any = None) -> None:
        self._put_back()

    def on_predict_begin(self, logs: Any = None) -> None:
        self._put_averages()

    def on_predict_end(self, logs: Any = None) -> None:
        self._put_back()

    def state_dict(self) -> dict[str, Any]:
        return {str(place): weight for place, weight in enumerate(self._aside)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._aside = [state[str(place)] for place in range(len(state))]

    @torch.no_grad()
    def _put_averages(self) -> None:
        if self._aside:
            return
        averages = self._averages()
        self._aside = [parameter.detach().clone() for parameter, _ in averages]
        for parameter, average in averages:
            parameter.copy_(average)

    @torch.no_grad()
    def _put_back(self) -> None:
        if self._aside:
            for (parameter, _), weight in zip(self._averages(), self._aside, strict=True):
                parameter.copy_(weight)
            self._aside = []

    def _averages(self) -> list[tuple[nn.Parameter, Tensor]]:
        optimizer = self.state.optimizer or self.model.optimizer  # predict needs none itself
        if not getattr(optimizer, "use_ema", False):
            raise ArgumentError(
                f"SwapEMAWeights: {type(optimizer).__name__} keeps no averages",
                where="SwapEMAWeights()",
                why="the averages of the weights are kept by the optimizer",
                fix=f"compile(optimizers.{type(optimizer).__name__}(use_ema=True), ...)",
            )
        return [(s.parameter, s.value) for s in optimizer.slots if s.name == AVERAGE]
