"""The built-in profiles, as the whole catalogue makes them readable.

They say what shared knowledge says, can be combined, and hold nothing that no profile should.
"""

from __future__ import annotations

from itertools import combinations

import pytest

from tcptune.adapters.profiles import load_profile, load_profiles
from tcptune.domain.demands import AtMost, Demand, Elements, Exactly, Leave, OneOf, Unset, meets, operands
from tcptune.domain.facts import HostFacts
from tcptune.domain.findings import Deviates, Met, NotApplicable, Unknown
from tcptune.domain.formulas import is_formula
from tcptune.domain.guards import Guard
from tcptune.domain.profile import Entry
from tcptune.domain.values import numbers
from tcptune.errors import ProfileError
from tcptune.knowledge.catalogue import built_in_profiles, catalogue
from tcptune.planning.audit import audit_host
from tests.profile_hosts import TODAY, facts

NAMES = (
    "api-server",
    "baseline",
    "bulk-transfer",
    "database",
    "high-connection",
    "k8s-node",
    "low-latency",
    "outbound-client",
    "web-frontend",
)
REFERENCE = {
    "fs.file-max": "2466177",
    "fs.nr_open": "1048576",
    "net.core.somaxconn": "4096",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.ip_local_port_range": "32768 60999",
    "net.ipv4.tcp_abort_on_overflow": "0",
    "net.ipv4.tcp_adv_win_scale": "1",
    "net.ipv4.tcp_dsack": "1",
    "net.ipv4.tcp_fack": "0",
    "net.ipv4.tcp_fin_timeout": "60",
    "net.ipv4.tcp_low_latency": "0",
    "net.ipv4.tcp_max_orphans": "131072",
    "net.ipv4.tcp_max_syn_backlog": "2048",
    "net.ipv4.tcp_max_tw_buckets": "131072",
    "net.ipv4.tcp_mem": "287901 383868 575802",
    "net.ipv4.tcp_moderate_rcvbuf": "1",
    "net.ipv4.tcp_mtu_probing": "0",
    "net.ipv4.tcp_rmem": "4096 131072 33554432",
    "net.ipv4.tcp_sack": "1",
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv4.tcp_timestamps": "1",
    "net.ipv4.tcp_tw_recycle": None,
    "net.ipv4.tcp_tw_reuse": "2",
    "net.ipv4.tcp_window_scaling": "1",
    "net.ipv4.tcp_wmem": "4096 16384 4194304",
}
"""What a host with Linux 6.18 and 24 GiB has before anybody tunes it, as far as baseline asks."""


def entries() -> list[Entry]:
    return [entry for name in NAMES for entry in load_profile(name).entries]


def demands(key: str) -> list[Demand]:
    return [entry.demand for entry in entries() if entry.key == key]


def settles(demand: Demand, value: str) -> bool:
    """Say whether a demand would leave this value alone; formulas are no licence for a fixed one."""
    if any(is_formula(operand) for operand in operands(demand)):
        return False
    return meets(demand, value)


def reference(**changed: str | None) -> HostFacts:
    sysctl = {**REFERENCE, **{key.replace("__", "."): value for key, value in changed.items()}}
    return facts(sysctl, kernel="6.18.44", memory_bytes=24684092 * 1024)


def test_there_are_nine_and_each_says_what_it_is_for() -> None:
    assert tuple(sorted(built_in_profiles())) == NAMES
    for name in NAMES:
        found = load_profile(name)
        assert found.name == name
        assert found.summary
        assert found.extends == (() if name == "baseline" else ("baseline",))


def test_an_untuned_host_meets_baseline_in_all_but_the_probing_of_path_mtu() -> None:
    found = audit_host(reference(), load_profile("baseline"), catalogue(), today=TODAY).findings

    assert {f.key for f in found if isinstance(f, Deviates)} == {"net.ipv4.tcp_mtu_probing"}
    assert not [f for f in found if isinstance(f, Unknown)]


