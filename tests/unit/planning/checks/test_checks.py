from __future__ import annotations

import pytest

from tcptune.adapters.profiles import load_profile
from tcptune.domain.concerns import Concern, Holds, NotJudged, Observation, Severity
from tcptune.domain.hosts import Declared
from tcptune.domain.surroundings import IdleTimeout, Program
from tcptune.knowledge.catalogue import built_in_profiles, catalogue
from tcptune.knowledge.surroundings import idle_timeouts, program, programs
from tcptune.planning.audit import audit_host
from tcptune.planning.checks import CHECKS
from tests.unit.builders import ETC, LATER, PORTS, RMEM, SOMAXCONN, facts, profile, read_only, rule
from tests.unit.planning.checks.cases import CASES, WIDE, Case, load
from tests.unit.planning.checks.hosts import (
    INTVL,
    KEEPALIVE,
    RESERVED,
    SSHD,
    TCP_MEM,
    TIMESTAMPS,
    TW_REUSE,
    concerns,
    gap,
    host,
    listener,
    listening,
    rival,
)

ROWS = [(check, name) for check, cases in CASES.items() for name in cases]
KINDS = {"positive", "negative", "boundary", "gap"}


def test_every_check_has_cases_of_each_kind() -> None:
    assert set(CASES) == set(CHECKS)
    assert {check: KINDS - set(cases) for check, cases in CASES.items() if KINDS - set(cases)} == {}


@pytest.mark.parametrize(("check", "name"), ROWS, ids=[f"{check}: {name}" for check, name in ROWS])
def test_a_check_says_what_its_case_expects(check: str, name: str) -> None:
    case: Case = CASES[check][name]
    found, why = concerns(check, case.host, *case.entries), gap(check, case.host, *case.entries)

    if isinstance(case.says, Severity):
        assert [one.severity for one in found] == [case.says], found
        assert all(one.evidence and one.remedy for one in found)
    elif case.says is None:
        assert (found, why) == ((), None)
    else:
        assert found == ()
        assert case.says in (why or "")


# A fresh host


@pytest.mark.parametrize("name", built_in_profiles())
def test_a_fresh_host_gives_no_concern_under_the_profiles_of_ours(name: str) -> None:
    found = audit_host(host(), load_profile(name), catalogue())

    assert found.concerns == ()
    assert found.not_judged == ()


def test_a_host_of_which_nothing_is_known_is_not_judged_by_any_check_that_needs_it() -> None:
    found = audit_host(facts(), profile(rule(SOMAXCONN, "4096")), catalogue())

    assert found.concerns == ()
    assert {one.check for one in found.not_judged} == set(CHECKS) - {
        # These look at what was read or will be changed, and that is nothing.
        "refused",
        "nonsense",
        "rivals",
        "connections",
        "global-reload",
    }


# When a concern holds


def test_what_the_wanted_values_bring_about_is_told_apart_from_what_is_so_now() -> None:
    wanted = concerns("time-wait-reuse", host({TIMESTAMPS: "0"}), rule(TW_REUSE, "1"))
    now = concerns("time-wait-reuse", host({TIMESTAMPS: "0", TW_REUSE: "1"}), rule(SOMAXCONN, "8192"))

    assert [one.holds for one in (*wanted, *now)] == [Holds.WANTED, Holds.NOW]


def test_evidence_tells_what_was_read_from_what_is_wanted() -> None:
    [found] = concerns("time-wait-reuse", host({TIMESTAMPS: "0"}), rule(TW_REUSE, "1"))

    assert found.evidence == (f"{TW_REUSE} = 1 wanted, 2 now", f"{TIMESTAMPS} = 0")


def test_a_change_that_will_not_be_made_does_not_count() -> None:
    stuck = host({TIMESTAMPS: "0", TW_REUSE: read_only("2")})

    assert concerns("time-wait-reuse", stuck, rule(TW_REUSE, "1")) == ()


def test_a_value_that_is_off_at_boot_alone_changes_nothing_now() -> None:
    file = {f"{ETC}/60-old.conf": f"{TW_REUSE} = 2\n"}
    found = concerns("time-wait-reuse", host({TIMESTAMPS: "1", TW_REUSE: "1"}, file), rule(TW_REUSE, "1"))

    assert found == ()


def test_what_was_seen_before_a_fact_was_missed_is_kept() -> None:
    found = host(listeners=listening(listener(80, 128), listener(81, 5, None)))

    assert len(concerns("accept-queue", found)) == 1
    assert gap("accept-queue", found) is not None


def test_timeouts_of_one_cloud_are_one_concern() -> None:
    [found] = concerns("keepalive", host(machine="amazon"))

    assert "AWS Network Load Balancer and EC2 security groups" in found.what
    assert found.evidence[:3] == (f"{KEEPALIVE} = 7200", f"{INTVL} = 75", "a dead peer is found after 7875 s")


