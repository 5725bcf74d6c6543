from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from tcptune.domain.demands import Exactly
from tcptune.domain.facts import HostFacts, Unreadable
from tcptune.domain.findings import Deviates, Unknown, Where
from tcptune.domain.profile import Entry, Profile
from tcptune.planning.audit import audit_host
from tcptune.probes import OPTIONAL, captured, counters, links, listeners, rivals
from tcptune.probes.script import BOOTSTRAP, assemble, parse
from tcptune.reports import host_page

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
SOMAXCONN = "net.core.somaxconn"
REQUIRED = """@tcptune system
kernel 6.12.0
boot_id b1
hostname web1
systemd 1
memory_kib 4194304
cpus 4
user 0
@tcptune sysctl
@tcptune sysctl_files
"""
SYSCTL_A = """kernel.osrelease = 5.10.0-35-amd64
kernel.hostname = web3
net.core.somaxconn = 128
net.ipv4.tcp_rmem = 4096\t131072\t6291456
net.ipv4.tcp_fastopen_key = 0102-0304
sysctl: reading key "net.ipv6.conf.all.stable_secret"
sysctl: permission denied on key 'net.ipv4.tcp_mem'
dev.cdrom.info = CD-ROM information
dev.cdrom.info = drive name:
"""


def said(*sections: str) -> HostFacts:
    return parse("web1", "\n".join([REQUIRED.rstrip(), *sections, "@tcptune done", ""]), NOW)


def profile(value: str) -> Profile:
    entry = Entry(key=SOMAXCONN, demand=Exactly(value=value), why="why", source="tcp(7)", profile="test")
    return Profile(name="test", summary="", origin="here", entries=(entry,), digest="d" * 64)


def test_an_answer_without_the_optional_sections_is_a_host_with_gaps() -> None:
    facts = said()

    assert set(facts.gaps) == set(OPTIONAL)
    assert (facts.counters, facts.links, facts.listeners) == (None, None, None)


@pytest.mark.parametrize("name", OPTIONAL)
@pytest.mark.parametrize(
    "line", ["total nonsense", "total x", "\0", "/proc/net/", "/", "open", "enabled", "/proc/1/x:"]
)
def test_an_optional_section_that_makes_no_sense_does_not_lose_the_host(name: str, line: str) -> None:
    facts = said(f"@tcptune {name}", line)

    assert facts.system.kernel == "6.12.0"
    assert (getattr(facts, name) is None) == (name in facts.gaps)


def test_an_old_facts_file_still_loads() -> None:
    old = said().model_dump(exclude={*OPTIONAL, "gaps"})
    for field in ("uptime_s", "hz", "virtualization", "namespace"):
        del old["system"][field]

    assert HostFacts.model_validate(old).gaps == {}


@pytest.mark.parametrize(
    ("ticks", "hz"),
    [
        (["100", "500", "2", "2048"], 100),
        (["250", "1250", "5", "5120"], 250),
        (["300", "1500", "6", "6144"], 300),
        (["1000", "5000", "20", "20480"], 1000),
        (["1000", "1250", "5", "5120"], None),
        (["250", "1250", "5", "0"], None),
        (["0", "0", "0", "0"], None),
        (["10000", "50000", "200", "204800"], None),
        (["", "", "", ""], None),
    ],
)
def test_the_timer_rate_is_what_four_limits_in_ticks_agree_on(ticks: list[str], hz: int | None) -> None:
    names = ("error_cost", "error_burst", "redirect_load", "redirect_silence")
    lines = [f"/proc//sys/net/ipv4/route/{name}:{text}" for name, text in zip(names, ticks, strict=True)]

    def told(lines: list[str]) -> HostFacts:
        section = "\n".join(["@tcptune sysctl", "rw net/core/somaxconn", "/proc/sys/net/core/somaxconn:1", *lines])
        return parse("web1", REQUIRED.replace("@tcptune sysctl", section, 1) + "@tcptune done\n", NOW)

    assert told(lines).system.hz == hz
    assert list(told(lines).sysctl) == [SOMAXCONN]
    assert told(lines[1:]).system.hz is None
    assert told([]).system.hz is None


def test_facts_survive_being_written_and_read() -> None:
    facts = said("@tcptune rivals", "processes 3", "tuned", "@tcptune conntrack", "not loaded")

    assert HostFacts.model_validate_json(facts.model_dump_json()) == facts


