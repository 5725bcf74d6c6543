"""Who has to start again for a change to matter."""

from __future__ import annotations

from typing import Any

import pytest

from tcptune.domain.changes import LimitChange
from tcptune.domain.facts import HostFacts
from tcptune.domain.followups import FollowUp
from tcptune.domain.limits import LimitLayers, NextStart
from tcptune.domain.runs import HostState
from tcptune.domain.state import Listener, Listeners, Process
from tcptune.planning.afterwards import afterwards, together, with_afterwards
from tests.unit.builders import RMEM, SOMAXCONN, SYNCOOKIES, change, facts, plan, result, run

NGINX, POSTGRES = "nginx.service", "postgresql@15-main.service"


def host(*listeners: tuple[str, str | None, int | None], name: str = "web1", **more: Any) -> HostFacts:
    """Return a host on which programs of (name, unit, length of their queue) listen."""
    processes = [Process(pid=100 + n, name=who, unit=unit) for n, (who, unit, _) in enumerate(listeners)]
    sockets = [
        Listener(address="*", port=80 + n, queue=0, backlog=backlog, pids=(100 + n,))
        for n, (_, _, backlog) in enumerate(listeners)
    ]
    given = {"source": "ss", "listeners": sockets, "processes": processes, **more}
    return facts(name).model_copy(update={"listeners": Listeners.model_validate(given)})


def limit(soft: int = 1024, unit: str | None = NGINX) -> LimitChange:
    start = NextStart(soft=1024, hard=524288, by="the default of systemd")
    layers = LimitLayers(wanted=65536, soft=soft, hard=524288, at_start=start)
    path = "/etc/systemd/system/nginx.service.d/99-tcptune.conf"
    return LimitChange(
        process="nginx", unit=unit, layers=layers, path=path, demand="at least 65536", why="files", source="here"
    )


QUEUE = change(SOMAXCONN, "128", "4096")


def commands(found: tuple[FollowUp, ...]) -> list[str]:
    return [one.do for one in found]


def test_programs_whose_queue_was_cut_have_to_listen_again() -> None:
    here = host(("nginx", NGINX, 128), ("java", "app.service", 100), ("redis", "redis.service", None))

    assert commands(afterwards(here, [QUEUE], ())) == [f"systemctl restart {NGINX}", "systemctl restart redis.service"]


def test_a_program_to_which_few_connect_is_not_restarted_for_its_queue_and_is_for_its_buffers() -> None:
    here = host(("sshd", "ssh.service", 128))

    assert afterwards(here, [QUEUE], ()) == ()
    assert commands(afterwards(here, [change(RMEM, "4096 131072 6291456", "4096 262144 6291456")], ())) == [
        "systemctl restart ssh.service"
    ]


def test_programs_whose_queue_is_longer_than_a_lowered_value_have_to_listen_again() -> None:
    here = host(("nginx", NGINX, 511), ("java", "app.service", 100))

    assert commands(afterwards(here, [change(SOMAXCONN, "4096", "256")], ())) == [f"systemctl restart {NGINX}"]


@pytest.mark.parametrize("made", [change(SYNCOOKIES, "0", "1"), change(SOMAXCONN, "4096", "4096")])
def test_what_reaches_running_programs_or_is_only_for_the_boot_needs_nobody(made: Any) -> None:
    assert afterwards(host(("nginx", NGINX, 4096)), [made], ()) == ()


@pytest.mark.parametrize(("after", "asked"), [("4096 262144 6291456", 1), ("4096 131072 16777216", 0)])
def test_the_initial_buffer_is_the_listeners_and_the_largest_is_not(after: str, asked: int) -> None:
    made = change(RMEM, "4096 131072 6291456", after)

    assert len(afterwards(host(("nginx", NGINX, 511)), [made], ())) == asked


def test_a_limit_and_a_setting_want_one_restart_once_the_run_is_confirmed() -> None:
    [one] = afterwards(host(("nginx", NGINX, 128)), [QUEUE], [limit()])

    assert (one.do, one.because, one.once) == (
        f"systemctl restart {NGINX}",
        ("limits.nofile", SOMAXCONN),
        "confirmed",
    )


def test_a_service_that_has_enough_files_now_need_not_be_restarted() -> None:
    assert afterwards(host(), (), [limit(soft=65536)]) == ()


def test_outside_a_unit_of_systemd_the_program_is_named() -> None:
    here = host(("busybox", None, 128), ("node", "session-3.scope", 128), ("systemd", "init.scope", 128))
    buffers = change(RMEM, "4096 131072 6291456", "4096 262144 6291456")

    assert commands(afterwards(here, [buffers], ())) == [
        "start busybox again",
        "start node again",
        "systemctl restart the .socket units that systemd listens for",
    ]


def test_a_program_that_cannot_be_seen_is_not_forgotten() -> None:
    unknown = facts()
    nameless = host().model_copy(
        update={"listeners": Listeners(source="ss", listeners=(Listener(address="*", port=1, queue=0, backlog=128),))}
    )

    assert "is not known" in afterwards(unknown, [QUEUE], ())[0].do
    assert "is not known" in afterwards(host(source="proc"), [QUEUE], ())[0].do
    assert "not every program could be seen" in afterwards(nameless, [QUEUE], ())[0].do
    assert "not every program could be seen" in afterwards(host(left_out=3), [QUEUE], ())[0].do


def test_a_service_of_many_hosts_is_named_once() -> None:
    found = [
        one
        for name in ("web3", "web1", "web2")
        for one in afterwards(host(("nginx", NGINX, 128), name=name), [QUEUE], ())
    ]
    other = afterwards(host(("postgres", POSTGRES, 128), name="db1"), [QUEUE], ())

    assert [(one.do, one.hosts) for one in together([*other, *found])] == [
        (f"systemctl restart {NGINX}", ("web1", "web2", "web3")),
        (f"systemctl restart {POSTGRES}", ("db1",)),
    ]


def test_a_run_shows_what_is_left_on_the_hosts_that_hold_or_keep_it() -> None:
    here = host(("nginx", NGINX, 128))
    both = together(
        one.model_copy(update={"hosts": ("held", "kept", "back")})
        for one in [*afterwards(here, [QUEUE], ()), *afterwards(here, (), [limit(unit="app.service")])]
    )
    states = {"held": HostState.HELD, "kept": HostState.CONFIRMED, "back": HostState.ROLLED_BACK}
    found = with_afterwards(run(*(result(name, state) for name, state in states.items())), plan(afterwards=both))

    # A limit is in no file before the run is confirmed, so that a restart would be for nothing.
    assert {one.do: one.hosts for one in found.afterwards} == {
        f"systemctl restart {NGINX}": ("held", "kept"),
        "systemctl restart app.service": ("kept",),
    }
