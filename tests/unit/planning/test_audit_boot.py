"""The third layer of an audit: what the next boot gives, and who says so."""

from __future__ import annotations

from typing import Any

import pytest

from tcptune.domain.changes import DROPIN_PATH
from tcptune.domain.demands import AtLeast, Demand, Elements, Exactly, Leave
from tcptune.domain.findings import Boot, Deviates, Layers, Met, Where
from tcptune.domain.parameters import Default
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tests.unit.builders import ETC, LATER, MAX_SYN, RMEM, SOMAXCONN, facts, parameter, profile, rule

FILE = f"{ETC}/60-web.conf"
CONF = "/etc/sysctl.conf"


def judged(
    actual: str,
    files: dict[str, str | None],
    *,
    key: str = SOMAXCONN,
    demand: str | Demand = "4096",
    parameters: Any = None,
    **host: Any,
) -> Met | Deviates:
    said = facts(sysctl={key: actual}, files=files, **host)
    found = audit_host(said, profile(rule(key, demand)), parameters or catalogue()).findings[0]
    assert isinstance(found, Met | Deviates), found
    return found


def layers(actual: str, files: dict[str, str | None], **options: Any) -> Layers:
    return judged(actual, files, **options).layers


def test_the_line_that_decides_is_named() -> None:
    at_boot = layers("4096", {FILE: f"# queue\n{SOMAXCONN} = 128\n"}).at_boot

    assert at_boot == Boot(value="128", by=f"{FILE}:2")


def test_a_value_in_a_file_is_compared_as_the_kernel_prints_it() -> None:
    files: dict[str, str | None] = {FILE: f"{RMEM} =  4096\t131072   6291456 \n"}

    assert isinstance(judged("4096 131072 6291456", files, key=RMEM, demand="4096 131072 6291456"), Met)


@pytest.mark.parametrize(("kernel", "default"), [("6.12.0", "4096"), ("4.19.0", "128")])
def test_without_a_line_the_boot_gives_what_this_kernel_starts_with(kernel: str, default: str) -> None:
    assert layers("4096", {}, kernel=kernel).at_boot == Boot(value=default, by="kernel default")


def test_an_old_kernel_that_was_tuned_by_hand_deviates_at_boot() -> None:
    found = judged("4096", {}, kernel="4.19.0")

    assert isinstance(found, Deviates)
    assert found.where is Where.BOOT


# The host of the builders has 4 GiB: the kernel's own is 256.
@pytest.mark.parametrize(("actual", "kind"), [("256", Met), ("250", Met), ("512", Deviates), ("128", Deviates)])
def test_a_value_that_is_not_what_the_kernel_computes_was_set_by_hand_and_does_not_outlast_a_boot(
    actual: str, kind: type
) -> None:
    found = judged(actual, {}, key=MAX_SYN, demand=Exactly(value=actual))

    assert isinstance(found, kind)
    about = ", about 256" if kind is Deviates else ""
    assert found.layers.at_boot == Boot(value=None, by=f"kernel default{about}")


@pytest.mark.parametrize(
    ("actual", "least", "where"),
    [("512", "512", Where.BOOT), ("128", "200", Where.RUNTIME), ("128", "512", Where.BOTH), ("256", "512", Where.BOTH)],
)
def test_each_layer_of_a_computed_default_is_judged_by_its_own_value(actual: str, least: str, where: Where) -> None:
    found = judged(actual, {}, key=MAX_SYN, demand=AtLeast(value=least))

    assert isinstance(found, Deviates)
    assert found.where is where


@pytest.mark.parametrize(("actual", "kind"), [("bbr", Met), ("cubic", Deviates)])
def test_where_nothing_tells_the_default_the_running_value_is_the_witness(actual: str, kind: type) -> None:
    found = judged(actual, {}, key="net.ipv4.tcp_congestion_control", demand=Exactly(value="bbr"))

    assert isinstance(found, kind)
    assert found.layers.at_boot == Boot(value=None, by="kernel default")


# Two loaders


def test_a_host_with_systemd_does_not_read_sysctl_conf() -> None:
    found = layers("4096", {CONF: f"{SOMAXCONN} = 128\n"}, systemd=True)

    assert found.at_boot == Boot(value="4096", by="kernel default")
    assert found.other_loader == Boot(value="128", by=f"{CONF}:1")


def test_a_host_without_systemd_reads_sysctl_conf_last() -> None:
    files: dict[str, str | None] = {FILE: f"{SOMAXCONN} = 512\n", CONF: f"{SOMAXCONN} = 128\n"}
    found = layers("4096", files, systemd=False)

    assert found.at_boot == Boot(value="128", by=f"{CONF}:1")
    assert found.other_loader == Boot(value="512", by=f"{FILE}:1")


def test_where_both_loaders_agree_only_one_is_shown() -> None:
    assert layers("128", {FILE: f"{SOMAXCONN} = 128\n"}).other_loader is None


def test_the_loader_of_the_host_decides_whether_it_deviates() -> None:
    files: dict[str, str | None] = {CONF: f"{SOMAXCONN} = 128\n"}

    assert isinstance(judged("4096", files, systemd=True), Met)
    assert isinstance(judged("4096", files, systemd=False), Deviates)


# Lines the kernel refuses, or takes in part


