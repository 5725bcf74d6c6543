"""The profile that a diagnosis writes is one that `plan` takes, and holds what helps alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tcptune.adapters.profiles import load_profile
from tcptune.detectors import judge
from tcptune.domain.changes import Plan
from tcptune.domain.diagnosis import FleetDiagnosis
from tcptune.knowledge.catalogue import catalogue
from tcptune.reports.fix_profile import overlay
from tcptune.workflows.plan import plan
from tests.unit.builders import NOW, host
from tests.unit.detectors.cases import CASES, Faulty

HELPED = {name: case for name, case in CASES.items() if case.helps}


def fleet(*cases: Faulty) -> FleetDiagnosis:
    return FleetDiagnosis(hosts=tuple(judge(case.sampled) for case in cases))


@pytest.mark.parametrize("case", HELPED.values(), ids=HELPED)
def test_it_is_a_profile_whose_values_the_kernel_takes(case: Faulty, tmp_path: Path) -> None:
    path = tmp_path / "fix.yml"
    path.write_text(overlay(fleet(case)) or "")

    found = load_profile(str(path))

    first = fleet(case).hosts[0].causes[0]
    assert {entry.key for entry in found.entries} >= {setting.key for setting in first.settings}
    assert {entry.key for entry in found.entries} <= set(catalogue())
    assert bool(found.limits) == bool(first.nofile)
    assert all(entry.why and entry.source.startswith("tcptune diagnose: ") for entry in found.entries)


@pytest.mark.parametrize("case", [case for case in CASES.values() if not case.helps], ids=lambda case: case.cause)
def test_where_no_setting_helps_there_is_no_profile_for_the_cause(case: Faulty) -> None:
    first = fleet(case).hosts[0].causes[0]

    assert not first.settings
    if len(fleet(case).hosts[0].causes) == 1:
        assert overlay(fleet(case)) is None


def test_a_plan_brings_the_setting_about(tmp_path: Path) -> None:
    case = CASES["a kernel that resets on overflow"]
    path = tmp_path / "fix.yml"
    path.write_text(overlay(fleet(case)) or "")

    made: Plan = plan([case.sampled.second], [host("web1")], load_profile(str(path)), catalogue(), NOW)

    changes = {change.key: (change.before, change.after) for change in made.cohorts[0].changes}
    assert changes["net.ipv4.tcp_abort_on_overflow"] == ("1", "0")


def test_of_several_values_the_farthest_goes_in() -> None:
    small = CASES["a full connection tracking table"]
    table = small.sampled.second.conntrack
    assert table is not None
    large = small.sampled.second.model_copy(
        update={"conntrack": table.model_copy(update={"count": 500_000, "max": 500_000})}
    )
    other = Faulty(small.cause, small.confidence, small.sampled.model_copy(update={"second": large}))

    found = yaml.safe_load(overlay(fleet(small, other)) or "")

    assert found["settings"]["net.netfilter.nf_conntrack_max"]["at_least"] == 1_000_000


def test_a_range_is_widened_at_both_ends_and_listeners_keep_their_ports() -> None:
    found = yaml.safe_load(overlay(fleet(CASES["a range without a port"])) or "")

    assert found["settings"]["net.ipv4.ip_local_port_range"]["elements"] == [{"at_most": 10240}, {"at_least": 65535}]
    assert found["settings"]["net.ipv4.tcp_tw_reuse"]["exactly"] == "1"


def test_a_process_with_a_name_like_a_pattern_is_left_out() -> None:
    case = CASES["files at the limit, and a full queue behind"]
    diagnosis = fleet(case)
    first = diagnosis.hosts[0].causes[0]
    assert first.nofile is not None
    wild = first.model_copy(update={"nofile": first.nofile.model_copy(update={"process": "*"}), "settings": ()})
    host_ = diagnosis.hosts[0].model_copy(update={"causes": (wild,)})

    assert overlay(FleetDiagnosis(hosts=(host_,))) is None
