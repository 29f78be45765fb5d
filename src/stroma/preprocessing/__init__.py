"""Keras' older paths of what stands in `stroma.utils`."""

from stroma.preprocessing import image, sequence

__all__ = ["image", "sequence"]
