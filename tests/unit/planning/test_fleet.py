"""Cohorts, and the identity of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.changes import FileChange, HostPlan, Plan, SkipKind, Skipped, plan_digest
from tcptune.domain.facts import Unread
from tcptune.planning.plan import plan_fleet
from tests.unit.builders import NOW, SOMAXCONN, SYNCOOKIES, change, connection, dropin, profile


def needs(host: str, *values: tuple[str, str], files: tuple[FileChange, ...] | None = None) -> HostPlan:
    """Return the plan of a host; without values it needs nothing."""
    keys = (SOMAXCONN, SYNCOOKIES)
    changes = tuple(change(key, before, after) for key, (before, after) in zip(keys, values, strict=False))
    made = (dropin(*changes),) if changes else ()
    return HostPlan(host=host, changes=changes, files=made if files is None else files)


def fleet(
    plans: Sequence[HostPlan], *, skipped: Iterable[Skipped] = (), unread: Iterable[Unread] = (), **options: Any
) -> Plan:
    given = {
        "profile": profile(),
        "connections": {p.host: connection(f"{p.host}.example") for p in plans},
        "made_at": NOW,
    }
    return plan_fleet(plans, skipped=skipped, unread=unread, **{**given, **options})


def grouping(made: Plan) -> list[tuple[str, tuple[str, ...]]]:
    return [(cohort.name, cohort.hosts) for cohort in made.cohorts]


def test_hosts_with_identical_changes_share_a_cohort() -> None:
    made = fleet([needs("b", ("128", "4096")), needs("a", ("128", "4096"))])

    assert grouping(made) == [("cohort1", ("a", "b"))]


def test_hosts_that_start_elsewhere_do_not_share_a_cohort() -> None:
    made = fleet([needs("a", ("128", "4096")), needs("b", ("512", "4096"))])

    assert grouping(made) == [("cohort1", ("a",)), ("cohort2", ("b",))]


def test_hosts_that_end_elsewhere_do_not_share_a_cohort() -> None:
    made = fleet([needs("a", ("128", "4096")), needs("b", ("128", "8192"))])

    assert len(made.cohorts) == 2


def test_hosts_whose_own_file_differs_do_not_share_a_cohort() -> None:
    other = (dropin(change(), before="net.ipv4.tcp_fin_timeout = 30\n"),)
    made = fleet([needs("a", ("128", "4096")), needs("b", ("128", "4096"), files=other)])

    assert len(made.cohorts) == 2


def test_the_largest_cohort_comes_first_and_equal_ones_by_their_first_host() -> None:
    made = fleet([needs("z", ("1", "2")), needs("a", ("3", "4")), needs("m", ("5", "6")), needs("n", ("5", "6"))])

    assert grouping(made) == [("cohort1", ("m", "n")), ("cohort2", ("a",)), ("cohort3", ("z",))]


def test_only_hosts_that_are_changed_have_a_connection_in_the_plan() -> None:
    made = fleet([needs("a", ("128", "4096")), needs("b")])

    assert set(made.hosts) == {"a"}
    assert made.hosts["a"].address == "a.example"


def test_a_host_that_needs_nothing_is_fine() -> None:
    assert fleet([needs("b"), needs("a")]).fine == ("a", "b")


def test_a_host_that_could_not_be_judged_is_not_fine() -> None:
    left_out = Skipped(host="a", key=SOMAXCONN, why="uid 1000 may not read it", kind=SkipKind.UNKNOWN)
    made = fleet([needs("a")], skipped=[left_out])

    assert made.fine == ()
    assert made.undecided


def test_a_host_that_deviates_and_cannot_be_changed_is_not_fine() -> None:
    left_out = Skipped(host="a", key=SOMAXCONN, why="read-only here", kind=SkipKind.OUT_OF_REACH)
    made = fleet([needs("a")], skipped=[left_out])

    assert made.fine == ()
    assert made.out_of_reach == (left_out,)
    assert not made.undecided


def test_a_host_on_which_a_rule_has_no_meaning_is_fine() -> None:
    left_out = Skipped(host="a", key=SOMAXCONN, why="no such key here", kind=SkipKind.NOT_APPLICABLE)
    made = fleet([needs("a")], skipped=[left_out])

    assert made.fine == ("a",)
    assert not made.undecided
    assert made.out_of_reach == ()


def test_a_host_that_could_not_be_read_is_left_out_with_the_reason_and_the_hint() -> None:
    made = fleet([], unread=[Unread(host="c", error="no SSH session", hint="ssh c true")])

    assert made.skipped == (Skipped(host="c", key=None, why="no SSH session", hint="ssh c true", kind=SkipKind.UNREAD),)
    assert made.unread == made.skipped
    assert made.undecided
    assert (made.fine, made.cohorts) == ((), ())


def test_what_was_left_out_is_listed_by_host_with_the_whole_host_first() -> None:
    made = fleet(
        [],
        skipped=[Skipped(host="b", key=SYNCOOKIES, why="x"), Skipped(host="b", key=SOMAXCONN, why="y")],
        unread=[Unread(host="c", error="down"), Unread(host="a", error="down")],
    )

    assert [(s.host, s.key) for s in made.skipped] == [("a", None), ("b", SOMAXCONN), ("b", SYNCOOKIES), ("c", None)]


# The identity of a plan


def test_the_id_is_the_digest_of_what_the_plan_holds() -> None:
    made = fleet([needs("a", ("128", "4096"))])

    assert made.plan_id == plan_digest(made.model_dump(mode="json"))
    assert len(made.plan_id) == 64


def test_planning_an_unmoved_fleet_again_gives_the_same_id() -> None:
    plans = [needs("a", ("128", "4096")), needs("b")]

    assert fleet(plans).plan_id == fleet(plans, made_at=NOW + timedelta(hours=1)).plan_id


def test_a_fleet_that_moved_gives_another_id() -> None:
    ids = {
        fleet([needs("a", ("128", "4096"))]).plan_id,
        fleet([needs("a", ("129", "4096"))]).plan_id,
        fleet([needs("b", ("128", "4096"))]).plan_id,
        fleet([needs("a", ("128", "4096")), needs("b")]).plan_id,
        fleet([needs("a", ("128", "4096"))], unread=[Unread(host="b", error="down")]).plan_id,
        fleet([needs("a", ("128", "4096"))], connections={"a": connection("elsewhere.example")}).plan_id,
    }

    assert len(ids) == 6


VALUES = st.sampled_from([(), (("128", "4096"),), (("512", "4096"),), (("128", "4096"), ("0", "1"))])


@given(st.dictionaries(st.sampled_from("abcdefgh"), VALUES), st.randoms())
def test_the_order_in_which_hosts_answer_does_not_matter(values: dict[str, Any], random: Any) -> None:
    plans = [needs(host, *value) for host, value in values.items()]
    skipped = [Skipped(host=host, key=SOMAXCONN, why="no such key") for host in values]
    made = fleet(plans, skipped=skipped)
    random.shuffle(plans)
    random.shuffle(skipped)

    assert fleet(plans, skipped=skipped) == made


@given(st.dictionaries(st.sampled_from("abcdefgh"), VALUES))
def test_every_host_is_in_one_cohort_or_fine(values: dict[str, Any]) -> None:
    made = fleet([needs(host, *value) for host, value in values.items()])
    named = [host for cohort in made.cohorts for host in cohort.hosts] + list(made.fine)

    assert sorted(named) == sorted(values)
