"""Pictures drawn with points of light: many particles give one additive brightness map per phase."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from lightwell.apps.demo.pictures.fields import TAU, Field, Plane

Points = NDArray[np.float32]


def _splat(shape: tuple[int, int], px: Points, py: Points, weight: Points) -> Plane:
    """Add weighted points at centred coordinates to an empty plane, shared between four neighbours."""
    height, width = shape
    fx = (px / 1.125 + 0.5) * width - 0.5
    fy = (py / 2.0 + 0.5) * height - 0.5
    inside = (fx >= 0) & (fx < width - 1) & (fy >= 0) & (fy < height - 1)
    fx, fy, weight = fx[inside], fy[inside], weight[inside]
    ix, iy = fx.astype(np.int64), fy.astype(np.int64)
    dx, dy = fx - ix, fy - iy
    base = iy * width + ix
    total = np.zeros(height * width, dtype=np.float64)
    for step, share in (
        (0, (1 - dx) * (1 - dy)),
        (1, dx * (1 - dy)),
        (width, (1 - dx) * dy),
        (width + 1, dx * dy),
    ):
        total += np.bincount(base + step, weights=weight * share, minlength=height * width)
    return total.reshape(height, width).astype(np.float32)


def _smoother(size: int, sigma: float) -> Plane:
    """The (size, size) matrix that blurs one axis by a Gaussian of `sigma` samples."""
    at = np.arange(size, dtype=np.float64)
    weight = np.exp(-((at[:, None] - at[None, :]) ** 2) / (2.0 * sigma * sigma))
    return np.asarray(weight / (sigma * np.sqrt(TAU)), dtype=np.float32)


class _Bloom:
    """Turns sharp points into light: the point, a near halo and a wide one, compressed to 0..1."""

    def __init__(self, shape: tuple[int, int], gain: float) -> None:
        # Blurs as matrix products: two small products cost less than running sums in numpy.
        self._near = [_smoother(size, 1.3) for size in shape]
        self._wide = [_smoother(size, 8.0) for size in shape]
        self._gain = np.float32(gain)

    def __call__(self, points: Plane) -> Plane:
        near = self._near[0] @ points @ self._near[1]
        wide = self._wide[0] @ points @ self._wide[1]
        return np.asarray(
            1.0 - np.exp(-self._gain * (0.35 * points + 1.6 * near + 2.6 * wide)), dtype=np.float32
        )


def lissajous(rng: Generator, x: Plane, y: Plane) -> Field:
    """One thread of light that draws a knot and fades behind its head."""
    fx, fy = [(2, 3), (3, 5), (4, 5), (3, 4), (5, 7)][int(rng.integers(5))]
    p = rng.uniform(0, TAU, 4)
    strands = 3
    bloom = _Bloom((x.shape[0], x.shape[1]), 0.55)
    along = np.linspace(0, TAU, 3400, dtype=np.float32)

    def field(phase: float) -> Plane:
        total = np.zeros(x.shape, dtype=np.float32)
        for s in range(strands):
            shift = 0.10 * s
            px = (
                0.42
                * np.sin(fx * along + p[0] + phase + shift)
                * (1.0 + 0.12 * np.sin(2 * along + p[2] + phase))
            )
            py = (
                0.80 * np.sin(fy * along + p[1] + 2 * shift) * (1.0 + 0.08 * np.cos(3 * along + p[3] - phase))
            )
            tail = np.mod(along - 2 * phase - 0.2 * s, TAU) / TAU
            weight = (0.16 + 1.3 * tail**3).astype(np.float32)
            total += _splat(x.shape, px.astype(np.float32), py.astype(np.float32), weight)
        return np.asarray(0.04 + bloom(total), dtype=np.float32)

    return field


def drift(rng: Generator, x: Plane, y: Plane) -> Field:
    """Sparks carried by a slow stream, each with a short tail."""
    count, tail = 560, 6
    bloom = _Bloom((x.shape[0], x.shape[1]), 1.7)
    sx = rng.uniform(-0.62, 0.62, count).astype(np.float32)
    sy = rng.uniform(-1.05, 1.05, count).astype(np.float32)
    p = rng.uniform(0, TAU, (count,)).astype(np.float32)
    q = rng.uniform(0, TAU, 4).astype(np.float32)
    light = (rng.pareto(2.4, count) + 0.25).clip(0, 3.0).astype(np.float32)

    def field(phase: float) -> Plane:
        total = np.zeros(x.shape, dtype=np.float32)
        for i in range(tail):
            t = np.float32(phase - 0.05 * i)
            px = sx + 0.14 * np.sin(t + 2.2 * sy + q[0]) + 0.06 * np.sin(2 * t + 5.0 * sy + q[1] + 0.3 * p)
            py = sy + 0.18 * np.cos(t + 2.6 * sx + q[2]) + 0.05 * np.cos(2 * t + 6.0 * sx + q[3] + 0.3 * p)
            flicker = 0.7 + 0.3 * np.sin(3 * t + p)
            total += _splat(x.shape, px, py, light * flicker * np.float32(0.74**i))
        ground = 0.10 + 0.08 * np.sin(1.7 * y + np.float32(phase) + q[0]) + 0.06 * np.sin(2.3 * x + q[2])
        return np.asarray(0.8 * ground + bloom(total), dtype=np.float32)

    return field


def rose(rng: Generator, x: Plane, y: Plane) -> Field:
    """Petals of dots around a heart, opening and closing."""
    petals = int(rng.choice([5, 7, 8, 9, 11]))
    rings, dots = 15, 260
    angle = np.tile(np.linspace(0, TAU, dots, endpoint=False, dtype=np.float32), rings)
    ring = np.repeat(np.linspace(0.08, 1.0, rings, dtype=np.float32), dots)
    p = rng.uniform(0, TAU, 3)
    spin = rng.choice([-1.0, 1.0])
    bloom = _Bloom((x.shape[0], x.shape[1]), 0.9)

    def field(phase: float) -> Plane:
        breathe = 0.72 + 0.16 * np.sin(phase + p[0] - 3.0 * ring)
        radius = ring * breathe * (0.62 + 0.30 * np.cos(petals * angle + spin * phase + 2.2 * ring))
        turned = angle + spin * 0.35 * np.sin(phase + p[1]) + 0.7 * ring
        weight = (0.9 - 0.45 * ring + 0.35 * np.sin(2 * phase + 7.0 * ring)).astype(np.float32)
        px = (0.78 * radius * np.cos(turned)).astype(np.float32)
        py = (0.98 * radius * np.sin(turned)).astype(np.float32)
        return np.asarray(0.05 + bloom(_splat(x.shape, px, py, weight)), dtype=np.float32)

    return field


def bokeh(rng: Generator, x: Plane, y: Plane) -> Field:
    """City lights out of focus: large soft discs that float up and cross."""
    count = 34
    size = rng.uniform(0.05, 0.19, count).astype(np.float32)
    cx = rng.uniform(-0.6, 0.6, count).astype(np.float32)
    cy = rng.uniform(-1.0, 1.0, count).astype(np.float32)
    p = rng.uniform(0, TAU, (count, 2)).astype(np.float32)
    light = rng.uniform(0.10, 0.34, count).astype(np.float32)

    height, width = x.shape

    def field(phase: float) -> Plane:
        total = np.asarray(0.10 + 0.07 * (1.0 - np.abs(y)), dtype=np.float32)
        for i in range(count):
            px = cx[i] + 0.10 * np.sin(phase + p[i, 0])
            py = cy[i] + 0.14 * np.sin(phase + p[i, 1])
            # Only the box around the disc is touched: a disc is a small part of the picture.
            reach = size[i] * 1.25
            left, right = (
                int(np.clip((at / 1.125 + 0.5) * width, 0, width)) for at in (px - reach, px + reach)
            )
            top, foot = (
                int(np.clip((at / 2.0 + 0.5) * height, 0, height)) for at in (py - reach, py + reach)
            )
            if left >= right or top >= foot:
                continue
            box = np.s_[top:foot, left:right]
            away = np.sqrt((x[box] - px) ** 2 + (y[box] - py) ** 2) / size[i]
            disc = 1.0 / (1.0 + np.exp(np.clip((away - 1.0) * (size[i] * 210.0), -60, 60)))
            rim = 0.75 + 0.35 * np.clip(away, 0, 1) ** 4
            total[box] += light[i] * (0.75 + 0.25 * np.sin(phase + p[i, 1])) * disc * rim
        return np.asarray(1.0 - np.exp(-1.15 * total), dtype=np.float32)

    return field


GLOWS: dict[str, Callable[[Generator, Plane, Plane], Field]] = {
    "lissajous": lissajous,
    "drift": drift,
    "rose": rose,
    "bokeh": bokeh,
}
