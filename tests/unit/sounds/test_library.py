import time

import numpy as np
import pytest

from lightwell.product.sounds.arrangement import STEPS_A_BEAT, Piece, perform
from lightwell.product.sounds.pieces import LIBRARY
from lightwell.product.sounds.service import sound_id
from lightwell.product.sounds.synthesis import RATE, VOICES, drum, note

PIECES = pytest.mark.parametrize("piece", LIBRARY, ids=lambda piece: piece.slug)


def test_the_library_has_at_least_twelve_pieces_of_different_names_makers_and_styles() -> None:
    assert len(LIBRARY) >= 12
    for of in (
        lambda p: p.slug,
        lambda p: p.title,
        lambda p: p.artist,
        lambda p: p.style,
        lambda p: sound_id(p.slug),
    ):
        assert len({of(piece) for piece in LIBRARY}) == len(LIBRARY)


@PIECES
def test_a_piece_is_a_loop_of_fifteen_to_twenty_seconds(piece: Piece) -> None:
    assert 15 <= piece.seconds <= 20


@PIECES
def test_a_pattern_fills_whole_bars(piece: Piece) -> None:
    bar = piece.beats * STEPS_A_BEAT
    total = bar * len(piece.chords)
    patterns = [part.pattern for part in piece.parts] + list(piece.drums.values())
    for pattern in patterns:
        assert len(pattern) % bar == 0 or total % len(pattern) == 0, pattern


@pytest.fixture(scope="module")
def performed() -> dict[str, np.ndarray]:
    return {piece.slug: perform(piece) for piece in LIBRARY}


@PIECES
def test_a_piece_is_loud_enough_and_never_clips(piece: Piece, performed: dict[str, np.ndarray]) -> None:
    samples = performed[piece.slug]
    assert samples.shape == (round(piece.seconds * RATE), 2)
    assert np.isfinite(samples).all()
    assert 0.85 < np.abs(samples).max() <= 0.9
    assert 0.15 < np.sqrt((samples**2).mean()) < 0.4


@PIECES
def test_the_end_of_a_piece_meets_its_beginning(piece: Piece, performed: dict[str, np.ndarray]) -> None:
    samples = performed[piece.slug]
    steps = np.abs(np.diff(samples, axis=0)).max()
    assert np.abs(samples[0] - samples[-1]).max() <= steps


@PIECES
def test_both_ears_hear_something_of_their_own(piece: Piece, performed: dict[str, np.ndarray]) -> None:
    left, right = performed[piece.slug].T
    assert 0.5 < np.sqrt((left**2).mean() / (right**2).mean()) < 2
    assert np.corrcoef(left, right)[0, 1] < 0.999


def test_a_piece_is_the_same_every_time(performed: dict[str, np.ndarray]) -> None:
    piece = LIBRARY[0]
    note.cache_clear()
    drum.cache_clear()
    assert np.array_equal(perform(piece), performed[piece.slug])


def test_all_pieces_together_are_made_in_a_few_seconds() -> None:
    note.cache_clear()
    begun = time.process_time()
    for piece in LIBRARY:
        perform(piece)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("voice", VOICES)
def test_a_voice_sounds_at_the_pitch_asked_for(voice: str) -> None:
    sound = note(voice, 69, 1.0)
    assert np.isfinite(sound).all()
    strengths = np.abs(np.fft.rfft(sound[: RATE // 2]))
    peaks = np.sort(np.argsort(strengths)[-4:]) * 2
    assert any(abs(peak % 440 - 0) < 12 or abs(peak % 440 - 440) < 12 for peak in peaks)