# The accept queue


def said(found: tuple[Concern, ...]) -> str:
    [one] = found
    return one.what


def test_a_queue_that_somaxconn_never_was_is_the_programs_own() -> None:
    found = concerns("accept-queue", host(listeners=listening(listener(80, 511))))

    assert said(found) == f"nginx itself asks for a queue of 511, its default: {SOMAXCONN} is not the limit"
    assert "was never 511" in " ".join(found[0].evidence)
    assert found[0].owner == "proxy"


@pytest.mark.parametrize(
    ("sysctl", "files", "system"),
    [
        ({SOMAXCONN: "1024"}, {}, {"kernel": "4.19.0"}),  # it starts with 128 there
        ({}, {f"{ETC}/60-old.conf": f"{SOMAXCONN} = 128\n"}, {}),
        ({}, {f"{ETC}/60-closed.conf": None}, {}),
    ],
)
def test_a_queue_that_somaxconn_may_have_been_is_not_blamed_on_the_program(
    sysctl: dict[str, str], files: dict[str, str | None], system: dict[str, str]
) -> None:
    found = concerns("accept-queue", host(sysctl, files, listeners=listening(listener(80, 128)), **system))

    assert "it asks for 128, or listened before that was raised" in said(found)
    assert "restart nginx" in found[0].remedy


def test_a_programs_own_default_is_known_even_where_the_boot_is_not() -> None:
    found = host(files={f"{ETC}/60-closed.conf": None}, listeners=listening(listener(80, 511)))

    assert "itself asks for a queue of 511" in said(concerns("accept-queue", found))


def test_listeners_of_one_program_with_one_queue_are_one_concern_with_its_unit() -> None:
    pairs = [listener(port, 511) for port in (80, 443)] + [listener(6379, 511, "redis-server", address="::")]
    found = concerns("accept-queue", host(listeners=listening(*pairs, units={"nginx": "nginx.service"})))

    assert [one.what.split()[0] for one in found] == ["nginx", "redis-server"]
    assert "192.0.2.1:443 nginx (nginx.service): queue limit 511, 0 waiting" in found[0].evidence
    assert "[::]:6379 redis-server: queue limit 511, 0 waiting" in found[1].evidence


def test_many_listeners_are_counted() -> None:
    found = concerns("accept-queue", host(listeners=listening(*(listener(port, 511) for port in range(8000, 8010)))))

    assert "and 4 more like these" in found[0].evidence


def test_a_full_queue_at_somaxconn_is_not_the_programs_fault() -> None:
    found = concerns("accept-queue", host(listeners=listening(listener(80, 4096, queue=4097))))

    assert f"then raise {SOMAXCONN} and listen again" in found[0].remedy


def test_a_full_queue_is_told_of_management_and_of_unknown_programs_too() -> None:
    full = listening(listener(22, 128, "sshd", queue=129), listener(9000, 3, None, queue=4))
    found = concerns("accept-queue", host(listeners=full))

    assert [one.severity for one in found] == [Severity.HARM] * 2


def test_overflows_since_boot_are_evidence() -> None:
    found = concerns(
        "accept-queue", host(listeners=listening(listener(80, 511)), counters={"TcpExt.ListenOverflows": 7})
    )

    assert "TcpExt.ListenOverflows = 7 since boot, of all listeners together" in found[0].evidence


def test_sshd_without_a_name_is_known_by_its_port() -> None:
    assert gap("accept-queue", host(listeners=listening(listener(22, 128, None)))) is None


# Ports


def test_the_reservation_that_is_proposed_keeps_what_is_there_and_adds_no_more_than_is_needed() -> None:
    pairs = (listener(27017, 9, "mongod"), listener(27018, 9, "mongod"), listener(443, 9), SSHD)
    found = concerns("port-listeners", host({**WIDE, RESERVED: "20000,27018"}, listeners=listening(*pairs)))

    assert f"{RESERVED} = 20000,27017-27018;" in found[0].remedy
    assert [line for line in found[0].evidence if line.startswith("port ")] == ["port 27017: mongod"]


def test_two_proposals_for_one_list_do_not_undo_each_other() -> None:
    wide = host(WIDE, listeners=listening(listener(27017, 9, "mongod")), rivals=(rival("kubelet"),))
    [listeners], [node_ports] = concerns("port-listeners", wide), concerns("port-nodeports", wide)

    assert "27017,30000-32767;" in listeners.remedy
    assert "27017,30000-32767;" in node_ports.remedy


