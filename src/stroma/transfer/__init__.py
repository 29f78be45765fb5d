"""From a pretrained network to a classifier: cached features, a head in closed form, baselines.

The room is also its main function: `stroma.transfer(base, data)` is `transfer.ladder.transfer`.
"""

import sys
from types import ModuleType
from typing import Any

from stroma.transfer.baseline import PixelBaselines
from stroma.transfer.bases import load_base, provenance
from stroma.transfer.calibration import (
    Calibration,
    RefusalRow,
    ReliabilityRow,
    calibrate,
    expected_calibration_error,
    fit_temperature,
    refuse_below,
    reliability,
    tempered,
)
from stroma.transfer.compose import feature_extractor, preprocess, with_head
from stroma.transfer.features import feature_blocks, features
from stroma.transfer.finetune import Finetuned, GradualUnfreezing, finetune
from stroma.transfer.forgetting import EWC, LwF, Replay
from stroma.transfer.heads import (
    CosineHead,
    ElasticNetHead,
    Head,
    HeadChoice,
    HeadScore,
    LDAHead,
    LeaveOneOut,
    LinearSVMHead,
    LogisticHead,
    MultiLabelRidge,
    NearestMeanHead,
    NeighboursHead,
    RandomProjectionHead,
    RBFSVMHead,
    RidgeHead,
    RidgeRegression,
    choose_head,
)
from stroma.transfer.ladder import Rung, Transferred, transfer
from stroma.transfer.moments import Moments
from stroma.transfer.penalties import L2SP
from stroma.transfer.rank import BaseScore, Ranking, pareto_front, rank
from stroma.transfer.transferability import h_score, log_maximum_evidence
from stroma.transfer.unlike import Unlike, UnlikeRow, below_head, output_layer

__all__ = [
    "transfer", "Transferred", "Rung", "feature_extractor", "features", "feature_blocks",
    "preprocess", "with_head",
    "Head", "choose_head", "HeadChoice", "HeadScore", "LeaveOneOut",
    "RidgeHead", "LDAHead", "NearestMeanHead", "CosineHead", "LogisticHead",
    "LinearSVMHead", "RBFSVMHead", "ElasticNetHead", "NeighboursHead", "RandomProjectionHead",
    "RidgeRegression", "MultiLabelRidge",
    "finetune", "Finetuned", "GradualUnfreezing",
    "L2SP", "EWC", "LwF", "Replay",
    "calibrate", "Calibration", "fit_temperature", "tempered", "expected_calibration_error",
    "reliability", "ReliabilityRow", "refuse_below", "RefusalRow",
    "Unlike", "UnlikeRow", "below_head", "output_layer",
    "load_base", "provenance",
    "rank", "Ranking", "BaseScore", "pareto_front", "log_maximum_evidence", "h_score",
    "Moments", "PixelBaselines",
]  # fmt: skip


class _Room(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Transferred:
        return transfer(*args, **options)


sys.modules[__name__].__class__ = _Room
