"""Signed notes: only what a known key really signed opens."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.wire.keys import COSIGNATURE, NoteError, SigningKey, Verifier
from lightwell.wire.note import join_note, open_note, parse_signatures, sign_note

# The example of C2SP signed-note, made by another implementation.
SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72"
    "IneyaQM=\n"
)
# The worked example of Go's golang.org/x/mod/sumdb/note.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBw"
    "JnAM=\n"
)
KEY = SigningKey.generate("example.com/log", bytes(range(32)))
OTHER = SigningKey.generate("example.com/other", bytes(32))
COSIGNER = SigningKey.generate("example.com/w1", bytes([7]) * 32, COSIGNATURE)


@pytest.mark.parametrize(("vkey", "note"), [(SPEC_VKEY, SPEC_NOTE), (GO_VKEY, GO_NOTE)])
def test_notes_of_other_implementations_open(vkey: str, note: str) -> None:
    verifier = Verifier.from_vkey(vkey)
    assert verifier.vkey() == vkey
    assert open_note(note, [verifier]).text + "\n" == note.partition("— ")[0]


@pytest.mark.parametrize("key", [KEY, COSIGNER])
def test_keys_are_read_back_from_their_text(key: SigningKey) -> None:
    assert SigningKey.from_text(key.text() + "\n").text() == key.text()
    assert Verifier.from_vkey(key.verifier().vkey()) == key.verifier()


def test_a_private_key_does_not_show_in_its_repr_or_errors() -> None:
    assert KEY.text() not in repr(KEY)
    with pytest.raises(NoteError) as error:
        SigningKey.from_text(KEY.text()[:-4] + "AAAA")
    assert KEY.text()[-20:-4] not in str(error.value)


@given(st.data())
def test_any_flipped_bit_of_a_note_is_refused(data: st.DataObject) -> None:
    note = sign_note("first\n\nsecond é\n", KEY).encode()
    bit = data.draw(st.integers(0, len(note) * 8 - 1))
    changed = bytearray(note)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((NoteError, UnicodeDecodeError)):
        open_note(bytes(changed).decode(), [KEY.verifier()])


@given(st.text(max_size=200))
def test_any_text_opens_or_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        open_note(text, [KEY.verifier()])


def test_signatures_of_unknown_keys_are_kept_apart() -> None:
    opened = open_note(sign_note("text\n", OTHER, KEY), [KEY.verifier()])
    assert [signature.name for signature in opened.signatures] == ["example.com/log"]
    assert [signature.name for signature in opened.others] == ["example.com/other"]
    assert opened.signed_by("example.com/log")
    assert not opened.signed_by("example.com/other")


def test_a_note_no_known_key_signed_is_refused() -> None:
    with pytest.raises(NoteError, match="no known key"):
        open_note(sign_note("text\n", OTHER), [KEY.verifier()])


def test_a_bad_signature_of_a_known_key_refuses_the_whole_note() -> None:
    wrong = KEY.sign_text("other text\n")
    note = join_note("text\n", [OTHER.sign_text("text\n"), wrong])
    with pytest.raises(NoteError, match="bad signature"):
        open_note(note, [KEY.verifier(), OTHER.verifier()])


def test_a_key_of_the_same_name_is_another_key() -> None:
    twin = SigningKey.generate(KEY.name, bytes([9]) * 32)
    with pytest.raises(NoteError, match="no known key"):
        open_note(sign_note("text\n", twin), [KEY.verifier()])


def test_a_repeated_signature_counts_once() -> None:
    note = sign_note("text\n", KEY)
    opened = open_note(note + note.partition("\n\n")[2], [KEY.verifier()])
    assert len(opened.signatures) == 1


def test_sixteen_signatures_are_accepted_and_a_flood_is_not() -> None:
    keys = [SigningKey.generate(f"k{n}", bytes([n]) * 32) for n in range(101)]
    assert len(open_note(sign_note("t\n", *keys[:16]), [k.verifier() for k in keys]).signatures) == 16
    with pytest.raises(NoteError, match="too many"):
        open_note(sign_note("t\n", *keys), [keys[0].verifier()])


@pytest.mark.parametrize(
    "text", ["no newline", "tab\there\n", "bell\x07\n", "carriage\r\n", "null\0\n", "\ud800\n", ""]
)
def test_text_that_no_note_may_have_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        sign_note(text, KEY)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\u2003b"])
def test_key_names_without_space_or_plus_only(name: str) -> None:
    with pytest.raises(NoteError):
        SigningKey.generate(name, bytes(32))


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000",
        SPEC_VKEY.replace("530d903a", "530d903b"),
        SPEC_VKEY.replace("530d903a", "530D903A"),
        SPEC_VKEY[:-1],
        SPEC_VKEY + "=",
        SPEC_VKEY.replace("AekyeR", "AukyeR"),
        "a+00000000+",
    ],
)
def test_malformed_verifier_keys_are_refused(vkey: str) -> None:
    with pytest.raises(NoteError):
        Verifier.from_vkey(vkey)


def test_base64_with_spare_bits_is_refused() -> None:
    note = sign_note("text\n", KEY)
    line = note.splitlines()[-1]
    # 68 bytes end in two characters and one pad; the lowest bit of the last character is spare.
    assert line.endswith("=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet[alphabet.index(line[-2]) ^ 1]
    other = line[:-2] + last + "="
    assert base64.b64decode(other.split()[-1]) == base64.b64decode(line.split()[-1])
    with pytest.raises(NoteError):
        open_note(note.replace(line, other), [KEY.verifier()])


def test_cosignature_is_of_type_04_with_its_time() -> None:
    text = "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    cosignature = COSIGNER.cosign(text, 1679315147)
    assert COSIGNER.verifier().vkey().split("+", 2)[2].startswith("B")
    assert cosignature.signature[:8] == (1679315147).to_bytes(8, "big")
    message = f"cosignature/v1\ntime 1679315147\n{text}".encode()
    assert COSIGNER.verifier().verify(message, cosignature.signature[8:])
    note = join_note(text, [KEY.sign_text(text), cosignature])
    opened = open_note(note, [KEY.verifier(), COSIGNER.verifier()])
    assert [signature.timestamp for signature in opened.signatures] == [None, 1679315147]


def test_a_cosignature_binds_its_time() -> None:
    text = "a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    raw = bytearray(COSIGNER.cosign(text, 1000).signature)
    raw[7] ^= 1
    assert not COSIGNER.verifier().verify_text(text, bytes(raw))
    for size in (0, 8, 64, 71, 73):
        assert not COSIGNER.verifier().verify_text(text, bytes(size))


def test_a_cosigner_signs_no_notes_and_a_log_key_does_not_cosign() -> None:
    with pytest.raises(NoteError):
        sign_note("text\n", COSIGNER)
    with pytest.raises(NoteError):
        KEY.cosign("text\n", 1)
    with pytest.raises(NoteError):
        COSIGNER.cosign("text\n", 0)


def test_signature_lines_alone_are_parsed_strictly() -> None:
    line = KEY.sign_text("text\n").line()
    assert parse_signatures(line + line)[1].name == KEY.name
    for wrong in (
        "",
        "\n",
        line[:-1],
        line + "\n",
        line.replace("— ", "- "),
        line.replace(" ", "  "),
        "— a AAAA\n",
    ):
        with pytest.raises(NoteError):
            parse_signatures(wrong)
