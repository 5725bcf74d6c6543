"""systemd-sysctl and `sysctl --system`: where they part, that is shown, and neither is believed for its exit code."""

from __future__ import annotations

import json

import pytest

from tcptune.domain.boot import Loader
from tcptune.domain.facts import SysctlFile
from tcptune.domain.findings import Deviates, Met
from tcptune.domain.runs import HostState
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host, boot_model
from tcptune.planning.boot import BootModel
from tcptune.planning.verify import verify_host
from tcptune.probes import script, sysctl_files
from tests.unit.builders import ABSENT, ETC, change, cohort, facts, profile, result, rule
from tests.unit.cli.conftest import Command

from .conftest import Put

QUEUE = "net.core.somaxconn"
CONF = "/etc/sysctl.conf"
PARTED = {f"{ETC}/60-web.conf": f"{QUEUE} = 4096\n", CONF: f"{QUEUE} = 128\n"}


def test_both_loaders_are_shown_where_they_disagree(tcptune: Command, put: Put) -> None:
    path = put(facts(sysctl={QUEUE: "4096"}, files=PARTED, systemd=False), settings={QUEUE: "at_least: 4096"})
    said = tcptune("audit", "wanted.yml", "--facts", path)

    assert said.code == 10
    assert f"this host boots with 128 ({CONF}:1), the other loader sets 4096 ({ETC}/60-web.conf:1)" in " ".join(
        said.out.split()
    )


def test_the_loader_of_the_host_decides_the_verdict_and_the_other_is_told() -> None:
    host = facts(sysctl={QUEUE: "4096"}, files=PARTED)
    [found] = audit_host(host, profile(rule(QUEUE, "4096")), catalogue()).findings

    assert isinstance(found, Met)
    assert found.layers.other_loader is not None
    assert found.layers.other_loader.value == "128"


def test_a_dangerous_value_that_a_later_line_corrects_is_listed_with_its_line() -> None:
    # procps writes both: for a moment the first one is live.
    host = facts(files={f"{ETC}/60-web.conf": f"{QUEUE} = 7\n{QUEUE} = 4096\n"})
    found = boot_model(host, catalogue()).definitions(QUEUE)

    assert [(one.line, one.value) for one in found] == [(1, "7"), (2, "4096")]


@pytest.mark.parametrize("loader", Loader)
def test_a_file_of_the_same_name_that_is_passed_over_is_told(loader: Loader) -> None:
    files = [SysctlFile(path=f"{folder}/10-a.conf", content="x") for folder in (ETC, "/usr/lib/sysctl.d")]
    [passed] = BootModel(files).load_order(loader).shadowed

    assert (passed.path, passed.by, passed.masked) == ("/usr/lib/sysctl.d/10-a.conf", f"{ETC}/10-a.conf", False)


def test_a_mask_is_told_from_a_replacement() -> None:
    files = [SysctlFile(path=f"{ETC}/10-a.conf", content=""), SysctlFile(path="/run/sysctl.d/10-a.conf", content="x")]
    [passed] = BootModel(files).load_order(Loader.SYSTEMD).shadowed

    assert passed.masked


def test_that_the_unit_succeeded_proves_nothing_so_verify_reads_the_value() -> None:
    # systemd-sysctl exits 0 where a key is missing at boot. The file is in place, the value is not.
    kept = cohort(changes=(change(QUEUE, "128", "8192"),))
    host = facts(sysctl={QUEUE: ABSENT}, files={f"{ETC}/99-tcptune.conf": f"{QUEUE} = 8192\n"})
    [check] = verify_host(host, kept, result(state=HostState.CONFIRMED), catalogue()).checks

    assert check.at_boot.value == "8192"
    assert not check.ok


def test_the_next_boot_is_never_judged_by_running_a_loader() -> None:
    assert "--system" not in script.assemble([QUEUE])
    assert "systemd-sysctl" not in script.assemble([QUEUE])


def test_a_file_that_ufw_loads_itself_is_read_and_not_taken_for_one_of_a_boot() -> None:
    assert "/etc/ufw/sysctl.conf" in script.assemble([QUEUE])
    assert "/etc/ufw/sysctl.conf" not in sysctl_files.SCRIPT


def test_what_all_means_for_one_interface_is_explained(tcptune: Command) -> None:
    assert "effective = MAX(all, interface)" in tcptune("explain", "net.ipv4.conf.all.rp_filter").out
    assert (
        "logged where either all or the interface says so" in tcptune("explain", "net.ipv4.conf.all.log_martians").out
    )


def test_who_writes_interface_keys_later_is_explained(tcptune: Command) -> None:
    said = " ".join(tcptune("explain", "net.ipv4.conf.all.rp_filter").out.split())

    assert "systemd-networkd: writes interface keys when a link comes up" in said


def test_explain_lists_the_lines_of_both_loaders_and_marks_each_winner(tcptune: Command, put: Put) -> None:
    path = put(facts(sysctl={QUEUE: "4096"}, files=PARTED), settings={QUEUE: "leave: true"})
    said = json.loads(tcptune("explain", QUEUE, "--facts", path, "--format", "json").out)
    [host] = said["hosts"]

    assert [(one["path"], one["value"]) for one in host["definitions"]] == [
        (f"{ETC}/60-web.conf", "4096"),
        (CONF, "128"),
    ]
    assert (host["systemd"]["value"], host["procps"]["value"]) == ("4096", "128")


def test_only_settings_that_were_asked_for_are_read() -> None:
    # Some files below /proc/sys act when they are read: stat_refresh, flush.
    asked = script.assemble([QUEUE]).splitlines()

    assert "net/core/somaxconn" in asked
    assert not [line for line in asked if "stat_refresh" in line or "route/flush" in line]


def test_a_value_that_only_a_pattern_sets_counts_with_its_line() -> None:
    host = facts(sysctl={QUEUE: "4096"}, files={f"{ETC}/60-web.conf": "net.core.somax* = 128\n"})
    [found] = audit_host(host, profile(rule(QUEUE, "4096")), catalogue()).findings

    assert isinstance(found, Deviates)
    assert (found.layers.at_boot.value, found.layers.at_boot.by) == ("128", f"{ETC}/60-web.conf:1")
