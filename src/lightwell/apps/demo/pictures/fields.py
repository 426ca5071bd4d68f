"""Fields that fill the whole picture: a phase of the loop gives one brightness map, the same at its end.

Every field is periodic in its phase, so each clip loops without a seam. Coordinates are centred: x runs
over -0.5625..0.5625, y over -1..1 from top to bottom, so shapes keep their proportions at 9:16.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Field = Callable[[float], Plane]
"""Phase in radians (0..2 pi over the clip) to a (height, width) float32 plane, mostly within 0..1."""

TAU = 2.0 * np.pi


def _f32(value: Plane | NDArray[np.float64] | float) -> Plane:
    return np.asarray(value, dtype=np.float32)


def _spots(rng: Generator, count: int) -> NDArray[np.float32]:
    """Random orbits: (count, 6) of centre x, centre y, radius x, radius y, phase, direction."""
    return np.column_stack(
        [
            rng.uniform(-0.5, 0.5, count),
            rng.uniform(-0.95, 0.95, count),
            rng.uniform(0.05, 0.3, count),
            rng.uniform(0.08, 0.4, count),
            rng.uniform(0, TAU, count),
            rng.choice([-1.0, 1.0], count),
        ]
    ).astype(np.float32)


def _at(spots: NDArray[np.float32], phase: float) -> tuple[Plane, Plane]:
    angle = spots[:, 4] + spots[:, 5] * np.float32(phase)
    return spots[:, 0] + spots[:, 2] * np.cos(angle), spots[:, 1] + spots[:, 3] * np.sin(angle)


def relief(height: Plane, lean: float, depth: float) -> Plane:
    """Light a height map from the upper side: (h, w) in 0..1; `lean` radians, `depth` steepness."""
    dy, dx = np.gradient(height)
    scale = np.float32(depth * height.shape[0])
    dx, dy = dx * scale, dy * scale
    facing = (1.0 - np.float32(np.cos(lean)) * dx - np.float32(np.sin(lean)) * dy) / np.sqrt(
        2.0 * (1.0 + dx * dx + dy * dy)
    )
    return _f32(np.clip(facing, 0.0, 1.0))


def silk(rng: Generator, x: Plane, y: Plane) -> Field:
    """Folds of cloth: waves bent by waves bent by waves, lit from one side."""
    a = rng.uniform(0.7, 1.5, 6).astype(np.float32)
    p = rng.uniform(0, TAU, 8).astype(np.float32)
    turn = rng.uniform(0, TAU)
    u = _f32(x * np.cos(turn) + y * np.sin(turn))
    v = _f32(y * np.cos(turn) - x * np.sin(turn))
    lean = rng.uniform(0, TAU)

    def field(phase: float) -> Plane:
        t = np.float32(phase)
        u1 = u + 0.34 * np.sin(2.1 * a[0] * v + p[0] + t) + 0.18 * np.cos(3.3 * a[1] * u + p[1] - t)
        v1 = v + 0.34 * np.cos(1.9 * a[2] * u + p[2] - t) + 0.18 * np.sin(3.1 * a[3] * v + p[3] + t)
        u2 = u1 + 0.30 * np.sin(2.6 * v1 + p[4] + np.sin(t + p[7]))
        height = np.sin(5.2 * a[4] * u2 + 2.2 * a[5] * v1 + p[5]) * 0.5 + 0.5
        light = relief(_f32(height * 0.055), lean, 1.0)
        return _f32(0.08 + 0.46 * height * (0.25 + light) + 0.52 * light**6)

    return field


def smoke(rng: Generator, x: Plane, y: Plane) -> Field:
    """Slow smoke: octaves of warped cosine noise."""
    k = rng.normal(0, 1, (10, 2)).astype(np.float32)
    p = rng.uniform(0, TAU, (10,)).astype(np.float32)

    def noise(u: Plane, v: Plane, t: np.float32, first: int) -> Plane:
        total = np.zeros_like(u)
        weight = np.float32(1.0)
        scale = np.float32(1.6)
        for i in range(first, first + 5):
            drift = p[i] + (t if i % 2 else -t)
            total += weight * np.sin(
                scale * (k[i, 0] * u + k[i, 1] * v)
                + drift
                + 1.3 * np.cos(scale * (k[i, 1] * u - k[i, 0] * v))
            )
            weight *= np.float32(0.62)
            scale *= np.float32(1.7)
        return total * np.float32(0.42)

    def field(phase: float) -> Plane:
        t = np.float32(phase)
        first = noise(x, y, t, 0)
        second = noise(x + 0.35 * first, y - 0.5 * first, -t, 5)
        return _f32(0.42 + 0.36 * second + 0.20 * first - 0.14 * np.abs(x) + 0.10 * first * second)

    return field


def aurora(rng: Generator, x: Plane, y: Plane) -> Field:
    """Curtains of light hanging over a dark horizon."""
    count = 4
    base = rng.uniform(-0.45, 0.5, count).astype(np.float32)
    p = rng.uniform(0, TAU, (count, 3)).astype(np.float32)
    bend = rng.uniform(0.6, 1.4, (count, 2)).astype(np.float32)

    def field(phase: float) -> Plane:
        t = np.float32(phase)
        sky = _f32(0.16 - 0.10 * y)
        for i in range(count):
            foot = (
                base[i]
                + 0.20 * np.sin(4.2 * bend[i, 0] * x + p[i, 0] + t)
                + 0.09 * np.sin(9.0 * bend[i, 1] * x + p[i, 1] - t)
            )
            above = foot - y
            rays = 0.72 + 0.28 * np.sin(34.0 * x + 6.0 * np.sin(5.0 * x + p[i, 2] + t) + p[i, 1])
            glow = np.exp(-np.maximum(above, 0.0) * (1.9 + 0.5 * i)) / (1.0 + np.exp(-42.0 * above))
            sky = sky + 0.52 * glow * rays * (0.65 + 0.35 * np.sin(t + p[i, 2]))
        return _f32(1.0 - np.exp(-1.25 * sky))

    return field


def ribbons(rng: Generator, x: Plane, y: Plane) -> Field:
    """Broad ribbons crossing: each is sharp on one edge and melts away on the other."""
    count = 6
    p = rng.uniform(0, TAU, (count, 3)).astype(np.float32)
    tilt = rng.uniform(-0.9, 0.9, count).astype(np.float32)
    offset = np.linspace(-0.8, 0.8, count).astype(np.float32) + rng.normal(0, 0.08, count).astype(np.float32)
    width = rng.uniform(0.10, 0.34, count).astype(np.float32)

    def field(phase: float) -> Plane:
        t = np.float32(phase)
        total = _f32(0.05 + 0.05 * np.sin(2.0 * y + p[0, 0] + t))
        for i in range(count):
            curve = (
                tilt[i] * y
                + offset[i] * 0.75
                + 0.22 * np.sin(1.9 * y + p[i, 0] + t)
                + 0.10 * np.sin(3.7 * y + p[i, 1] - t)
            )
            away = x - curve
            body = np.exp(-np.maximum(away, 0.0) / width[i]) / (1.0 + np.exp(-np.clip(90.0 * away, -60, 60)))
            sheen = 0.62 + 0.38 * np.sin(2.6 * y + p[i, 2] - t)
            total = total * (1.0 - 0.55 * body) + (0.30 + 0.62 * sheen) * body * 0.85
        return _f32(total)

    return field


def cells(rng: Generator, x: Plane, y: Plane) -> Field:
    """Living glass: the nearest and second nearest of drifting seeds, lit at the seams."""
    spots = _spots(rng, 26)
    spots[:, 2:4] *= 0.55
    tone = rng.uniform(0.25, 0.85, 26).astype(np.float32)

    def field(phase: float) -> Plane:
        cx, cy = _at(spots, phase)
        first = np.full(x.shape, 9.0, dtype=np.float32)
        second = np.full(x.shape, 9.0, dtype=np.float32)
        shade = np.zeros(x.shape, dtype=np.float32)
        for i in range(len(spots)):
            away = (x - cx[i]) ** 2 + (y - cy[i]) ** 2
            nearer = away < first
            second = np.where(nearer, first, np.minimum(second, away))
            shade = np.where(nearer, tone[i], shade)
            first = np.where(nearer, away, first)
        near, next_near = np.sqrt(first), np.sqrt(second)
        seam = next_near - near
        edge = 1.0 / (1.0 + np.exp(-(seam - 0.016) * 190.0))
        dome = np.exp(-near * near * 11.0)
        return _f32(edge * (0.10 + 0.75 * shade * (0.35 + 0.75 * dome)) + (1.0 - edge) * 0.02)

    return field


def ripples(rng: Generator, x: Plane, y: Plane) -> Field:
    """Rings on still water that meet and pass through each other."""
    spots = _spots(rng, 5)
    speed = rng.integers(2, 4, 5)
    pitch = rng.uniform(15.0, 26.0, 5).astype(np.float32)
    lean = rng.uniform(0, TAU)

    def field(phase: float) -> Plane:
        cx, cy = spots[:, 0], spots[:, 1]
        height = np.zeros(x.shape, dtype=np.float32)
        for i in range(len(spots)):
            away = np.sqrt((x - cx[i]) ** 2 + (y - cy[i]) ** 2 + 0.002)
            height += np.sin(pitch[i] * away - np.float32(speed[i] * phase)) / (1.0 + 2.6 * away)
        light = relief(_f32(height * 0.020), lean, 1.0)
        return _f32(0.16 + 0.34 * light + 0.13 * height + 0.9 * np.maximum(light - 0.74, 0.0) * 2.0)

    return field


def kaleidoscope(rng: Generator, x: Plane, y: Plane) -> Field:
    """A folded wheel: one warped wedge, mirrored around the middle."""
    fold = int(rng.choice([5, 6, 8]))
    centre = rng.uniform(-0.16, 0.16)
    radius = _f32(np.hypot(x, y - centre))
    angle = np.arctan2(y - np.float32(centre), x)
    p = rng.uniform(0, TAU, 5).astype(np.float32)
    wedge = np.float32(TAU / fold)

    def field(phase: float) -> Plane:
        t = np.float32(phase)
        # sqrt(s^2 + e) instead of |s| keeps the mirror lines soft: hard creases alias when scaled up.
        s = np.sin(fold * 0.5 * angle + 0.5 * np.sin(t))
        folded = np.arcsin(np.clip(np.sqrt(s * s + 0.002), 0, 1)) * (wedge / np.pi)
        u, v = radius * np.cos(folded), radius * np.sin(folded)
        u1 = u + 0.16 * np.sin(7.0 * v + p[0] + t) + 0.10 * np.sin(9.0 * radius + p[1] - t)
        v1 = v + 0.16 * np.cos(6.0 * u1 + p[2] - t)
        rings = np.sin(8.5 * u1 + p[3]) * np.cos(7.5 * v1 + p[4] + np.sin(t))
        return _f32(0.46 + 0.44 * rings - 0.20 * radius + 0.16 * np.exp(-radius * 6.0))

    return field


def lava(rng: Generator, x: Plane, y: Plane) -> Field:
    """Warm drops that rise, touch and part."""
    count = 11
    spots = _spots(rng, count)
    spots[:, 3] = rng.uniform(0.3, 0.8, count)
    spots[:, 2] *= 0.5
    size = rng.uniform(0.02, 0.07, count).astype(np.float32)

    def field(phase: float) -> Plane:
        cx, cy = _at(spots, phase)
        total = np.zeros(x.shape, dtype=np.float32)
        for i in range(count):
            total += size[i] / ((x - cx[i]) ** 2 + (y - cy[i]) ** 2 + 0.004)
        body = 1.0 / (1.0 + np.exp(-(total - 2.3) * 3.0))
        inner = 1.0 - np.exp(-np.maximum(total - 2.0, 0.0) * 0.22)
        return _f32(0.06 + 0.09 * (y + 1.0) * 0.5 + body * (0.26 + 0.62 * inner) - 0.05 * body * y)

    return field


def dunes(rng: Generator, x: Plane, y: Plane) -> Field:
    """A low sun over ridge behind ridge of hills."""
    count = 7
    p = rng.uniform(0, TAU, (count, 3)).astype(np.float32)
    wave = rng.uniform(0.7, 1.4, (count, 2)).astype(np.float32)
    sun_x = np.float32(rng.uniform(-0.22, 0.22))

    def field(phase: float) -> Plane:
        t = np.float32(phase)
        sun_y = np.float32(-0.26 + 0.12 * np.cos(phase))
        away = np.sqrt((x - sun_x) ** 2 + (y - sun_y) ** 2)
        scene = 0.60 - 0.34 * np.abs(y - sun_y) + 0.34 * np.exp(-away * 3.2)
        scene += 0.42 / (1.0 + np.exp(np.clip((away - 0.17) * 95.0, -60, 60)))
        for i in range(count):
            near = np.float32(i / (count - 1))
            ridge = (
                -0.16
                + 0.98 * near
                + (0.05 + 0.07 * near) * np.sin(3.1 * wave[i, 0] * x + p[i, 0] + t)
                + 0.04 * np.sin(6.3 * wave[i, 1] * x + p[i, 1] - t)
            )
            below = y - ridge
            cover = 1.0 / (1.0 + np.exp(np.clip(-below * 150.0, -60, 60)))
            tone = 0.50 * (1.0 - near) + 0.06 + 0.20 * np.exp(-np.maximum(below, 0.0) * 9.0) * (1.1 - near)
            scene = scene * (1.0 - cover) + tone * cover
        return _f32(scene)

    return field


def tunnel(rng: Generator, x: Plane, y: Plane) -> Field:
    """A soft spiral falling inwards without end."""
    arms = int(rng.choice([2, 3, 4, 5]))
    cx, cy = rng.uniform(-0.12, 0.12), rng.uniform(-0.2, 0.2)
    radius = np.sqrt((x - np.float32(cx)) ** 2 + (y - np.float32(cy)) ** 2 + 0.0015)
    depth = np.log(radius)
    angle = np.arctan2(y - np.float32(cy), x - np.float32(cx))
    p = rng.uniform(0, TAU, 3).astype(np.float32)
    twist = np.float32(rng.choice([-1.0, 1.0]) * rng.uniform(2.0, 3.6))

    def field(phase: float) -> Plane:
        t = np.float32(phase)
        swirl = arms * angle + twist * depth * 2.0
        wave = np.sin(swirl + 2.0 * t + 0.9 * np.sin(3.0 * depth + p[0] + t))
        fine = np.sin(2.0 * swirl - 5.0 * depth - 2.0 * t + p[1])
        ridge = np.exp(-((1.0 - wave) ** 2) * 1.5)
        return _f32(
            (0.10 + 0.66 * ridge + 0.10 * fine) * np.clip(radius * 2.1 + 0.12, 0, 1) + 0.02 / radius * 0.4
        )

    return field


def weave(rng: Generator, x: Plane, y: Plane) -> Field:
    """Woven bands that pass over and under while the cloth breathes."""
    pitch = np.float32(rng.uniform(15.0, 22.0))
    turn = rng.uniform(0.4, 1.1)
    u = _f32(x * np.cos(turn) + y * np.sin(turn))
    v = _f32(y * np.cos(turn) - x * np.sin(turn))
    p = rng.uniform(0, TAU, 4).astype(np.float32)

    def field(phase: float) -> Plane:
        t = np.float32(phase)
        u1 = pitch * (u + 0.05 * np.sin(2.4 * v + p[0] + t))
        v1 = pitch * (v + 0.05 * np.sin(2.7 * u + p[1] - t))
        across, along = np.cos(u1), np.cos(v1)
        over = np.sin(u1 * 0.5) * np.sin(v1 * 0.5)
        mix = 1.0 / (1.0 + np.exp(-over * 9.0))
        first = (0.5 + 0.5 * across) * (0.55 + 0.45 * np.sin(1.8 * v + p[2] + t))
        second = (0.5 + 0.5 * along) * (0.40 + 0.32 * np.sin(1.6 * u + p[3] - t))
        return _f32(0.05 + 0.88 * (first * mix + second * (1.0 - mix)))

    return field


FIELDS: dict[str, Callable[[Generator, Plane, Plane], Field]] = {
    "silk": silk,
    "smoke": smoke,
    "aurora": aurora,
    "ribbons": ribbons,
    "cells": cells,
    "ripples": ripples,
    "kaleidoscope": kaleidoscope,
    "lava": lava,
    "dunes": dunes,
    "tunnel": tunnel,
    "weave": weave,
}
