"""What people complain of in the tools they have. The package's docstring says which test answers which complaint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from module_utils.errors import Refused
from module_utils.kernel import canonical, relative_path
from module_utils.request import make_request

from tcptune.adapters.profiles import load_profiles
from tcptune.domain.changes import DROPIN_PATH
from tcptune.domain.demands import AtLeast, AtMost, Between, Exactly
from tcptune.domain.facts import Absent, HostFacts, Unread, Unreadable
from tcptune.domain.findings import Deviates, Met, NotApplicable, Unknown, Where
from tcptune.domain.merging import Clash, solve
from tcptune.domain.runs import HostState
from tcptune.domain.state import Conntrack, NetNamespace, Virtualization
from tcptune.domain.values import key_path, sysctl_key
from tcptune.errors import ProfileError
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host, boot_model
from tcptune.planning.dropin import owned
from tcptune.planning.plan import plan_host
from tcptune.planning.verify import verify_host
from tcptune.probes import script
from tests.unit.builders import ETC, NOW, answer, change, cohort, facts, profile, result, rule
from tests.unit.cli.conftest import Command

from .conftest import Put

QUEUE = "net.core.somaxconn"
RMEM = "net.ipv4.tcp_rmem"
PORTS = "net.ipv4.ip_local_reserved_ports"
RANGE = "net.ipv4.ip_local_port_range"
FORWARD = "net.ipv4.ip_forward"
CONNTRACK = "net.netfilter.nf_conntrack_max"
IDLE = "net.ipv4.tcp_keepalive_time"
VLAN = "net.ipv4.conf.eth0/100.rp_filter"
LIB = "/usr/lib/sysctl.d"


def flat(text: str) -> str:
    return " ".join(text.split())


# Looking before anything is changed


def test_a_profile_that_nobody_uses_can_be_compared_with_a_host(tcptune: Command, put: Put) -> None:
    path = put(facts(sysctl={QUEUE: "128"}, files={}), settings={QUEUE: "at_least: 4096"})
    said = tcptune("audit", "wanted.yml", "--facts", path)

    assert said.code == 10
    assert "Nothing has been changed." in said.out
    assert "128" in said.out
    assert "at least 4096" in said.out


def test_the_difference_of_two_profiles_needs_no_host(tcptune: Command) -> None:
    said = tcptune("profile", "diff", "database", "web-frontend")

    assert said.code == 10
    assert QUEUE in said.out


def test_pending_changes_have_an_exit_code_of_their_own_and_a_plan_without_any_says_so(
    tcptune: Command, put: Put
) -> None:
    path = put(
        facts(sysctl={QUEUE: "8192"}, files={f"{ETC}/a.conf": f"{QUEUE} = 8192\n"}), settings={QUEUE: "leave: true"}
    )
    nothing = tcptune("plan", "wanted.yml", "--facts", path, "-i", "web1,", "-o", "nothing.json")
    path = put(facts(sysctl={QUEUE: "128"}), settings={QUEUE: "at_least: 4096"})
    something = tcptune("plan", "wanted.yml", "--facts", path, "-i", "web1,")

    assert (nothing.code, something.code) == (0, 10)
    assert json.loads(Path("nothing.json").read_text())["cohorts"] == []


def test_a_plan_can_be_pasted_into_a_review_with_both_values(tcptune: Command, put: Put) -> None:
    path = put(facts(sysctl={QUEUE: "128"}), settings={QUEUE: "at_least: 4096"})
    said = tcptune("plan", "wanted.yml", "--facts", path, "-i", "web1,", "--format", "markdown")

    [row] = [line for line in said.out.splitlines() if line.startswith(f"| {QUEUE} |")]
    assert "128" in row
    assert "4096" in row


# Verify


def test_every_setting_that_moved_is_named_with_both_values(tcptune: Command, put: Put) -> None:
    host = facts(sysctl={QUEUE: "128", IDLE: "7200", "net.ipv4.tcp_syncookies": "1"})
    settings = {QUEUE: "at_least: 4096", IDLE: "at_most: 600", "net.ipv4.tcp_syncookies": "exactly: 1"}
    path = put(host, settings=settings)
    text = tcptune("audit", "wanted.yml", "--facts", path)
    found = json.loads(tcptune("audit", "wanted.yml", "--facts", path, "--format", "json").out)

    assert "at least 4096" in text.out
    assert "at most 600" in text.out
    outcomes = {one["key"]: (one["outcome"], one.get("where")) for one in found["hosts"][0]["findings"]}
    assert outcomes == {
        QUEUE: ("deviates", "runtime"),
        IDLE: ("deviates", "runtime and at boot"),
        "net.ipv4.tcp_syncookies": ("met", None),
    }


def test_a_setting_the_machine_does_not_have_is_no_drift(tcptune: Command, put: Put) -> None:
    host = facts(sysctl={QUEUE: "8192", CONNTRACK: Absent()}, files={f"{ETC}/a.conf": f"{QUEUE} = 8192\n"})
    said = tcptune(
        "audit", "wanted.yml", "--facts", put(host, settings={QUEUE: "at_least: 4096", CONNTRACK: "at_least: 65536"})
    )

    assert said.code == 0
    assert "1 not applicable" in said.out
    assert "nf_conntrack" in said.out


@pytest.mark.parametrize(
    ("reading", "kind"), [(Absent(), NotApplicable), (Unreadable(), Unknown), ("", Deviates), ("80", Deviates)]
)
def test_absent_unreadable_and_empty_are_three_things(reading: Any, kind: type) -> None:
    host = facts(sysctl={PORTS: reading})

    assert isinstance(audit_host(host, profile(rule(PORTS, "8080")), catalogue()).findings[0], kind)


def test_a_value_of_zero_is_a_value() -> None:
    key = "net.ipv4.tcp_slow_start_after_idle"
    host = facts(sysctl={key: "0"}, files={f"{ETC}/a.conf": f"{key} = 0\n"})

    assert isinstance(audit_host(host, profile(rule(key, "0")), catalogue()).findings[0], Met)


def test_a_host_that_cannot_be_read_is_a_row_and_not_fine(tcptune: Command, put: Put) -> None:
    path = put(facts(sysctl={QUEUE: "8192"}), Unread(host="web2", error="timed out"), settings={QUEUE: "leave: true"})
    said = tcptune("audit", "wanted.yml", "--facts", path)

    assert said.code == 4
    assert "web2" in said.out


# Files


def test_of_a_line_in_etc_and_one_in_sysctl_conf_the_winner_under_each_loader_is_computed(
    tcptune: Command, put: Put
) -> None:
    files = {f"{ETC}/60-web.conf": f"{QUEUE} = 4096\n", "/etc/sysctl.conf": f"{QUEUE} = 128\n"}
    path = put(facts(sysctl={QUEUE: "4096"}, files=files), settings={QUEUE: "leave: true"})
    said = flat(tcptune("explain", QUEUE, "--facts", path).out)

    assert f"at boot, systemd-sysctl 4096 ({ETC}/60-web.conf:1) (this host boots so)" in said
    assert "at boot, sysctl --system 128 (/etc/sysctl.conf:1)" in said


def test_explain_says_who_wins_the_war_of_names(tcptune: Command, put: Put) -> None:
    files = {
        f"{ETC}/99-mine.conf": f"{QUEUE} = 1000\n",
        f"{LIB}/999-vendor.conf": f"{QUEUE} = 2000\n",
        f"{LIB}/99999-cloud.conf": f"{QUEUE} = 3000\n",
    }
    path = put(facts(sysctl={QUEUE: "3000"}, files=files), settings={QUEUE: "leave: true"})
    said = flat(tcptune("explain", QUEUE, "--facts", path).out)

    assert (
        said.index("99-mine.conf:1 1000")
        < said.index("999-vendor.conf:1 2000")
        < said.index("99999-cloud.conf:1 3000 wins")
    )


def test_a_vendor_file_that_is_overridden_is_no_finding() -> None:
    files = {f"{LIB}/50-vendor.conf": f"{QUEUE} = 128\n", f"{ETC}/60-mine.conf": f"{QUEUE} = 4096\n"}
    host = facts(sysctl={QUEUE: "4096"}, files=files)

    assert isinstance(audit_host(host, profile(rule(QUEUE, "4096")), catalogue()).findings[0], Met)


def test_the_loaders_differ_on_patterns_that_exclude_and_both_are_modelled() -> None:
    text = "net.ipv4.conf.*.rp_filter = 1\n-net.ipv4.conf.*.rp_filter\n"
    found = boot_model(facts(files={f"{ETC}/a.conf": text}), catalogue()).at_boot("net.ipv4.conf.lo.rp_filter")

    assert (found.systemd.value, found.procps.value) == (None, "1")
    assert not found.procps.certain


def test_a_file_of_somebody_else_is_never_in_a_plan() -> None:
    mine = f"# ours\n{QUEUE} = 128\n{QUEUE} = 256\n"
    said = facts(sysctl={QUEUE: "256"}, files={f"{ETC}/60-web.conf": mine, "/etc/sysctl.conf": mine})
    made, _ = plan_host(said, audit_host(said, profile(rule(QUEUE, "4096")), catalogue()), catalogue())

    assert [file.path for file in made.files] == [DROPIN_PATH]
    with pytest.raises(Refused, match="not ours to write"):
        make_request({}, files=[{"path": "/etc/sysctl.conf", "content": mine}])


def test_our_own_file_is_in_the_sysctl_folder_and_needs_no_daemon() -> None:
    said = facts(sysctl={QUEUE: "128"})
    made, _ = plan_host(said, audit_host(said, profile(rule(QUEUE, "4096")), catalogue()), catalogue())
    after = said.model_copy(update={"sysctl_files": ()})

    assert owned(made.files[0].after) == {QUEUE: "4096"}
    assert boot_model(after, catalogue()).replacing(DROPIN_PATH, made.files[0].after).at_boot(QUEUE).won_by(DROPIN_PATH)


# At boot


def without_its_module(sysctl: dict[str, str], content: str) -> HostFacts:
    """Return a host where nothing loads connection tracking before the files are read."""
    found = facts(sysctl=sysctl, files={DROPIN_PATH: content})
    return found.model_copy(update={"config_files": (), "conntrack": Conntrack(loaded=True, built_in=False)})


def test_a_value_that_is_lost_at_boot_because_its_module_comes_later_is_seen_by_verify() -> None:
    kept = cohort(changes=(change(CONNTRACK, "65536", "262144"),))
    booted = without_its_module({CONNTRACK: "65536"}, f"{CONNTRACK} = 262144\n")
    [check] = verify_host(booted, kept, result(state=HostState.CONFIRMED), catalogue()).checks

    assert (check.actual, check.ok) == ("65536", False)
    assert f"nf_conntrack is loaded after {DROPIN_PATH}:1 is read" in check.at_boot.by


def test_a_value_that_a_late_module_loses_is_no_met_rule_though_it_is_right_now() -> None:
    tuned = without_its_module({CONNTRACK: "262144"}, f"{CONNTRACK} = 262144\n")
    [finding] = audit_host(tuned, profile(rule(CONNTRACK, "262144")), catalogue()).findings

    assert isinstance(finding, Deviates)
    assert finding.where is Where.BOOT


def test_a_plan_brings_the_module_up_before_its_settings_are_read() -> None:
    here = Virtualization(machine="kvm", container=None, signs=("dmi",))
    said = facts(sysctl={CONNTRACK: "65536"}, virtualization=here, namespace=NetNamespace(child=False, sign="test"))
    said = said.model_copy(update={"config_files": ()})
    made, _ = plan_host(said, audit_host(said, profile(rule(CONNTRACK, "262144")), catalogue()), catalogue())

    assert [file.path for file in made.files] == ["/etc/modules-load.d/99-tcptune.conf", DROPIN_PATH]
    assert made.files[0].after.splitlines()[-1] == "nf_conntrack"
    assert made.changes[0].lost_at_boot is None


def test_that_a_module_has_to_come_first_is_explained(tcptune: Command) -> None:
    said = flat(tcptune("explain", CONNTRACK).out)

    assert "after module nf_conntrack: the key does not exist before" in said
    assert "load the module early (modules-load.d)" in said


# Others who write


@pytest.mark.parametrize(
    ("key", "who", "instead"),
    [
        (CONNTRACK, "kube-proxy", "change its configuration"),
        (FORWARD, "docker", "sets 1 when it starts"),
        ("net.ipv4.tcp_timestamps", "dev-sec os_hardening", "sets 0 in 90-dev-sec.conf"),
        ("net.ipv4.conf.all.rp_filter", "ufw", "loaded when the firewall starts"),
        (RMEM, "bpftune", "while it runs"),
    ],
)
def test_who_else_writes_a_setting_is_explained(key: str, who: str, instead: str, tcptune: Command) -> None:
    said = flat(tcptune("explain", key).out)

    assert f"{who}: " in said
    assert instead in said


def test_who_else_writes_settings_is_looked_for_on_each_host(tcptune: Command, put: Put) -> None:
    said = answer({QUEUE: "128"}).replace(
        "@tcptune done", "@tcptune rivals\nprocesses 3\ntuned\nkube-proxy\nfile /etc/ufw/ufw.conf\n@tcptune done"
    )
    host = script.parse("web1", said, NOW)
    page = flat(tcptune("facts", "--facts", put(host, settings={QUEUE: "leave: true"}), "--format", "summary").out)

    for name in ("tuned", "kube-proxy", "ufw"):
        assert name in page


def test_that_reuse_needs_timestamps_is_explained(tcptune: Command) -> None:
    assert "needs timestamps on BOTH peers" in flat(tcptune("explain", "tcp_tw_reuse").out)
    assert "costs PAWS, RTT samples and reuse of TIME_WAIT" in flat(tcptune("explain", "tcp_timestamps").out)


def test_the_harm_of_a_wide_port_range_is_said_beside_the_change(tcptune: Command, put: Put) -> None:
    host = facts(sysctl={RANGE: "32768 60999", "net.ipv4.ip_unprivileged_port_start": "1024"})
    path = put(host, settings={RANGE: "exactly: 1024 65535"})
    said = flat(tcptune("plan", "wanted.yml", "--facts", path, "-i", "web1,").out)

    assert "! danger: 1024-65535 collides with services (NodePorts 30000-32767, databases)" in said
    assert f"apply wants --allow-risk {RANGE}" in said


# Several who want something


def test_of_several_at_least_the_highest_counts() -> None:
    assert solve([AtLeast(value="1024"), AtLeast(value="4096"), AtLeast(value="2048")]) == AtLeast(value="4096")


def test_at_least_and_at_most_make_a_range() -> None:
    assert solve([AtLeast(value="1024"), AtMost(value="4096")]) == Between(low="1024", high="4096")


def test_what_cannot_be_had_together_is_refused_and_both_owners_are_named(tmp_path: Path) -> None:
    for name, demand in (("web", "exactly: 1"), ("hardening", "exactly: 0")):
        entry = f"  net.ipv4.tcp_timestamps: {{{demand}, why: w, source: s}}\n"
        (tmp_path / f"{name}.yml").write_text(f"profile: {name}\nsettings:\n{entry}")
    host = facts(sysctl={"net.ipv4.tcp_timestamps": "1"})

    with pytest.raises(ProfileError) as refused:
        audit_host(host, load_profiles([str(tmp_path / "web.yml"), str(tmp_path / "hardening.yml")]), catalogue())
    for words in ("web.yml:3", "hardening.yml:3", "net.ipv4.tcp_timestamps"):
        assert words in str(refused.value)


def test_exactly_below_the_least_is_a_clash() -> None:
    with pytest.raises(Clash):
        solve([Exactly(value="1024"), AtLeast(value="4096")])


def test_what_is_higher_already_is_never_lowered() -> None:
    host = facts(sysctl={QUEUE: "65535"}, files={f"{ETC}/a.conf": f"{QUEUE} = 65535\n"})
    made, _ = plan_host(host, audit_host(host, profile(rule(QUEUE, AtLeast(value="4096"))), catalogue()), catalogue())

    assert made.changes == ()


# Names


@pytest.mark.parametrize("spelling", ["net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"])
def test_a_vlan_with_a_dot_in_its_name_is_one_key_on_both_sides(spelling: str) -> None:
    assert sysctl_key(spelling) == canonical(spelling) == VLAN
    assert key_path(VLAN) == relative_path(VLAN) == "net/ipv4/conf/eth0.100/rp_filter"


def test_a_vlan_is_read_at_boot_in_either_spelling_and_explained(tcptune: Command, put: Put) -> None:
    files = {f"{ETC}/10-a.conf": f"{VLAN} = 1\n", f"{ETC}/20-b.conf": "net/ipv4/conf/eth0.100/rp_filter = 2\n"}
    path = put(facts(files=files), settings={QUEUE: "leave: true"})
    said = flat(tcptune("explain", VLAN, "--facts", path).out)

    assert f"at boot, systemd-sysctl 2 ({ETC}/20-b.conf:1)" in said
    assert f"{ETC}/10-a.conf:1 1 {ETC}/20-b.conf:1 2 wins" in said


def test_a_pattern_for_interfaces_reaches_each_of_them() -> None:
    model = boot_model(facts(files={f"{ETC}/a.conf": "net.ipv4.conf.eth*.rp_filter = 2\n"}), catalogue())

    assert [model.at_boot(f"net.ipv4.conf.{name}.rp_filter").systemd.value for name in ("eth0", "eth1", "lo")] == [
        "2",
        "2",
        None,
    ]


# Numbers


@pytest.mark.parametrize(
    ("key", "most"), [(RMEM, "4096 131072 2147483647"), ("net.ipv4.tcp_notsent_lowat", "4294967295")]
)
def test_the_largest_number_that_a_setting_holds_is_known(key: str, most: str) -> None:
    head, _, last = most.rpartition(" ")

    assert catalogue()[key].mistake(most) is None
    assert catalogue()[key].mistake(f"{head} {int(last) + 1}".strip()) is not None


def test_a_queue_beyond_16_bits_is_refused_since_old_kernels_cut_it(tcptune: Command) -> None:
    assert catalogue()[QUEUE].mistake("65536") is not None
    assert "keep <= 65535" in flat(tcptune("explain", QUEUE).out)
