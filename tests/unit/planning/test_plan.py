from __future__ import annotations

from typing import Any

import pytest

from tcptune.domain.changes import DROPIN_PATH, HostPlan, SkipKind, Skipped
from tcptune.domain.demands import AtLeast
from tcptune.domain.profile import Entry
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tcptune.planning.dropin import merged, owned
from tcptune.planning.plan import moved, plan_host
from tests.unit.builders import (
    ABSENT,
    ETC,
    FIN_TIMEOUT,
    LATER,
    PORTS,
    RMEM,
    SOMAXCONN,
    SYNCOOKIES,
    UNREADABLE,
    change,
    cohort,
    dropin,
    facts,
    profile,
    read_only,
    rule,
)

START = "net.ipv4.ip_unprivileged_port_start"


def planned(
    *entries: Entry, sysctl: dict[str, Any], files: dict[str, str | None] | None = None, **host: Any
) -> tuple[HostPlan, tuple[Skipped, ...]]:
    said = facts(sysctl=sysctl, files=files, **host)
    return plan_host(said, audit_host(said, profile(*entries), catalogue()), catalogue())


# What is changed


def test_a_deviation_becomes_a_change_from_what_is_to_what_is_wanted() -> None:
    made, skipped = planned(rule(SOMAXCONN, AtLeast(value="4096")), sysctl={SOMAXCONN: "128"})
    [one] = made.changes

    assert (one.key, one.before, one.after, one.demand) == (SOMAXCONN, "128", "4096", "at least 4096")
    assert (one.effect, one.risk) == (catalogue()[SOMAXCONN].effect, catalogue()[SOMAXCONN].risk)
    assert skipped == ()


def test_a_host_as_wanted_gets_neither_a_change_nor_a_file() -> None:
    made, skipped = planned(rule(SOMAXCONN, "4096"), sysctl={SOMAXCONN: "4096"})

    assert (made.changes, made.files, skipped) == ((), (), ())


def test_changes_are_in_the_order_in_which_they_are_written_to_a_host() -> None:
    entries = (rule(SYNCOOKIES, "1"), rule(RMEM, "4096 131072 6291456"), rule(SOMAXCONN, "4096"))
    made, _ = planned(*entries, sysctl={SYNCOOKIES: "0", RMEM: "1 2 3", SOMAXCONN: "128"})

    assert [c.key for c in made.changes] == [SOMAXCONN, RMEM, SYNCOOKIES]


def test_settings_that_bound_each_other_are_in_the_order_the_kernel_takes_in_the_plan_and_in_our_file() -> None:
    entries = (rule(PORTS, "500 60000"), rule(START, "400"), rule(SOMAXCONN, "4096"))
    now = {PORTS: "32768 60999", START: "1024", SOMAXCONN: "128"}
    made, _ = planned(*entries, sysctl=now)
    again, _ = planned(*entries[::-1], sysctl=now)

    assert [c.key for c in made.changes] == [SOMAXCONN, START, PORTS]
    assert [c.order is not None for c in made.changes] == [False, True, False]
    assert [*owned(made.files[0].after)] == [SOMAXCONN, START, PORTS]
    assert again == made


def test_a_line_an_earlier_run_left_in_our_file_is_ordered_with_ours() -> None:
    before = merged(None, {START: "400"})
    made, _ = planned(
        rule(PORTS, "500 60000"), sysctl={PORTS: "32768 60999", START: "400"}, files={DROPIN_PATH: before}
    )

    assert [*owned(made.files[0].after)] == [START, PORTS]


def test_a_change_of_the_next_boot_alone_has_the_running_value_on_both_sides() -> None:
    made, _ = planned(
        rule(SOMAXCONN, AtLeast(value="4096")),
        sysctl={SOMAXCONN: "8192"},
        files={f"{ETC}/60-web.conf": f"{SOMAXCONN} = 128\n"},
    )
    [one] = made.changes

    assert (one.before, one.after, one.at_runtime) == ("8192", "8192", False)
    assert one.at_boot.value == "128"
    assert owned(made.files[0].after) == {SOMAXCONN: "8192"}


def test_a_file_that_wins_over_ours_is_in_the_plan_with_the_change() -> None:
    made, _ = planned(rule(SOMAXCONN, "4096"), sysctl={SOMAXCONN: "128"}, files={LATER: f"{SOMAXCONN} = 128\n"})

    assert made.changes[0].shadowed_by == f"{LATER}:1"


# The file that is ours


def test_the_file_that_is_ours_is_new_where_the_host_has_none() -> None:
    made, _ = planned(rule(SOMAXCONN, "4096"), sysctl={SOMAXCONN: "128"})
    [file] = made.files

    assert (file.path, file.before, file.before_sha256) == (DROPIN_PATH, None, "absent")
    assert owned(file.after) == {SOMAXCONN: "4096"}


def test_files_of_others_are_neither_ours_nor_moved() -> None:
    others: dict[str, str | None] = {f"{ETC}/10-a.conf": "a.b = 1\n", LATER: "a.b = 2\n"}
    made, _ = planned(rule(SOMAXCONN, "4096"), sysctl={SOMAXCONN: "128"}, files=others)

    assert made.files[0].before is None
    assert owned(made.files[0].after) == {SOMAXCONN: "4096"}
    assert moved(cohort(changes=made.changes, files=made.files), facts(sysctl={SOMAXCONN: "128"}, files=others)) is None


def test_the_file_that_is_ours_keeps_what_this_profile_does_not_speak_of() -> None:
    before = merged(None, {FIN_TIMEOUT: "30", SOMAXCONN: "128"})
    made, _ = planned(rule(SOMAXCONN, "4096"), sysctl={SOMAXCONN: "128"}, files={DROPIN_PATH: before})
    [file] = made.files

    assert file.before == before
    assert owned(file.after) == {FIN_TIMEOUT: "30", SOMAXCONN: "4096"}


