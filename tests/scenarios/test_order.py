"""Coupled settings: which write has to come first, and what the kernel refuses otherwise.

What is tested is that the catalogue knows the orders, that the kernel is as it says, that boot and audit count with
them, and that the host writes in the order it is given and takes back in reverse.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from module_utils import changeset

from tcptune.domain.findings import Met
from tcptune.domain.kernel_values import Refused, Stored, stored
from tcptune.domain.values import kernel_text
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host, boot_layer, boot_model
from tcptune.planning.plan import plan_host
from tests.kernel import kernel_lab
from tests.kernel.kernel_lab import Kernel
from tests.plugins.fake_host import FakeHost, asking
from tests.unit.builders import ETC, facts, profile, rule
from tests.unit.cli.conftest import Command

START = "net.ipv4.ip_unprivileged_port_start"
RANGE = "net.ipv4.ip_local_port_range"
QUEUE = "net.core.somaxconn"
RMEM = "net.ipv4.tcp_rmem"
FORWARD = "net.ipv4.ip_forward"
FILE = f"{ETC}/60-web.conf"

needs_a_kernel = pytest.mark.skipif(kernel_lab.missing() is not None, reason=str(kernel_lab.missing()))


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    yield kernel
    kernel.close()


# The range of local ports and the first unprivileged one

COUPLED = [
    pytest.param(RANGE, "500 60000", {START: "1024"}, False, id="the-range-goes-down-first"),
    pytest.param(RANGE, "500 60000", {START: "400"}, True, id="the-start-goes-down-first"),
    pytest.param(START, "2000", {RANGE: "1024 60000"}, False, id="the-start-goes-up-first"),
    pytest.param(START, "2000", {RANGE: "3000 60000"}, True, id="the-range-goes-up-first"),
]


@pytest.mark.parametrize(("key", "text", "others", "taken"), COUPLED)
def test_the_model_knows_which_of_the_two_has_to_go_first(
    key: str, text: str, others: dict[str, str], taken: bool
) -> None:
    found = stored(catalogue()[key], text, kernel="6.18.0", peers=others)

    assert isinstance(found, Stored if taken else Refused)


@pytest.mark.lab
@needs_a_kernel
@pytest.mark.parametrize(("key", "text", "others", "taken"), COUPLED)
def test_this_kernel_wants_the_same_order(
    kernel: Kernel, key: str, text: str, others: dict[str, str], taken: bool
) -> None:
    outcome = kernel.write(key, text, others)

    assert outcome.errno == (None if taken else "EINVAL")
    assert (kernel_text(outcome.after) == text) is taken


def test_the_order_is_data_for_both_directions() -> None:
    orders = {(order.position, order.when) for order in catalogue()[RANGE].write_order if order.other == START}
    mirrored = {(order.position, order.when) for order in catalogue()[START].write_order if order.other == RANGE}

    assert orders == {("after", "lowering"), ("before", "raising")}
    assert mirrored == {("before", "lowering"), ("after", "raising")}


def test_explain_tells_the_order_and_the_reason(tcptune: Command) -> None:
    said = " ".join(tcptune("explain", RANGE).out.split())

    assert f"after {START} when lowering it: the kernel refuses a low end below ip_unprivileged_port_start" in said
    assert f"before {START} when raising it" in said


@pytest.mark.parametrize(("start", "at_boot"), [("1024", "32768 60999"), ("400", "500 60000")])
def test_a_line_that_the_other_setting_makes_the_kernel_refuse_does_not_count_at_boot(start: str, at_boot: str) -> None:
    host = facts(sysctl={START: start, RANGE: "32768 60999"}, files={FILE: f"{RANGE} = 500 60000\n"})

    assert boot_layer(RANGE, host, boot_model(host, catalogue()), catalogue()).value == at_boot


# The host's side: in the order given, and backwards


def test_the_host_writes_in_the_order_of_the_plan_and_takes_back_in_reverse(fake: FakeHost) -> None:
    fake.set(START, "1024")
    fake.set(RANGE, "32768\t60999")

    changeset.apply(fake, asking({START: "400", RANGE: "500 60000"}))
    assert [key for key, _ in fake.kernel.writes] == [START, RANGE]
    fake.kernel.writes.clear()
    changeset.rollback(fake, "run-1")

    assert fake.kernel.writes == [(RANGE, "32768 60999"), (START, "1024")]


def test_a_second_write_that_is_refused_takes_the_first_one_back(fake: FakeHost) -> None:
    fake.set(START, "1024")
    fake.set(RANGE, "1024 60999")
    fake.kernel.refused[START, "2000"] = (22, None)

    with pytest.raises(changeset.Failed) as failed:
        changeset.apply(fake, asking({QUEUE: "1024", START: "2000"}))

    assert failed.value.facts["host_state"] == "rolled_back"
    assert (fake.get(QUEUE), fake.get(START)) == ("4096", "1024")


def test_the_preview_of_the_way_back_is_the_plan_in_reverse() -> None:
    said = facts(sysctl={QUEUE: "128", RMEM: "4096 131072 6291456"})
    wanted = profile(rule(QUEUE, "4096"), rule(RMEM, "4096 131072 16777216"))
    made, _ = plan_host(said, audit_host(said, wanted, catalogue()), catalogue())

    back = made.inverse()
    assert [change.key for change in back.changes] == [change.key for change in reversed(made.changes)]
    assert [(change.before, change.after) for change in back.changes] == [
        (change.after, change.before) for change in reversed(made.changes)
    ]


# A setting that moves others


def test_what_a_change_of_forwarding_resets_is_known_before_it_is_planned(tcptune: Command) -> None:
    said = " ".join(tcptune("explain", FORWARD).out.split())

    assert "before net.ipv4.conf.*: a change resets conf keys" in said


def test_a_restore_that_moves_another_setting_is_repaired(fake: FakeHost) -> None:
    fake.set(FORWARD, "0")
    fake.set("net.ipv4.conf.all.rp_filter", "1")
    changeset.apply(fake, asking({"net.ipv4.conf.all.rp_filter": "2", FORWARD: "1"}))
    # From here on each write of the one takes the other along, as the kernel does with conf keys.
    fake.kernel.moves[FORWARD] = "net.ipv4.conf.all.rp_filter"

    changeset.rollback(fake, "run-1")

    assert (fake.get(FORWARD), fake.get("net.ipv4.conf.all.rp_filter")) == ("0", "1")


# Couplings that are no order


def test_a_buffer_larger_than_rmem_max_is_legal_and_is_not_corrected() -> None:
    said = facts(sysctl={RMEM: "4096 131072 6291456", "net.core.rmem_max": "4194304"})
    wanted = profile(rule(RMEM, "4096 131072 67108864"))
    made, skipped = plan_host(said, audit_host(said, wanted, catalogue()), catalogue())

    assert [(change.key, change.after) for change in made.changes] == [(RMEM, "4096 131072 67108864")]
    assert skipped == ()
    assert "does NOT limit autotuning" in next(
        coupling.rule for coupling in catalogue()[RMEM].couplings if coupling.key == "net.core.rmem_max"
    )


@pytest.mark.parametrize(
    ("key", "other", "words"),
    [
        ("net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_timestamps", "needs timestamps on BOTH peers"),
        ("net.ipv4.tcp_congestion_control", "net.core.default_qdisc", "bbr wants fq"),
        ("net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_buckets", "max/buckets"),
    ],
)
def test_what_works_only_together_is_explained(key: str, other: str, words: str, tcptune: Command) -> None:
    said = " ".join(tcptune("explain", key).out.split())

    assert words in said
    assert other in said


def test_an_explicit_range_of_one_parity_is_met_where_it_is_there() -> None:
    # The kernel only logs a warning about it.
    host = facts(sysctl={RANGE: "32768 60998", START: "1024"}, files={FILE: f"{RANGE} = 32768 60998\n"})
    [found] = audit_host(host, profile(rule(RANGE, "32768 60998")), catalogue()).findings

    assert isinstance(found, Met)