def test_an_untuned_web_frontend_changes_no_more_than_it_means_to() -> None:
    more = {
        "net.ipv4.ip_local_reserved_ports": "",
        "net.ipv4.tcp_keepalive_intvl": "75",
        "net.ipv4.tcp_keepalive_probes": "9",
        "net.ipv4.tcp_keepalive_time": "7200",
        "net.ipv4.tcp_notsent_lowat": "4294967295",
        "net.ipv4.tcp_orphan_retries": "0",
        "net.ipv4.tcp_slow_start_after_idle": "1",
    }
    found = audit_host(reference(**more), load_profile("web-frontend"), catalogue(), today=TODAY).findings

    assert {f.key.rpartition(".")[2] for f in found if isinstance(f, Deviates)} == {
        "ip_local_port_range",
        "somaxconn",
        "tcp_keepalive_intvl",
        "tcp_keepalive_probes",
        "tcp_keepalive_time",
        "tcp_mtu_probing",
        "tcp_notsent_lowat",
        "tcp_slow_start_after_idle",
    }


def test_every_entry_gives_a_reason_and_a_source() -> None:
    for entry in entries():
        assert len(entry.why) > 20, entry
        assert entry.why.isprintable(), entry
        assert entry.source.isprintable(), entry


def test_an_entry_says_which_profile_asks() -> None:
    asked_by = {entry.key: entry.profile for entry in load_profile("web-frontend").entries}

    assert asked_by["net.core.somaxconn"] == "web-frontend"
    assert asked_by["net.ipv4.tcp_syncookies"] == "baseline"


@pytest.mark.parametrize(
    ("key", "harm"),
    [
        ("net.core.somaxconn", "128"),
        ("net.ipv4.tcp_abort_on_overflow", "1"),
        ("net.ipv4.tcp_dsack", "0"),
        ("net.ipv4.tcp_max_orphans", "8192"),
        ("net.ipv4.tcp_max_tw_buckets", "5000"),
        ("net.ipv4.tcp_mem", "94500 91500 92700"),
        ("net.ipv4.tcp_moderate_rcvbuf", "0"),
        ("net.ipv4.tcp_rmem", "4096 87380 262144"),
        ("net.ipv4.tcp_sack", "0"),
        ("net.ipv4.tcp_syncookies", "0"),
        ("net.ipv4.tcp_timestamps", "0"),
        ("net.ipv4.tcp_window_scaling", "0"),
    ],
)
def test_baseline_finds_what_old_guides_do_harm_with(key: str, harm: str) -> None:
    found = audit_host(reference(**{key: harm}), load_profile("baseline"), catalogue(), today=TODAY).findings

    assert [type(f) for f in found if f.key == key] == [Deviates]


@pytest.mark.parametrize(
    ("key", "kernel", "outcome"),
    [
        ("net.ipv4.tcp_tw_recycle", "4.4.0", Deviates),
        ("net.ipv4.tcp_tw_recycle", "6.18.44", Deviates),
        ("net.ipv4.tcp_low_latency", "6.18.44", Deviates),
        ("net.ipv4.tcp_low_latency", "4.9.1", NotApplicable),
        ("net.ipv4.tcp_fack", "6.18.44", Deviates),
        ("net.ipv4.tcp_adv_win_scale", "6.6.0", Deviates),
        ("net.ipv4.tcp_adv_win_scale", "6.1.0", NotApplicable),
    ],
)
def test_baseline_wants_dead_keys_out_of_every_file(key: str, kernel: str, outcome: type) -> None:
    host = facts({key: None}, files={"/etc/sysctl.d/50-old.conf": f"{key} = 1\n"}, kernel=kernel)

    found = audit_host(host, load_profile("baseline"), catalogue(), today=TODAY).findings

    assert [type(f) for f in found if f.key == key] == [outcome]


