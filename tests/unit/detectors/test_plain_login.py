"""What a login without root is told, and what is judged without it all the same."""

from __future__ import annotations

from typing import Any

import pytest

from tcptune.detectors import DETECTORS, judge
from tcptune.detectors.case import Case, NotKnown
from tcptune.detectors.groups import CAUSES
from tcptune.domain.causes import Confidence
from tcptune.domain.diagnosis import FleetDiagnosis
from tcptune.domain.samples import Sampled
from tcptune.domain.sockets import SocketState, StateOwner
from tcptune.domain.state import Listeners
from tcptune.knowledge.causes import causes
from tcptune.reports.diagnosis import markdown_host, terminal
from tests.unit.detectors.cases import CASES, HEALTHY
from tests.unit.detectors.hosts import NGINX, SSH, WEB, sampled, sockets

CLOSED = {"kernel_log": "this login may read neither dmesg nor the journal of the kernel, or both are empty"}
UNSEEN = Listeners(
    source="ss", listeners=tuple(one.model_copy(update={"pids": ()}) for one in (WEB, SSH)), processes=()
)


def held(state: SocketState, number: int, **fields: Any) -> StateOwner:
    return StateOwner.model_validate(
        {"state": state, "pid": None, "name": None, "owned": True, "sockets": number, **fields}
    )


def plain(grew: dict[str, int] | None = None, *owners: StateOwner, **second: Any) -> Sampled:
    """Return the samples of a login that sees neither others' processes nor the log."""
    seen = sockets(owners=owners, processes=()).model_copy(update={"owners": owners})
    first = {"kernel_log": None, "gaps": CLOSED, "listeners": UNSEEN, "sockets": seen}
    return sampled(grew, first=first, second=second, system={"user": "1000"})


def test_it_says_which_groups_lack_root_and_what_may_be_there_unseen() -> None:
    found = judge(plain(None, held(SocketState.ESTABLISHED, 2600)))

    assert {gap.group: (gap.root, gap.causes) for gap in found.not_judged} == {
        "open-files": (True, ("limit.emfile",)),
        "kernel-log": (True, CAUSES["kernel-log"]),
    }
    assert "listeners on port 22, 443 and 2600 connections" in found.not_judged[0].why
    assert (found.causes, found.well) == ((), False)

    text = terminal(FleetDiagnosis(hosts=(found,)))
    assert "try: -b (--become), or a login of root" in text
    assert "what may be there unseen: limit.emfile\n" in text
    assert "1 not judged in full (1 of them for want of root)" in text
    [(_, _, rows)] = [table for table in markdown_host(found) if table[0] == "Not judged"]
    assert rows[0][2:] == ("limit.emfile", "-b (--become), or a login of root: it is told what this login is not")


def test_one_process_that_is_seen_does_not_vouch_for_the_others() -> None:
    own = Listeners(source="ss", listeners=(WEB.model_copy(update={"pids": ()}), SSH), processes=(NGINX,))

    found = judge(plain(listeners=own))

    assert "listeners on port 443" in next(gap.why for gap in found.not_judged if gap.group == "open-files")


def test_what_root_does_not_see_either_is_no_gap() -> None:
    kernels = WEB.model_copy(update={"port": 2049, "pids": ()})
    all_of_it = Listeners(source="ss", listeners=(WEB, SSH, kernels), processes=(NGINX,))

    assert judge(sampled(first={"listeners": all_of_it})).well


def test_a_gap_says_what_was_found_all_the_same_and_may_follow_from_it() -> None:
    found = judge(plain({"TcpExt.ListenOverflows": 900}))

    assert [one.cause for one in found.causes][:1] == ["listen.accept_queue_overflow"]
    behind = {gap.group: gap.behind for gap in found.not_judged}
    assert "listen.accept_queue_overflow" in behind["open-files"]
    text = terminal(FleetDiagnosis(hosts=(found,)))
    assert "unseen: limit.emfile; it may be behind listen.accept_queue_overflow" in text


def test_what_does_not_depend_on_a_gap_stands_and_that_is_said() -> None:
    found = judge(plain({"TcpExt.TCPTimeWaitOverflow": 900}))

    assert [one.cause for one in found.causes] == ["reset.tw_overflow"]
    assert [gap.behind for gap in found.not_judged] == [(), ()]
    text = " ".join(terminal(FleetDiagnosis(hosts=(found,))).split())
    assert "unseen: limit.emfile; what was found stands without it" in text


@pytest.mark.parametrize(
    ("state", "cause"),
    [(SocketState.CLOSE_WAIT, "state.close_wait_leak"), (SocketState.FIN_WAIT2, "state.fin_wait2_owned")],
)
def test_sockets_that_stay_are_found_without_seeing_whose_they_are(state: SocketState, cause: str) -> None:
    found = judge(plain(None, held(state, 300, quiet_s=400.0)))

    assert [(one.cause, one.confidence) for one in found.causes] == [(cause, Confidence.LIKELY)]
    assert found.causes[0].about == "processes that were not seen"


def test_ended_sockets_of_many_programs_that_come_and_go_are_no_leak() -> None:
    now = plain(None, held(SocketState.CLOSE_WAIT, 30, quiet_s=400.0))
    before = sockets(processes=()).model_copy(update={"owners": (held(SocketState.CLOSE_WAIT, 3, quiet_s=370.0),)})

    assert judge(Sampled(first=now.first.model_copy(update={"sockets": before}), second=now.second)).causes == ()


def test_silent_connections_whose_owner_is_not_seen_are_not_judged() -> None:
    keepalive = sockets().keepalive.model_copy(update={"on": 0, "off": 2600})
    silent = sockets(processes=(), keepalive=keepalive).model_copy(
        update={"owners": (held(SocketState.ESTABLISHED, 2600, quiet_s=90_000.0),)}
    )

    found = judge(plain({"TcpExt.TCPKeepAlive": 0}, sockets=silent))

    [gap] = [gap for gap in found.not_judged if gap.group == "dead-peers"]
    assert (gap.root, gap.causes) == (True, ("timeout.idle_dead_peer",))


def test_groups_name_no_cause_but_their_own() -> None:
    assert set(CAUSES) == {*DETECTORS, "kernel-log", "files"}
    assert {cause for several in CAUSES.values() for cause in several} <= set(causes())
    named: dict[str, set[str]] = {}
    for case in [one.sampled for one in CASES.values()] + list(HEALTHY.values()):
        for group, detector in DETECTORS.items():
            try:
                named.setdefault(group, set()).update(one.cause for one in detector(Case.of(case)))
            except NotKnown:
                continue
    assert {group: found - set(CAUSES[group]) for group, found in named.items() if found - set(CAUSES[group])} == {}
    assert sum(bool(found) for found in named.values()) > 20
