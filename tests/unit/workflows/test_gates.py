from __future__ import annotations

from datetime import timedelta

from tcptune.domain.gates import ActiveGate, Answer, Cause, CounterReading, CountersUnread, SshGate, Treat, Verdict
from tcptune.domain.hosts import Host
from tcptune.errors import HostUnreachable
from tcptune.probes import REQUIRED
from tcptune.workflows.collect import Collector
from tcptune.workflows.gates import Watch, compared
from tests.unit.builders import NOW, host
from tests.unit.fakes import FakeTransport, InlineWorkers, Said, clock
from tests.unit.planning.watched import RETRANS, SHARE, busy, gate

ANSWER = """@tcptune system
kernel 6.12.0
boot_id b1
hostname web1
systemd 1
memory_kib 4194304
cpus 4
user 0
@tcptune sysctl
@tcptune sysctl_files
@tcptune counters
/proc/net/snmp:Tcp: ActiveOpens RetransSegs
/proc/net/snmp:Tcp: 5 7
@tcptune done
"""


class FakeGates:
    """Works on every host but those it is told of."""

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.asked: list[str] = []

    def ask(self, host: Host, gate: ActiveGate) -> tuple[Answer, ...]:
        self.asked.append(host.name)
        works = host.name not in self.broken
        return tuple(
            Answer(host=host.name, gate=gate.gate, check=check, at=NOW, works=works, value=5 if works else None)
            for check in gate.checks
        )


def watch(says: Said, *broken: str) -> tuple[Watch, FakeTransport]:
    transport = FakeTransport(says)
    workers = InlineWorkers()
    return Watch(FakeGates(*broken), Collector(transport, workers, clock), workers, clock), transport


def test_counters_of_all_hosts_are_read_and_no_more_than_those() -> None:
    looking, transport = watch({"web1": ANSWER, "web2": HostUnreachable("web2: timed out")})

    found = looking.counters([host("web1"), host("web2")])

    assert found == {
        "web1": CounterReading(host="web1", at=NOW, boot_id="b1", counters={"Tcp.ActiveOpens": 5, RETRANS: 7}),
        "web2": CountersUnread(host="web2", at=NOW, why="timed out"),
    }
    sections = {line.split()[-1].strip("'") for line in transport.asked[0][2].splitlines() if "@tcptune " in line}
    assert sections == {*REQUIRED, "counters", "done"}


def test_each_host_is_asked_once_and_judged_beside_its_own_past() -> None:
    looking, _ = watch({}, "web2")
    hosts = [host("web1"), host("web2")]
    before = [Answer(host="web1", gate="ssh", check="connection", at=NOW - timedelta(hours=1), works=True, value=4)]

    rows = looking.tried(SshGate(), hosts, before)

    assert [(row.sample.host, row.sample.verdict, row.sample.before, row.treat) for row in rows] == [
        ("web1", Verdict.PASSED, 4, Treat.CONTINUE),
        ("web2", Verdict.FAILED, None, Treat.FAIL),
    ]


def test_counters_are_judged_as_the_policy_says_of_what_is_undecided() -> None:
    lenient = gate(SHARE, undecided={"no_baseline": "continue"})
    new = busy("web1", 300, 300).model_copy(update={"before": None})

    [strict], [lax] = compared(gate(SHARE), [new], ()), compared(lenient, [new], ())

    assert (strict.sample.cause, strict.treat, lax.treat) == (Cause.NO_BASELINE, Treat.HOLD, Treat.CONTINUE)
