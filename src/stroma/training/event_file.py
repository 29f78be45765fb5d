"""TensorBoard's event files, written without TensorBoard.

A record is its length, the length's checksum, the data, the data's checksum (TFRecord). The data
is an `Event` message, of which only the fields that are used here are written.
"""

from __future__ import annotations

import itertools
import os
import struct
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

_numbers = itertools.count()  # two files of one second need two names
_STRING = 7  # TensorProto's DT_STRING


class EventFile:
    """One growing file that TensorBoard reads while it grows.

    Args:
        folder: Where it goes; made with the first event.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.stroma.{os.getpid()}.{next(_numbers)}.v2"
        self._file = (folder / name).open("ab")
        self._write(_text(3, "brain.Event:2"))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """A point of a curve."""
        self._summary(step, _text(1, tag) + _float(2, value))

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """How many numbers fall into each of 30 equal ranges; only finite ones count."""
        finite = values[np.isfinite(values)].astype(np.float64)
        if not finite.size:
            return
        counts, edges = np.histogram(finite, bins=30)
        facts = (finite.min(), finite.max(), finite.size, finite.sum(), np.square(finite).sum())
        message = b"".join(_double(field, value) for field, value in enumerate(facts, 1))
        message += _doubles(6, edges[1:]) + _doubles(7, counts)
        self._summary(step, _text(1, tag) + _bytes(5, message))

    def text(self, tag: str, text: str, step: int) -> None:
        """Markdown."""
        plugin = _bytes(1, _text(1, "text"))
        tensor = _number(1, _STRING) + _bytes(2, b"") + _text(8, text)
        self._summary(step, _text(1, tag) + _bytes(8, tensor) + _bytes(9, plugin))

    def image(self, tag: str, png: bytes, height: int, width: int, step: int) -> None:
        """A grey picture."""
        picture = _number(1, height) + _number(2, width) + _number(3, 1) + _bytes(4, png)
        self._summary(step, _text(1, tag) + _bytes(4, picture))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _summary(self, step: int, value: bytes) -> None:
        self._write(_number(2, step) + _bytes(5, _bytes(1, value)))

    def _write(self, event: bytes) -> None:
        data = _double(1, time.time()) + event
        length = struct.pack("<Q", len(data))
        self._file.write(length + _checksum(length) + data + _checksum(data))


# Protocol buffers: a field is its number and kind of coding, then the value


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers as 64-bit complements
    coded = bytearray()
    while value > 127:
        coded.append(value & 127 | 128)
        value >>= 7
    return bytes([*coded, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + np.float32(value).tobytes()  # too large: infinity


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _doubles(field: int, values: Iterable[float]) -> bytes:
    return _bytes(field, np.asarray(values, dtype="<f8").tobytes())


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # Castagnoli's polynomial
        table.append(byte)
    return table


_TABLE = _crc_table()


def _checksum(data: bytes) -> bytes:
    """TFRecord's masked CRC-32C."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
