from __future__ import annotations

from typing import Any

import pytest

from tcptune.domain.facts import HostFacts
from tcptune.domain.findings import (
    LimitDeviates,
    LimitFinding,
    LimitMet,
    LimitUnknown,
    Where,
)
from tcptune.domain.profile import LimitEntry, LoadVariable, Profile, Waiver
from tcptune.domain.state import Listener, Listeners, Process, TextFile, UnitFile, UnitFiles
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tests.unit.builders import facts

LIB, ETC = "/usr/lib/systemd/system", "/etc/systemd/system"
NGINX = "nginx.service"
NR_OPEN = 1048576
CONNECTIONS = LoadVariable(default=1000, unit="connections", meaning="at the peak")


def process(soft: int | None = 1024, hard: int | None = 524288, **fields: Any) -> Process:
    given = {"pid": 910, "name": "nginx", "unit": NGINX, "uid": 0, "nofile_soft": soft, "nofile_hard": hard}
    return Process.model_validate({**given, **fields})


def host(
    *processes: Process,
    files: dict[str, str] | None = None,
    config: dict[str, str | None] | None = None,
    nr_open: int = NR_OPEN,
    unowned: int = 0,
    **fields: Any,
) -> HostFacts:
    """Return a host on which these processes listen, with a unit file of nginx that says nothing of limits."""
    listeners = [Listener(address="*", port=80 + n, queue=0, backlog=1, pids=(p.pid,)) for n, p in enumerate(processes)]
    listeners += [Listener(address="*", port=90, queue=0, backlog=1)] * unowned
    units = {f"{LIB}/{NGINX}": "[Service]\n"} if files is None else files
    return facts(sysctl={"fs.nr_open": str(nr_open)}, **fields).model_copy(
        update={
            "listeners": Listeners(source="ss", listeners=tuple(listeners), processes=processes),
            "unit_files": UnitFiles(units=(NGINX,), files=tuple(UnitFile(path=p, content=c) for p, c in units.items())),
            "config_files": tuple(TextFile(path=p, content=c) for p, c in (config or {}).items()),
        }
    )


def limit(at_least: int | str = 65536, *processes: str, **fields: Any) -> LimitEntry:
    given = {"why": "connections", "source": "getrlimit(2)", "profile": "test", "place": f"here:{at_least}"}
    given |= {"at_least": str(at_least), "processes": processes, "group": "test"}
    return LimitEntry.model_validate({**given, **fields})


def of(*limits: LimitEntry, waivers: tuple[Waiver, ...] = ()) -> Profile:
    return Profile(name="test", summary="", origin="here", entries=(), limits=limits, waivers=waivers, digest="d" * 64)


def judge(found: HostFacts, *limits: LimitEntry, **more: Any) -> tuple[LimitFinding, ...]:
    waivers = more.pop("waivers", ())
    return audit_host(found, of(*(limits or (limit(),)), waivers=waivers), catalogue(), **more).limits


def judged(found: HostFacts, *limits: LimitEntry, **more: Any) -> LimitFinding:
    [only] = judge(found, *limits, **more)
    return only


def deviation(found: HostFacts, *limits: LimitEntry) -> LimitDeviates:
    only = judged(found, *limits)
    assert isinstance(only, LimitDeviates)
    return only


def unit(limits: str) -> dict[str, str]:
    return {f"{LIB}/{NGINX}": f"[Service]\nLimitNOFILE={limits}\n"}


# Now and at the next start


@pytest.mark.parametrize(
    ("soft", "written", "where"),
    [
        (65536, "65536", None),
        (70000, "70000", None),
        (1024, "65536", Where.RUNTIME),
        (65536, "4096", Where.BOOT),
        (1024, "4096", Where.BOTH),
        (65535, "65535", Where.BOTH),
    ],
)
def test_both_layers_are_judged(soft: int, written: str, where: Where | None) -> None:
    found = judged(host(process(soft, soft), files=unit(written)))

    if where is None:
        assert isinstance(found, LimitMet)
    else:
        assert isinstance(found, LimitDeviates)
        assert found.where is where
        assert (found.layers.wanted, found.layers.soft, found.layers.at_start.soft) == (65536, soft, int(written))


def test_the_default_of_systemd_is_what_a_silent_unit_gives() -> None:
    found = deviation(host(process(1024, 524288)))

    assert found.where is Where.BOTH
    assert (found.layers.at_start.soft, found.layers.at_start.by) == (1024, "the default of systemd")


def test_the_default_of_the_service_manager_is_looked_up() -> None:
    config: dict[str, str | None] = {"/etc/systemd/system.conf": "[Manager]\nDefaultLimitNOFILE=65536:524288\n"}

    assert isinstance(judged(host(process(65536), config=config)), LimitMet)


def test_a_process_that_raises_its_own_soft_limit_to_the_hard_one_is_met() -> None:
    found = judged(host(process(524288, 524288)))

    assert isinstance(found, LimitMet)
    assert found.note == "it raises its own soft limit, which is 1024 at its start"


def test_a_limit_that_the_present_files_do_not_explain_is_a_deviation_at_boot() -> None:
    # Started under another drop-in, or raised by prlimit: the next start will not give it again.
    assert deviation(host(process(65536, 65536))).where is Where.BOOT


def test_workers_are_judged_and_not_the_master_of_root_that_serves_nobody() -> None:
    master, worker = process(1024, 524288, pid=1), process(65536, 65536, pid=2, uid=33)

    assert isinstance(judged(host(master, worker)), LimitMet)
    assert deviation(host(master, process(4096, 4096, pid=2, uid=33))).layers.soft == 4096


def test_of_several_equal_processes_the_lowest_counts() -> None:
    found = deviation(host(process(70000, pid=1), process(900, pid=2), files=unit("70000")))

    assert (found.layers.soft, found.where) == (900, Where.RUNTIME)