def test_what_is_proposed_is_enough() -> None:
    pairs = (listener(27017, 9, "mongod"), listener(45000, 9, "app"))
    first = host(WIDE, listeners=listening(*pairs), rivals=(rival("kubelet"),))
    *_, last = concerns("port-listeners", first)
    proposal = last.remedy.partition(f"{RESERVED} = ")[2].partition(".")[0]
    then = host({**WIDE, RESERVED: proposal}, listeners=listening(*pairs), rivals=(rival("kubelet"),))

    assert proposal == "27017,30000-32767,45000"
    assert concerns("port-listeners", then) + concerns("port-nodeports", then) == ()


def test_a_listener_that_is_not_named_is_still_a_port_taken() -> None:
    found = concerns("port-listeners", host(WIDE, listeners=listening(listener(27017, None, None), source="proc")))

    assert "port 27017: unknown process" in found[0].evidence


# Memory


def test_memory_that_is_declared_does_more_than_what_a_profile_assumes() -> None:
    declared = Declared(load={"connections": 5_000_000})
    [harm] = concerns("connections", host(), load(1), declared=declared)
    [advice] = concerns("connections", host(), load(5_000_000))

    assert (harm.severity, advice.severity) == (Severity.HARM, Severity.ADVICE)
    assert "connections = 5000000 (declared)" in harm.evidence[0]
    assert "(the profile's default)" in advice.evidence[0]


def test_the_ceiling_shows_each_part_and_names_what_is_worth_naming() -> None:
    [found] = concerns("memory", host({TCP_MEM: "1 2 10000000"}))

    assert found.keys[0] == TCP_MEM
    assert "TIME_WAIT, net.ipv4.tcp_max_tw_buckets = 65536: 16 MiB" in found.evidence
    assert "net.ipv4.tcp_max_tw_buckets" not in found.keys


def test_a_maximum_above_that_of_socket_options_is_legal() -> None:
    found = host({RMEM: "4096 131072 67108864", "net.core.rmem_max": "212992"})

    assert {c for check in CHECKS for c in concerns(check, found)} == set()


# A global reload


def test_a_reload_names_every_key_and_line_outside_the_profile_too_and_who_does_it() -> None:
    files: dict[str, str | None] = {
        f"{ETC}/60-old.conf": f"# old\n{KEEPALIVE} = 600\n",
        LATER: f"{SOMAXCONN} = 128\n",
        "/etc/sysctl.conf": f"{SOMAXCONN} = 256\n",
    }
    [found] = concerns("global-reload", host(files=files))

    assert set(found.keys) == {KEEPALIVE, SOMAXCONN}
    assert set(found.evidence) == {
        f"{KEEPALIVE}: 7200 now, 600 by {ETC}/60-old.conf:2",
        f"{SOMAXCONN}: 4096 now, 128 by {LATER}:1 (systemd-sysctl alone)",
        f"{SOMAXCONN}: 4096 now, 256 by /etc/sysctl.conf:1 (sysctl --system alone)",
    }


def test_two_lines_with_one_value_are_one_flip() -> None:
    files: dict[str, str | None] = {LATER: f"{SOMAXCONN} = 128\n", "/etc/sysctl.conf": f"{SOMAXCONN} = 128\n"}
    [found] = concerns("global-reload", host(files=files))

    assert found.evidence == (
        f"{SOMAXCONN}: 4096 now, 128 by {LATER}:1 (systemd-sysctl), /etc/sysctl.conf:1 (sysctl --system)",
    )


# Rivals


def test_a_rival_is_named_with_the_right_knob() -> None:
    [found] = concerns(
        "rivals",
        host(rivals=(rival("tuned", detail="network-throughput"),)),
        rule(RMEM, "4096 131072 16777216"),
    )

    assert found.what.startswith("tuned writes net.ipv4.tcp_rmem too")
    assert "active profile network-throughput" in found.evidence[0]
    assert "tuned profile of your own" in found.remedy
    assert found.holds is Holds.WANTED


# Data


def test_programs_are_told_apart() -> None:
    names = [name for one in programs() for name in one.names]

    assert len(names) == len(set(names))
    assert all(one.knob or one.few for one in programs())
    assert all(len(name) <= 15 for name in names), "the kernel keeps no more"
    assert program("php-fpm8.2") is program("php-fpm7.4")
    assert program("no such program") is None


def test_what_is_known_of_surroundings_has_a_source() -> None:
    found: tuple[Program | IdleTimeout, ...] = (*programs(), *idle_timeouts())

    assert all(one.source for one in found)
    assert [one.seconds for one in idle_timeouts()] == sorted(one.seconds for one in idle_timeouts())


def test_a_concern_is_an_observation_and_who_made_it() -> None:
    assert set(Concern.model_fields) - set(Observation.model_fields) == {"check", "holds"}
    assert NotJudged(check="memory", why="gone").why == "gone"


def test_the_range_that_is_wanted_counts_and_not_the_one_that_is() -> None:
    wide = host(WIDE, listeners=listening(listener(27017, 9, "mongod")))

    assert concerns("port-listeners", wide, rule(PORTS, "32768 60999")) == ()
