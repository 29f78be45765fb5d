"""From a pretrained network to a classifier: cached features, a head in closed form, baselines."""

from stroma.transfer.baseline import PixelBaselines
from stroma.transfer.compose import feature_extractor, preprocess, with_head
from stroma.transfer.features import features
from stroma.transfer.moments import Moments
from stroma.transfer.ridge import LeaveOneOut, RidgeHead

__all__ = [
    "feature_extractor", "features", "preprocess", "with_head",
    "RidgeHead", "LeaveOneOut", "Moments", "PixelBaselines",
]  # fmt: skip
