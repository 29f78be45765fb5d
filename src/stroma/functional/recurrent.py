"""Recurrences over whole sequences: torch's own kernels, masks for them, and a loop over time.

A kernel knows no masks. So the steps that count are moved to the left of each row (`compress`), the
kernel runs over all of it, and each moment takes the output of the last step that counted
(`spread`). Nothing is packed: `pack_padded_sequence` trains several times slower on a CPU.

Weights have torch's layout: `weight_ih` (G U, D), `weight_hh` (G U, U), for G gates of U units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]  # (B, D), states -> (B, U), states
_SHUT = 1e4  # what a sigmoid takes for infinity, also in float16


def lstm(
    x: Tensor,
    states: list[Tensor],
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None,
    lengths: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Long short-term memory: i, f, g, o = x W + h R + b; c = σ(f) c + σ(i) tanh(g).

    h = σ(o) tanh(c). Gates stand in the order i, f, g, o, which is torch's and Keras'.

    Args:
        x: (B, T, D).
        states: h and c before the first step, (B, U) each.
        weight_ih, weight_hh, bias: W, R and b; None: no b.
        lengths: (B,) how many steps count, from the left; after them c is held by a column of
            the input that shuts i and opens f. (h needs no such help: it is looked up.)
    Returns: h at every step (B, T, U), and the last [h, c].
    """
    if lengths is not None:
        padding = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]  # (B, T)
        x = torch.cat([x, padding[..., None].to(x.dtype)], dim=-1)  # (B, T, D + 1)
        gates = weight_ih.new_tensor([-_SHUT, _SHUT, 0.0, 0.0])
        hold = gates.repeat_interleave(weight_hh.shape[1])[:, None]
        weight_ih = torch.cat([weight_ih, hold], dim=1)
    before = [state[None] for state in states]
    parameters = _parameters(weight_ih, weight_hh, bias, None)
    outputs, h, c = torch.lstm(x, before, parameters, *_settings(bias))
    return outputs, [h[0], c[0]]


