"""Callbacks under Keras' name: the face of `stroma.training`."""

from stroma.training.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    LambdaCallback,
    LearningRateScheduler,
    TerminateOnNaN,
)
from stroma.training.monitors import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from stroma.training.state import History

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "ModelCheckpoint", "ReduceLROnPlateau", "TerminateOnNaN",
]  # fmt: skip
