"""Colour maps that people of every colour vision read alike, computed: no table, no matplotlib.

Values from nothing to much run from dark blue to light yellow, as cividis does: lightness alone
tells the order, and blue against yellow is kept by the common (red-green) deficiencies. Signed
values run over white from blue (against) to orange (for).
"""

from __future__ import annotations

import numpy as np

# OKLab (Ottosson 2020) of both ends: lightness, green-red, blue-yellow.
_DARK, _LIGHT = np.array([0.24, -0.01, -0.085]), np.array([0.93, -0.02, 0.165])
_TO_CONE = np.array([[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728],
                     [1, -0.0894841775, -1.2914855480]])  # fmt: skip
_TO_RGB = np.array([[4.0767416621, -3.3077115913, 0.2309699292],
                    [-1.2684380046, 2.6097574011, -0.3413193965],
                    [-0.0041960863, -0.7034186147, 1.7076147010]])  # fmt: skip
_AGAINST, _NEITHER, _FOR = (np.array(c) for c in ((0, 114, 178), (255, 255, 255), (213, 94, 0)))


def sequential(values: np.ndarray) -> np.ndarray:
    """Colours of values in [0, 1], dark blue to light yellow; others are clipped.

    Shape: (*) -> (*, 3) uint8

    Example:
        >>> sequential(np.array([0.0, 1.0])).sum(-1).tolist()[0] < 120
        True
    """
    t = np.clip(np.nan_to_num(values), 0, 1)[..., None]
    cones = ((_DARK + (_LIGHT - _DARK) * t) @ _TO_CONE.T) ** 3
    linear = np.clip(cones @ _TO_RGB.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return _bytes(encoded * 255)


def signed(values: np.ndarray) -> np.ndarray:
    """Colours of values in [-1, 1]: blue, white at 0, orange; others are clipped.

    Shape: (*) -> (*, 3) uint8

    Example:
        >>> signed(np.array([-1.0, 0.0, 1.0])).tolist()
        [[0, 114, 178], [255, 255, 255], [213, 94, 0]]
    """
    t = np.clip(np.nan_to_num(values), -1, 1)[..., None]
    return _bytes(_NEITHER + np.abs(t) * (np.where(t < 0, _AGAINST, _FOR) - _NEITHER))


def _bytes(values: np.ndarray) -> np.ndarray:
    rounded: np.ndarray = np.rint(values).astype(np.uint8)
    return rounded