def gru(
    x: Tensor, state: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Gated recurrent unit: z, r = σ(x W + h R + b); n = tanh(x W_n + b_n + r (h R_n + b'_n)).

    h = z h + (1 - z) n. Gates stand in Keras' order z, r, n; torch's kernel wants r, z, n.

    Args:
        x: (B, T, D).
        state: h before the first step, (B, U).
        weight_ih, weight_hh: W and R.
        bias: (2, 3 U): b for the input's side and b' for the state's; None: neither.
    Returns: h at every step (B, T, U), and the last.
    """
    b, b_state = (None, None) if bias is None else (_r_first(bias[0]), _r_first(bias[1]))
    parameters = _parameters(_r_first(weight_ih), _r_first(weight_hh), b, b_state)
    outputs, h = torch.gru(x, state[None], parameters, *_settings(bias))
    return outputs, h[0]


def _r_first(gates: Tensor) -> Tensor:
    z, r, n = gates.chunk(3)
    return torch.cat([r, z, n])


def simple_rnn(
    x: Tensor,
    state: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None,
    activation: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """Elman's recurrence: h = act(x W + h R + b).

    Args:
        x: (B, T, D).
        state: h before the first step, (B, U).
        weight_ih, weight_hh, bias: W, R and b; None: no b.
        activation: "tanh" or "relu".
    Returns: h at every step (B, T, U), and the last.
    """
    run = torch.rnn_tanh if activation == "tanh" else torch.rnn_relu
    parameters = _parameters(weight_ih, weight_hh, bias, None)
    outputs, h = run(x, state[None], parameters, *_settings(bias))
    return outputs, h[0]


def _parameters(
    weight_ih: Tensor, weight_hh: Tensor, bias: Tensor | None, bias_hh: Tensor | None
) -> list[Tensor]:
    """What torch's kernels take: two biases, or none."""
    if bias is None:
        return [weight_ih, weight_hh]
    return [weight_ih, weight_hh, bias, torch.zeros_like(bias) if bias_hh is None else bias_hh]


def _settings(bias: Tensor | None) -> tuple[bool, int, float, bool, bool, bool]:
    """One layer in one direction, batch first; cuDNN keeps what backward needs only if told so."""
    return bias is not None, 1, 0.0, torch.is_grad_enabled(), False, True


# Masks


def compress(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Each row's steps that count, moved to the left in their order, and how many they are.

    Example:
        >>> x = torch.tensor([[[1.0], [2.0], [3.0]]])
        >>> moved, lengths = compress(x, torch.tensor([[False, True, True]]))
        >>> moved.flatten().tolist(), lengths.tolist()
        ([2.0, 3.0, 1.0], [2])
    """
    order = mask.logical_not().to(torch.uint8).argsort(dim=1, stable=True)  # (B, T)
    return x.take_along_dim(order[..., None], dim=1), mask.sum(dim=1)


def spread(outputs: Tensor, count: Tensor, seen: Tensor) -> Tensor:
    """At each moment the output of the last step that counted; 0 where `seen` is false.

    Args:
        outputs: (B, T, U) of the compressed sequence.
        count: (B, T') how many steps counted up to each moment.
        seen: (B, T') whether there is an output to show.
    Shape: (B, T, U) -> (B, T', U)
    """
    back = outputs.take_along_dim((count - 1).clamp(min=0)[..., None], dim=1)
    return torch.where(seen[..., None], back, 0.0)


def at_length(outputs: Tensor, lengths: Tensor | None, before: Tensor) -> Tensor:
    """The state after the last step that counted, (B, U): `before` where none did."""
    if lengths is None:
        return outputs[:, -1]
    last = outputs.take_along_dim((lengths - 1).clamp(min=0)[:, None, None], dim=1)[:, 0]
    return torch.where(lengths[:, None] > 0, last, before)


# Any recurrence


def run_steps(
    step: Step,
    x: Tensor,
    states: Any,
    mask: Tensor | None,
    *,
    zero_masked: bool = False,
    every: bool = True,
) -> tuple[Tensor, Any]:
    """One step after the other, for what no kernel computes.

    A step that does not count leaves the states as they are; its output is that of the step before
    (0 before the first), or 0 with `zero_masked`.

    Args:
        step: What happens at a moment.
        x: (B, T, ...).
        states: Any structure of tensors (B, ...).
        mask: (B, T), true where a step counts; None: all do.
        zero_masked: Whether outputs of other steps are 0.
        every: Whether all outputs are wanted, or the last alone.
    Returns: Outputs (B, T, ...) or the last one, and the states at the end.
    """
    outputs: list[Tensor] = []
    last: Any = 0.0
    for moment in range(x.shape[1]):
        output, new = step(x[:, moment], states)
        if mask is None:
            last, states = output, like(states, new)
        else:
            seen = mask[:, moment]
            last = _where(seen, output, 0.0 if zero_masked else last)
            states = tree_map(lambda n, old: _where(seen, n, old), like(states, new), states)  # noqa: B023
        if every:
            outputs.append(last)
    return (torch.stack(outputs, dim=1) if every else last), states


def step_for_all(step: Step, x: Tensor, states: Any, *, every: bool) -> tuple[Tensor, Any]:
    """One step on all moments at once, each from the first states: shapes and work of `run_steps`.

    For shape runs, where numbers do not matter and a loop of thousands of moments would.
    """
    moments = x.shape[1]

    def wide(state: Tensor) -> Tensor:
        return state[:, None].expand(-1, moments, *state.shape[1:]).flatten(0, 1)

    def narrow(tensor: Tensor) -> Tensor:
        return torch.unflatten(tensor, 0, (x.shape[0], moments))

    output, new = step(x.flatten(0, 1), tree_map(wide, states))
    states = tree_map(lambda state: narrow(state)[:, -1], like(states, new))
    outputs = narrow(output)  # (B, T, ...)
    return (outputs if every else outputs[:, -1]), states


def like(states: Any, new: Any) -> Any:
    """New states in the structure of the old: a cell may give a tuple, or a single tensor bare."""
    return tree_unflatten(tree_leaves(new), tree_flatten(states)[1])


def _where(seen: Tensor, new: Tensor, old: Any) -> Tensor:
    return torch.where(seen.reshape(-1, *[1] * (new.dim() - 1)), new, old)
