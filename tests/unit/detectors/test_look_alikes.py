"""Numbers that look like trouble and have another reason: nothing sure is made of them."""

from __future__ import annotations

from typing import Any

import pytest

from tcptune.detectors import judge
from tcptune.domain.causes import Confidence
from tcptune.domain.diagnosis import HostDiagnosis
from tcptune.domain.samples import Sampled
from tcptune.domain.sockets import SocketState, StateCount
from tcptune.domain.state import Conntrack, Links, Listener, Listeners, Process
from tcptune.domain.strain import KernelLine, KernelLog, KernelMessage, LinkDrops, MessageCount, SoftnetCpu
from tests.unit.detectors.case import CLIENT, CUT_OFF, HIGH, LIKELY, OVERFLOWS, POSSIBLE, listening, owner
from tests.unit.detectors.hosts import (
    CLIENTS,
    CPUS,
    ETH,
    ETHERNET,
    NGINX,
    PRESSURE,
    SSH,
    SSHD,
    UPTIME_S,
    WEB,
    busier,
    drops,
    log,
    sampled,
    sockets,
)

ROOMY = Conntrack(loaded=True, count=9000, max=262_144, buckets=65536)
X11 = Process(pid=4040, name="sshd-session", nofile_soft=1024, nofile_hard=4096, open_files=9)
FORWARD = Listener(address="127.0.0.1", port=6010, queue=0, backlog=128, pids=(4040,))
PHONES = CLIENTS.model_copy(
    update={
        "states": {SocketState.ESTABLISHED: 90_000, SocketState.FIN_WAIT1: 300},
        "retransmitting": 900,
        "most_retransmissions": 13,
    }
)
MEMCG = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task_memcg=/kubepods/pod1,task=batch,pid=77,uid=0"
GLOBAL = "Out of memory: Killed process 712 (nginx) total-vm:9000kB"


def counted(message: KernelMessage, lines: int, last_s: float, *texts: str) -> KernelLog:
    return KernelLog(
        source="dmesg",
        lines=900,
        since_s=0.0,
        counts=(MessageCount(message=message, lines=lines, first_s=400.0, last_s=last_s),),
        newest=tuple(KernelLine(message=message, at_s=last_s, text=text) for text in texts),
    )


def half_closed(sockets_: int, unread: int, quiet_s: float) -> dict[str, Any]:
    owners = [
        owner(SocketState.CLOSE_WAIT, sockets_, unread=unread, quiet_s=quiet_s),
        owner(SocketState.ESTABLISHED, 9000),
    ]
    return {"sockets": sockets(owners=owners)}


def card(name: str, missed: int) -> LinkDrops:
    return LinkDrops(name=name, counts={**ETH.counts, "rx_missed_errors": missed})


def names(found: HostDiagnosis) -> dict[str, Confidence]:
    return {one.cause: one.confidence for one in found.causes}


WELL: dict[str, Sampled] = {
    "cookies for every SYN, by choice": sampled(
        {"TcpExt.TCPReqQFullDoCookies": 6000, "TcpExt.SyncookiesSent": 6000, "TcpExt.SyncookiesRecv": 5990},
        {"net.ipv4.tcp_syncookies": "2"},
    ),
    "packet sizes that are probed on every connection, by choice": sampled(
        {"TcpExt.TCPMTUPSuccess": 400}, {"net.ipv4.tcp_mtu_probing": "2"}
    ),
    "an old line of a log whose clock runs ahead": sampled(
        first={"kernel_log": counted(KernelMessage.CONNTRACK_FULL, 40, UPTIME_S + 20)}
    ),
    "phones that lost their network, among many clients": sampled(first={"sockets": sockets(ports=[PHONES])}),
    "long requests whose clients have ended their half": sampled(
        first=half_closed(24, 23, 200.0), second=half_closed(22, 22, 95.0)
    ),
    "a queue that is pruned once, and many bytes of many connections": sampled(
        {"TcpExt.PruneCalled": 2},
        first={"sockets": sockets(owners=[owner(SocketState.ESTABLISHED, 20_000, unread=9000, unread_bytes=3 << 20)])},
    ),
    "a restart with three in the queue": sampled(
        second={"listeners": listening(0, 511, NGINX.model_copy(update={"pid": 9712}))}
    ),
    "a processor that is switched off, on a kernel that numbers rows": sampled(
        first={"drops": drops((*CPUS[:3], SoftnetCpu(cpu=3, processed=5_000_000, dropped=70, time_squeeze=900)))},
        second={"drops": drops((*busier(CPUS)[:3], SoftnetCpu(cpu=3, processed=4_000_000, dropped=3, time_squeeze=5)))},
    ),
    "a few of many downloads that wait for their own buffer": sampled(
        sysctl={"net.ipv4.tcp_wmem": "4096 16384 4194304"},
        first={
            "sockets": sockets(
                states=(StateCount(state=SocketState.ESTABLISHED, sockets=90_000),), send_buffer_limited=60
            )
        },
    ),
    "many uploads into buffers of the usual size": sampled(
        {"TcpExt.TCPWantZeroWindowAdv": 3000, "Tcp.InSegs": 4_000_000}
    ),
    "a forged packet that is logged": sampled(
        sysctl={"net.ipv4.conf.all.log_martians": "1"}, second={"kernel_log": log(martian=2)}
    ),
    "a peer that shrinks its window": sampled(second={"kernel_log": log(shrunk_window=1)}),
    "challenges among very many connections": sampled(
        {"Tcp.PassiveOpens": 300_000, "TcpExt.TCPChallengeACK": 100, "TcpExt.TCPSYNChallenge": 100}
    ),
}


