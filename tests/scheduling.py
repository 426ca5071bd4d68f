"""Which tests stay together on one worker, and which begin first, so that all workers end together."""

import pytest
from xdist.scheduler import LoadScopeScheduling

BROWSER = "tests/browser/"
"""One deployment and one browser serve all of these, so one worker takes them all."""
APART = (
    "tests/integration/test_ledger_crash.py",
    "tests/integration/test_training_resumed.py",
    "tests/properties/test_exact.py",
)
"""Their tests take long and share no set-up: each goes to whichever worker is free."""
LONGEST = (
    BROWSER,
    "tests/integration/test_demo_check.py",
    "tests/integration/test_ledger_crash.py",
    "tests/scenarios/test_access_attacks.py",
    "tests/properties/test_exact.py",
    "tests/integration/test_training_resumed.py",
    "tests/integration/test_migrate.py",
    "tests/integration/test_media_publish.py",
    "tests/scenarios/test_quarantine.py",
    "tests/unit/agreement/test_policy_space.py",
    "tests/integration/test_events_together.py",
    "tests/scenarios/",
    "tests/integration/test_rights.py",
    "tests/unit/residency/test_key_rotation.py",
    "tests/integration/test_models_command.py",
    "tests/integration/test_recommender_cli.py",
    "tests/unit/videos/test_media.py",
    "tests/properties/",
    "tests/integration/test_shards.py",
    "tests/integration/test_docs_ledger.py",
    "tests/integration/test_ledger_quorum.py",
    "tests/unit/residency/test_doors.py",
    "tests/integration/",
)
"""What takes longest, by `--durations`; all else is short and fills the end."""


def longest_first(items: list[pytest.Item]) -> None:
    """Sort tests so that what takes long begins early; files stay whole and in their order otherwise."""
    items.sort(
        key=lambda item: next(
            (place for place, start in enumerate(LONGEST) if item.nodeid.startswith(start)), len(LONGEST)
        )
    )


class Together(LoadScopeScheduling):
    """Hands a worker one file at a time, except for `BROWSER` and `APART`."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith(BROWSER):
            return BROWSER
        return nodeid if file in APART else file