@pytest.mark.parametrize(
    "key",
    [
        "net.ipv4.tcp_fastopen_key",
        "net.ipv6.conf.all.stable_secret",
        "net.core.netdev_rss_key",
        "net/ipv4/other_secret",
    ],
)
def test_a_secret_is_never_asked_for(key: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        assemble([SOMAXCONN, key])


def test_no_script_names_a_secret() -> None:
    assert not {word for word in ("fastopen_key", "stable_secret", "rss_key", "shadow") if word in assemble([])}


def test_names_and_numbers_of_counters_must_fit() -> None:
    with pytest.raises(ValueError, match="zip"):
        counters.parse(["/proc/net/snmp:Tcp: A B", "/proc/net/snmp:Tcp: 1"])


def test_links_of_another_namespace_are_not_mistaken_for_ours() -> None:
    found = links.parse(
        ["total 1", "device eth0", "/proc/net/dev:    lo: " + "0 " * 16, "/sys/class/net/eth0/mtu:1500"]
    )

    assert [(link.name, link.mtu) for link in found.links] == [("lo", None)]
    assert "another network namespace" in found.notes[0]


def test_a_backlog_that_cannot_be_known_is_said_to_be_unknown() -> None:
    line = "0: 0100007F:46A0 00000000:0000 0A 00000000:00000003 00:00000000 00000000 0 0 827232 2 0 100 0 0 10 0"
    found = listeners.parse(["source proc", line])

    assert [(one.address, one.port, one.queue, one.backlog) for one in found.listeners] == [
        ("127.0.0.1", 18080, 3, None)
    ]
    assert found.notes


def test_processes_that_cannot_be_seen_are_not_said_to_be_absent() -> None:
    found = rivals.parse(["processes 3", "hidden", "file /etc/ufw/ufw.conf"])

    assert [(one.name, one.running) for one in found.found] == [("ufw", None)]


def test_a_captured_sysctl_a_gives_runtime_values_and_no_secrets() -> None:
    facts = captured.parse(SYSCTL_A, "file", NOW)

    assert (facts.host, facts.system.kernel) == ("web3", "5.10.0-35-amd64")
    assert getattr(facts.sysctl["net.ipv4.tcp_rmem"], "text", "") == "4096 131072 6291456"
    assert facts.sysctl["net.ipv4.tcp_mem"] == Unreadable()
    assert not [key for key in facts.sysctl if "secret" in key or "fastopen_key" in key]
    assert "0102" not in facts.model_dump_json()


def test_a_captured_value_that_is_as_wanted_is_not_met_because_the_boot_is_unknown() -> None:
    facts = captured.parse(SYSCTL_A, "file", NOW)
    [finding] = audit_host(facts, profile("128"), {}).findings

    assert isinstance(finding, Unknown)
    assert "at boot is not known" in finding.why


def test_a_captured_value_that_deviates_says_that_the_boot_is_unknown() -> None:
    facts = captured.parse(SYSCTL_A, "file", NOW)
    [finding] = audit_host(facts, profile("4096"), {}).findings

    assert isinstance(finding, Deviates)
    assert (finding.where, finding.layers.at_boot.known, finding.layers.at_boot.value) == (Where.RUNTIME, False, None)


@pytest.mark.parametrize(
    ("text", "kernel", "why"),
    [
        ("", None, "no settings"),
        ("net.core.somaxconn = 1\n", None, "--kernel"),
        ("net.core.somaxconn = 1\n", "new", "no kernel release"),
        (SYSCTL_A, "6.1.0", "--kernel says 6.1.0"),
        ("a.b = 1\nhello\n", "6.1", "line 2"),
        ("a.b = 1\nc.d = 2\na.b = 1\n", "6.1", "line 3 names a.b again"),
    ],
)
def test_what_is_no_captured_sysctl_a_is_refused_with_the_reason(text: str, kernel: str | None, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        captured.parse(text, "file", NOW, kernel)


def test_the_page_of_a_host_says_what_is_not_known() -> None:
    page = host_page.render(said("@tcptune rivals", "nonsense"))

    assert "the answer has no such section" in page
    assert "unexpected line 'nonsense'" in page


def test_the_page_of_a_host_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in host_page.render(said("@tcptune rivals", "processes 1", "tuned_profile \x1b[2J", "tuned"))


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_the_whole_probe_speaks_in_every_shell(shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    command = [shell, *(["ash"] if shell == "busybox" else []), "-c", BOOTSTRAP]
    done = subprocess.run(command, input=assemble([SOMAXCONN]), capture_output=True, text=True, check=False)
    facts = parse("here", done.stdout, NOW)

    assert (done.stderr, facts.gaps) == ("", {})
