"""Hashes of texts that never change: FarmHash64's fingerprint, SipHash with a key, crossings.

Texts of one length class are hashed together, as arrays of 64-bit numbers that wrap around.

Reference: Pike & Alakuijala 2014, FarmHash (`Fingerprint64`); Aumasson & Bernstein 2012,
SipHash-2-4; the combination of two is TensorFlow's `FingerprintCat64`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_K0, _K1, _K2 = (np.uint64(k) for k in (0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F))
_CROSS = np.uint64(0xC6A4A7935BD1E995)
_SHORT = 64  # bytes up to which texts of different lengths are hashed in one go


def fingerprints(texts: Sequence[bytes]) -> Words:
    """FarmHash64 of each text.

    Example:
        >>> fingerprints([b"", b"stroma"])[:1]
        array([11160318154034397263], dtype=uint64)
    """
    return _by_length(texts, _farm)


def siphash(texts: Sequence[bytes], key: tuple[int, int]) -> Words:
    """SipHash-2-4 of each text under a key of two 64-bit numbers."""
    k0, k1 = (np.uint64(part % 2**64) for part in key)
    return _by_length(texts, lambda rows: _sip(rows, k0, k1))


def combine(first: Words, second: Words) -> Words:
    """One fingerprint of two: their order counts."""
    with np.errstate(over="ignore"):
        mixed = first ^ _CROSS ^ (_shift_mix(second * _CROSS) * _CROSS)
        return _shift_mix(_shift_mix(mixed * _CROSS) * _CROSS)


def _by_length(texts: Sequence[bytes], function: Callable[[NDArray[np.uint8]], Words]) -> Words:
    """`function` of a matrix of bytes for all texts of one length, for each length."""
    lengths = np.fromiter((len(text) for text in texts), dtype=np.int64, count=len(texts))
    result = np.empty(len(texts), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for length in np.unique(lengths).tolist():
            places = np.flatnonzero(lengths == length)
            joined = b"".join(texts[place] for place in places.tolist())
            rows = np.frombuffer(joined, dtype=np.uint8).reshape(len(places), length)
            result[places] = function(rows)
    return result


def _word(rows: NDArray[np.uint8], start: int, size: int = 8) -> Words:
    """Bytes from `start` as one little-endian number per row."""
    start = start if start >= 0 else rows.shape[1] + start
    part = np.ascontiguousarray(rows[:, start : start + size])
    return part.view(np.uint64 if size == 8 else np.uint32)[:, 0].astype(np.uint64)


def _rotate_right(x: Words, by: int) -> Words:
    return (x >> np.uint64(by)) | (x << np.uint64(64 - by))


def _shift_mix(x: Words) -> Words:
    return x ^ (x >> np.uint64(47))


def _length_16(u: Words, v: Words, factor: Words | np.uint64) -> Words:
    a = _shift_mix((u ^ v) * factor)
    return _shift_mix((v ^ a) * factor) * factor


def _farm(rows: NDArray[np.uint8]) -> Words:
    length = rows.shape[1]
    if length <= 16:
        return _farm_16(rows, length)
    factor = _K2 + np.uint64(length * 2)
    if length <= 32:
        a, b = _word(rows, 0) * _K1, _word(rows, 8)
        c, d = _word(rows, -8) * factor, _word(rows, -16) * _K2
        u = _rotate_right(a + b, 43) + _rotate_right(c, 30) + d
        return _length_16(u, a + _rotate_right(b + _K2, 18) + c, factor)
    if length <= _SHORT:
        return _farm_64(rows, factor)
    return _farm_long(rows, length)


def _farm_16(rows: NDArray[np.uint8], length: int) -> Words:
    size = np.uint64(length)
    if length >= 8:
        factor = _K2 + np.uint64(length * 2)
        a, b = _word(rows, 0) + _K2, _word(rows, -8)
        c = _rotate_right(b, 37) * factor + a
        return _length_16(c, (_rotate_right(a, 25) + b) * factor, factor)
    if length >= 4:
        factor = _K2 + np.uint64(length * 2)
        head = _word(rows, 0, 4)
        return _length_16(size + (head << np.uint64(3)), _word(rows, -4, 4), factor)
    if length:
        a, b, c = (rows[:, i].astype(np.uint64) for i in (0, length >> 1, length - 1))
        y, z = a + (b << np.uint64(8)), size + (c << np.uint64(2))
        return _shift_mix(y * _K2 ^ z * _K0) * _K2
    return np.full(len(rows), _K2)


def _farm_64(rows: NDArray[np.uint8], factor: np.uint64) -> Words:
    a, b = _word(rows, 0) * _K2, _word(rows, 8)
    c, d = _word(rows, -8) * factor, _word(rows, -16) * _K2
    y = _rotate_right(a + b, 43) + _rotate_right(c, 30) + d
    z = _length_16(y, a + _rotate_right(b + _K2, 18) + c, factor)
    e, f = _word(rows, 16) * factor, _word(rows, 24)
    g = (y + _word(rows, -32)) * factor
    h = (z + _word(rows, -24)) * factor
    u = _rotate_right(e + f, 43) + _rotate_right(g, 30) + h
    return _length_16(u, e + _rotate_right(f + a, 18) + g, factor)


def _farm_long(rows: NDArray[np.uint8], length: int) -> Words:
    seed = np.uint64(81)
    x = np.full(len(rows), seed)
    y = x * _K1 + np.uint64(113)
    z = _shift_mix(y * _K2 + np.uint64(113)) * _K2
    zero = np.zeros(len(rows), dtype=np.uint64)
    v, w = (zero, zero), (zero, zero)
    x = x * _K2 + _word(rows, 0)
    for at in range(0, (length - 1) // 64 * 64, 64):
        x, y, z, v, w = _farm_block(rows, at, x, y, z, v, w, _K1, np.uint64(1))
        z, x = x, z
    factor = _K1 + ((z & np.uint64(0xFF)) << np.uint64(1))
    w = (w[0] + np.uint64((length - 1) & 63), w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    x, y, z, v, w = _farm_block(rows, length - 64, x, y, z, v, w, factor, np.uint64(9))
    z, x = x, z
    u = _length_16(v[0], w[0], factor) + _shift_mix(y) * _K0 + z
    return _length_16(u, _length_16(v[1], w[1], factor) + x, factor)


Pair = tuple[Words, Words]


def _farm_block(
    rows: NDArray[np.uint8], at: int, x: Words, y: Words, z: Words, v: Pair, w: Pair,
    factor: Words | np.uint64, weight: np.uint64,
) -> tuple[Words, Words, Words, Pair, Pair]:  # fmt: skip
    """64 bytes into the state; the last block has another factor and weight."""
    x = _rotate_right(x + y + v[0] + _word(rows, at + 8), 37) * factor
    y = _rotate_right(y + v[1] + _word(rows, at + 48), 42) * factor
    x = x ^ w[1] * weight
    y = y + v[0] * weight + _word(rows, at + 40)
    z = _rotate_right(z + w[0], 33) * factor
    v = _weak_32(rows, at, v[1] * factor, x + w[0])
    w = _weak_32(rows, at + 32, z + w[1], y + _word(rows, at + 16))
    return x, y, z, v, w


def _weak_32(rows: NDArray[np.uint8], at: int, a: Words, b: Words) -> Pair:
    first, second, third, fourth = (_word(rows, at + step) for step in (0, 8, 16, 24))
    a = a + first
    b = _rotate_right(b + a + fourth, 21)
    c = a
    a = a + second + third
    return a + fourth, b + _rotate_right(a, 44) + c


def _sip(rows: NDArray[np.uint8], k0: np.uint64, k1: np.uint64) -> Words:
    count, length = rows.shape
    padded = np.zeros((count, length // 8 * 8 + 8), dtype=np.uint8)
    padded[:, :length] = rows
    padded[:, -1] = length & 0xFF
    constants = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    state = [np.full(count, np.uint64(c) ^ k) for c, k in zip(constants, (k0, k1, k0, k1))]
    for word in padded.view(np.uint64).T:
        state[3] = state[3] ^ word
        state = _sip_round(_sip_round(state))
        state[0] = state[0] ^ word
    state[2] = state[2] ^ np.uint64(0xFF)
    for _ in range(4):
        state = _sip_round(state)
    result: Words = state[0] ^ state[1] ^ state[2] ^ state[3]
    return result


def _sip_round(state: list[Words]) -> list[Words]:
    a, b, c, d = state
    a, c = a + b, c + d
    b, d = _rotate_right(b, 51) ^ a, _rotate_right(d, 48) ^ c
    a = _rotate_right(a, 32)
    a, c = a + d, c + b
    d, b = _rotate_right(d, 43) ^ a, _rotate_right(b, 47) ^ c
    return [a, b, _rotate_right(c, 32), d]
