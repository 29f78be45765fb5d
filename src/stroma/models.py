"""`Model` and `Sequential` as users see them: where a network and its training meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from stroma.core.errors import ArgumentError
from stroma.core.records import LayerRow
from stroma.network import freezing
from stroma.network.design import design
from stroma.network.sequential import SequentialNetwork
from stroma.network.summary import print_summary
from stroma.saving import (
    Savable,
    clone_model,
    load_model,
    model_from_json,
    networks_registry,
    save_model,
)
from stroma.training import fitting, on_batch
from stroma.training.adapters import as_batches
from stroma.training.callbacks import Callback
from stroma.training.run_folder import RunFolder
from stroma.training.state import History
from stroma.training.steps import OWN, Steps

__all__ = [
    "Model", "Sequential", "fit",
    "clone_model", "load_model", "model_from_json", "save_model",
]  # fmt: skip


@networks_registry.register("Functional", "Model")
class Model(Savable, Steps):
    """A network that can be trained.

    Made from symbolic inputs and outputs, or subclassed with an own `call`.

    Args:
        inputs, outputs: Symbolic tensors, or lists or dicts of them.
        name: Its name.
        trainable: False freezes every layer in it.
    Example:
        >>> from stroma import layers
        >>> x = layers.Input((4,))
        >>> model = Model(x, layers.Dense(1)(x))
        >>> import numpy as np
        >>> model.compile(optimizer="sgd", loss="mse")
        >>> history = model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
        >>> list(history.history)
        ['loss']
    """

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        *,
        precision: str = "auto",
        tune: bool = False,
    ) -> None:
        """Say how to train: Keras' arguments in Keras' order, then stroma's.

        Args:
            optimizer: Name or object.
            loss: Name, object or `f(y_true, y_pred)`; a list or dict for several outputs.
            loss_weights: Weight of each output's loss.
            metrics: Names or objects; measured without sample weights.
            weighted_metrics: The same, with sample weights.
            run_eagerly: True never compiles.
            steps_per_execution: Accepted; every step is dispatched by itself here.
            jit_compile: True runs through `torch.compile`; "auto" follows static rules.
            auto_scale_loss: Whether, in float16 (by `precision` or a "mixed_float16" policy), the
                optimizer becomes one inside a `LossScaleOptimizer`.
            precision: "auto", "float32", "bfloat16" or "float16": what `fit` computes in.
            tune: Must be False: nothing is measured yet, "auto" follows static rules.
        Raises: ArgumentError: a name is not known; `tune`; `jit_compile` for a class with
            steps of its own.
        """
        if tune:
            raise ArgumentError(
                "compile(tune=True) is not there yet",
                where="compile(tune=...)",
                why='precision="auto" and jit_compile="auto" follow static rules',
                fix="leave tune away",
            )
        if jit_compile is True and not run_eagerly and self.takes_own(*OWN):
            raise ArgumentError(
                f"{type(self).__name__} takes steps of its own, which are not compiled",
                where="compile(jit_compile=True)",
                why="they call the model and its parts themselves",
                fix="compile the parts that cost most: self.generator = torch.compile(generator)",
            )
        in_float16 = {"float16", "mixed_float16"} & {precision, self.dtype_policy.name}
        object.__setattr__(
            self,
            "_compiled",
            fitting.compiled(
                optimizer, loss, loss_weights, metrics, weighted_metrics, precision=precision,
                jit_compile=False if run_eagerly else jit_compile, output_names=self.output_names,
                scaled=auto_scale_loss and bool(in_float16),
            ),
        )  # fmt: skip
        object.__setattr__(self, "_state", None)  # it holds the optimizer and the loss of before

    @property
    def output_names(self) -> list[str]:
        """A name for each output: the key of a dict, else the layer that makes it."""
        if not self._is_graph:
            return []
        if isinstance(self._outputs, dict):
            return list(self._outputs)
        keys = {id(layer): key for key, layer in self.keys().items()}
        return [keys.get(id(tensor.node.target), tensor.node.title()) for tensor in self.outputs]

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Sequence[Callback] | Callback | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        *,
        run: str | Path | RunFolder | None = None,
        resume: str | Path | None = None,
        seed: int | None = None,
        device: str | None = "auto",
    ) -> History:
        """Train; Keras' arguments in Keras' order, then stroma's.

        Args:
            x, y: Arrays or tensors; or x alone: a torch `Dataset` or `DataLoader`, a generator of
                batches, a part of `stroma.data`.
            batch_size: 32 when None.
            epochs: Epoch to stop before.
            verbose: 0 silent, 1 or "auto" a line that moves in a terminal, 2 a line an epoch.
            callbacks: Hooks into the loop.
            validation_split: Share of the *last* rows to validate on.
            validation_data: (x, y), (x, y, weights), or anything x may be.
            shuffle: A new order each epoch.
            class_weight: Class index to weight; classes not named have 1.
            sample_weight: A weight for each sample.
            initial_epoch: Epoch to begin with, from 0.
            steps_per_epoch, validation_steps: Batches to take, of data without end.
            validation_batch_size: `batch_size` when None.
            validation_freq: Validate every so many epochs, or after those listed.
            run: Folder for checkpoints and figures; "auto" makes one under `runs/`; None: none.
            resume: Run folder to continue: it ends with the weights of an uninterrupted run.
            seed: Of shuffling, dropout and augmentation; drawn from Python's `random` when None.
            device: "auto", "cpu", "cuda".
        Raises: RunError: not compiled. ShapeError, ArgumentError: data that does not fit.
        """
        return fitting.fit(
            self, self._require_compiled(), x, y, batch_size=batch_size, epochs=epochs,
            verbose=verbose, callbacks=callbacks, validation_split=validation_split,
            validation_data=validation_data, shuffle=shuffle, class_weight=class_weight,
            sample_weight=sample_weight, initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch, validation_steps=validation_steps,
            validation_batch_size=validation_batch_size, validation_freq=validation_freq,
            run=run, resume=resume, seed=seed, device=device,
        )  # fmt: skip

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics over data, in float32: a float, a list, or a dict by name.

        `verbose` is 0 (silent), 1 or "auto" (a line that moves in a terminal) or 2 (one line).
        """
        data = as_batches(x, y, sample_weight, batch_size=batch_size, steps=steps)
        results = fitting.evaluate_data(
            self, self._require_compiled(), data, callbacks=callbacks, verbose=verbose
        )
        return self._listed(results, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Outputs as NumPy arrays, in float32, each batch moved to host memory as it comes.

        `verbose` is 0 (silent), 1 or "auto" (a line that moves in a terminal) or 2 (one line).
        """
        data = as_batches(x, batch_size=batch_size, steps=steps)
        return fitting.predict(self, data, callbacks=callbacks, verbose=verbose)

    def predict_on_batch(self, x: Any) -> Any:
        """Outputs for one batch, as NumPy arrays."""
        return on_batch.predict_on_batch(self, x)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One update on one batch; returns the loss and metrics of that batch."""
        state = on_batch.train_on_batch(
            self, self._require_compiled(), self._state, x, y, sample_weight, class_weight
        )
        object.__setattr__(self, "_state", state)
        return self._listed(state.objective.results(), return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of one batch, without learning from it."""
        results = on_batch.test_on_batch(self, self._require_compiled(), x, y, sample_weight)
        return self._listed(results, return_dict)

    def _listed(self, results: dict[str, float], return_dict: bool) -> Any:
        """What was measured, as Keras hands it over: a float, a list, or a dict by name."""
        if return_dict:
            return results
        known = [key for key in self.metrics_names if key in results]
        rest = sorted(set(results) - set(known))
        ordered = [results[key] for key in (*known, *rest)]
        return ordered[0] if len(ordered) == 1 else ordered

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], None] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print a row per layer (output shape, parameters, work, receptive field) and totals.

        Args:
            line_length: Columns; the terminal's when None.
            positions: Accepted for Keras' signature; columns are as wide as their words.
            print_fn: Receives each line, instead of printing it.
            expand_nested: Show the layers inside nested networks.
            show_trainable: Accepted for Keras' signature; frozen layers are always marked.
            layer_range: Patterns for the names of the first and of the last layer to show.
        """
        kept = None
        if self._compiled is not None and self._compiled.optimizer.built:
            kept = sum(slot.value.numel() for slot in self._compiled.optimizer.slots)
        print_summary(
            self, line_length=line_length, print_fn=print_fn, nested=expand_nested,
            optimizer_parameters=kept, layer_range=layer_range,
        )  # fmt: skip

    def freeze(self, until: str | None = None) -> None:
        """Freeze the layers that run before `until`, weights and BatchNorm statistics; or all.

        It takes effect at once, without compiling again, and outlives saving and resuming.

        Args:
            until: First layer that is not frozen: a name, a key of `state_dict` or the beginning
                of keys ("layer3"), also inside a nested network. None: everything is frozen.
        Raises: ArgumentError: no layer has this name, or several places do.
        Example:
            >>> from stroma import layers
            >>> model = Sequential([layers.Input((4,)), layers.Dense(3), layers.Dense(2)])
            >>> model.freeze(until="dense_1")
            >>> len(model.trainable_weights), len(model.non_trainable_weights)
            (2, 2)
        """
        freezing.freeze(self, until)

    def unfreeze(self, from_: str | None = None, *, batch_normalization: bool = True) -> None:
        """Let training change the layers from `from_` on, or all; the optimizer remembers them.

        Args:
            from_: First layer to thaw, named as in `freeze`. None: everything.
            batch_normalization: False leaves every BatchNormalization frozen.
        Raises: ArgumentError: no layer has this name, or several places do.
        """
        freezing.unfreeze(self, from_, batch_normalization=batch_normalization)

    def design(self, *, nested: bool = False) -> list[LayerRow]:
        """What `summary` shows, as records.

        Example:
            >>> from stroma import layers
            >>> model = Sequential([layers.Input((8, 8, 1)), layers.Conv2D(2, 3)])
            >>> row = model.design()[-1]
            >>> row.output_shape, row.parameters, row.macs, row.receptive_field
            ((None, 6, 6, 2), 20, 648, (3, 3))
        """
        return design(self, nested=nested)


@networks_registry.register("Sequential")
class Sequential(SequentialNetwork, Model):
    """Layers one after the other, trained like any model.

    Args:
        layers: Layers to begin with; `Input(...)` or `input_shape=` in the first builds at once.
        trainable: False freezes every layer in it.
        name: Its name.
    Example:
        >>> from stroma import layers
        >>> model = Sequential([layers.Input((4,)), layers.Dense(2)])
        >>> model.count_params()
        10
    """

    reserved_names: ClassVar[frozenset[str]] = frozenset()


def fit(
    module: torch.nn.Module,
    data: Any,
    y: Any = None,
    *,
    loss: Any,
    optimizer: Any = "adam",
    metrics: Any = None,
    epochs: int = 1,
    layout: str | None = None,
    precision: str = "auto",
    jit_compile: bool | str = "auto",
    **options: Any,
) -> History:
    """Train any `nn.Module` by the same loop as `Model.fit`.

    Args:
        module: A PyTorch module, or a stroma layer or network.
        data: What `Model.fit` takes as `x`; `y` the targets of arrays.
        loss: Name, object or `f(y_true, y_pred)`.
        optimizer: Name or object.
        metrics: Names or objects.
        epochs: How many.
        layout: "NCHW" permutes channels-last images for a PyTorch module (a view, no copy);
            required for rank-4 data, never guessed.
        precision, jit_compile: As in `Model.compile`.
        options: Any other argument of `Model.fit`.
    Example:
        >>> import numpy as np
        >>> net = torch.nn.Linear(4, 1)
        >>> history = fit(net, np.ones((8, 4), "float32"), np.ones((8, 1)), loss="mse", verbose=0)
        >>> len(history.epoch)
        1
    """
    settings = fitting.compiled(
        optimizer, loss, metrics=metrics, precision=precision, jit_compile=jit_compile
    )
    return fitting.fit(module, settings, data, y, epochs=epochs, layout=layout, **options)
