"""What layers on texts share: they run on lists and arrays, before a network, not inside one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_leaves

from stroma.core.errors import ArgumentError, ArgumentTypeError, DataError, GraphError
from stroma.core.layer import Layer
from stroma.core.symbolic import any_symbolic


class EagerLayer(Layer):
    """A layer that needs the values themselves: no graph, no shapes beforehand."""

    receptive = "unknown"
    takes_symbols = False  # True: its inputs are numbers, and it can stand inside a network

    def forward(self, *args: Any, training: Any = None, mask: Any = None, **kwargs: Any) -> Any:
        """`call` on lists, arrays or tensors; a symbolic tensor is refused."""
        if self.takes_symbols:
            return super().forward(*args, **kwargs)
        if any_symbolic(args, kwargs):
            kind = type(self).__name__
            raise GraphError(
                f"{kind} does not take a symbolic tensor",
                where=f"layer {self.name!r}",
                why="PyTorch has no tensors of text: what reads text runs before the network",
                fix=f"numbers = {self.name}(texts), and the network begins with "
                "Input((None,), dtype='int64')",
            )
        self.built = True
        return self.call(*args, **kwargs)


def refuse_sparse(sparse: Any, *, owner: str) -> None:
    """Raise for `sparse=True`, which Keras offers on TensorFlow alone."""
    if sparse:
        raise ArgumentError(
            f"{owner}: sparse=True is not offered",
            where=f"{owner}(sparse=...)",
            why="stroma's layers give dense tensors, as Keras' do on torch",
            fix=f"{owner}(..., sparse=False)",
        )


def as_texts(inputs: Any, encoding: str, *, owner: str) -> tuple[list[bytes], tuple[int, ...]]:
    """Texts as bytes in one list, and the shape they came in.

    Args:
        inputs: A text, a list of texts (nested evenly), or a NumPy array of them.
        encoding: How texts become bytes; bytes stay as they are.
        owner: The layer, for messages.
    Raises: ArgumentTypeError: something is no text; DataError: rows of different lengths.
    """
    array = np.asarray(inputs, dtype=object)
    flat = [
        item.encode(encoding, "surrogateescape") if isinstance(item, str) else item
        for item in array.ravel().tolist()
    ]
    wrong = next((item for item in flat if not isinstance(item, bytes)), None)
    if isinstance(wrong, (list, tuple, np.ndarray)):
        raise DataError(
            f"{owner}: rows of texts have different lengths",
            where=f"{owner}(...)(inputs)",
            why="the result is one dense tensor",
            fix="give rows of one length (pad with ''), or whole sentences to TextVectorization",
        )
    if wrong is not None:
        raise ArgumentTypeError(
            f"{owner} takes texts, got {str(wrong)[:40]!r} ({type(wrong).__name__})",
            where=f"{owner}(...)(inputs)",
            why="each entry is looked up as a text",
            fix="a list or array of str; IntegerLookup for whole numbers",
        )
    return flat, array.shape


def as_whole_numbers(inputs: Any, *, owner: str) -> NDArray[np.int64]:
    """Whole numbers as an array; floats lose what is after the point.

    Raises: ArgumentTypeError: something is no number; DataError: rows of different lengths.
    """
    try:
        array = np.asarray(inputs.cpu() if isinstance(inputs, Tensor) else inputs)
    except ValueError as error:
        raise DataError(
            f"{owner}: rows of numbers have different lengths",
            where=f"{owner}(...)(inputs)",
            why="the result is one dense tensor",
            fix="pad the rows to one length: utils.pad_sequences(rows)",
        ) from error
    if array.dtype.kind not in "iufb" and array.size:
        raise ArgumentTypeError(
            f"{owner} takes whole numbers, got {array.dtype}",
            where=f"{owner}(...)(inputs)",
            why="each entry is looked up as a number",
            fix="a list or array of int; StringLookup for texts",
        )
    return array.astype(np.int64)


def is_text(inputs: Any) -> bool:
    """Whether these are texts rather than numbers, by the first of them."""
    if isinstance(inputs, np.ndarray):
        inputs = inputs.ravel()[:1].tolist() if inputs.dtype.kind == "O" else inputs.dtype.kind
        return (isinstance(inputs, list) and _first_is_text(inputs)) or inputs in ("U", "S")
    return _first_is_text(inputs)


def _first_is_text(inputs: Any) -> bool:
    return isinstance(next(iter(tree_leaves(inputs)), None), (str, bytes))


def batches(data: Any, steps: int | None) -> Iterator[Any]:
    """What `adapt` is given, batch by batch: lists and arrays are one, rank 1 a column."""
    if isinstance(data, (str, bytes)):
        data = [data]
    if isinstance(data, (list, tuple, np.ndarray, Tensor)):
        flat = not any(isinstance(item, (list, tuple, np.ndarray)) for item in data[:1])
        flat = data.ndim == 1 if isinstance(data, (np.ndarray, Tensor)) else flat
        yield [[item] for item in data] if flat else data
        return
    yield from islice(_checked(data), steps)


def _checked(data: Any) -> Iterable[Any]:
    if isinstance(data, Iterable):
        return data
    raise ArgumentTypeError(
        f"adapt takes texts or numbers, got {type(data).__name__}",
        where="adapt(data)",
        why="it goes through them once",
        fix="adapt(['one text', 'another']), or an iterable of such batches",
    )


def salt_key(salt: Any, *, owner: str) -> tuple[int, int] | None:
    """SipHash's key from one number or two; None: no key."""
    if salt is None:
        return None
    pair: Sequence[Any] = salt if isinstance(salt, (list, tuple)) else (salt, salt)
    if len(pair) == 2 and all(isinstance(p, int) and not isinstance(p, bool) for p in pair):
        return pair[0], pair[1]
    raise ArgumentError(
        f"{owner}: salt must be a whole number or two, got {salt!r}",
        where=f"{owner}(salt=...)",
        why="it is the 128-bit key of the hash",
        fix=f"{owner}(..., salt=1337)",
    )


def lines_of(path: str) -> list[str]:
    """One token a line. The path comes from code: a config that names one is not read."""
    try:
        return Path(path).expanduser().read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the vocabulary file {path!r} cannot be read: {error}",
            where="vocabulary=...",
            why="it holds one token on each line, as UTF-8",
            fix="give the path of a text file, or the tokens as a list",
        ) from error
