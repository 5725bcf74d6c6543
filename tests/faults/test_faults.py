"""Each fault is really there, is diagnosed blind by the real command, is gone without what makes it, leaves nothing."""

from __future__ import annotations

import pytest

from tests.faults import FAULTS, HEALTHY, Fault, Measurement, Scene, Stage, measure
from tests.faults.ahead import Ahead
from tests.faults.conftest import Stages

pytestmark = pytest.mark.lab


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
def test_the_hosts_show_the_fault_and_the_command_names_it(fault: Fault, ahead: Ahead) -> None:
    made = ahead.made(fault)

    measured, scene = made.measured, made.scene
    assert not missed(scene, measured), measured.load
    assert errors(measured) - set(scene.besides) == named(scene)
    assert not {name: measured[name] for name in scene.still if measured[name] and not own(scene, name)}
    assert list(made.verdict.mistakes()) == [], made.verdict.row()
    assert not made.left


@pytest.mark.parametrize("fault", HEALTHY, ids=lambda fault: fault.name)
def test_a_host_that_is_well_shows_only_what_it_should_and_has_no_finding(fault: Fault, ahead: Ahead) -> None:
    made = ahead.made(fault)

    measured, scene = made.measured, made.scene
    assert list(made.verdict.mistakes()) == [], made.verdict.row()
    assert not made.forgotten
    assert measured.load.done >= 0.9 * expected(scene, measured.load.seconds)
    assert not measured.load.errors
    assert not missed(scene, measured)
    assert not {name: measured[name] for name in amiss(scene.stage) if measured[name]}
    for who in scene.stage.hosts:
        assert measured[f"{who}.Tcp.RetransSegs"] <= 0.01 * measured[f"{who}.Tcp.OutSegs"]
    assert not made.left


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
    assert errors(ill) - set(scene.besides) == named(scene)
    assert not {name: ill[name] for name in scene.still if ill[name]}


def own(scene: Scene, name: str) -> bool:
    """Say whether the session of the command moves a number."""
    return name in {f"{scene.diagnosed}.Tcp.{counter}" for counter in ("InSegs", "PassiveOpens")}


def missed(scene: Scene, measured: Measurement) -> dict[str, tuple[float, float]]:
    """Give what a scene promises to show and did not, with how much it should be."""
    return {name: (measured[name], least) for name, least in scene.shows.items() if measured[name] < least}


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
