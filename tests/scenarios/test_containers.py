"""Containers and child network namespaces: what is absent, what is only shown, and what is really writable."""

from __future__ import annotations

import pytest
from module_utils import changeset
from module_utils.errors import AbsentKey, Refused

from tcptune.domain.changes import HostPlan, SkipKind, Skipped
from tcptune.domain.demands import AtLeast
from tcptune.domain.facts import Absent, HostFacts, Reading, Unreadable, Value
from tcptune.domain.findings import Deviates, HostAudit, Met, NotApplicable, Unknown
from tcptune.domain.parameters import View
from tcptune.domain.state import NetNamespace
from tcptune.errors import HostError
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tcptune.planning.plan import plan_host
from tcptune.probes import script
from tests.plugins.fake_host import FakeHost, asking
from tests.unit.builders import NOW, answer, facts, profile, rule
from tests.unit.cli.conftest import Command

from .conftest import Put

QUEUE = "net.core.somaxconn"
RMEM_MAX = "net.core.rmem_max"
BACKLOG = "net.core.netdev_max_backlog"
CONNTRACK = "net.netfilter.nf_conntrack_max"
IDLE = "net.ipv4.tcp_keepalive_time"

CHILD = NetNamespace(child=True, sign="the host's links are elsewhere")


def container(sysctl: dict[str, str | Reading], *, child: bool = True, **fields: object) -> HostFacts:
    return facts("pod", sysctl, namespace=CHILD if child else None, **fields)


def shown(text: str) -> Value:
    return Value(text=text, writable=False)


def audited(host: HostFacts, *keys: str, wanted: str = "16384") -> HostAudit:
    return audit_host(host, profile(*(rule(key, wanted) for key in keys)), catalogue())


def planned(host: HostFacts, *keys: str) -> tuple[HostPlan, tuple[Skipped, ...]]:
    return plan_host(host, audited(host, *keys), catalogue())


# What the catalogue knows of a child namespace: measured on 6.18, and by tests/kernel on the kernel that runs these


@pytest.mark.parametrize(
    "key",
    [
        "net.ipv4.tcp_mem",
        "net.ipv4.tcp_max_orphans",
        BACKLOG,
        "net.core.netdev_budget",
        "net.core.default_qdisc",
        "net.core.busy_poll",
        "net.core.busy_read",
        "net.core.dev_weight",
        "net.core.rps_sock_flow_entries",
        "net.ipv4.tcp_low_latency",
    ],
)
def test_what_a_child_namespace_lacks_is_known(key: str) -> None:
    assert catalogue()[key].at("6.18").in_child is View.ABSENT


@pytest.mark.parametrize(
    "key",
    [
        RMEM_MAX,
        "net.core.wmem_max",
        "net.core.rmem_default",
        "net.core.wmem_default",
        "net.ipv4.tcp_allowed_congestion_control",
        CONNTRACK,
        "net.netfilter.nf_conntrack_buckets",
    ],
)
def test_what_a_child_namespace_only_shows_is_known(key: str) -> None:
    assert catalogue()[key].at("6.18").in_child is View.READ_ONLY


@pytest.mark.parametrize("key", [QUEUE, "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_rmem"])
def test_what_a_child_namespace_may_write_is_known(key: str) -> None:
    assert catalogue()[key].at("6.18").in_child is View.WRITABLE


@pytest.mark.parametrize(
    ("key", "before", "since"),
    [("net.ipv4.tcp_keepalive_time", "4.4", "4.5"), ("net.ipv4.tcp_rmem", "4.14", "4.15")],
)
def test_from_which_kernel_a_namespace_has_its_own_is_known(key: str, before: str, since: str) -> None:
    assert catalogue()[key].at(before).in_child is not View.WRITABLE
    assert catalogue()[key].at(since).in_child is View.WRITABLE


# What an audit and a plan make of it


def test_a_key_that_is_shown_and_cannot_be_written_is_left_out_and_the_others_are_planned() -> None:
    made, skipped = planned(container({RMEM_MAX: shown("212992"), QUEUE: "128"}), RMEM_MAX, QUEUE)

    assert [change.key for change in made.changes] == [QUEUE]
    [one] = skipped
    assert (one.key, one.kind) == (RMEM_MAX, SkipKind.NOT_APPLICABLE)
    assert "a network namespace only sees it; set it on the host" in one.why


def test_a_key_of_the_host_alone_is_not_applicable_in_a_container_and_says_whose_it_is() -> None:
    [found] = audited(container({BACKLOG: Absent()}), BACKLOG).findings

    assert isinstance(found, NotApplicable)
    assert found.why == "of the whole machine: a network namespace has no such key; set it on the host"


def test_the_same_key_missing_on_the_host_itself_is_not_put_down_to_a_namespace() -> None:
    host = facts("web1", {BACKLOG: Absent()}, namespace=NetNamespace(child=False, sign="it has physical links"))
    [found] = audited(host, BACKLOG).findings

    assert isinstance(found, NotApplicable)
    assert found.why == "Linux 6.12.0 has no such key here"