@pytest.mark.parametrize("case", WELL.values(), ids=WELL)
def test_what_has_a_harmless_reason_is_no_finding(case: Sampled) -> None:
    found = judge(case)

    assert names(found) == {}
    assert found.unexplained == ()


def test_entries_that_clash_are_no_full_table_and_no_health() -> None:
    found = judge(sampled({"nf_conntrack.drop": 900, "nf_conntrack.insert_failed": 900}, first={"conntrack": ROOMY}))

    assert names(found) == {}
    assert ["collide" in one.what for one in found.unexplained] == [True]


def test_drops_of_a_table_with_room_are_merely_possible_and_change_nothing() -> None:
    [found] = judge(sampled({"nf_conntrack.drop": 900}, first={"conntrack": ROOMY})).causes

    assert (found.cause, found.confidence, found.settings) == ("drop.conntrack_full", POSSIBLE, ())


def test_a_table_that_was_full_at_the_first_look_is_sure() -> None:
    full = ROOMY.model_copy(update={"count": 262_144})

    found = judge(sampled({"nf_conntrack.drop": 900}, first={"conntrack": full}, second={"conntrack": ROOMY}))

    assert names(found) == {"drop.conntrack_full": HIGH}


def test_a_group_that_is_killed_for_its_own_limit_is_no_host_without_memory() -> None:
    pressed = PRESSURE.model_copy(update={"oom_kills": 1})
    log = counted(KernelMessage.OOM_KILLER, 1, UPTIME_S + 9, MEMCG)

    found = judge(sampled(second={"pressure": pressed, "kernel_log": log}))

    assert names(found) == {"reset.process_crash": POSSIBLE}
    assert "limit of its own group" in found.causes[0].because


def test_a_host_that_kills_for_memory_is_sure_where_its_log_says_so() -> None:
    log = counted(KernelMessage.OOM_KILLER, 2, UPTIME_S + 9, MEMCG, GLOBAL)

    found = judge(sampled(second={"pressure": PRESSURE.model_copy(update={"oom_kills": 2}), "kernel_log": log}))

    assert names(found)["limit.memory_swap"] is HIGH


def test_a_kill_that_no_log_explains_may_be_of_one_group_alone() -> None:
    pressed = PRESSURE.model_copy(update={"oom_kills": 1})

    found = judge(sampled(first={"kernel_log": None}, second={"pressure": pressed}))

    assert names(found) == {"limit.memory_swap": LIKELY}


def test_lines_that_are_new_count_whatever_their_clock_says() -> None:
    late = counted(KernelMessage.CONNTRACK_FULL, 40, UPTIME_S - 400)
    later = counted(KernelMessage.CONNTRACK_FULL, 47, UPTIME_S - 380)

    [found] = judge(sampled(first={"kernel_log": late}, second={"kernel_log": later})).causes

    assert found.cause == "drop.conntrack_full"
    assert found.evidence[-1].value == 7


def test_clients_that_vanish_do_not_make_their_path_forgetful() -> None:
    half = PHONES.model_copy(update={"retransmitting": 30_000})

    found = judge(sampled(first={"sockets": sockets(ports=[half])}))

    assert names(found) == {"timeout.peer_vanished": LIKELY}


def test_bytes_that_many_connections_have_unread_are_no_full_queues() -> None:
    many = owner(SocketState.ESTABLISHED, 20_000, unread=9000, unread_bytes=3 << 20)

    found = judge(sampled({"TcpExt.TCPToZeroWindowAdv": 900}, first={"sockets": sockets(owners=[many])}))

    assert names(found) == {"perf.slow_reader": LIKELY}


