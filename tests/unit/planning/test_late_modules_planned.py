"""Settings of a module that a boot loads too late: what is told, and what a plan does about it."""

from __future__ import annotations

from typing import Any

import pytest

from tcptune.domain.changes import DROPIN_PATH, MODULES_PATH, HostPlan, SkipKind, Skipped
from tcptune.domain.facts import HostFacts
from tcptune.domain.findings import Deviates
from tcptune.domain.state import Conntrack, NetNamespace, TextFile, Virtualization
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tcptune.planning.late_modules import brought_up, loaded_late
from tcptune.planning.own_files import modules_text, text_now, with_files
from tcptune.planning.plan import plan_host
from tests.unit.builders import ETC, SOMAXCONN, facts, profile, rule

CONNTRACK = "net.netfilter.nf_conntrack_max"
PARAMETER = catalogue()[CONNTRACK]
MACHINE = Virtualization(machine="kvm", container=None, signs=("dmi",))


def host(
    now: str = "65536",
    files: dict[str, str | None] | None = None,
    config: dict[str, str | None] | None = None,
    *,
    built_in: bool = False,
    child: bool = False,
    **fields: Any,
) -> HostFacts:
    """Return a host whose connection tracker is a module, and on which nothing says when it is loaded."""
    given = {"virtualization": MACHINE, "namespace": NetNamespace(child=child, sign="test"), **fields}
    said = facts(sysctl={CONNTRACK: now, SOMAXCONN: "4096"}, files=files, **given)
    lists = tuple(TextFile(path=path, content=text) for path, text in (config or {}).items())
    tracker = Conntrack(loaded=True, built_in=built_in)
    return said.model_copy(update={"config_files": lists, "conntrack": tracker})


def deviation(said: HostFacts) -> Deviates:
    [found] = audit_host(said, profile(rule(CONNTRACK, "262144")), catalogue()).findings
    assert isinstance(found, Deviates)
    return found


def planned(said: HostFacts) -> tuple[HostPlan, tuple[Skipped, ...]]:
    return plan_host(said, audit_host(said, profile(rule(CONNTRACK, "262144")), catalogue()), catalogue())


# When it is late


@pytest.mark.parametrize(
    "where",
    ["/etc/modules-load.d/nf.conf", "/run/modules-load.d/nf.conf", "/usr/lib/modules-load.d/nf.conf", MODULES_PATH],
)
def test_a_module_that_modules_load_names_comes_first(where: str) -> None:
    assert loaded_late(PARAMETER, host()) == "nf_conntrack"
    assert loaded_late(PARAMETER, host(config={where: "# first\nnf-conntrack\n"})) is None


def test_a_list_is_hidden_by_its_namesake_in_a_stronger_folder() -> None:
    lists: dict[str, str | None] = {
        "/etc/modules-load.d/a.conf": "",
        "/usr/lib/modules-load.d/a.conf": "nf_conntrack\n",
    }

    assert loaded_late(PARAMETER, host(config=lists)) == "nf_conntrack"


def test_the_old_list_counts_where_systemd_is_not_pid_1() -> None:
    old: dict[str, str | None] = {"/etc/modules": "nf_conntrack\n"}

    assert loaded_late(PARAMETER, host(config=old, systemd=True)) == "nf_conntrack"
    assert loaded_late(PARAMETER, host(config=old, systemd=False)) is None


def test_a_tracker_that_is_part_of_the_kernel_is_never_late() -> None:
    assert loaded_late(PARAMETER, host(built_in=True)) is None


def test_a_list_that_cannot_be_read_may_name_the_module() -> None:
    with pytest.raises(ValueError, match=r"/etc/modules-load.d/x.conf cannot be read"):
        loaded_late(PARAMETER, host(config={"/etc/modules-load.d/x.conf": None}))


# What a plan does about it


def test_a_plan_writes_our_list_before_the_settings_and_the_change_lasts() -> None:
    made, skipped = planned(host())
    [change] = made.changes
    modules, settings = made.files

    assert skipped == ()
    assert (change.module, change.lost_at_boot) == ("nf_conntrack", None)
    assert (modules.path, modules.before, settings.path) == (MODULES_PATH, None, DROPIN_PATH)
    assert [line for line in modules.after.splitlines() if not line.startswith("#")] == ["nf_conntrack"]
    after = with_files(host(), made.files)
    assert loaded_late(PARAMETER, after) is None
    assert planned(after.model_copy(update={"sysctl": host("262144").sysctl}))[0].changes == ()


