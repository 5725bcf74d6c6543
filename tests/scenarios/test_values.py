"""What the kernel makes of a text, and what tcptune makes of it: the kernel does not protect anybody.

Each row was measured on Linux 6.18, and is measured again where the tests may make a network namespace.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from module_utils.errors import Refused as HostRefused
from module_utils.request import make_request, mistake_in

from tcptune.adapters.profiles import load_profile
from tcptune.domain import strict
from tcptune.domain.facts import Value
from tcptune.domain.findings import Deviates, Met
from tcptune.domain.kernel_values import Refused, Stored, stored
from tcptune.domain.values import kernel_text
from tcptune.errors import ProfileError
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.explain import find_key
from tcptune.probes import captured, script
from tests.kernel import kernel_lab
from tests.kernel.kernel_lab import Kernel
from tests.unit.builders import ETC, NOW, answer, facts, profile, rule
from tests.unit.cli.conftest import Command
from tests.unit.planning.test_audit import judge

RMEM = "net.ipv4.tcp_rmem"
QUEUE = "net.core.somaxconn"
RANGE = "net.ipv4.ip_local_port_range"
PORTS = "net.ipv4.ip_local_reserved_ports"
LOWAT = "net.ipv4.tcp_notsent_lowat"
IDLE = "net.ipv4.tcp_keepalive_time"
RELEASE = "6.18.0"
DEFAULTS = {RMEM: "4096 131072 6291456", RANGE: "32768 60999", PORTS: ""}


class Written(NamedTuple):
    """A text, and what becomes of it."""

    key: str
    text: str
    holds: str | None
    """What the kernel holds then; a tilde is a number as it was. None where it refuses and keeps what it had."""
    rule: str | None
    """The rule by which tcptune refuses it in a profile; None where it does not."""
    refused: bool = False
    """The kernel refuses it, and holds `holds` all the same."""


def ipv4(name: str, text: str, holds: str | None, rule: str | None) -> Written:
    return Written(f"net.ipv4.tcp_{name}", text, holds, rule)


WRITTEN = [
    # Taken, and not what anybody means.
    Written(RMEM, "9000 8000 7000", "9000 8000 7000", "order"),
    Written(RMEM, "8192", "8192 ~ ~", "arity"),
    Written(RMEM, "4096 65536", "4096 65536 ~", "arity"),
    Written(RMEM, "5000 131072 6291456 7", "5000 131072 6291456", "arity"),
    Written(QUEUE, "4000 5", "4000", "arity"),
    Written(QUEUE, "010", "8", "octal"),
    Written(QUEUE, "0x100", "256", "hex"),
    Written(QUEUE, "0", "0", "range"),
    Written(QUEUE, "65536", "65536", "range"),
    Written(QUEUE, "300 # backlog", "300", "arity"),
    Written(RANGE, "40000", "40000 ~", "arity"),
    ipv4("keepalive_time", "-5", "-5", "negative"),
    ipv4("keepalive_time", "0", "0", "range"),
    ipv4("fin_timeout", "-1", "-1", "negative"),
    ipv4("max_syn_backlog", "-1", "-1", "negative"),
    ipv4("max_tw_buckets", "-1", "-1", "negative"),
    ipv4("fastopen", "-1", "-1", "negative"),
    ipv4("syncookies", "5", "5", "range"),
    ipv4("timestamps", "3", "3", "range"),
    ipv4("mtu_probing", "3", "3", "range"),
    ipv4("window_scaling", "2", "2", "range"),
    # Refused, and the leading numbers are stored all the same.
    Written(RMEM, "5000 abc 555", "5000 ~ ~", "not-a-number", refused=True),
    Written(RMEM, "5000 70000 2147483648", "5000 70000 ~", "range", refused=True),
    # Refused.
    Written(RMEM, "4096,87380,6291456", None, "separator"),
    Written(RMEM, '"4096 87380 6291456"', None, "quoted"),
    Written(QUEUE, "2147483648", None, "range"),
    Written(QUEUE, "-1", None, "negative"),
    Written(QUEUE, "", None, "arity"),
    Written(QUEUE, "4k", None, "unit"),
    Written(QUEUE, "yes", None, "boolean"),
    ipv4("keepalive_probes", "256", None, "range"),
    ipv4("synack_retries", "256", None, "range"),
    ipv4("syn_retries", "0", None, "range"),
    ipv4("syn_retries", "128", None, "range"),
    ipv4("tw_reuse", "3", None, "range"),
    Written(RANGE, "60999 32768", None, "order"),
    Written(RANGE, "0 100", None, "range"),
    Written(RANGE, "1 65536", None, "range"),
    Written(PORTS, "8080 8081", None, "separator"),
    Written(PORTS, "8080, 8081", None, "separator"),
    Written(LOWAT, "4294967296", None, "range"),
    # Taken, and ours too.
    Written(PORTS, "8080,8081,8082,9000", "8080-8082,9000", None),
    Written(PORTS, "9000,8082,8080-8081", "8080-8082,9000", None),
    Written(LOWAT, "4294967295", "4294967295", None),
    Written(RMEM, "4096\t131072\t67108864", "4096 131072 67108864", None),
]

each = pytest.mark.parametrize("case", WRITTEN, ids=lambda c: f"{c.key.rpartition('.')[2]}={c.text!r}")


def held(case: Written, before: str) -> str:
    """Return what the key holds after the write."""
    if case.holds is None:
        return before
    parts = before.split()
    return " ".join(parts[at] if part == "~" else part for at, part in enumerate(case.holds.split(" ")))


@each
def test_the_model_knows_what_the_kernel_stores(case: Written) -> None:
    before = DEFAULTS.get(case.key, "7")
    found = stored(catalogue()[case.key], case.text, kernel=RELEASE, current=before)

    if case.holds is not None and not case.refused:
        assert found == Stored(text=held(case, before))
    else:
        assert isinstance(found, Refused)
        assert (found.errno, found.leaves) == ("EINVAL", held(case, before) if case.refused else None)


@each
def test_what_nobody_means_is_refused_in_a_profile_by_a_named_rule(case: Written) -> None:
    found = [mistake.rule.value for mistake in strict.mistakes(catalogue()[case.key], case.text)]

    assert found[:1] == ([case.rule] if case.rule else [])


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    yield kernel
    kernel.close()


needs_a_kernel = pytest.mark.skipif(kernel_lab.missing() is not None, reason=str(kernel_lab.missing()))


@pytest.mark.lab
@needs_a_kernel
@each
def test_this_kernel_stores_the_same(kernel: Kernel, case: Written) -> None:
    outcome = kernel.write(case.key, case.text)
    taken = case.holds is not None and not case.refused

    assert outcome.errno == (None if taken else "EINVAL")
    assert kernel_text(outcome.after) == held(case, kernel_text(outcome.before))


@pytest.mark.lab
@needs_a_kernel
def test_an_unknown_algorithm_looks_like_a_missing_key_and_the_model_tells_them_apart(kernel: Kernel) -> None:
    key = "net.ipv4.tcp_congestion_control"
    peers = {"net.ipv4.tcp_available_congestion_control": "reno cubic"}
    found = stored(catalogue()[key], "nosuch", kernel=RELEASE, peers=peers)

    assert isinstance(found, Refused)
    assert (found.errno, found.why) == ("ENOENT", "there is no algorithm 'nosuch'")
    assert kernel.write(key, "nosuch").errno == "ENOENT"


def test_an_algorithm_that_a_container_may_not_use_is_refused_with_the_reason() -> None:
    peers = {
        "net.ipv4.tcp_available_congestion_control": "reno cubic bbr",
        "net.ipv4.tcp_allowed_congestion_control": "reno bbr",
    }
    known = catalogue()["net.ipv4.tcp_congestion_control"]
    found = stored(known, "cubic", kernel=RELEASE, peers=peers, in_child=True)

    assert isinstance(found, Refused)
    assert found.errno == "EPERM"
    assert stored(known, "cubic", kernel=RELEASE, peers=peers) == Stored(text="cubic")


# A profile that asks for nonsense is refused before any host is asked


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (f"{RMEM}: {{exactly: 9000 8000 7000", "min <= default <= max"),
        (f"{RMEM}: {{exactly: 4096 131072", "takes three numbers, this has 2"),
        (f"{QUEUE}: {{exactly: '010'", "leading zero"),
        (f"{QUEUE}: {{at_least: 0x100", "256"),
        (f"{IDLE}: {{exactly: -5", "negative"),
        (f"{PORTS}: {{includes: 80 81", "80 81"),
        ("net.ipv6.tcp_rmem: {exactly: 4096 131072 6291456", "not in the catalogue"),
        ("net.ipv4.tcp_fastopen_key: {exactly: 1", "is a secret"),
    ],
)
def test_a_profile_that_asks_for_nonsense_is_refused(tmp_path: Path, tcptune: Command, entry: str, said: str) -> None:
    path = tmp_path / "bad.yml"
    path.write_text(f"profile: bad\nsettings:\n  {entry}, why: w, source: s}}\n")

    with pytest.raises(ProfileError) as refused:
        load_profile(str(path))
    assert "bad.yml:3:" in str(refused.value)
    assert said in str(refused.value)
    assert tcptune("audit", "bad.yml", "-i", "web1,").code == 3


@pytest.mark.parametrize(
    ("key", "wanted", "actual"),
    [
        (RMEM, "4096 131072", DEFAULTS[RMEM]),
        (RMEM, "4096 131072 6291456 7", DEFAULTS[RMEM]),
        (QUEUE, "010", "4096"),
        (QUEUE, "0x100", "4096"),
        (QUEUE, "4096 5", "4096"),
    ],
)
def test_the_host_refuses_to_write_what_the_kernel_would_misread(key: str, wanted: str, actual: str) -> None:
    assert mistake_in(key, wanted, actual)


def test_an_empty_value_never_reaches_the_kernel_where_it_would_be_a_success_that_changes_nothing() -> None:
    with pytest.raises(HostRefused, match="has no value"):
        make_request({QUEUE: ""})
    assert make_request({PORTS: ""}).settings == {PORTS: ""}


# Values are compared as the kernel stores them


@pytest.mark.parametrize(
    ("key", "wanted", "actual", "in_the_file"),
    [
        (RMEM, "4096 131072 6291456", "4096 131072 6291456", "4096\t131072   6291456"),
        (QUEUE, "1024", "1024", "0x400"),
        (QUEUE, "1024", "1024", "1024 # our peak"),
        (PORTS, "8080,8081,8082", "8080-8082", "8082,8080-8081"),
        (LOWAT, "4294967295", "4294967295", "0xffffffff"),
    ],
)
def test_what_means_the_same_to_the_kernel_is_met(key: str, wanted: str, actual: str, in_the_file: str) -> None:
    found = judge(rule(key, wanted), {key: actual}, {f"{ETC}/60-web.conf": f"{key} = {in_the_file}\n"})

    assert isinstance(found, Met)


def test_tabs_that_the_kernel_prints_are_single_spaces_in_facts() -> None:
    host = script.parse("web1", answer({RMEM: "4096\t131072\t6291456"}), NOW)

    assert host.sysctl[RMEM] == Value(text="4096 131072 6291456", writable=True)


def test_a_port_more_in_the_list_is_a_difference() -> None:
    found = judge(rule(PORTS, "8080,8081,8082"), {PORTS: "8080-8083"})

    assert isinstance(found, Deviates)


@pytest.mark.parametrize("key", ["net.ipv4.tcp_mem", "net.netfilter.nf_conntrack_max"])
def test_a_default_that_is_computed_from_memory_is_not_taken_for_set(key: str) -> None:
    value = {"net.ipv4.tcp_mem": "48000 64000 96000"}.get(key, "65536")
    found = judge(rule(key, value), {key: value})

    assert isinstance(found, Met)
    assert (found.layers.at_boot.value, found.layers.at_boot.by) == (None, "kernel default")


def test_pages_and_bytes_have_their_own_names() -> None:
    units = {key: catalogue()[key].unit for key in ("net.ipv4.tcp_mem", RMEM)}

    assert "page" in units["net.ipv4.tcp_mem"]
    assert "byte" in units[RMEM]


def test_a_setting_of_ipv4_is_not_looked_for_below_ipv6() -> None:
    assert find_key("net.ipv6.tcp_rmem", catalogue()) is None
    assert not [key for key in catalogue() if key.startswith("net.ipv6.tcp_")]


# Secrets

SECRETS = ["net.ipv4.tcp_fastopen_key", "net.ipv6.conf.eth0.stable_secret"]


@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_is_not_in_facts_not_in_a_profile_not_in_a_request_and_not_explained(
    key: str, tcptune: Command
) -> None:
    text = f"net.core.somaxconn = 4096\n{key} = 00000000-11111111\n"

    assert list(captured.parse(text, "web1", NOW, "6.12.0").sysctl) == [QUEUE]
    with pytest.raises(ValueError, match="secret"):
        facts(sysctl={key: "1"})
    with pytest.raises(ValueError, match="secret"):
        profile(rule(key, "1"))
    with pytest.raises(HostRefused, match="secret"):
        make_request({key: "1"})
    said = tcptune("explain", key)
    assert (said.code, said.out) == (2, "")
    assert "secret" in said.err