def test_half_closed_connections_that_stay_are_a_leak_for_sure_where_the_program_was_told() -> None:
    told, untold = half_closed(300, 0, 200.0), half_closed(300, 300, 200.0)

    assert names(judge(sampled(first=told))) == {"state.close_wait_leak": HIGH}
    assert names(judge(sampled(first=untold))) == {"state.close_wait_leak": LIKELY}


def test_a_listener_of_nobody_that_ends_is_not_what_cut_connections_off() -> None:
    before = Listeners(source="ss", listeners=(WEB, SSH, FORWARD), processes=(NGINX, SSHD, X11))

    found = judge(sampled(CUT_OFF, first={"listeners": before}, second={"listeners": listening(0, 511)}))

    assert names(found) == {"reset.unread_data_on_close": HIGH}


def test_a_process_that_ended_was_not_killed_for_memory_where_the_log_names_another() -> None:
    killed = PRESSURE.model_copy(update={"oom_kills": 1})
    after = {"listeners": listening(0, 511, NGINX.model_copy(update={"pid": 9712})), "pressure": killed}
    other, it = (
        counted(KernelMessage.OOM_KILLER, 1, UPTIME_S + 9, f"Out of memory: Killed process 77 ({name}) total-vm:9kB")
        for name in ("batch", "nginx")
    )

    assert names(judge(sampled(CUT_OFF, second={**after, "kernel_log": other})))["reset.process_crash"] is LIKELY
    assert names(judge(sampled(CUT_OFF, second={**after, "kernel_log": it})))["reset.process_crash"] is HIGH


def test_a_card_that_adds_up_others_is_not_named_beside_them() -> None:
    links = Links(links=(ETHERNET, ETHERNET.model_copy(update={"name": "bond0", "physical": False})))
    before, after = (drops(cpus, card("eth0", n), card("bond0", n)) for cpus, n in ((CPUS, 7), (busier(), 9007)))

    found = judge(sampled(first={"links": links, "drops": before}, second={"drops": after}))

    assert [(one.cause, one.about) for one in found.causes] == [("drop.nic_ring", "eth0")]


def test_segments_that_peers_had_already_are_not_lost() -> None:
    found = judge(sampled({"Tcp.RetransSegs": 60_000, "TcpExt.TCPDSACKRecv": 58_000}))

    assert names(found) == {"perf.loss": POSSIBLE}
    assert "had" in found.causes[0].because


def test_segments_out_of_order_are_not_lost_where_closed_peers_report_few_of_them() -> None:
    # As netem made it on Linux 6.1: what comes for a client that has its answer and closed is not reported.
    again = {"Tcp.RetransSegs": 60_000, "TcpExt.TCPDSACKRecv": 12_500, "TcpExt.TCPSackRecovery": 28_000}
    late = {**again, "Tcp.OutRsts": 30_000}

    undone = judge(sampled({**late, "TcpExt.TCPDSACKUndo": 3_000, "TcpExt.TCPPartialUndo": 600}))
    some_undone = judge(sampled({**late, "TcpExt.TCPDSACKUndo": 900}))
    few_late = judge(sampled({**again, "TcpExt.TCPDSACKUndo": 3_000, "TcpExt.TCPPartialUndo": 600}))

    assert names(undone) == {"perf.loss": POSSIBLE}
    assert "had much of it already: it comes late or out of order" in undone.causes[0].because
    assert names(some_undone) == {"perf.loss": LIKELY}
    assert names(few_late) == {"perf.loss": HIGH}


def test_what_peers_had_already_makes_no_loss_surer() -> None:
    again = {"Tcp.RetransSegs": 40_000, "TcpExt.TCPSackRecovery": 20_000}

    assert names(judge(sampled(again))) == {"perf.loss": HIGH}
    assert names(judge(sampled({**again, "TcpExt.TCPDSACKRecv": 12_000}))) == {"perf.loss": LIKELY}


def test_copies_that_a_path_makes_do_not_hide_that_it_loses_as_well() -> None:
    # As netem made them: 5 percent lost, 20 percent doubled.
    both = {
        "Tcp.RetransSegs": 22_700,
        "TcpExt.TCPSackRecovery": 16_000,
        "TcpExt.TCPDSACKRecv": 74_000,
        "TcpExt.TCPDSACKOfoRecv": 22_000,
        "TcpExt.TCPDSACKIgnoredDubious": 91_000,
    }

    found = judge(sampled(both))

    assert names(found) == {"perf.loss": LIKELY}
    assert "had" not in found.causes[0].because


