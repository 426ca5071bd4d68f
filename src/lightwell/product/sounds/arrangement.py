"""From a score to a seamless stereo loop: what rings past the end sounds at the beginning."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lightwell.product.sounds.synthesis import RATE, Samples, drum, note

STEPS_A_BEAT = 4


@dataclass(frozen=True)
class Part:
    """One instrument of a piece.

    `pattern` is played in every bar: `steps` long, a digit or letter is the index (base 36) of the tone
    in `tones` of the bar's chord, `.` is a rest, `-` holds the tone before, `*` is the whole chord.
    Chord tones go on upwards by octaves beyond the chord's own. `octave` shifts all; `pan` is -1..1.
    """

    voice: str
    pattern: str
    octave: int = 0
    level: float = 0.5
    pan: float = 0.0
    echo: float = 0.0
    bars: str = ""


@dataclass(frozen=True)
class Piece:
    """A score.

    `chords` holds one chord a bar: MIDI pitches, lowest first. `drums` maps a drum to a pattern with `x`
    strong and `o` soft. `beats` a bar; `swing` 0..0.3 delays every second step; `pump` 0..1 is how much
    the kick makes everything else duck.
    """

    slug: str
    title: str
    artist: str
    style: str
    bpm: int
    chords: tuple[tuple[int, ...], ...]
    parts: tuple[Part, ...]
    drums: dict[str, str] = field(default_factory=dict)
    beats: int = 4
    swing: float = 0.0
    pump: float = 0.0
    space: float = 0.2

    @property
    def seconds(self) -> float:
        """How long the loop is."""
        return len(self.chords) * self.beats * 60 / self.bpm


def perform(piece: Piece) -> NDArray[np.float32]:
    """Return the piece as samples of shape (n, 2), peaks at 0.89, at `RATE` samples a second."""
    length = round(piece.seconds * RATE)
    step = 60 / piece.bpm / STEPS_A_BEAT
    melodic = np.zeros((2, length), np.float32)
    for part in piece.parts:
        own = _play(piece, part, length, step)
        left, right = np.float32(np.sqrt((1 - part.pan) / 2)), np.float32(np.sqrt((1 + part.pan) / 2))
        melodic[0] += own * left
        melodic[1] += own * right
        if part.echo:
            # Dotted eighths, thrown from side to side.
            delay = round(3 * step * RATE)
            for turn in (1, 2, 3):
                melodic[turn % 2] += np.roll(own, delay * turn) * np.float32(part.echo**turn)
    _add_space(melodic, piece.space)
    beats, kicks = _drums(piece, length, step)
    if piece.pump:
        melodic *= _ducking(kicks, length, piece.pump)
    mixed = melodic + beats
    # A soft knee instead of a hard limit; then as loud as all the others.
    mixed = np.tanh(mixed * np.float32(0.32 / max(float(np.sqrt(np.mean(mixed**2))), 1e-6)))
    mixed *= np.float32(0.89 / np.abs(mixed).max())
    return np.ascontiguousarray(mixed.T)


def _play(piece: Piece, part: Part, length: int, step: float) -> Samples:
    out = np.zeros(length, np.float32)
    steps = piece.beats * STEPS_A_BEAT
    for bar, chord in enumerate(piece.chords):
        if part.bars and part.bars[bar % len(part.bars)] == ".":
            continue
        for at, tones, held in _strokes(part, chord, bar * steps, steps):
            start = round((at + (piece.swing if at % 2 else 0.0)) * step * RATE)
            for tone in tones:
                _add(
                    out,
                    start,
                    note(part.voice, tone + 12 * part.octave, round(held * step * 0.96, 4)),
                    part.level,
                )
    return out


def _strokes(
    part: Part, chord: tuple[int, ...], first: int, steps: int
) -> list[tuple[int, tuple[int, ...], int]]:
    """Return the strokes of one bar: step in the piece, pitches, and how many steps they are held."""
    strokes: list[tuple[int, tuple[int, ...], int]] = []
    for at in range(steps):
        sign = part.pattern[(first + at) % len(part.pattern)]
        if sign == "-" and strokes:
            began, tones, held = strokes[-1]
            strokes[-1] = (began, tones, held + 1)
        elif sign == "*":
            strokes.append((first + at, chord, 1))
        elif sign not in ".-":
            octave, tone = divmod(int(sign, 36), len(chord))
            strokes.append((first + at, (chord[tone] + 12 * octave,), 1))
    return strokes


def _add(out: Samples, start: int, sound: Samples, level: float) -> None:
    start %= len(out)
    first = min(len(sound), len(out) - start)
    out[start : start + first] += sound[:first] * np.float32(level)
    rest = sound[first : first + len(out)]
    out[: len(rest)] += rest * np.float32(level)


def _drums(piece: Piece, length: int, step: float) -> tuple[NDArray[np.float32], list[int]]:
    out = np.zeros((2, length), np.float32)
    kicks: list[int] = []
    total = len(piece.chords) * piece.beats * STEPS_A_BEAT
    for name, pattern in piece.drums.items():
        own = np.zeros(length, np.float32)
        for at in range(total):
            sign = pattern[at % len(pattern)]
            if sign in "xo":
                start = round((at + (piece.swing if at % 2 else 0.0)) * step * RATE)
                _add(own, start, drum(name), 0.8 if sign == "x" else 0.35)
                if name in ("kick", "boom"):
                    kicks.append(start)
        side = {"hat": 0.25, "open": 0.3, "shaker": -0.35, "rim": -0.2, "tom": 0.2}.get(name, 0.0)
        out[0] += own * np.float32(1 - side)
        out[1] += own * np.float32(1 + side)
    return out, kicks


def _ducking(kicks: list[int], length: int, depth: float) -> Samples:
    recovery = np.minimum(np.arange(round(0.28 * RATE), dtype=np.float32) / np.float32(0.25 * RATE), 1)
    level = np.ones(length, np.float32)
    for start in kicks:
        stop = min(start + len(recovery), length)
        dip = 1 - np.float32(depth) * (1 - recovery[: stop - start])
        level[start:stop] = np.minimum(level[start:stop], dip)
    return level


def _add_space(sound: NDArray[np.float32], amount: float) -> None:
    """Add early reflections of a room; the loop is a circle, so they wrap."""
    if not amount:
        return
    dry = sound.copy()
    for number, milliseconds in enumerate((23, 37, 53, 71, 97, 131)):
        shift = round(milliseconds * RATE / 1000)
        strength = np.float32(amount * 0.72**number)
        sound[number % 2] += np.roll(dry[(number + 1) % 2], shift) * strength
