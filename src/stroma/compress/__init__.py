"""Smaller and faster networks from trained ones."""

from stroma.compress.distillation import distill, distillation_loss

__all__ = ["distill", "distillation_loss"]