def test_a_value_that_is_right_now_and_in_files_needs_our_list_alone() -> None:
    made, skipped = planned(host("262144", {f"{ETC}/60-nf.conf": f"{CONNTRACK} = 262144\n"}))
    [change] = made.changes

    assert skipped == ()
    assert (change.at_runtime, change.module) == (False, "nf_conntrack")
    assert "nf_conntrack is loaded after /etc/sysctl.d/60-nf.conf:1 is read" in change.at_boot.by
    assert [file.path for file in made.files] == [MODULES_PATH]


def test_a_value_that_only_one_loader_finds_in_files_gets_our_line_too() -> None:
    made, _ = planned(host("262144", {"/etc/sysctl.conf": f"{CONNTRACK} = 262144\n"}))

    assert [file.path for file in made.files] == [MODULES_PATH, DROPIN_PATH]


def test_a_value_in_our_own_file_alone_stays_in_it() -> None:
    made, _ = planned(host("262144", {DROPIN_PATH: f"{CONNTRACK} = 262144\n"}))

    assert [file.path for file in made.files] == [MODULES_PATH, DROPIN_PATH]


def test_our_list_keeps_what_it_names_already() -> None:
    before = modules_text(None, ["tcp_bbr"])
    made, _ = planned(host(config={MODULES_PATH: before}))

    assert made.files[0].before == before
    assert [line for line in made.files[0].after.splitlines() if not line.startswith("#")] == [
        "tcp_bbr",
        "nf_conntrack",
    ]


def test_our_list_is_not_rewritten_where_another_names_the_module() -> None:
    made, _ = planned(host(config={"/etc/modules-load.d/nf.conf": "nf_conntrack\n"}))

    assert [file.path for file in made.files] == [DROPIN_PATH]
    assert made.changes[0].module is None


@pytest.mark.parametrize(
    "unsure",
    [
        {"virtualization": Virtualization(machine=None, container="docker", signs=("/.dockerenv",))},
        {"virtualization": Virtualization(machine=None, container=None, signs=(), unread=("/proc/1/environ",))},
        {"virtualization": None},
        {"systemd": None},
        {"systemd": False, "distribution": "alpine"},
    ],
    ids=["container", "signs unread", "nobody looked", "no loader known", "no kmod of Debian"],
)
def test_where_our_list_would_not_certainly_count_the_remark_stays(unsure: dict[str, Any]) -> None:
    said = host(**unsure)

    assert brought_up(PARAMETER, said) is None
    assert "write nf_conntrack to /etc/modules-load.d/nf_conntrack.conf first" in (deviation(said).lost_at_boot or "")
    made, _ = planned(said)
    assert [file.path for file in made.files] == [DROPIN_PATH]
    assert made.changes[0].lost_at_boot is not None


def test_kmod_of_debian_reads_our_list_without_systemd() -> None:
    assert brought_up(PARAMETER, host(systemd=False, distribution="debian")) == "nf_conntrack"


def test_what_cannot_be_helped_is_not_planned_for_the_boot_alone() -> None:
    container = Virtualization(machine=None, container="lxc", signs=("cgroup",))
    made, [left] = planned(host("262144", {f"{ETC}/60-nf.conf": f"{CONNTRACK} = 262144\n"}, virtualization=container))

    assert (made.changes, made.files) == ((), ())
    assert (left.kind, left.why.startswith("right now, but nf_conntrack is loaded after")) == (
        SkipKind.OUT_OF_REACH,
        True,
    )


def test_our_list_that_cannot_be_read_is_not_written() -> None:
    closed = host(config={"/etc/modules-load.d/*.conf": None})

    assert brought_up(PARAMETER, closed) is None
    with pytest.raises(ValueError, match="cannot be read"):
        text_now(MODULES_PATH, closed)


def test_the_audit_says_that_a_plan_writes_it() -> None:
    assert (deviation(host()).lost_at_boot or "").endswith(f"plan writes nf_conntrack to {MODULES_PATH}")
