"""Keras' path `preprocessing.sequence`."""

from stroma.utils.sequences import pad_sequences

__all__ = ["pad_sequences"]
