"""Notes and drums as arrays of samples: wavetables, envelopes and noise, the same bits every time.

All arrays are float32 at `RATE` samples a second, mono unless said; pitches are MIDI numbers (69 = 440 Hz).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lightwell.base.labels import declare_cache

declare_cache("sounds.synthesis", "tables of waves", "system.operations", "public")

Samples = NDArray[np.float32]

RATE = 44_100
_TABLE = 2048


@dataclass(frozen=True)
class Voice:
    """An instrument: its spectrum when struck and when held, and how loud it is over time.

    `bright` and `dull` name spectra of `_harmonics`; `fade` is how fast one turns into the other, in
    seconds; `attack`, `decay`, `release` in seconds, `sustain` 0..1; `detune` in cents spreads two copies.
    """

    bright: str
    dull: str
    fade: float
    attack: float
    decay: float
    sustain: float
    release: float
    detune: float = 0.0
    vibrato: float = 0.0


VOICES = {
    "piano": Voice("reed", "soft", 0.35, 0.004, 1.1, 0.0, 0.25),
    "rhodes": Voice("bell", "sine", 0.25, 0.006, 1.6, 0.12, 0.3, 4.0),
    "pluck": Voice("saw", "soft", 0.09, 0.002, 0.45, 0.0, 0.12),
    "nylon": Voice("reed", "sine", 0.16, 0.003, 0.8, 0.0, 0.15),
    "bells": Voice("bell", "sine", 0.5, 0.002, 1.8, 0.0, 0.8),
    "marimba": Voice("hollow", "sine", 0.06, 0.002, 0.4, 0.0, 0.1),
    "strings": Voice("reed", "soft", 1.2, 0.25, 0.6, 0.8, 0.5, 9.0, 3.0),
    "pad": Voice("soft", "sine", 2.0, 0.4, 1.0, 0.75, 0.8, 11.0),
    "brass": Voice("soft", "saw", 0.12, 0.04, 0.3, 0.7, 0.15, 6.0),
    "lead": Voice("saw", "reed", 0.3, 0.01, 0.25, 0.65, 0.18, 7.0, 6.0),
    "square": Voice("hollow", "hollow", 1.0, 0.003, 0.12, 0.5, 0.06),
    "organ": Voice("organ", "organ", 1.0, 0.012, 0.1, 0.9, 0.08, 3.0),
    "flute": Voice("sine", "soft", 0.4, 0.06, 0.3, 0.75, 0.15, 2.0, 9.0),
    "bass": Voice("reed", "sine", 0.18, 0.006, 0.5, 0.45, 0.08),
    "sub": Voice("sine", "sine", 1.0, 0.012, 0.4, 0.7, 0.12),
    "acid": Voice("saw", "soft", 0.11, 0.003, 0.25, 0.35, 0.05),
}


def _harmonics(spectrum: str, count: int) -> NDArray[np.float64]:
    n = np.arange(1, count + 1, dtype=np.float64)
    strengths = {
        "sine": np.where(n == 1, 1.0, 0.0),
        "soft": n**-2.2,
        "reed": n**-1.5,
        "saw": 1 / n,
        "hollow": np.where(n % 2 == 1, n**-1.3, 0.0),
        "organ": np.where(np.isin(n, (1, 2, 3, 4, 6, 8)), n**-0.7, 0.0),
        "bell": np.where(np.isin(n, (1, 4, 7, 11)), n**-0.8, 0.03 / n),
    }
    return strengths[spectrum]


@cache
def _table(spectrum: str, count: int) -> Samples:
    # One period, with no harmonic beyond the highest that the pitch leaves below 15 kHz.
    phase = np.arange(_TABLE) / _TABLE * 2 * np.pi
    strengths = _harmonics(spectrum, count)
    wave = np.zeros(_TABLE)
    for number, strength in enumerate(strengths, 1):
        if strength:
            wave += strength * np.sin(number * phase)
    table: Samples = (wave / np.abs(wave).max()).astype(np.float32)
    return table


def frequency(pitch: float) -> float:
    """Return the frequency of a MIDI pitch in hertz."""
    return float(440.0 * 2.0 ** ((pitch - 69) / 12))


@cache
def note(voice_name: str, pitch: int, seconds: float) -> Samples:
    """Return one note, as long as `seconds` plus its release.

    Args:
        voice_name: a key of `VOICES`.
        pitch: MIDI number.
        seconds: how long the key is held.

    Raises:
        KeyError: there is no such voice.
    """
    voice = VOICES[voice_name]
    length = int((seconds + voice.release) * RATE)
    time = np.arange(length, dtype=np.float32) / np.float32(RATE)
    count = max(1, min(40, int(15_000 / frequency(pitch))))
    bright, dull = _table(voice.bright, count), _table(voice.dull, count)
    out = np.zeros(length, np.float32)
    copies = (-voice.detune, voice.detune) if voice.detune else (0.0,)
    for cents in copies:
        phase = time * np.float32(frequency(pitch + cents / 100) * _TABLE)
        if voice.vibrato:
            wobble = np.sin(time * np.float32(2 * np.pi * 5.2)) * np.minimum(time * 2, 1)
            phase += wobble * np.float32(frequency(pitch) * _TABLE * voice.vibrato / 20_000)
        index = phase.astype(np.int32) & (_TABLE - 1)
        if voice.bright == voice.dull:
            out += bright[index]
        else:
            colour = np.exp(time * np.float32(-1 / voice.fade))
            out += dull[index] + (bright[index] - dull[index]) * colour
    # The ear hears low notes as softer, so they get a little more.
    level = np.float32(0.5 * (440 / frequency(pitch)) ** 0.18 / len(copies))
    return out * _envelope(voice, time, seconds) * level


def _envelope(voice: Voice, time: Samples, seconds: float) -> Samples:
    rise = np.minimum(time / np.float32(voice.attack), 1)
    held = np.maximum(time - np.float32(voice.attack), 0)
    fall = voice.sustain + (1 - voice.sustain) * np.exp(held * np.float32(-3 / voice.decay))
    end = np.clip((seconds + voice.release - time) / np.float32(voice.release), 0, 1)
    envelope: Samples = (rise * fall * end).astype(np.float32)
    return envelope


@cache
def drum(name: str) -> Samples:
    """Return one stroke of `kick`, `boom`, `snare`, `clap`, `hat`, `open`, `shaker`, `rim` or `tom`.

    Raises:
        KeyError: there is no such drum.
    """
    seconds = {"boom": 0.9, "kick": 0.35, "open": 0.3, "snare": 0.25, "clap": 0.25, "tom": 0.4}.get(
        name, 0.09
    )
    time = np.arange(int(seconds * RATE), dtype=np.float32) / np.float32(RATE)
    hiss = (
        np.random.default_rng(len(name) * 7919 + ord(name[0])).standard_normal(len(time)).astype(np.float32)
    )
    bright = np.diff(np.diff(hiss, prepend=np.float32(0)), prepend=np.float32(0)) / 3
    strokes = {
        "kick": lambda: _drop(time, 48, 130, 0.035) * np.exp(-time * 11) + bright * np.exp(-time * 400) * 0.3,
        "boom": lambda: _drop(time, 38, 80, 0.06) * np.exp(-time * 4.5),
        "snare": lambda: (
            hiss * 0.35 * np.exp(-time * 20) + _drop(time, 180, 120, 0.02) * np.exp(-time * 26) * 0.6
        ),
        "clap": lambda: (
            bright * 0.7 * np.exp(-time * 22) * (1 + np.sign(np.sin(time * 520)) * np.exp(-time * 90))
        ),
        "hat": lambda: bright * np.exp(-time * 70) * 0.6,
        "open": lambda: bright * np.exp(-time * 13) * 0.5,
        "shaker": lambda: bright * np.minimum(time * 60, 1) * np.exp(-time * 45) * 0.5,
        "rim": lambda: (np.sin(time * 10_600) + np.sin(time * 4_700)) * np.exp(-time * 110) * 0.4,
        "tom": lambda: _drop(time, 95, 60, 0.05) * np.exp(-time * 9) * 0.8,
    }
    stroke: Samples = np.asarray(strokes[name](), np.float32)
    return stroke


def _drop(time: Samples, low: float, fall: float, fade: float) -> Samples:
    # A skin's pitch falls from low + fall to low; the phase is the integral of that.
    phase = low * time + fall * fade * (1 - np.exp(-time / np.float32(fade)))
    wave: Samples = np.sin(np.float32(2 * np.pi) * phase.astype(np.float32))
    return wave
