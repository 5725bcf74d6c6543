"""Paths that lose, reorder, copy, delay and damage packets, as netem makes them, and what a diagnosis says of each.

The machine serves; its client is two links away, and the network namespace between them is the path. So what netem does
happens in a third place, and no counter of a link or a queue of the machine tells of it. Three of the paths are well.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tcptune.domain.facts import HostFacts
from tests.acceptance.command import Tcptune
from tests.acceptance.machine import Machine
from tests.faults.stage import PROGRAMS
from tests.lab.vm import VmLab
from tests.vm.conftest import On

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

SERVER = "10.99.0.1"
# Segments have to be segments: netem would take a whole batch of them for one packet.
NETWORK = f"""
modprobe sch_netem
ip netns add path
ip netns add client
ip link add shop type veth peer name near netns path
ip -n path link add far type veth peer name eth0 netns client
ip address add {SERVER}/24 dev shop
ip -n path address add 10.99.0.2/24 dev near
ip -n path address add 10.99.1.2/24 dev far
ip -n client address add 10.99.1.1/24 dev eth0
ip link set shop gso_max_segs 1 up
ip -n path link set near up
ip -n path link set far up
ip -n client link set eth0 gso_max_segs 1 up
ip route add 10.99.1.0/24 via 10.99.0.2
ip -n client route add default via 10.99.1.2
ip netns exec path sysctl -qw net.ipv4.ip_forward=1
"""
SERVE = "sleep infinity | python3 /usr/local/lib/serve.py '{\"answer_bytes\": 60000}'\n"
APART_S = 15.0
LONGEST_S = 300.0
"""A load ends by itself then; it is ended as soon as nobody looks any more."""
LOSS = "perf.loss"
SURE = frozenset({"high", "likely"})
POSSIBLE = frozenset({"possible"})
UNSURE = frozenset({"likely", "possible"})
"""Answers that are over in a tenth of a second leave too few traces to tell late segments from lost ones each time."""
STRAY = "this host answers segments for sockets that do not exist"
"""What comes late may come for a connection that has ended: that is told, as what no cause explains."""


@dataclass(frozen=True)
class Path:
    """What netem does to packets, and what has to be said of it."""

    name: str
    netem: str
    """On their way to the client."""
    named: frozenset[str] = frozenset()
    """How sure a diagnosis may be that segments are lost; nothing: it finds nothing at all."""
    back: str = ""
    """On their way to the server."""
    shows: Mapping[str, int] = field(default_factory=dict)
    """Least growth of the server's counters."""
    least_s: float = 0.0
    """Time that the slowest exchange takes at least."""
    riddles: frozenset[str] = frozenset()
    """What may be left unexplained."""
    says: str = ""
    """Part of the reason."""
    body_bytes: int = 0


PATHS = (
    Path("nothing", ""),
    Path("loss", "loss random 5%", SURE, shows={"Tcp.RetransSegs": 50}),
    Path("much loss", "loss random 10%", frozenset({"high"}), shows={"Tcp.RetransSegs": 100}),
    Path(
        *("reordering", "delay 20ms reorder 75% 50%", UNSURE),
        shows={"Tcp.RetransSegs": 50, "TcpExt.TCPDSACKRecv": 25, "TcpExt.TCPDSACKUndo": 5},
        riddles=frozenset({STRAY}),
    ),
    Path(
        *("jitter that reorders", "delay 150ms 40ms 25% distribution normal", POSSIBLE),
        shows={"Tcp.RetransSegs": 50, "TcpExt.TCPDSACKRecv": 25, "TcpExt.TCPSACKReorder": 25},
        least_s=0.5,
        riddles=frozenset({STRAY}),
        says="out of order",
    ),
    # Slots hold packets back and let them go in their order, as a radio link does.
    Path("far and unsteady", "delay 150ms slot 10ms 60ms", least_s=0.5),
    Path("copies", "duplicate 20%", shows={"TcpExt.TCPDSACKRecv": 100, "TcpExt.TCPDSACKIgnoredDubious": 100}),
    Path(
        *("loss and copies", "loss random 5% duplicate 20%", SURE),
        shows={"Tcp.RetransSegs": 50, "TcpExt.TCPDSACKRecv": 100, "TcpExt.TCPDSACKIgnoredDubious": 100},
    ),
    Path(
        *("damage", "corrupt 4%", SURE),
        back="corrupt 4%",
        shows={"Tcp.RetransSegs": 50, "Tcp.InCsumErrors": 25},
        says="wrong checksum",
        body_bytes=20_000,
    ),
)