def test_a_host_without_a_line_for_dead_keys_meets_that() -> None:
    found = audit_host(reference(), load_profile("baseline"), catalogue(), today=TODAY).findings

    assert {type(f) for f in found if f.key == "net.ipv4.tcp_tw_recycle"} == {Met}


@pytest.mark.parametrize("pair", list(combinations(NAMES, 2)), ids=" + ".join)
def test_any_two_either_combine_or_their_clash_names_both(pair: tuple[str, str]) -> None:
    try:
        both = load_profiles(pair)
    except ProfileError as clash:
        assert all(f"{name} (built in):" in str(clash) for name in pair)  # noqa: PT017
    else:
        assert both.name == " + ".join(pair)


def test_no_profile_sets_tcp_tw_recycle() -> None:
    assert {type(d) for d in demands("net.ipv4.tcp_tw_recycle")} == {Unset}


@pytest.mark.parametrize(
    ("key", "harm"),
    [
        ("net.ipv4.tcp_timestamps", "0"),
        ("net.ipv4.tcp_sack", "0"),
        ("net.ipv4.tcp_window_scaling", "0"),
        ("net.ipv4.tcp_abort_on_overflow", "1"),
    ],
)
def test_no_profile_tolerates_a_switch_that_only_harms(key: str, harm: str) -> None:
    assert demands(key)
    assert not [d for d in demands(key) if settles(d, harm)]


@pytest.mark.parametrize("key", ["net.ipv4.tcp_max_tw_buckets", "net.ipv4.tcp_max_orphans", "net.ipv4.tcp_mem"])
def test_no_profile_caps_what_the_kernel_sizes_by_ram(key: str) -> None:
    for demand in demands(key):
        each = demand.each if isinstance(demand, Elements) else (demand,)
        assert not [d for d in each if not (d.operator == "at_least" and is_formula(d.value))]


def test_no_profile_offers_tcp_fin_timeout_against_time_wait() -> None:
    key = "net.ipv4.tcp_fin_timeout"

    assert {type(d) for d in demands(key)} == {Leave}
    assert all("does not set TIME_WAIT" in entry.why for entry in entries() if entry.key == key)


def test_no_profile_asks_for_a_somaxconn_of_65535_by_reflex() -> None:
    fixed = [value for d in demands("net.core.somaxconn") for value in operands(d) if not is_formula(value)]

    assert all(int(value) <= 16384 for value in fixed)
    assert not [d for d in demands("net.core.somaxconn") if isinstance(d, Exactly | AtMost | OneOf)]


def test_no_profile_fixes_the_numbers_of_a_triple() -> None:
    triples = demands("net.ipv4.tcp_rmem") + demands("net.ipv4.tcp_wmem")

    assert {type(d) for d in triples} == {Elements}
    assert not [d for t in triples if isinstance(t, Elements) for d in t.each if isinstance(d, Exactly)]


def test_no_profile_has_a_negative_number_a_leading_zero_a_unit_or_a_keepalive_of_nothing() -> None:
    for entry in entries():
        for value in (v for v in operands(entry.demand) if not is_formula(v)):
            for number in numbers(value) or ():
                assert number >= (1 if "keepalive" in entry.key else 0)
            assert not [t for t in value.split() if t[0].isdigit() and len(t) > 1 and t[0] == "0"]


def test_no_profile_writes_what_only_the_machine_has_from_within_a_namespace() -> None:
    for entry in entries():
        if entry.key in {"fs.nr_open", "fs.file-max"} and not isinstance(entry.demand, Leave):
            assert entry.when != Guard()


def test_a_web_frontend_is_sized_from_its_declared_peak() -> None:
    [finding] = [
        f
        for f in audit_host(reference(), load_profile("web-frontend"), catalogue(), today=TODAY).findings
        if f.key == "net.core.somaxconn"
    ]

    assert isinstance(finding, Deviates)
    assert finding.layers.wanted == "8192"
    assert "round_up_pow2(40000 * 0.2)" in finding.demand
