from __future__ import annotations

import pytest

from tcptune.domain.facts import Unread
from tcptune.domain.samples import Sampled
from tcptune.errors import FactsError
from tcptune.workflows.diagnose import ONCE, diagnose, paired
from tests.unit.detectors.cases import CASES
from tests.unit.detectors.hosts import sampled


def named(one: Sampled, host: str) -> Sampled:
    return Sampled(
        first=one.first.model_copy(update={"host": host}), second=one.second.model_copy(update={"host": host})
    )


def test_hosts_come_in_the_order_of_their_names_and_unread_ones_apart() -> None:
    found = diagnose([named(sampled(), "web2"), Unread(host="db", error="timed out"), named(sampled(), "web1")])

    assert [host.host for host in found.hosts] == ["web1", "web2"]
    assert [one.host for one in found.unread] == ["db"]
    assert found.found == ()


def test_a_host_with_a_fault_is_among_those_with_something_wrong() -> None:
    found = diagnose([named(CASES["a lossy path"].sampled, "web1"), named(sampled(), "web2")])

    assert [host.host for host in found.found] == ["web1"]
    assert found.in_part == ()


def test_two_files_are_put_together_by_host() -> None:
    one, other, third = named(sampled(), "a"), named(sampled(), "b"), named(sampled(), "c")
    dead = Unread(host="d", error="timed out")

    found = list(paired([other.first, one.first, dead, dead], [one.second, other.second, third.second]))

    assert found[:2] == [one, other]
    assert [(x.host, x.error) for x in found[2:] if isinstance(x, Unread)] == [("c", ONCE), ("d", "timed out")]


def test_a_file_with_two_samples_of_a_host_is_refused() -> None:
    one, other = named(sampled(), "a"), named(sampled(), "b")

    with pytest.raises(FactsError, match="b is in the first facts file twice"):
        list(paired([one.first, other.first, other.second], [one.second, other.second]))
    with pytest.raises(FactsError, match="a is in the second facts file twice"):
        list(paired([one.first, other.first], [one.first, one.second, other.second]))


def test_a_host_that_could_be_read_once_is_unread() -> None:
    one = named(sampled(), "a")

    assert list(paired([one.first], [])) == [Unread(host="a", error=ONCE)]
    assert list(paired([one.first], [Unread(host="a", error="gone")])) == [Unread(host="a", error="gone")]
    assert list(paired([Unread(host="a", error="was away")], [one.second])) == [Unread(host="a", error="was away")]
