"""Losses that compare a whole sequence, or the samples of a batch with one another."""

from __future__ import annotations

from stroma.core.checks import check_bool, check_number
from stroma.core.dtypes import DTypeLike
from stroma.functional import alignment as formulas
from stroma.losses.base import LossFunctionWrapper, Reduction, registry


@registry.register("CTC")
class CTC(LossFunctionWrapper):
    """Cost of a label sequence over all its alignments in time; label 0 is the blank.

    Args:
        reduction, name, dtype: As for `Loss`.

    Shape: y_true (B, L), y_pred (B, T, K) of logits -> ()
    Reference: Graves et al. 2006, section 4.
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "ctc",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.ctc, reduction, name, dtype)


@registry.register("Circle")
class Circle(LossFunctionWrapper):
    """Embeddings of one class together, others apart, within a batch.

    The model ends in a `Dense` layer without activation and a `UnitNormalization` layer.

    Args:
        gamma: Scale of the likenesses, above 0.
        margin: How far from its goal a likeness may stay.
        remove_diagonal: Leave each sample's likeness to itself out.
        reduction, name, dtype: As for `Loss`. Samples that cost 0 do not count in a mean.

    Shape: y_true (B,) of class numbers, y_pred (B, D) of length 1 -> ()
    Reference: Sun et al. 2020, eq. 6.
    """

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "circle",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(
            formulas.circle,
            reduction,
            name,
            dtype,
            gamma=check_number("gamma", gamma, owner="Circle", minimum=0, exclusive=True),
            margin=margin,
            remove_diagonal=check_bool("remove_diagonal", remove_diagonal, owner="Circle"),
        )
        self.gamma, self.margin, self.remove_diagonal = gamma, margin, remove_diagonal
