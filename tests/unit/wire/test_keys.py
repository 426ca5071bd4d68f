"""Keys of all three types: one text each, and a signature says exactly what its type covers."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.cosigned import CosignedError, subtree_message
from lightwell.wire.keys import (
    COSIGNATURE,
    ED25519,
    MLDSA_COSIGNATURE,
    NoteError,
    Signature,
    SigningKey,
    Verifier,
)
from lightwell.wire.note import join_note, open_note

AT = 1_700_000_000
TREE = Checkpoint("example.com/log", 20, bytes(range(32)))
KEYS = {
    kind: SigningKey.generate(f"example.com/{kind}", bytes([kind]) * 32, kind)
    for kind in (ED25519, COSIGNATURE, MLDSA_COSIGNATURE)
}
ED, W4, W6 = KEYS.values()
SIZES = {ED25519: (32, 64), COSIGNATURE: (32, 72), MLDSA_COSIGNATURE: (1312, 2428)}


def made(key: SigningKey, text: str = TREE.text()) -> Signature:
    return key.cosign(text, AT) if key.verifier().is_cosigner else key.sign_text(text)


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_id_is_the_hash_of_name_type_and_key(kind: int) -> None:
    verifier = KEYS[kind].verifier()
    material = bytes([kind]) + verifier.public_bytes
    assert len(verifier.public_bytes) == SIZES[kind][0]
    assert verifier.key_id == hashlib.sha256(verifier.name.encode() + b"\n" + material).digest()[:4]


@pytest.mark.parametrize("key", KEYS.values())
def test_both_halves_are_read_back_from_their_text(key: SigningKey) -> None:
    verifier = Verifier.from_vkey(key.verifier().vkey())
    assert verifier == key.verifier()
    assert hash(verifier) == hash(key.verifier())
    again = SigningKey.from_text(f" {key.text()}\n")
    assert again.text() == key.text()
    assert again.verifier() == verifier
    assert verifier.verify_text(TREE.text(), made(again).signature)


@pytest.mark.parametrize("kind", KEYS)
def test_a_signature_has_one_size_and_binds_its_text(kind: int) -> None:
    line, verifier = made(KEYS[kind]), KEYS[kind].verifier()
    assert len(line.signature) == SIZES[kind][1]
    assert verifier.verify_text(TREE.text(), line.signature)
    assert not verifier.verify_text(TREE.text().replace("\n20\n", "\n21\n"), line.signature)
    for wrong in (line.signature[:-1], line.signature + b"\0", b"", line.signature[:8], line.signature[8:]):
        assert not verifier.verify_text(TREE.text(), wrong)


@given(st.sampled_from(sorted(KEYS)), st.data())
def test_any_flipped_bit_of_a_signature_is_refused(kind: int, data: st.DataObject) -> None:
    signature = bytearray(made(KEYS[kind]).signature)
    bit = data.draw(st.integers(0, len(signature) * 8 - 1))
    signature[bit // 8] ^= 1 << bit % 8
    assert not KEYS[kind].verifier().verify_text(TREE.text(), bytes(signature))


@given(st.sampled_from(sorted(KEYS)), st.data())
def test_any_flipped_bit_of_a_verifier_key_is_refused(kind: int, data: st.DataObject) -> None:
    # A flip of the key's own bytes is seen by its id, 32 bits of a hash: enough against accidents.
    vkey = bytearray(KEYS[kind].verifier().vkey().encode())
    bit = data.draw(st.integers(0, len(vkey) * 8 - 1))
    vkey[bit // 8] ^= 1 << bit % 8
    with pytest.raises((NoteError, UnicodeDecodeError)):
        Verifier.from_vkey(bytes(vkey).decode())


@given(st.sampled_from(sorted(KEYS)), st.data())
def test_any_flipped_bit_of_a_private_key_is_refused(kind: int, data: st.DataObject) -> None:
    text = bytearray(KEYS[kind].text().encode())
    bit = data.draw(st.integers(0, len(text) * 8 - 1))
    text[bit // 8] ^= 1 << bit % 8
    with pytest.raises((NoteError, UnicodeDecodeError)):
        SigningKey.from_text(bytes(text).decode())


def test_extension_lines_are_signed_by_type_04_and_not_by_type_06() -> None:
    extended = TREE.text() + "an extension\n"
    assert not W4.verifier().verify_text(extended, made(W4).signature)
    assert not W4.verifier().verify_text(TREE.text(), made(W4, extended).signature)
    assert W6.verifier().verify_text(extended, made(W6).signature)
    assert W6.verifier().verify_text(TREE.text(), made(W6, extended).signature)


def test_type_06_binds_the_cosigners_name_and_type_04_does_not() -> None:
    for key, bound in ((W4, False), (W6, True)):
        verifier = key.verifier()
        renamed = Verifier("example.com/other", verifier.public_bytes, verifier.algorithm)
        assert renamed.key_id != verifier.key_id
        assert renamed.verify_text(TREE.text(), made(key).signature) is not bound


def test_the_bytes_that_type_06_signs_are_those_of_the_specification() -> None:
    name, origin = b"example.com/6", b"example.com/log"
    expected = b"subtree/v1\n\0" + bytes([len(name)]) + name + AT.to_bytes(8, "big")
    expected += bytes([len(origin)]) + origin + bytes(8) + (20).to_bytes(8, "big") + bytes(range(32))
    assert subtree_message("example.com/6", TREE.text(), AT) == expected
    assert W6.verifier().verify(expected, made(W6).signature[8:])


@pytest.mark.parametrize("key", [W4, W6])
def test_a_witness_states_a_time_and_binds_it(key: SigningKey) -> None:
    for wrong in (0, -1, 2**63):
        with pytest.raises(NoteError, match="time"):
            key.cosign(TREE.text(), wrong)
    late = key.cosign(TREE.text(), 2**63 - 1)
    assert key.verifier().verify_text(TREE.text(), late.signature)
    assert late.timestamp == 2**63 - 1
    moved = (AT + 1).to_bytes(8, "big") + made(key).signature[8:]
    assert not key.verifier().verify_text(TREE.text(), moved)


def test_a_time_of_2_to_the_63_is_refused_even_where_it_is_signed() -> None:
    time = 2**63
    for key, message in (
        (W4, f"cosignature/v1\ntime {time}\n{TREE.text()}".encode()),
        (W6, subtree_message(W6.name, TREE.text(), time)),
    ):
        raw = time.to_bytes(8, "big") + key.sign(message)
        assert not key.verifier().verify_text(TREE.text(), raw)


def test_a_log_that_signs_with_type_06_and_states_no_time_is_read() -> None:
    # tlog-cosignature: the time may be 0 where no statement about the newest tree is made.
    raw = bytes(8) + W6.sign(subtree_message(W6.name, TREE.text(), 0))
    line = Signature(W6.name, W6.verifier().key_id, raw)
    opened = open_note(join_note(TREE.text(), [line]), [W6.verifier()])
    assert opened.signatures[0].timestamp == 0


def test_names_too_long_for_type_06_are_refused() -> None:
    assert subtree_message("n" * 255, TREE.text(), AT)
    with pytest.raises(CosignedError):
        subtree_message("n" * 256, TREE.text(), AT)
    long = Checkpoint("o" * 256, 20, bytes(32)).text()
    with pytest.raises(NoteError):
        W6.cosign(long, AT)
    assert not W6.verifier().verify_text(long, made(W6).signature)
    assert W4.verifier().verify_text(long, made(W4, long).signature)


@pytest.mark.parametrize(
    "text", ["", "one line\n", "o\n1\nAAAA\n", f"o\n-1\n{'A' * 43}=\n", f"o\n1\n{'A' * 43}=", "o\n1\n!\n"]
)
def test_type_06_signs_nothing_but_checkpoints(text: str) -> None:
    with pytest.raises(NoteError):
        W6.cosign(text, AT)
    assert not W6.verifier().verify_text(text, made(W6).signature)


def test_a_key_of_one_type_does_not_do_anothers_work() -> None:
    for cosigner in (W4, W6):
        with pytest.raises(NoteError):
            cosigner.sign_text(TREE.text())
    with pytest.raises(NoteError):
        ED.cosign(TREE.text(), AT)
    # The same secret as another type is another key: its signatures do not pass for this one's.
    twin = SigningKey.generate(ED.name, bytes([ED25519]) * 32, COSIGNATURE)
    assert twin.verifier().public_bytes == ED.verifier().public_bytes
    assert twin.verifier() != ED.verifier()
    assert not ED.verifier().verify_text(TREE.text(), made(twin).signature[8:])


@pytest.mark.parametrize("kind", [0x00, 0x02, 0x03, 0x05, 0xFF])
def test_types_that_are_not_ours_are_refused(kind: int) -> None:
    with pytest.raises(NoteError):
        Verifier("n", bytes(32), kind)
    with pytest.raises(NoteError):
        SigningKey.generate("n", bytes(32), kind)


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("extra", [-1, 1])
def test_keys_of_a_wrong_size_are_refused(kind: int, extra: int) -> None:
    with pytest.raises(NoteError):
        Verifier("n", bytes(SIZES[kind][0] + extra), kind)
    with pytest.raises(NoteError):
        SigningKey.generate("n", bytes(32 + extra), kind)


@given(st.text(max_size=80))
def test_any_text_is_a_key_or_refused(text: str) -> None:
    for read in (Verifier.from_vkey, SigningKey.from_text):
        with pytest.raises(NoteError):
            read(text)