def test_a_limit_that_may_not_be_read_is_unknown() -> None:
    assert isinstance(judged(host(process(None, None))), LimitUnknown)
    assert isinstance(judged(host(process(70000), process(None, None, pid=2))), LimitUnknown)


def test_files_of_run_do_not_count_as_what_a_boot_gives() -> None:
    gone = f"/run/systemd/system/{NGINX}.d/10.conf"
    found = deviation(
        host(process(65536, 65536), files={f"{LIB}/{NGINX}": "[Service]\n", gone: unit("65536").popitem()[1]})
    )

    assert found.where is Where.BOOT
    assert found.layers.at_start.by == f"the default of systemd; {gone} is gone after a boot"


def test_what_generators_make_is_there_after_a_boot() -> None:
    assert isinstance(
        judged(host(process(65536, 65536), files={f"/run/systemd/generator.late/{NGINX}": unit("65536").popitem()[1]})),
        LimitMet,
    )


def test_a_unit_without_files_is_enough_now_and_not_known_later() -> None:
    found = judged(host(process(65536, 65536), files={}))

    assert isinstance(found, LimitUnknown)
    assert "no file of nginx.service was found" in found.why
    assert deviation(host(process(1024), files={})).where is Where.RUNTIME


# Outside of services


def test_a_process_outside_a_unit_has_what_its_session_gives() -> None:
    found = host(process(65536, 65536, unit=None), config={"/etc/security/limits.d/n.conf": "root - nofile 65536\n"})
    only = judged(found)

    assert isinstance(only, LimitMet)
    assert only.layers.at_start.by == "/etc/security/limits.d/n.conf, in sessions of PAM alone"


def test_a_process_outside_a_unit_without_a_line_about_it_is_not_known_later() -> None:
    assert isinstance(judged(host(process(65536, 65536, unit=None))), LimitUnknown)
    assert isinstance(judged(host(process(65536, 65536, unit="session-3.scope"))), LimitUnknown)


def test_a_container_is_started_by_its_runtime() -> None:
    found = judged(
        host(
            process(65536, 65536, unit="docker-abc.scope"), config={"/etc/security/limits.conf": "root - nofile 65536"}
        )
    )

    assert isinstance(found, LimitUnknown)
    assert "docker-abc.scope was made by a program" in found.why


def test_limits_conf_does_not_count_for_a_service() -> None:
    config: dict[str, str | None] = {"/etc/security/limits.conf": "root - nofile 65536\n* - nofile 65536\n"}

    assert deviation(host(process(1024), config=config)).where is Where.BOTH


# What the plan writes, and what a person has to do


def test_the_drop_in_keeps_a_hard_limit_that_is_higher() -> None:
    by_hand = deviation(host(process(1024))).by_hand

    assert by_hand.path == "/etc/systemd/system/nginx.service.d/99-tcptune.conf"
    assert by_hand.content == "[Service]\nLimitNOFILE=65536:524288\n"
    assert by_hand.steps == ("systemctl restart nginx.service",)


def test_the_drop_in_raises_both_where_the_hard_limit_is_lower() -> None:
    assert deviation(host(process(1024, 4096), files=unit("4096"))).by_hand.content == "[Service]\nLimitNOFILE=65536\n"


def test_a_service_that_has_enough_need_not_be_restarted() -> None:
    by_hand = deviation(host(process(65536, 65536))).by_hand

    assert (by_hand.path is None, by_hand.steps) == (False, ())


def test_a_service_whose_files_are_right_needs_a_restart_alone() -> None:
    by_hand = deviation(host(process(1024), files=unit("65536"))).by_hand

    assert (by_hand.path, by_hand.steps[-1]) == (None, "systemctl restart nginx.service")


def test_a_drop_in_that_would_win_over_ours_is_what_has_to_be_changed() -> None:
    late = f"{ETC}/{NGINX}.d/zz.conf"
    by_hand = deviation(
        host(process(1024), files={f"{LIB}/{NGINX}": "", late: "[Service]\nLimitNOFILE=2048\n"})
    ).by_hand

    assert (by_hand.path, by_hand.content) == (None, None)
    assert by_hand.steps[0].startswith(f"set LimitNOFILE=65536 in {late}, which wins over ")


def test_outside_a_service_it_is_said_where_limits_come_from() -> None:
    by_hand = deviation(host(process(1024, unit=None))).by_hand

    assert by_hand.path is None
    assert "where nginx is started: ulimit -n" in str(by_hand)


def test_what_fs_nr_open_forbids_is_said_with_its_number() -> None:
    found = deviation(host(process(1024), nr_open=20000))

    assert found.notes == ("fs.nr_open is 20000: no process can be allowed more, so raise that first",)
    assert found.by_hand.steps[0].startswith("raise fs.nr_open to 65536 or more first")


def test_a_unit_that_asks_for_more_than_fs_nr_open_gets_less() -> None:
    found = deviation(host(process(20000, 20000), files=unit("infinity"), nr_open=20000))

    assert (found.layers.at_start.soft, found.where) == (20000, Where.BOTH)


@pytest.mark.parametrize(
    ("opened", "at_most", "said"),
    [
        (819, 1024, ()),
        (820, 1024, ("820 of its 1024 files are open now",)),
        (1024, 1024, ("1024 of its 1024 files are open now",)),
        (None, 1024, ("at some time more than about half of its 1024 files were open",)),
        (None, 512, ()),
    ],
)
def test_files_open_near_the_limit_are_told_with_their_number(
    opened: int | None, at_most: int, said: tuple[str, ...]
) -> None:
    assert deviation(host(process(1024, open_files=opened, open_files_at_most=at_most))).notes == said