@pytest.mark.parametrize("written", ["99999999999", "-1", "many", "12abc", "1_000", "0b11", "0o17", "+5", "0x", "５"])
def test_a_line_the_kernel_refuses_changes_nothing(written: str) -> None:
    assert layers("4096", {FILE: f"{SOMAXCONN} = {written}\n"}).at_boot == Boot(value="4096", by="kernel default")


# Each was written to the key in a network namespace and read back, Linux 6.18.
@pytest.mark.parametrize(
    ("written", "value"), [("010000", "4096"), ("0x1000", "4096"), ("0x200", "512"), ("512 # a comment", "512")]
)
def test_a_number_in_a_file_is_read_as_the_kernel_reads_it(written: str, value: str) -> None:
    assert layers(value, {FILE: f"{SOMAXCONN} = {written}\n"}, kernel="4.19.0").at_boot.value == value


def test_an_octal_number_does_not_pass_for_a_larger_decimal_one() -> None:
    found = judged("8192", {FILE: f"{SOMAXCONN} = 010000\n"}, demand=AtLeast(value="8192"))

    assert isinstance(found, Deviates), "the kernel reads 010000 as 4096"


@pytest.mark.parametrize(("written", "value"), [("0", "0"), ("255", "255"), ("256", "9"), ("-1", "9")])
def test_a_line_counts_up_to_the_very_bounds_of_the_kernel(written: str, value: str) -> None:
    key = "net.ipv4.tcp_keepalive_probes"

    assert layers("9", {FILE: f"{key} = {written}\n"}, key=key, demand="9").at_boot.value == value


def test_a_line_that_only_takes_a_key_out_of_patterns_sets_nothing() -> None:
    assert layers("4096", {FILE: f"-{SOMAXCONN}\n"}).at_boot == Boot(value="4096", by="kernel default")


TRIPLE = parameter(
    "net.ipv4.test_mem",
    shape="triple",  # type: ignore[arg-type]
    defaults=(Default(value="1 2 3"),),
    accepts=({"storage": "int", "min": 0, "max": 1000},),
)


def test_a_line_with_the_first_numbers_leaves_the_rest_as_the_kernel_starts() -> None:
    found = layers(
        "9 2 3",
        {FILE: f"{TRIPLE.key} = 9\n"},
        key=TRIPLE.key,
        demand="9 2 3",
        parameters={TRIPLE.key: TRIPLE},
    )

    assert found.at_boot == Boot(value="9 2 3", by=f"{FILE}:1")


def test_a_line_with_the_first_numbers_over_an_unknown_default_says_what_is_known() -> None:
    found = layers("4096 131072 6291456", {FILE: f"{RMEM} = 4096\n"}, key=RMEM, demand="4096 131072 6291456")

    assert found.at_boot == Boot(value="4096 ? ?", by=f"{FILE}:1")


def test_a_line_that_spoils_the_first_number_is_seen_though_the_rest_is_not_known() -> None:
    demand = Elements(each=(AtLeast(value="4096"), Leave(), Leave()))
    found = judged("4096 131072 6291456", {FILE: f"{RMEM} = 1024\n"}, key=RMEM, demand=demand)

    assert isinstance(found, Deviates), "the next boot gives 1024 as the first number"


def test_a_boot_of_which_too_little_is_known_to_compare_is_not_met() -> None:
    demand = AtLeast(value="4096 131072 6291456")

    assert isinstance(judged("4096 131072 6291456", {FILE: f"{RMEM} = 4096\n"}, key=RMEM, demand=demand), Deviates)


# Who would win over our own file


def shadow(actual: str, files: dict[str, str | None], **host: Any) -> str | None:
    found = judged(actual, files, **host)
    assert isinstance(found, Deviates)
    return found.shadowed_by


def test_a_weaker_file_would_not_win_over_ours() -> None:
    assert shadow("128", {FILE: f"{SOMAXCONN} = 128\n"}) is None


def test_a_later_file_would_win_over_ours() -> None:
    assert shadow("128", {LATER: f"# later\n{SOMAXCONN} = 128\n"}) == f"{LATER}:2"


def test_sysctl_conf_wins_over_ours_where_there_is_no_systemd() -> None:
    files: dict[str, str | None] = {CONF: f"{SOMAXCONN} = 128\n"}

    assert shadow("128", files, systemd=False) == f"{CONF}:1"
    assert shadow("128", files, systemd=True) is None


def test_a_later_line_that_takes_every_assignment_back_wins_over_ours() -> None:
    found = judged("512", {LATER: f"-{MAX_SYN}\n"}, key=MAX_SYN, demand=AtLeast(value="1024"))

    assert isinstance(found, Deviates)
    assert found.shadowed_by == f"{LATER}:1"


def test_our_own_file_of_an_earlier_run_is_no_rival() -> None:
    assert shadow("128", {DROPIN_PATH: f"{SOMAXCONN} = 128\n"}) is None


def test_a_pattern_in_a_later_file_does_not_win_over_our_explicit_line() -> None:
    assert shadow("128", {LATER: "net.core.somax* = 128\n"}) is None


def test_a_later_line_that_gives_what_is_wanted_is_no_obstacle() -> None:
    """Only the running value is off: what the file gives at boot is right, so nothing is lost at the next boot."""
    found = judged("128", {LATER: f"{SOMAXCONN} = 4096\n"})

    assert isinstance(found, Deviates)
    assert found.where is Where.RUNTIME
    assert found.shadowed_by is None
