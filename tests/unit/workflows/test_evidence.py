from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tcptune.domain.facts import Collected, Unread
from tcptune.domain.hosts import Host
from tcptune.domain.samples import HostSamples, Sampled
from tcptune.errors import HostError, HostUnreachable
from tcptune.ports import Output
from tcptune.probes import EVIDENCE, PROBES
from tcptune.probes.script import assemble
from tcptune.workflows.collect import Collector
from tcptune.workflows.evidence import SECTIONS, Sampler
from tests.unit.builders import SOMAXCONN, answer, host
from tests.unit.fakes import InlineWorkers, clock

FINE = answer({SOMAXCONN: "4096"})
AWAY = HostUnreachable("web1: no route", hint="ssh web1 true")


@dataclass
class Fleet:
    """Hosts that answer in turn, on a clock that moves by the time that a look takes."""

    says: dict[str, list[str | HostError]]
    look_s: float = 0.0
    now_s: float = 0.0
    asked: list[tuple[str, float, str]] = field(default_factory=list)

    def run(self, host: Host, command: Sequence[str], stdin: str, *, timeout_s: float) -> Output:  # noqa: ARG002
        self.asked.append((host.name, self.now_s, stdin))
        self.now_s += self.look_s
        said = self.says[host.name].pop(0)
        if isinstance(said, HostError):
            raise said
        return Output(0, said, "")

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def stream(self, window_s: float = 30, **more: list[Collected]) -> Iterator[HostSamples]:
        workers = InlineWorkers()
        sampler = Sampler(Collector(self, workers, clock), lambda: self.now_s, self.sleep)
        noted = more.get("noted")
        return sampler.stream(
            [host(name) for name in self.says], [SOMAXCONN], window_s, noted.append if noted is not None else None
        )


def test_a_host_is_read_twice_with_the_window_in_between() -> None:
    fleet = Fleet({"web1": [FINE, FINE]})
    [one] = fleet.stream(window_s=30)

    assert isinstance(one, Sampled)
    assert (one.host, one.rebooted) == ("web1", False)
    assert [(name, at) for name, at, _ in fleet.asked] == [("web1", 0), ("web1", 30)]


def test_the_window_of_each_host_begins_when_it_was_read() -> None:
    fleet = Fleet({"web1": [FINE, FINE], "web2": [FINE, FINE], "web3": [FINE, FINE]}, look_s=4)
    list(fleet.stream(window_s=30))

    looks: dict[str, list[float]] = {}
    for name, at, _ in fleet.asked:
        looks.setdefault(name, []).append(at)
    # From the end of the first look to the beginning of the second.
    assert {name: second - first - 4 for name, (first, second) in looks.items()} == dict.fromkeys(looks, 30)


def test_a_fleet_that_takes_longer_than_the_window_is_not_kept_waiting() -> None:
    names = [f"web{n}" for n in range(20)]
    fleet = Fleet({name: [FINE, FINE] for name in names}, look_s=10)
    list(fleet.stream(window_s=30))

    # Nobody slept: by the time that all have been read once, the first ones have been due for long.
    assert fleet.now_s == 2 * 20 * 10


def test_a_host_that_was_booted_in_between_is_recognised() -> None:
    [one] = Fleet({"web1": [FINE, FINE.replace("boot_id b1", "boot_id b2")]}).stream()

    assert isinstance(one, Sampled)
    assert one.rebooted


def test_a_host_that_cannot_be_read_is_a_result_and_is_not_asked_again() -> None:
    fleet = Fleet({"web1": [AWAY], "web2": [FINE, FINE]})
    first, second = fleet.stream()

    assert first == Unread(host="web1", error="no route", hint="ssh web1 true")
    assert isinstance(second, Sampled)
    assert [name for name, *_ in fleet.asked] == ["web1", "web2", "web2"]


def test_a_host_that_is_gone_the_second_time_is_not_half_fine() -> None:
    [one] = Fleet({"web1": [FINE, AWAY]}).stream(window_s=5)

    assert one == Unread(host="web1", error="it was read once, and not again 5 s later: no route", hint="ssh web1 true")


def test_what_was_kept_is_released_also_where_somebody_gives_up() -> None:
    fleet = Fleet({"web1": [FINE, FINE], "web2": [FINE, FINE]})
    released: list[str] = []
    sampler = Sampler(
        Collector(fleet, InlineWorkers(), clock), lambda: fleet.now_s, fleet.sleep, lambda: released.append("all")
    )
    stream = sampler.stream([host("web1"), host("web2")], [], 5)
    next(stream)
    assert not released
    stream.close()

    assert released == ["all"]


def test_where_no_host_could_be_read_nobody_waits() -> None:
    fleet = Fleet({"web1": [AWAY]})
    list(fleet.stream())

    assert fleet.now_s == 0


def test_the_first_look_is_for_all_and_the_second_for_what_moves() -> None:
    fleet = Fleet({"web1": [FINE, FINE]})
    list(fleet.stream())
    first, second = (stdin for *_, stdin in fleet.asked)

    assert set(SECTIONS) == {*PROBES, *EVIDENCE}
    assert first == assemble([SOMAXCONN], SECTIONS)
    asked_again = {name for name in SECTIONS if f"'@tcptune {name}'" in second}
    assert asked_again == set(SECTIONS) - {"config_files", "unit_files", "rivals"}


def test_whoever_waits_is_told_of_first_looks_as_they_come_in() -> None:
    noted: list[Collected] = []
    stream = Fleet({"web1": [AWAY], "web2": [FINE, FINE]}).stream(noted=noted)
    next(stream)

    assert [type(one).__name__ for one in noted] == ["Unread"]
    list(stream)
    assert [one.host for one in noted] == ["web1", "web2"]


def test_of_a_large_fleet_a_thousand_is_finished_before_the_next_begins() -> None:
    fleet = Fleet({f"web{n}": [FINE, FINE] for n in range(1001)})
    found = list(fleet.stream(window_s=10))

    assert len({one.host for one in found}) == 1001
    assert [at for _, at, _ in fleet.asked] == [0.0] * 1000 + [10.0] * 1000 + [10.0, 20.0]