def test_an_empty_file_of_ours_is_not_an_absent_one() -> None:
    made, _ = planned(rule(SOMAXCONN, "4096"), sysctl={SOMAXCONN: "128"}, files={DROPIN_PATH: ""})

    assert made.files[0].before == ""
    assert made.files[0].before_sha256 != "absent"


def test_a_file_of_ours_that_could_not_be_read_is_not_planned_as_absent() -> None:
    """A later line makes the boot certain, but what our own file holds is still not known."""
    made, skipped = planned(
        rule(SOMAXCONN, "4096"),
        sysctl={SOMAXCONN: "128"},
        files={DROPIN_PATH: None, LATER: f"{SOMAXCONN} = 4096\n"},
        user="1000",
    )

    assert made.changes == ()
    assert [s.key for s in skipped] == [SOMAXCONN]


# What is left out


def test_what_cannot_be_had_is_left_out_with_the_reason() -> None:
    entries = [rule(key, "1") for key in (SOMAXCONN, FIN_TIMEOUT, SYNCOOKIES)]
    made, skipped = planned(
        *entries, rule(PORTS, "1 2"), sysctl={SOMAXCONN: ABSENT, FIN_TIMEOUT: UNREADABLE, SYNCOOKIES: read_only("0")}
    )

    assert made.changes == ()
    reasons = {s.key: s.why for s in skipped}
    assert "no such key" in reasons[SOMAXCONN]
    assert "may not read it" in reasons[FIN_TIMEOUT]
    assert "read-only here" in reasons[SYNCOOKIES]
    assert "collect them again" in reasons[PORTS]
    assert {s.key: s.kind for s in skipped} == {
        SOMAXCONN: SkipKind.NOT_APPLICABLE,
        FIN_TIMEOUT: SkipKind.UNKNOWN,
        SYNCOOKIES: SkipKind.OUT_OF_REACH,
        PORTS: SkipKind.UNKNOWN,
    }


def test_a_read_only_key_whose_running_value_is_right_is_still_kept_for_the_next_boot() -> None:
    made, skipped = planned(
        rule(SOMAXCONN, "4096"),
        sysctl={SOMAXCONN: read_only("4096")},
        files={f"{ETC}/60-web.conf": f"{SOMAXCONN} = 128\n"},
    )

    assert [c.key for c in made.changes] == [SOMAXCONN]
    assert skipped == ()


def test_a_boot_that_another_file_spoils_is_left_out_and_the_file_named() -> None:
    made, skipped = planned(rule(SOMAXCONN, "4096"), sysctl={SOMAXCONN: "4096"}, files={LATER: f"{SOMAXCONN} = 128\n"})

    assert made.changes == ()
    assert f"{LATER}:1 sets 128 at boot; change that file" in skipped[0].why
    assert skipped[0].kind is SkipKind.OUT_OF_REACH


def test_a_login_without_root_can_plan_for_root() -> None:
    made, _ = planned(rule(SOMAXCONN, "4096"), sysctl={SOMAXCONN: read_only("128")}, user="1000")

    assert [c.key for c in made.changes] == [SOMAXCONN]


# Has the host moved since


TWO = cohort(changes=(change(SOMAXCONN, "128", "4096"), change(SYNCOOKIES, "0", "1")))


def test_a_host_that_is_as_it_was_has_not_moved() -> None:
    assert moved(TWO, facts(sysctl={SOMAXCONN: "128", SYNCOOKIES: "0"})) is None


@pytest.mark.parametrize(
    ("sysctl", "said"),
    [
        ({SOMAXCONN: "512", SYNCOOKIES: "0"}, f"{SOMAXCONN} is 512, the plan was made for 128"),
        ({SOMAXCONN: "128", SYNCOOKIES: "1"}, f"{SYNCOOKIES} is 1, the plan was made for 0"),
        ({SOMAXCONN: "128"}, f"{SYNCOOKIES} cannot be read"),
        ({SOMAXCONN: UNREADABLE, SYNCOOKIES: "0"}, f"{SOMAXCONN} cannot be read"),
        ({SOMAXCONN: ABSENT, SYNCOOKIES: "0"}, f"{SOMAXCONN} cannot be read"),
    ],
)
def test_a_value_that_is_no_longer_what_the_plan_knew_is_a_move(sysctl: dict[str, Any], said: str) -> None:
    assert said in (moved(TWO, facts(sysctl=sysctl)) or "")


def test_a_host_where_somebody_set_the_wanted_value_already_has_moved_too() -> None:
    assert moved(TWO, facts(sysctl={SOMAXCONN: "4096", SYNCOOKIES: "0"})) is not None


@pytest.mark.parametrize(
    ("before", "now", "fine"),
    [
        (None, {}, True),
        ("a = 1\n", {DROPIN_PATH: "a = 1\n"}, True),
        (None, {DROPIN_PATH: ""}, False),
        ("a = 1\n", {}, False),
        ("a = 1\n", {DROPIN_PATH: "a = 2\n"}, False),
        ("a = 1\n", {DROPIN_PATH: None}, False),
        (None, {DROPIN_PATH: None}, False),
    ],
)
def test_our_file_must_be_byte_for_byte_what_the_plan_knew(before: str | None, now: dict[str, Any], fine: bool) -> None:
    one = cohort(changes=(change(),), files=(dropin(change(), before=before),))

    assert (moved(one, facts(sysctl={SOMAXCONN: "128"}, files=now)) is None) is fine
