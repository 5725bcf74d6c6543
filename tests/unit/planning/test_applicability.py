from __future__ import annotations

import pytest

from tcptune.domain.facts import HostFacts, Reading
from tcptune.domain.findings import NotApplicable
from tcptune.domain.state import Conntrack, NetNamespace
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.applicability import reason_against
from tcptune.planning.audit import audit_host
from tests.unit.builders import ABSENT, SOMAXCONN, facts, profile, read_only, rule

CHILD = NetNamespace(child=True, sign="ns")
MACHINE = NetNamespace(child=False, sign="ns")
NOT_LOADED = Conntrack(loaded=False)


def against(key: str, reading: Reading, host: HostFacts) -> str | None:
    return reason_against(reading, host, catalogue()[key])


@pytest.mark.parametrize(
    ("key", "kernel", "namespace", "why"),
    [
        ("net.ipv4.tcp_tw_recycle", "6.12.0", MACHINE, "removed in Linux 4.12"),
        ("net.ipv4.tcp_tw_recycle", "4.9.0", MACHINE, "Linux 4.9.0 has no such key here"),
        ("net.ipv4.tcp_tw_reuse_delay", "6.1.0", MACHINE, "new in Linux"),
        ("net.ipv4.tcp_mem", "6.12.0", CHILD, "of the whole machine: a network namespace has no such key"),
        ("net.ipv4.tcp_mem", "6.12.0", MACHINE, "Linux 6.12.0 has no such key here"),
        ("net.netfilter.nf_conntrack_max", "6.12.0", MACHINE, "the module nf_conntrack is not loaded"),
    ],
)
def test_an_absent_key_has_its_reason(key: str, kernel: str, namespace: NetNamespace, why: str) -> None:
    host = facts(kernel=kernel, namespace=namespace).model_copy(update={"conntrack": NOT_LOADED})

    assert why in (against(key, ABSENT, host) or "")


def test_what_nobody_looked_at_is_no_reason() -> None:
    assert against("net.netfilter.nf_conntrack_max", ABSENT, facts()) == (
        "Linux 6.12.0 has no such key here: it needs the kernel module nf_conntrack"
    )


def test_a_key_of_the_machine_that_a_namespace_only_sees_is_not_applicable_whatever_its_value() -> None:
    key = "net.core.rmem_max"
    host = facts(sysctl={key: read_only("212992")}, namespace=CHILD)

    for wanted in ("212992", "4194304"):
        [found] = audit_host(host, profile(rule(key, wanted)), catalogue()).findings
        assert isinstance(found, NotApplicable)
        assert "of the whole machine, which has 212992" in found.why


def test_a_key_that_cannot_be_written_for_another_reason_still_counts() -> None:
    key = "net.core.rmem_max"

    assert against(key, read_only("212992"), facts(namespace=MACHINE)) is None
    assert against(SOMAXCONN, read_only("4096"), facts(namespace=CHILD)) is None
