"""`CallbackList`: the hooks of several callbacks called as one, for loops of one's own."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from stroma.training.callbacks import Callback, Hooks
from stroma.training.progress import ProgbarLogger
from stroma.training.state import State


class CallbackList(Callback):
    """Several callbacks as one: each hook calls theirs, in order.

    Args:
        callbacks: The callbacks.
        add_history: Keep the figures of each epoch in `history`.
        add_progbar: Print progress, unless a `ProgbarLogger` is among the callbacks.
        model: What is trained; its optimizer is what the callbacks see.
        **params: Given to each callback's `set_params` ("epochs", "steps", "verbose").

    Example:
        >>> from stroma import callbacks
        >>> seen = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
        >>> several = CallbackList([seen], add_history=True)
        >>> several.on_epoch_end(0, {"loss": 0.5})
        0 {'loss': 0.5}
        >>> several.history.history
        {'loss': [0.5]}
    """

    def __init__(
        self,
        callbacks: Sequence[Callback] | Callback | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
        shown = any(isinstance(callback, ProgbarLogger) for callback in self.callbacks)
        if add_progbar and not shown:
            self.callbacks.append(ProgbarLogger())
        self.add_history = add_history
        optimizer = getattr(model, "optimizer", None)
        epochs = int(params.get("epochs", 1))
        self.state = State(model, optimizer, None, seed=0, epochs=epochs, callbacks=self.callbacks)
        self.history = self.state.history
        self._connect()
        self.set_model(model)
        self.set_params(params)

    def append(self, callback: Callback) -> None:
        """Add a callback."""
        self.callbacks.append(callback)
        self._connect()

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        self.state.model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def _connect(self) -> None:
        for callback in self.callbacks:
            callback.state = self.state
        hooks = Hooks(self.callbacks)
        for name in hooks.names:
            setattr(self, name, functools.partial(self._call, hooks, name))

    def _call(self, hooks: Hooks, name: str, *arguments: Any, logs: Any = None) -> None:
        given = arguments if logs is None else (*arguments, logs)
        if name == "on_epoch_begin":
            self.state.epoch, self.state.batch = given[0], 0
        elif name == "on_train_batch_end":
            self.state.batch, self.state.step = given[0] + 1, self.state.step + 1
        hooks(name, *given)
        if self.add_history and name == "on_epoch_end":
            self.history.append(given[0], given[1] if len(given) > 1 else {})