def test_copies_alone_are_no_loss() -> None:
    copied = {"TcpExt.TCPDSACKRecv": 74_000, "TcpExt.TCPDSACKIgnoredDubious": 74_000}

    assert judge(sampled(copied)).causes == ()


def test_segments_that_arrive_damaged_are_named_where_nothing_is_sent_again() -> None:
    some, few = (judge(sampled({"Tcp.InCsumErrors": count, "Tcp.InErrs": count})) for count in (2_400, 1_900))

    assert names(some) == {"perf.loss": LIKELY}
    assert "wrong checksum" in some.causes[0].because
    assert few.causes == ()


def test_a_path_that_damages_both_ways_is_one_cause() -> None:
    found = judge(sampled({"Tcp.InCsumErrors": 12_000, "Tcp.RetransSegs": 60_000}))

    assert names(found) == {"perf.loss": HIGH}
    assert [one.name for one in found.causes[0].evidence if one.unit == "percent"] == ["sent again", "damaged"]


def test_connects_without_a_route_fail_before_they_are_counted_as_attempts() -> None:
    found = judge(sampled({"Ip.OutNoRoutes": 900}, counters=CLIENT))

    assert names(found) == {"noroute.firewall_or_route": LIKELY}


def test_packets_without_a_route_do_not_explain_attempts_that_are_reset() -> None:
    found = judge(sampled({"Tcp.AttemptFails": 3000, "Ip.OutNoRoutes": 1600}, counters=CLIENT))

    assert set(names(found)) == {"noroute.firewall_or_route", "refused.closed_port"}


def test_a_neighbour_that_does_not_answer_is_no_firewall() -> None:
    grew = {"Tcp.AttemptFails": 3000, "Icmp.InDestUnreachs": 3000, "Icmp.OutDestUnreachs": 3000}

    found = judge(sampled(grew, counters=CLIENT))

    assert names(found) == {"noroute.firewall_or_route": LIKELY}
    assert "next door" in found.causes[0].because


def test_requests_that_are_dropped_for_no_full_queue_are_no_health() -> None:
    found = judge(sampled({"TcpExt.ListenDrops": 900}))

    assert found.causes == ()
    assert ["no queue" in one.what for one in found.unexplained] == [True]


def test_without_cookies_the_last_quarter_of_the_syn_queue_is_kept_from_strangers() -> None:
    found = judge(sampled({"TcpExt.ListenDrops": 900}, {"net.ipv4.tcp_syncookies": "0"}))

    assert names(found) == {"listen.syn_queue_full": LIKELY}
    assert [one.key for one in found.causes[0].settings] == ["net.ipv4.tcp_syncookies"]
    assert found.unexplained == ()


def test_attempts_that_are_refused_do_not_explain_connections_that_peers_reset() -> None:
    found = judge(sampled({"Tcp.AttemptFails": 3000, "Tcp.EstabResets": 1200}, counters=CLIENT))

    assert names(found) == {"refused.closed_port": LIKELY}
    assert [one.what for one in found.unexplained] == ["peers, or something between, reset connections of this host"]


def test_a_process_does_not_fill_the_queue_of_another() -> None:
    java = Process(pid=99, name="java", unit="shop.service", nofile_soft=4096, nofile_hard=4096, open_files=4090)
    both = listening(512, 511).model_copy(update={"processes": (NGINX, SSHD, java)})

    found = judge(sampled(OVERFLOWS, first={"listeners": both}))

    assert {one.cause: one.follows_from for one in found.causes}["listen.accept_queue_overflow"] is None


def test_workers_that_share_a_port_are_told_once() -> None:
    full = [WEB.model_copy(update={"queue": 512, "backlog": 511, "pids": (712,)}) for _ in range(64)]
    idle = WEB.model_copy(update={"queue": 0, "backlog": 511, "pids": (712,)})
    shared = Listeners(source="ss", listeners=(*full, idle, SSH), processes=(NGINX, SSHD))

    found = judge(sampled(OVERFLOWS, first={"listeners": shared}))

    overflows = [one for one in found.causes if one.cause == "listen.accept_queue_overflow"]
    assert [one.about for one in overflows] == ["nginx on *:443"]
    assert "stands in both samples" in overflows[0].because


def test_sockets_that_were_not_looked_at_are_said() -> None:
    found = judge(sampled(first={"sockets": sockets(unlisted=70_000)}))

    assert not found.well
    assert any("70000" in gap.why for gap in found.not_judged)
