from __future__ import annotations

import pytest

from tcptune.domain.runs import HostState, Run
from tcptune.domain.verdicts import HostVerdict
from tcptune.errors import HostUnreachable, UsageError
from tcptune.knowledge.catalogue import catalogue
from tcptune.workflows.verify import verify
from tests.unit.builders import SOMAXCONN, answer, change, cohort, host, plan, result, run
from tests.unit.fakes import Said, collector

PLAN = plan(cohort("web1", "web2", changes=(change(SOMAXCONN, "128", "4096"),)))
AFTER, BEFORE = answer({SOMAXCONN: "4096"}), answer({SOMAXCONN: "128"})


def verified(found: Run, says: Said) -> dict[str, HostVerdict]:
    hosts = [host(name) for name in PLAN.hosts]
    return {v.host: v for v in verify(collector(says), found, PLAN, hosts, catalogue()).hosts}


def test_every_host_the_run_changed_is_looked_at_by_name() -> None:
    found = verified(run(result("web2"), result("web1")), {"web1": AFTER, "web2": BEFORE})

    assert list(found) == ["web1", "web2"]
    assert (found["web1"].ok, found["web2"].ok) == (True, False)


def test_a_host_that_cannot_be_read_is_not_called_fine() -> None:
    lost = HostUnreachable("web1: no SSH session", hint="ssh web1 true")
    found = verified(run(result("web1"), result("web2")), {"web1": lost, "web2": AFTER})

    assert (found["web1"].error, found["web1"].hint, found["web1"].ok) == ("no SSH session", "ssh web1 true", False)
    assert found["web2"].ok


@pytest.mark.parametrize("state", [HostState.PLANNED, HostState.STALE, HostState.UNREACHABLE])
def test_a_host_the_run_never_changed_is_not_looked_at(state: HostState) -> None:
    assert list(verified(run(result("web1", state), result("web2")), {"web2": AFTER})) == ["web2"]


def test_a_host_that_was_left_out_of_the_run_is_not_looked_at() -> None:
    assert list(verified(run(result("web2")), {"web2": AFTER})) == ["web2"]


def test_a_run_that_changed_no_host_is_not_called_fine() -> None:
    with pytest.raises(UsageError, match="changed none of these hosts"):
        verified(run(result("web1", HostState.STALE)), {})
