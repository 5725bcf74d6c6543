"""Each fault is really there, is gone without what makes it, and leaves nothing."""

from __future__ import annotations

import pytest

from tests.faults import FAULTS, HEALTHY, Fault, Measurement, Scene, Stage, measure, reading
from tests.faults.conftest import Stages

pytestmark = pytest.mark.lab

TRACES = r"""
for process in /proc/[0-9]*; do
    # The first is the host, and still a shell when the host is young.
    [ "$process" = /proc/1 ] || ! read -r name <"$process/comm" || echo "process $name"
done 2>/dev/null
nft list ruleset
ip -br address
ip route show
ls -A /tmp
cd /proc/sys/net
grep -rs --exclude=tcp_fastopen_key --exclude=nf_conntrack_count '' core ipv4 netfilter || :
"""
AMISS = (
    "conntrack.drop",
    "Tcp.AttemptFails",
    "TcpExt.ListenDrops",
    "TcpExt.ListenOverflows",
    "TcpExt.TCPAbortOnMemory",
    "TcpExt.TCPAbortOnTimeout",
    "TcpExt.TCPReqQFullDoCookies",
    "TcpExt.TCPReqQFullDrop",
    "TcpExt.TCPTimeWaitOverflow",
    "listener.over_full",
)
"""Numbers that say something is wrong with a host."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_hosts_show_the_fault_and_nothing_of_it_without(fault: Fault, stages: Stages) -> None:
    with stages(fault) as stage:
        at_first = traces(stage)

    with stages(fault) as stage, fault.make(stage, False) as scene:
        well = measure(scene)
        said_too_much = {name: well[name] for name, least in scene.shows.items() if well[name] >= least / 10}
    with stages(fault) as stage, fault.make(stage, True) as scene:
        ill = measure(scene)
        missed = {name: (ill[name], least) for name, least in scene.shows.items() if ill[name] < least}
        for host in stage.hosts.values():
            host.lab.ssh(host.name, "true", timeout_s=10)  # a diagnosis has to get in

    assert not said_too_much, well.load
    assert set(well.load.errors) <= set(scene.besides)
    assert not missed, ill.load
    assert errors(ill) - set(scene.besides) == named(scene)
    assert not {name: ill[name] for name in scene.still if ill[name]}
    with stages(fault) as stage:
        left = sorted(traces(stage) - at_first)
    assert not left


@pytest.mark.parametrize("fault", HEALTHY, ids=lambda fault: fault.name)
def test_a_host_that_is_well_shows_only_what_it_should(fault: Fault, stages: Stages) -> None:
    with stages(fault) as stage:
        at_first = traces(stage)
    with stages(fault) as stage, fault.make(stage, True) as scene:
        measured = measure(scene)
        forgotten = [reading.states(host.proc).get("state.CLOSE_WAIT", 0) for host in stage.hosts.values()]

    assert not any(forgotten)
    assert measured.load.done >= 0.9 * expected(scene)
    assert not measured.load.errors
    assert not {name: (measured[name], least) for name, least in scene.shows.items() if measured[name] < least}
    assert not {name: measured[name] for name in amiss(stage) if measured[name]}
    for who in stage.hosts:
        assert measured[f"{who}.Tcp.RetransSegs"] <= 0.01 * measured[f"{who}.Tcp.OutSegs"]
    with stages(fault) as stage:
        left = sorted(traces(stage) - at_first)
    assert not left


def traces(stage: Stage) -> set[str]:
    """Give what a fault could leave on its hosts: processes, rules, addresses, routes, files, values, one a line."""
    return {f"{who}: {line}" for who, host in stage.hosts.items() for line in host.run("sh", "-c", TRACES).splitlines()}


def amiss(stage: Stage) -> list[str]:
    return [f"{who}.{name}" for who in stage.hosts for name in AMISS]


def errors(measured: Measurement) -> set[str]:
    return set(measured.load.errors)


def named(scene: Scene) -> set[str]:
    """Give the classes of error that the scene promises."""
    return {name.removeprefix("load.") for name in scene.shows if name.startswith("load.")}


def expected(scene: Scene) -> float:
    """Give how many exchanges the load makes where nothing is in its way."""
    if scene.load.get("shape") == "pool":
        return float(scene.load["per_s"] * scene.seconds // scene.load["gap_s"])
    return float(scene.load["per_s"] * scene.seconds)
