"""Keras 3.15 on torch, the oracle. Importing `keras` from here sets its backend first."""

import os

os.environ["KERAS_BACKEND"] = "torch"
os.environ.setdefault("KERAS_HOME", "/nonexistent-keras-home")  # never read a user's settings

import keras

__all__ = ["keras"]
