"""Trust policies: each rule of C2SP tlog-policy, and a checkpoint opens under exactly those it satisfies."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.wire import checkpoint, trust
from lightwell.wire.checkpoint import Checkpoint, CheckpointError
from lightwell.wire.keys import COSIGNATURE, ED25519, MLDSA_COSIGNATURE, NoteError, SigningKey, Verifier
from lightwell.wire.note import join_note, sign_note
from lightwell.wire.trust import Group, Known, TrustError, TrustPolicy, parse

AT = 1_700_000_000
LOG = SigningKey.generate("example.com/log", bytes(range(32)))
LOG6 = SigningKey.generate("example.com/log", bytes([66]) * 32, MLDSA_COSIGNATURE)
KEYS = [SigningKey.generate(f"w.example/{n}", bytes([n]) * 32, COSIGNATURE) for n in range(40)]
MLDSA = SigningKey.generate("w.example/6", bytes([6]) * 32, MLDSA_COSIGNATURE)
VKEYS = [key.verifier().vkey() for key in KEYS]
THREE = "".join(f"witness {name} {vkey}\n" for name, vkey in zip("abc", VKEYS, strict=False))
TREE = Checkpoint("example.com/log", 7, bytes(32))


def refused(text: str | bytes) -> str:
    with pytest.raises(TrustError) as error:
        parse(text.encode() if isinstance(text, str) else text)
    return str(error.value)


def satisfying(text: str, names: str) -> set[str]:
    """Every set of witnesses that satisfies a policy."""
    policy = parse(text.encode())
    sets = itertools.chain.from_iterable(itertools.combinations(names, n) for n in range(len(names) + 1))
    return {"".join(chosen) for chosen in sets if policy.satisfied(chosen)}


def test_the_specification_example_of_two_levels_is_read() -> None:
    names = ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    text = f"log {LOG.verifier().vkey()}\n\n"
    text += "".join(f"witness {name} {vkey}\n" for name, vkey in zip(names, VKEYS, strict=False))
    text += "group X-witnesses 2 X1 X2 X3\ngroup Y-witnesses any Y1 Y2 Y3\n"
    text += "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
    policy = parse(text.encode())
    for chosen in itertools.chain.from_iterable(itertools.combinations(names, n) for n in range(7)):
        enough = sum(name[0] == "X" for name in chosen) >= 2 and any(name[0] == "Y" for name in chosen)
        assert policy.satisfied(chosen) is enough


@pytest.mark.parametrize(
    ("group", "sets"),
    [
        ("any a b c", {"a", "b", "c", "ab", "ac", "bc", "abc"}),
        ("1 a b c", {"a", "b", "c", "ab", "ac", "bc", "abc"}),
        ("2 a b c", {"ab", "ac", "bc", "abc"}),
        ("3 a b c", {"abc"}),
        ("all a b c", {"abc"}),
        ("all b", {"b", "ab", "bc", "abc"}),
    ],
)
def test_a_group_has_witnessed_with_as_many_members_as_it_says(group: str, sets: set[str]) -> None:
    assert satisfying(f"{THREE}group g {group}\nquorum g\n", "abc") == sets


def test_a_quorum_is_a_witness_a_group_or_none() -> None:
    assert satisfying(f"{THREE}quorum b\n", "abc") == {"b", "ab", "bc", "abc"}
    assert len(satisfying(f"{THREE}quorum none\n", "abc")) == 8
    assert parse(b"quorum none").satisfied([])


def test_names_that_the_policy_does_not_have_count_for_nothing() -> None:
    policy = parse(f"{THREE}group g 2 a b c\nquorum g\n".encode())
    assert not policy.satisfied(["a", "x", "g", "none", ""])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no quorum"),
        (THREE, "no quorum"),
        ("quorum none\nquorum none\n", "line 2: there is one quorum line"),
        (f"{THREE}quorum a\nquorum b\n", "line 5: there is one quorum line"),
        ("quorum a\n", "line 1: the quorum is not defined"),
        (f"quorum a\n{THREE}", "line 1: the quorum is not defined"),
        (f"{THREE}group g any h\ngroup h any a\nquorum g\n", "line 4: a group's member is not defined"),
        (f"{THREE}group g any g\nquorum g\n", "not defined"),
        (f"{THREE}group g any none\nquorum g\n", "not defined"),
        (f"{THREE}group g any a a\nquorum g\n", "at most once"),
        (f"{THREE}group g any a\ngroup h any a b\nquorum h\n", "line 5: a name is a member"),
        (f"{THREE}group g any a\ngroup h any g\ngroup i any g\nquorum h\n", "line 6: a name is a member"),
        (f"{THREE}group g any\nquorum g\n", "number of items"),
        (f"{THREE}group g 0 a\nquorum g\n", "one to all"),
        (f"{THREE}group g 4 a b c\nquorum g\n", "one to all"),
        (f"{THREE}group g -1 a\nquorum g\n", "any, all or a number"),
        (f"{THREE}group g +1 a\nquorum g\n", "any, all or a number"),
        (f"{THREE}group g 1.0 a\nquorum g\n", "any, all or a number"),
        (f"{THREE}group g \u0661 a\nquorum g\n", "any, all or a number"),
        (f"{THREE}group g ANY a\nquorum g\n", "any, all or a number"),
        (f"{THREE}group g {'9' * 5000} a\nquorum g\n", "any, all or a number"),
        (f"{THREE}group a any b\nquorum a\n", "this name is taken"),
        (f"{THREE}group g any a\nwitness g {VKEYS[9]}\nquorum g\n", "this name is taken"),
        (f"{THREE}witness a {VKEYS[9]}\nquorum a\n", "this name is taken"),
        (f"witness none {VKEYS[9]}\nquorum none\n", "this name is taken"),
        (f"{THREE}group none any a\nquorum none\n", "this name is taken"),
        (f"{THREE}witness d {VKEYS[0]}\nquorum d\n", "line 4: this witness's key stands here twice"),
        (f"log {LOG.verifier().vkey()}\nlog {LOG.verifier().vkey()} url\nquorum none\n", "twice"),
        (f"log {VKEYS[0]}\nquorum none\n", "not of type 0x04"),
        (f"witness a {LOG.verifier().vkey()}\nquorum a\n", "of type 0x04 or 0x06"),
        (f"log {LOG.verifier().vkey()} url more\nquorum none\n", "number of items"),
        (f"witness a {VKEYS[0]} url more\nquorum a\n", "number of items"),
        ("witness a\nquorum none\n", "number of items"),
        ("log\nquorum none\n", "number of items"),
        ("quorum\n", "number of items"),
        ("quorum none none\n", "number of items"),
        ("policy none\n", "line 1: no line of this kind"),
        ("QUORUM none\n", "no line of this kind"),
        ("quorum none # no comment\n", "number of items"),
        ("log not-a-key\nquorum none\n", "line 1: a verifier key has three parts"),
        (f"\n\n witness a {VKEYS[0][:-1]}\nquorum none\n", "line 3:"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_with_its_line(text: str, why: str) -> None:
    assert why in refused(text)


def test_the_same_key_under_another_name_or_type_is_the_same_party() -> None:
    public = KEYS[0].verifier().public_bytes
    renamed = Verifier("w.example/other", public, COSIGNATURE).vkey()
    assert "twice" in refused(f"{THREE}witness d {renamed}\nquorum d\n")
    again = Verifier("example.com/elsewhere", LOG.verifier().public_bytes, ED25519).vkey()
    assert "twice" in refused(f"log {LOG.verifier().vkey()}\nlog {again}\nquorum none\n")
    # One key may be a log's and a witness's: they are looked for by different key ids.
    shared = Verifier("example.com/log", public, ED25519).vkey()
    assert parse(f"log {shared}\n{THREE}quorum a\n".encode()).quorum == "a"


@pytest.mark.parametrize("byte", [*range(9), *range(11, 32), 127])
def test_control_characters_are_refused_even_in_comments(byte: int) -> None:
    assert "control character" in refused(b"# a " + bytes([byte]) + b"\nquorum none\n")


def test_space_and_tab_alone_separate() -> None:
    text = f" \t# comment \u00a0\n\t \nwitness\t\t a  {VKEYS[0]}\t\nquorum a \n"
    assert parse(text.encode()).quorum == "a"
    for space in ("\u00a0", "\u2003", "\u3000", "\x85"):
        assert refused(f"witness{space}a {VKEYS[0]}\nquorum none\n")
        # In a name such a character is a character like any other.
        log = f"log {LOG.verifier().vkey()} u{space}\n"
        odd = parse(f"{log}witness a{space}b {VKEYS[0]} u{space}\nquorum a{space}b\n".encode())
        assert list(odd.witnesses) == [f"a{space}b"]
        assert parse(odd.encode()) == odd


def test_the_last_line_needs_no_newline() -> None:
    assert parse(b"quorum none") == parse(b"quorum none\n")


def test_names_are_octets_that_need_not_be_utf_8() -> None:
    vkey = VKEYS[0].encode()
    policy = parse(b"witness \xff\xfe " + vkey + b" \x80\nquorum \xff\xfe\n# \xc3\n")
    assert parse(policy.encode()) == policy
    assert b"witness \xff\xfe " + vkey + b" \x80\n" in policy.encode()
    assert "not defined" in refused(b"witness \xff\xfe " + vkey + b"\nquorum \xff\xfd\n")
    # Kelvin's sign is not the letter, whatever Unicode says of the two.
    assert "not defined" in refused("witness \u212a ".encode() + vkey + b"\nquorum K\n")


def test_many_of_each_are_read() -> None:
    logs = [Verifier(f"log.example/{n}", bytes([n]) * 32, ED25519).vkey() for n in range(40)]
    lines = [f"log {vkey} https://log.example/{n}" for n, vkey in enumerate(logs)]
    lines += [f"witness w{n} {vkey}" for n, vkey in enumerate(VKEYS)]
    lines += ["group g0 any w0", *(f"group g{n} all g{n - 1} w{n}" for n in range(1, 40)), "quorum g39"]
    policy = parse("\n".join(lines).encode())
    assert (len(policy.logs), len(policy.witnesses), len(policy.groups)) == (40, 40, 40)
    assert policy.satisfied(list(policy.witnesses))
    assert not policy.satisfied(list(policy.witnesses)[1:])


def test_a_file_without_end_is_refused() -> None:
    assert "too many lines" in refused("\n" * 10_001)


names = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=" \x7f"), min_size=1, max_size=6
)


@given(st.data())
def test_what_is_written_is_read_back(data: st.DataObject) -> None:
    chosen = data.draw(
        st.lists(names.filter(lambda name: name != "none"), min_size=1, max_size=6, unique=True)
    )
    split = data.draw(st.integers(1, len(chosen)))
    urls = st.just("") | names
    witnesses = {
        name: Known(key.verifier(), data.draw(urls)) for name, key in zip(chosen[:split], KEYS, strict=False)
    }
    free, groups = list(witnesses), {}
    for name in chosen[split:]:
        if not free:
            break
        members = data.draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        groups[name] = Group(data.draw(st.integers(1, len(members))), tuple(members))
        free = [one for one in free if one not in members] + [name]
    quorum = data.draw(st.sampled_from(["none", *witnesses, *groups]))
    policy = TrustPolicy(quorum, (Known(LOG.verifier(), data.draw(urls)),), witnesses, groups)
    assert parse(policy.encode()) == policy
    assert parse(policy.text().encode()) == policy


@given(st.binary(max_size=200))
def test_any_bytes_are_a_policy_or_refused(data: bytes) -> None:
    try:
        policy = parse(data)
    except TrustError:
        return
    assert parse(policy.encode()) == policy


def cosigned(*witnesses: SigningKey, key: SigningKey = LOG, tree: Checkpoint = TREE) -> str:
    signature = key.cosign(tree.text(), AT) if key.verifier().is_cosigner else key.sign_text(tree.text())
    return join_note(tree.text(), [signature, *(witness.cosign(tree.text(), AT) for witness in witnesses)])


POLICY = parse(
    f"log {LOG.verifier().vkey()}\n{THREE}witness q {MLDSA.verifier().vkey()}\n"
    "group ed 2 a b c\ngroup g all ed q\nquorum g\n".encode()
)


def test_a_checkpoint_opens_with_its_quorum() -> None:
    opened = POLICY.open(cosigned(KEYS[0], KEYS[2], MLDSA))
    assert opened.checkpoint == TREE
    assert POLICY.cosigners(opened) == ("a", "c", "q")
    # Witnesses that the policy does not name are no harm and no help.
    assert POLICY.open(cosigned(KEYS[9], KEYS[0], KEYS[1], MLDSA, KEYS[10])).checkpoint == TREE


@pytest.mark.parametrize(
    "chosen", [(), (KEYS[0],), (KEYS[0], MLDSA), (KEYS[0], KEYS[1], KEYS[2]), (KEYS[8], KEYS[9])]
)
def test_a_checkpoint_without_its_quorum_does_not_open(chosen: tuple[SigningKey, ...]) -> None:
    with pytest.raises(TrustError, match="quorum g is not met"):
        POLICY.open(cosigned(*chosen))


def test_one_witness_signing_twice_counts_once() -> None:
    note = cosigned(KEYS[0], KEYS[0], MLDSA) + KEYS[0].cosign(TREE.text(), AT + 1).line()
    with pytest.raises(TrustError, match="quorum"):
        POLICY.open(note)


def test_a_bad_signature_of_a_known_witness_spoils_a_checkpoint_that_has_its_quorum() -> None:
    wrong = KEYS[2].cosign(TREE.text().replace("7", "8"), AT).line()
    with pytest.raises(NoteError, match="bad signature"):
        POLICY.open(cosigned(KEYS[0], KEYS[1], MLDSA) + wrong)


def test_a_checkpoint_of_no_log_of_the_policy_does_not_open() -> None:
    other = SigningKey.generate("example.com/other", bytes([77]) * 32)
    elsewhere = Checkpoint("example.com/other", 7, bytes(32))
    with pytest.raises(TrustError, match="no log of this origin"):
        POLICY.open(cosigned(KEYS[0], KEYS[1], MLDSA, key=other, tree=elsewhere))
    with pytest.raises(TrustError, match="no log of this origin"):
        # Signed by the log, but not in its own name.
        POLICY.open(cosigned(KEYS[0], KEYS[1], MLDSA, tree=elsewhere))
    with pytest.raises(NoteError):
        POLICY.open(cosigned(KEYS[0], KEYS[1], MLDSA, key=SigningKey.generate(LOG.name, bytes([78]) * 32)))
    with pytest.raises(NoteError):
        POLICY.open(join_note(TREE.text(), [key.cosign(TREE.text(), AT) for key in (*KEYS[:3], MLDSA)]))


def test_any_listed_key_of_an_origin_will_do() -> None:
    both = parse(f"log {LOG.verifier().vkey()}\nlog {LOG6.verifier().vkey()}\nquorum none\n".encode())
    for key in (LOG, LOG6):
        assert both.open(cosigned(key=key)).log == key.verifier()
    note = join_note(TREE.text(), [LOG.sign_text(TREE.text()), LOG6.cosign(TREE.text(), AT)])
    assert both.open(note).checkpoint == TREE


def test_signed_text_that_is_no_checkpoint_does_not_open() -> None:
    policy = trust.of_keys(LOG.verifier())
    with pytest.raises(CheckpointError):
        policy.open(sign_note("example.com/log\nseven\n", LOG))
    for wrong in ("", "\n", "x", checkpoint.sign(TREE, LOG)[:-1]):
        with pytest.raises(NoteError):
            policy.open(wrong)


def test_a_policy_of_keys_asks_for_every_witness() -> None:
    policy = trust.of_keys(LOG.verifier(), [KEYS[0].verifier(), MLDSA.verifier()])
    assert parse(policy.encode()) == policy
    assert policy.open(cosigned(KEYS[0], MLDSA)).checkpoint == TREE
    for fewer in ((), (KEYS[0],), (MLDSA,)):
        with pytest.raises(TrustError):
            policy.open(cosigned(*fewer))
    assert trust.of_keys(LOG.verifier()).open(cosigned()).checkpoint == TREE
