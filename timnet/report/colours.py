"""The colour scale of pictures, even to the eye: its lightness rises in equal steps, so it reads in grey and dark alike."""

from functools import lru_cache

import numpy as np

# In OKLCH (Ottosson 2020): from dark violet over magenta and orange to light yellow.
LIGHTNESS = (0.22, 0.95)
HUE_DEGREES = (285.0, 465.0)
CHROMA = 0.17  # less where the screen cannot show it

# OKLab to cone responses, and these to linear sRGB.
_TO_CONES = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@lru_cache(maxsize=1)
def scale() -> np.ndarray:
    """sRGB of 256 steps from low to high: uint8 (256, 3)."""
    steps = np.linspace(0, 1, 256)
    lightness = LIGHTNESS[0] + (LIGHTNESS[1] - LIGHTNESS[0]) * steps
    hue = np.radians(HUE_DEGREES[0] + (HUE_DEGREES[1] - HUE_DEGREES[0]) * steps)
    chroma = np.full(256, CHROMA)
    for _ in range(200):  # towards grey of the same lightness, until every channel is one that a screen has
        rgb = _linear_rgb(lightness, chroma, hue)
        outside = ((rgb < 0) | (rgb > 1)).any(axis=1)
        if not outside.any():
            break
        chroma[outside] *= 0.97
    rgb = np.clip(rgb, 0, 1)
    encoded = np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def _linear_rgb(lightness: np.ndarray, chroma: np.ndarray, hue: np.ndarray) -> np.ndarray:
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    return (lab @ _TO_CONES.T) ** 3 @ _TO_RGB.T
