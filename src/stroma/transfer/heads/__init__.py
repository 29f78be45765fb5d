"""Classifiers on cached features, behind one interface, each judged on samples it has not seen."""

from stroma.transfer.heads.choose import HeadChoice, HeadScore, Lead, choose_head, kinds
from stroma.transfer.heads.discriminant import LDAHead
from stroma.transfer.heads.elastic_net import ElasticNetHead
from stroma.transfer.heads.head import CrossValidatedHead, Head
from stroma.transfer.heads.logistic import LogisticHead
from stroma.transfer.heads.neighbours import NeighboursHead
from stroma.transfer.heads.projection import RandomProjectionHead
from stroma.transfer.heads.prototypes import CosineHead, NearestMeanHead
from stroma.transfer.heads.regression import MultiLabelRidge, RidgeRegression
from stroma.transfer.heads.ridge import LeaveOneOut, RidgeHead
from stroma.transfer.heads.svm import LinearSVMHead, RBFSVMHead

__all__ = [
    "Head", "CrossValidatedHead", "kinds",
    "RidgeHead", "LeaveOneOut", "LDAHead", "NearestMeanHead", "CosineHead", "LogisticHead",
    "LinearSVMHead", "RBFSVMHead", "ElasticNetHead", "NeighboursHead", "RandomProjectionHead",
    "RidgeRegression", "MultiLabelRidge",
    "choose_head", "HeadChoice", "HeadScore", "Lead",
]  # fmt: skip
