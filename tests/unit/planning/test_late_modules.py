"""What a boot loses because a kernel module is loaded after the files are read."""

from __future__ import annotations

from typing import Any

import pytest

from tcptune.domain.demands import AtLeast
from tcptune.domain.facts import HostFacts
from tcptune.domain.findings import Deviates, Finding, Met, Unknown, Where
from tcptune.domain.state import Conntrack, NetNamespace, TextFile
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tcptune.planning.late_modules import loaded_late
from tests.unit.builders import ETC, SOMAXCONN, facts, profile, rule

MAX = "net.netfilter.nf_conntrack_max"
SET = {f"{ETC}/50-conntrack.conf": f"{MAX} = 262144\n"}


def host(
    config: dict[str, str | None] | None = None, *, built_in: bool | None = False, value: str = "262144", **fields: Any
) -> HostFacts:
    """Return facts with connection tracking; None for `config` where those files were not read."""
    files = None if config is None else tuple(TextFile(path=path, content=text) for path, text in config.items())
    found = facts(sysctl={MAX: value, SOMAXCONN: "128"}, files=SET, **fields)
    conntrack = Conntrack(loaded=True, built_in=built_in, count=10, max=int(value), buckets=65536)
    return found.model_copy(update={"config_files": files, "conntrack": conntrack})


def judged(found: HostFacts) -> Finding:
    wanted = profile(rule(MAX, AtLeast(value="262144")))
    [finding] = audit_host(found, wanted, catalogue()).findings
    return finding


@pytest.mark.parametrize(
    ("config", "late"),
    [
        pytest.param({}, True, id="no file names it"),
        pytest.param({"/etc/modules-load.d/ct.conf": "nf_conntrack\n"}, False, id="a file names it"),
        pytest.param(
            {"/usr/lib/modules-load.d/ct.conf": "nf-conntrack\n"}, False, id="with the other dash, by a package"
        ),
        pytest.param({"/etc/modules-load.d/ct.conf": "# nf_conntrack\n; nf_conntrack\n"}, True, id="in comments only"),
        pytest.param({"/etc/modules-load.d/ct.conf": "nf_conntrack_ftp\n"}, True, id="another module"),
        pytest.param(
            {"/etc/modules-load.d/ct.conf": "\n", "/usr/lib/modules-load.d/ct.conf": "nf_conntrack\n"},
            True,
            id="in a file that an empty one hides",
        ),
        pytest.param({"/etc/modules": "nf_conntrack\n"}, True, id="in a list that systemd does not read"),
        pytest.param({"/etc/modules-load.d/modules.conf": "nf_conntrack\n"}, False, id="in that list by its link"),
    ],
)
def test_a_module_is_late_unless_it_is_loaded_by_name(config: dict[str, str], late: bool) -> None:
    assert loaded_late(catalogue()[MAX], host(config)) == ("nf_conntrack" if late else None)


def test_without_systemd_the_old_list_is_read() -> None:
    assert loaded_late(catalogue()[MAX], host({"/etc/modules": "nf_conntrack\n"}, systemd=False)) is None


def test_what_is_part_of_the_kernel_is_never_late() -> None:
    assert loaded_late(catalogue()[MAX], host(None, built_in=True)) is None


def test_a_setting_of_no_module_is_never_late() -> None:
    assert loaded_late(catalogue()[SOMAXCONN], host({})) is None


def test_a_network_namespace_is_not_booted() -> None:
    assert loaded_late(catalogue()[MAX], host({}, namespace=NetNamespace(child=True, sign="a test"))) is None


@pytest.mark.parametrize(
    ("config", "why"),
    [
        pytest.param(None, "not read", id="the files were not read"),
        pytest.param(
            {"/etc/modules-load.d/ct.conf": None}, "/etc/modules-load.d/ct.conf cannot be read", id="one is closed"
        ),
    ],
)
def test_what_is_not_known_is_not_judged(config: dict[str, str | None] | None, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        loaded_late(catalogue()[MAX], host(config))

    finding = judged(host(config))
    assert isinstance(finding, Unknown)
    assert why in finding.why


def test_a_value_that_only_a_file_gives_back_is_lost_at_boot() -> None:
    finding = judged(host({}))

    assert isinstance(finding, Deviates)
    assert finding.where is Where.BOOT
    assert f"nf_conntrack is loaded after {ETC}/50-conntrack.conf:1 is read" in finding.layers.at_boot.by
    assert "/etc/modules-load.d/" in (finding.lost_at_boot or "")


def test_with_the_module_loaded_first_the_file_counts() -> None:
    assert isinstance(judged(host({"/etc/modules-load.d/ct.conf": "nf_conntrack\n"})), Met)
