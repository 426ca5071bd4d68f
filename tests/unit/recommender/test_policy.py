"""A ranking policy is typed, closed and named by the digest of its one form."""

import json

import pytest

from lightwell.recommender.policy import PolicyError, default_policy, dump, parse

PROMOTION = {
    "id": "00000000000000aa", "video": "00000000000000bb", "points": 100,
    "start": 10, "end": 20, "ceiling": 10_000, "reason": "Election information",
}  # fmt: skip


def test_default_has_no_promotions_and_comes_back_from_its_bytes() -> None:
    policy = default_policy()
    assert policy.promotions == ()
    assert parse(dump(policy)) == policy
    assert parse(dump(policy)).digest == policy.digest


def test_digest_does_not_depend_on_how_the_file_was_written() -> None:
    loose = json.dumps(json.loads(dump(default_policy())), indent=2).encode()
    assert parse(loose).digest == parse(b"{}").digest == default_policy().digest


def test_a_changed_weight_is_another_digest() -> None:
    assert parse(b'{"weights":{"rising":171}}').digest != default_policy().digest


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"weight":{}}', "weight"),
        ('{"weights":{"fame":3}}', "fame"),
        ('{"weights":{"rising":-1}}', "$.weights.rising"),
        ('{"weights":{"rising":10001}}', "$.weights.rising"),
        ('{"weights":{"rising":1.5}}', "$.weights.rising"),
        ('{"exploration":{"share":1000001}}', "$.exploration.share"),
        ('{"taste":{"skip":200}}', "taste.skip"),
        ("{", "ranking policy"),
        (json.dumps({"promotions": [PROMOTION | {"end": 10}]}), "ends before"),
        (json.dumps({"promotions": [PROMOTION, PROMOTION]}), "two promotions"),
        (json.dumps({"promotions": [PROMOTION | {"reason": ""}]}), "reason"),
    ],
)
def test_a_policy_that_is_wrong_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(PolicyError, match="ranking policy") as refused:
        parse(text.encode())
    assert named in str(refused.value)