def test_a_container_in_which_everything_is_read_only_is_neither_fine_nor_an_error(tcptune: Command, put: Put) -> None:
    host = container({QUEUE: shown("128"), IDLE: shown("7200")})
    path = put(host, settings={QUEUE: "at_least: 4096", IDLE: "exactly: 600"})

    audit = tcptune("audit", "wanted.yml", "--facts", path)
    plan = tcptune("plan", "wanted.yml", "--facts", path, "-i", "pod,")

    assert (audit.code, plan.code) == (10, 10)
    assert audit.out.count("read-only in this network namespace: set it on the host that owns it") == 2
    assert "0 changes on 0 of 1 host" in plan.out
    assert "Left out:" in plan.out


def test_a_read_only_tree_is_seen_without_a_write(fake: FakeHost) -> None:
    fake.kernel.read_only = set(fake.values())
    before = fake.everything()

    with pytest.raises(Refused, match="read-only here") as refused:
        changeset.apply(fake, asking({QUEUE: "1024", "net.ipv4.tcp_congestion_control": "bbr"}))

    assert len(refused.value.also) == 1
    assert fake.kernel.writes == []
    assert fake.everything() == before


def test_a_value_that_is_right_already_in_a_read_only_tree_is_no_deviation() -> None:
    [found] = audited(container({QUEUE: shown("16384")}), QUEUE).findings

    # The default at boot is another one, and only a file can say otherwise: that part may still be written.
    assert isinstance(found, Deviates)
    assert found.where.value == "at boot"


def test_a_value_at_least_as_high_as_wanted_in_a_read_only_tree_is_met() -> None:
    host = container({QUEUE: shown("4096")})
    [found] = audit_host(host, profile(rule(QUEUE, AtLeast(value="1024"))), catalogue()).findings

    assert isinstance(found, Met)


def test_what_root_of_a_container_may_not_read_is_unknown() -> None:
    [found] = audited(container({QUEUE: Unreadable()}), QUEUE).findings

    assert isinstance(found, Unknown)


def test_the_probe_tells_absent_unreadable_shown_and_writable_apart() -> None:
    said = answer().replace(
        "@tcptune sysctl\n",
        "@tcptune sysctl\nabsent net/core/netdev_max_backlog\nunreadable net/ipv4/tcp_mem\nro net/core/rmem_max\n"
        "rw net/core/somaxconn\n/proc/sys/net/core/rmem_max:212992\n/proc/sys/net/core/somaxconn:4096\n",
        1,
    )

    assert script.parse("pod", said, NOW).sysctl == {
        BACKLOG: Absent(),
        "net.ipv4.tcp_mem": Unreadable(),
        RMEM_MAX: shown("212992"),
        QUEUE: Value(text="4096", writable=True),
    }


def test_a_sandbox_whose_kernel_has_no_version_is_a_host_that_was_not_read() -> None:
    with pytest.raises(HostError, match="no kernel release"):
        script.parse("pod", answer().replace("kernel 6.12.0", "kernel sandbox"), NOW)


# A module that is not loaded


def test_without_its_module_a_setting_is_not_applicable_and_the_module_is_named() -> None:
    [found] = audited(facts("web1", {CONNTRACK: Absent()}), CONNTRACK).findings

    assert isinstance(found, NotApplicable)
    assert found.why == "Linux 6.12.0 has no such key here: it needs the kernel module nf_conntrack"


def test_a_missing_module_does_not_stop_the_settings_beside_it() -> None:
    made, skipped = planned(facts("web1", {CONNTRACK: Absent(), QUEUE: "128"}), CONNTRACK, QUEUE)

    assert [change.key for change in made.changes] == [QUEUE]
    assert [(one.key, one.kind) for one in skipped] == [(CONNTRACK, SkipKind.NOT_APPLICABLE)]


def test_a_module_that_went_since_the_plan_stops_the_apply_before_anything_is_written(fake: FakeHost) -> None:
    with pytest.raises((AbsentKey, Refused)) as refused:
        changeset.apply(fake, asking({QUEUE: "1024", CONNTRACK: "262144"}))

    assert CONNTRACK in str(refused.value)
    assert fake.kernel.writes == []


@pytest.mark.parametrize(
    ("kernel", "why"), [("6.1.0", "removed in Linux 4.12"), ("4.9.0", "Linux 4.9.0 has no such key here")]
)
def test_a_removed_setting_is_said_to_be_removed_by_kernels_that_removed_it(kernel: str, why: str) -> None:
    host = facts("web1", {"net.ipv4.tcp_tw_recycle": Absent()}, kernel=kernel)
    [found] = audited(host, "net.ipv4.tcp_tw_recycle", wanted="0").findings

    assert isinstance(found, NotApplicable)
    assert found.why == why