class Site:
    """The machine with a service on port 8080, and a client beyond the path."""

    def __init__(self, machine: Machine, vm: VmLab) -> None:
        self.machine = machine
        self._vm = vm
        machine.run("sh", "-ec", NETWORK)
        for name in ("load", "serve"):
            machine.write(f"/usr/local/lib/{name}.py", (PROGRAMS / f"{name}.py").read_text())
        machine.write("/usr/local/bin/shop", SERVE)
        machine.run("systemd-run", "--quiet", "--unit=shop", "sh", "/usr/local/bin/shop")
        machine.run(
            "sh", "-c", "for _ in $(seq 60); do ss -Hltn sport = 8080 | grep -q . && exit; sleep 1; done; exit 1"
        )

    @contextmanager
    def path(self, path: Path) -> Iterator[None]:
        """Let netem do it until the block ends. What was learned of the path before is forgotten."""
        ways = {link: netem for link, netem in (("far", path.netem), ("near", path.back)) if netem}
        lines = [f"tc -n path qdisc replace dev {link} root netem {netem}" for link, netem in ways.items()]
        lines += ["ip tcp_metrics flush", "ip -n client tcp_metrics flush"]
        self.machine.run("sh", "-ec", "\n".join(lines))
        try:
            yield
        finally:
            self.machine.run("sh", "-ec", "\n".join(f"tc -n path qdisc delete dev {link} root" for link in ways))

    @contextmanager
    def loaded(self, body_bytes: int) -> Iterator[dict[str, Any]]:
        """Keep a load going until the block ends; then what it has counted is in what this gives."""
        counted: dict[str, Any] = {}
        options = {
            "address": SERVER,
            "per_s": 5,
            "workers": 60,
            "seconds": LONGEST_S,
            "request_bytes": body_bytes,
            # None of these paths is so bad that a client who is patient meets an error.
            "connect_timeout_s": 30.0,
            "answer_timeout_s": 30.0,
        }
        argv = ["ip", "netns", "exec", "client", "python3", "/usr/local/lib/load.py", json.dumps(options)]
        load = subprocess.Popen(
            self._vm.command(None, shlex.join(argv), user="root"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with load:
            try:
                yield counted
                said, wrong = load.communicate(timeout=60)
                assert load.returncode == 0, wrong
                counted |= json.loads(said)
            finally:
                load.kill()


@pytest.fixture(scope="module")
def site(vm: VmLab, used: set[str]) -> Site:
    """Give the machine as new, for all these tests: they leave its disk and its settings alone."""
    if vm.name in used:
        vm.reset()
    used.add(vm.name)
    return Site(Machine(vm, vm.host()), vm)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name.replace(" ", "-"))
def test_a_path_is_called_what_it_is(path: Path, site: Site, tcptune: Tcptune, on: On) -> None:
    files = tcptune.file("first.jsonl"), tcptune.file("second.jsonl")
    with site.path(path), site.loaded(path.body_bytes) as load:
        time.sleep(2)
        tcptune("facts", *on(), "--evidence", "-o", files[0])
        time.sleep(APART_S)
        tcptune("facts", *on(), "--evidence", "-o", files[1])
    said = tcptune("diagnose", "--facts", *files, "--format", "json", expect={0, 10})

    grew = growth(*(HostFacts.model_validate_json(file.read_text().splitlines()[1]) for file in files))
    [host] = json.loads(said.stdout)["hosts"]
    tell(path, load, grew, host)
    assert not {name: grew[name] for name, least in path.shows.items() if grew[name] < least}
    assert load["done"] >= 50
    assert load["errors"] == {}
    assert load["slowest_s"] >= path.least_s
    assert host["not_judged"] == []
    assert {one["what"] for one in host["unexplained"]} <= path.riddles
    assert [one["cause"] for one in host["causes"]] == [LOSS] * bool(path.named)
    assert {one["confidence"] for one in host["causes"]} <= path.named
    assert all(path.says in one["because"] for one in host["causes"])
    assert said.status == (10 if path.named or host["unexplained"] else 0)


def test_the_command_that_waits_itself_names_loss(site: Site, tcptune: Tcptune, on: On) -> None:
    [path] = (one for one in PATHS if one.name == "loss")
    with site.path(path), site.loaded(path.body_bytes):
        time.sleep(2)
        said = tcptune("diagnose", *on(), "--window", f"{APART_S:g}s", "--format", "json", expect=10)

    [host] = json.loads(said.stdout)["hosts"]
    [cause] = host["causes"]
    assert (cause["cause"], cause["confidence"] in SURE, host["not_judged"]) == (LOSS, True, [])
    assert cause["remedies"][0]["kind"] == "network"


def growth(first: HostFacts, second: HostFacts) -> dict[str, int]:
    """Give by how much each counter grew."""
    before, after = first.counters, second.counters
    assert before is not None
    assert after is not None
    return {name: value - before.get(name, 0) for name, value in after.items()}


def tell(path: Path, load: Mapping[str, Any], grew: Mapping[str, int], host: Mapping[str, Any]) -> None:
    """Print a line for each path, with what the manual tells of it."""
    again, sent = grew["Tcp.RetransSegs"] - grew["TcpExt.TCPSynRetrans"], grew["Tcp.OutSegs"]
    had = grew["TcpExt.TCPDSACKRecv"] + grew["TcpExt.TCPDSACKOfoRecv"]
    copies = grew["TcpExt.TCPDSACKIgnoredDubious"]
    undone = sum(grew[f"TcpExt.TCP{name}"] for name in ("FullUndo", "PartialUndo", "DSACKUndo"))
    print(
        f"\n{path.name}: {path.netem or 'none'}: {sent} sent, {again} again ({100 * again / (sent + again):.1f} %),"
        f" {had} reported twice, {copies} of them as copies, {undone} undone of {grew['TcpExt.TCPSackRecovery']},"
        f" {grew['Tcp.OutRsts']} resets, {grew['Tcp.InCsumErrors']} damaged of {grew['Tcp.InSegs']},"
        f" {load['done']} done, slowest {load['slowest_s']} s: "
        + ("; ".join(f"{one['cause']} {one['confidence']}: {one['because']}" for one in host["causes"]) or "nothing")
        + "".join(f" (not explained: {one['what']})" for one in host["unexplained"]),
        flush=True,
    )
