"""Labelled pictures: read, audited, split in three, decoded once, served by the batch."""

from stroma.data.arrays import arrays, digits
from stroma.data.dataset import ImageData
from stroma.data.decode import Decoder
from stroma.data.images import images
from stroma.data.part import Part
from stroma.data.records import Audit, AuditEntry

__all__ = ["images", "arrays", "digits", "ImageData", "Part", "Decoder", "Audit", "AuditEntry"]
