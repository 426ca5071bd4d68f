"""Colour ramps for the demo's clips: a name gives a smooth table of linear steps in OKLab."""

import numpy as np
from numpy.typing import NDArray

STEPS = 1024

# Each ramp runs from a dark ground through one or two hues to one light, so that every picture keeps
# the calm of a dark room with a single lamp in it. Hex stops, evenly spaced.
RAMPS: dict[str, tuple[str, ...]] = {
    "sunrise": ("#05060d", "#14123a", "#5a1f66", "#c2503a", "#ff9a4d", "#ffe2a0"),
    "ember": ("#070506", "#2a0d12", "#7d1d1a", "#dd5a1f", "#ffb347", "#fff0c9"),
    "lagoon": ("#03080c", "#06263a", "#0a6b74", "#35c2a1", "#b8f2c8", "#fdfbe6"),
    "violet": ("#07060f", "#1d1242", "#4b2a9c", "#9a5ae0", "#e7a4f2", "#fff0f4"),
    "moss": ("#050806", "#10261a", "#2c5a34", "#7fa044", "#dfcf6b", "#fff6d0"),
    "rosewater": ("#0b0609", "#3a1230", "#93305f", "#e66a7f", "#ffb9a1", "#fff1df"),
    "ice": ("#04070e", "#0f2547", "#2b66a8", "#77b6e6", "#cfeaf6", "#ffffff"),
    "copper": ("#070708", "#1b2a2f", "#2f6660", "#b5753f", "#eab27a", "#fff0d9"),
    "neon": ("#05030d", "#1f0a52", "#7a0fb0", "#f0288c", "#ff8a5c", "#fff29e"),
    "ink": ("#06070a", "#1a1f2b", "#3d4658", "#7f8aa0", "#c9cfd9", "#fbf7ee"),
    "peacock": ("#03070a", "#062c3f", "#0c5f86", "#14a38b", "#f1b640", "#fff3c4"),
    "plum": ("#08050b", "#2a0f3a", "#5d1f5e", "#a93f6a", "#ee8f66", "#ffe6b5"),
}


def _to_linear(hex_colour: str) -> NDArray[np.float64]:
    channels = np.array([int(hex_colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float64) / 255.0
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def ramp(name: str) -> NDArray[np.float32]:
    """Return the ramp `name` as (STEPS, 3) float32 sRGB values in 0..1; KeyError for an unknown name."""
    stops = np.array([_to_linear(colour) for colour in RAMPS[name]])
    lab = np.cbrt(stops @ _LMS.T) @ _LAB.T
    at = np.linspace(0.0, len(stops) - 1.0, STEPS)
    mixed = np.stack([np.interp(at, np.arange(len(stops)), lab[:, c]) for c in range(3)], axis=1)
    # A short box blur rounds the corners at the stops; they would show as creases in slow gradients.
    width = STEPS // 10
    padded = np.pad(mixed, ((width, width), (0, 0)), mode="edge")
    kernel = np.hanning(2 * width + 1)
    kernel /= kernel.sum()
    smooth = np.stack([np.convolve(padded[:, c], kernel, mode="valid") for c in range(3)], axis=1)
    linear = (smooth @ np.linalg.inv(_LAB).T) ** 3 @ np.linalg.inv(_LMS).T
    linear = np.clip(linear, 0.0, 1.0)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(srgb, dtype=np.float32)
