"""Each fault is really there, is diagnosed blind by the real command, is gone without what makes it, leaves nothing."""

from __future__ import annotations

import time

import pytest

from tests.acceptance.command import Tcptune
from tests.faults import FAULTS, HEALTHY, Fault, Measurement, Scene, Stage, measure, reading
from tests.faults.conftest import Stages
from tests.faults.prove import LOAD_S, Verdict, look
from tests.lab import Lab

pytestmark = pytest.mark.lab

BEFORE_S = 1.0
SHORTEST_S = 5

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
def test_the_hosts_show_the_fault_and_the_command_names_it(
    fault: Fault, stages: Stages, lab: Lab, tcptune: Tcptune
) -> None:
    with stages(fault) as stage:
        at_first = traces(stage)
    with stages(fault) as stage, fault.make(stage, True) as scene:
        measured, verdict = diagnosed(fault, scene, tcptune, lab)

    assert not missed(scene, measured), measured.load
    assert errors(measured) - set(scene.besides) == named(scene)
    assert not {name: measured[name] for name in scene.still if measured[name]}
    assert list(verdict.mistakes()) == [], verdict.row()
    with stages(fault) as stage:
        left = sorted(traces(stage) - at_first)
    assert not left


@pytest.mark.parametrize("fault", HEALTHY, ids=lambda fault: fault.name)
def test_a_host_that_is_well_shows_only_what_it_should_and_has_no_finding(
    fault: Fault, stages: Stages, lab: Lab, tcptune: Tcptune
) -> None:
    with stages(fault) as stage:
        at_first = traces(stage)
    with stages(fault) as stage, fault.make(stage, True) as scene:
        measured, verdict = diagnosed(fault, scene, tcptune, lab)
        forgotten = [reading.states(host.proc).get("state.CLOSE_WAIT", 0) for host in stage.hosts.values()]

    assert list(verdict.mistakes()) == [], verdict.row()
    assert not any(forgotten)
    assert measured.load.done >= 0.9 * expected(scene, measured.load.seconds)
    assert not measured.load.errors
    assert not missed(scene, measured)
    assert not {name: measured[name] for name in amiss(stage) if measured[name]}
    for who in stage.hosts:
        assert measured[f"{who}.Tcp.RetransSegs"] <= 0.01 * measured[f"{who}.Tcp.OutSegs"]
    with stages(fault) as stage:
        left = sorted(traces(stage) - at_first)
    assert not left


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_nothing_of_a_fault_is_there_without_what_makes_it(fault: Fault, stages: Stages) -> None:
    with stages(fault) as stage, fault.make(stage, False) as scene:
        well = measure(scene)
        said_too_much = {name: well[name] for name, least in scene.shows.items() if well[name] >= least / 10}
    with stages(fault) as stage, fault.make(stage, True) as scene:
        ill = measure(scene)
        missing = missed(scene, ill)
        for host in stage.hosts.values():
            host.lab.ssh(host.name, "true", timeout_s=10)  # a diagnosis has to get in

    assert not said_too_much, well.load
    assert set(well.load.errors) <= set(scene.besides)
    assert not missing, ill.load


def diagnosed(fault: Fault, scene: Scene, tcptune: Tcptune, lab: Lab) -> tuple[Measurement, Verdict]:
    """Measure a scene while the command looks at it, with the shortest window that it judges."""
    said: list[Verdict] = []

    def beside() -> None:
        time.sleep(BEFORE_S)
        said.append(look(fault, scene, tcptune, lab, window_s=SHORTEST_S))

    measured = measure(scene, meanwhile=beside, seconds=LOAD_S)
    return measured, said[0]


def missed(scene: Scene, measured: Measurement) -> dict[str, tuple[float, float]]:
    """Give what a scene promises to show and did not, with how much it should be."""
    return {name: (measured[name], least) for name, least in scene.shows.items() if measured[name] < least}


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


def expected(scene: Scene, seconds: float) -> float:
    """Give how many exchanges the load makes in so many seconds where nothing is in its way."""
    if scene.load.get("shape") == "pool":
        return float(scene.load["per_s"] * (seconds // scene.load["gap_s"]))
    return float(scene.load["per_s"] * seconds)
