from __future__ import annotations

import pytest
from pydantic import ValidationError

from tcptune.domain.facts import HostFacts, kernel_version
from tests.unit.builders import ABSENT, SOMAXCONN, UNREADABLE, facts


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("6.1.0-37-amd64", (6, 1)),
        ("6.12.43+deb13-amd64", (6, 12)),
        ("5.15.167.4-microsoft-standard-WSL2", (5, 15)),
        ("2.6.32-754.el6.x86_64", (2, 6)),
        ("6.18.0-rc1", (6, 18)),
        ("6.6.58+", (6, 6)),
    ],
)
def test_the_version_stands_at_the_start_of_a_release(release: str, version: tuple[int, int]) -> None:
    assert kernel_version(release) == version


@pytest.mark.parametrize("text", ["", "6", "six.one", "6.", ".1", "-1.0"])
def test_what_starts_with_no_version_is_no_release(text: str) -> None:
    with pytest.raises(ValueError, match="no kernel release"):
        kernel_version(text)


def test_facts_survive_a_round_trip_through_json() -> None:
    said = facts(sysctl={SOMAXCONN: "4096", "net.a.b": ABSENT, "net.a.c": UNREADABLE}, files={"/etc/sysctl.conf": None})

    assert HostFacts.model_validate_json(said.model_dump_json()) == said


def test_facts_with_a_secret_in_them_are_refused() -> None:
    with pytest.raises(ValidationError, match="is a secret"):
        facts(sysctl={"net.ipv4.tcp_fastopen_key": "0-0-0-0"})
