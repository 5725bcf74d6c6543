from __future__ import annotations

from tcptune.domain.runs import HostState
from tcptune.errors import HostUnreachable
from tcptune.workflows.doctor import doctor
from tests.unit.builders import NOW, answer, host, result, run
from tests.unit.fakes import Said, collector

RUNS = "@tcptune runs\n/var/lib/tcptune/runs/r1/state:held 2026-03-02T10:00:00Z\n@tcptune sysctl\n"
HELD = answer().replace("@tcptune sysctl\n", RUNS)
NOTHING = answer().replace("@tcptune sysctl\n", "@tcptune runs\nnone\n@tcptune sysctl\n")
CLOSED = answer().replace("@tcptune sysctl\n", "@tcptune runs\nclosed\n@tcptune sysctl\n")


def test_every_host_is_fine_or_has_a_leftover_or_was_not_seen() -> None:
    says: Said = {"a": HELD, "b": NOTHING, "c": CLOSED, "d": HostUnreachable("d: no SSH session", hint="ssh d true")}

    found = doctor(collector(says), [host(name) for name in says], [run(result("a", HostState.HELD), run_id="r1")], NOW)

    assert found.fine == ("b",)
    assert [(one.host, one.run, one.in_journal) for one in found.leftovers] == [("a", "r1", HostState.HELD)]
    assert [(one.host, one.hint) for one in found.unseen] == [
        ("c", "records are for root: -b, or ansible_become: true in the inventory"),
        ("d", "ssh d true"),
    ]
