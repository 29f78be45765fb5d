"""Callbacks under Keras' name: the face of `stroma.training`."""

from stroma.training.averages import SwapEMAWeights
from stroma.training.callback_list import CallbackList
from stroma.training.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    LambdaCallback,
    LearningRateScheduler,
    TerminateOnNaN,
)
from stroma.training.monitors import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from stroma.training.progress import ProgbarLogger
from stroma.training.remote import RemoteMonitor
from stroma.training.state import History
from stroma.training.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History",
    "LambdaCallback", "LearningRateScheduler", "ModelCheckpoint", "ProgbarLogger",
    "ReduceLROnPlateau", "RemoteMonitor", "SwapEMAWeights", "TensorBoard", "TerminateOnNaN",
]  # fmt: skip
