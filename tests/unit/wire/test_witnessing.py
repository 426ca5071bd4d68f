"""The add-checkpoint request: read exactly as tlog-witness writes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.wire.witnessing import AddCheckpoint, RequestError, encode_request, parse_request

# The example of C2SP tlog-witness, shortened by its second signature.
EXAMPLE = """old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGz\
Gku9nTo+zyWE+xeMcTOAYQ8=
""".encode()


def test_the_example_of_the_specification_is_read_and_written() -> None:
    request = parse_request(EXAMPLE)
    assert request.old_size == 20852014
    assert len(request.proof) == 4
    assert request.note.startswith("example.com/behind-the-sofa\n20852163\n")
    assert encode_request(request.old_size, request.proof, request.note) == EXAMPLE


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_requests_are_read_back(old_size: int, proof: list[bytes]) -> None:
    body = encode_request(old_size, proof, "o\n1\nx\n\n— a b\n")
    assert parse_request(body) == AddCheckpoint(old_size, tuple(proof), "o\n1\nx\n\n— a b\n")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 1\n",
        b"new 1\n\nx",
        b"old 01\n\nx",
        b"old -1\n\nx",
        b"old 1\nAAAA\n\nx",
        b"old 1\n!\n\nx",
        b"old 1 \n\nx",
        b"\xff",
        b"old 1\n" + b"A" * 43 + b"B\n\nx",
        encode_request(1, [bytes(32)] * 64, "x"),
        b"old 1\n\n" + b"x" * 1_000_001,
    ],
)
def test_malformed_requests_are_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        parse_request(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        parse_request(body)
    except RequestError:
        return
