"""The profile that a diagnosis writes is one that `plan` takes, and holds what helps alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tcptune.adapters.profiles import load_profile
from tcptune.detectors import judge
from tcptune.domain.causes import Confidence
from tcptune.domain.changes import Plan
from tcptune.domain.diagnosis import FleetDiagnosis
from tcptune.domain.facts import Unread
from tcptune.domain.findings import LimitDeviates, LimitNotApplicable
from tcptune.domain.samples import Sampled
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tcptune.reports.fix_profile import overlay
from tcptune.workflows.plan import plan
from tests.unit.builders import NOW, host
from tests.unit.detectors.case import Faulty
from tests.unit.detectors.cases import CASES
from tests.unit.detectors.hosts import sampled

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


def named(case: Faulty, host_name: str) -> Faulty:
    first, second = (one.model_copy(update={"host": host_name}) for one in (case.sampled.first, case.sampled.second))
    return case._replace(sampled=Sampled(first=first, second=second))


def larger(small: Faulty) -> Faulty:
    table = small.sampled.second.conntrack
    assert table is not None
    large = small.sampled.second.model_copy(
        update={"conntrack": table.model_copy(update={"count": 500_000, "max": 500_000})}
    )
    return Faulty(small.cause, small.confidence, small.sampled.model_copy(update={"second": large}))


FULL_TABLE = CASES["a full connection tracking table"]
WELL = Faulty("", Confidence.HIGH, sampled())


def test_a_plan_changes_the_hosts_that_were_found_ill_and_no_other(tmp_path: Path) -> None:
    ill = [named(CASES["a kernel that resets on overflow"], "web1"), named(larger(FULL_TABLE), "web[2]")]
    ill.append(named(FULL_TABLE, "web3"))
    path = tmp_path / "fix.yml"
    path.write_text(overlay(fleet(*ill, named(WELL, "web4"))) or "")
    # The ill settings on all of them: a value that helps one host must not reach another.
    there = [one.sampled.second for one in (*ill, named(ill[0], "web4"))]

    made = plan(there, [host(one.host) for one in there], load_profile(str(path)), catalogue(), NOW)

    changed = {
        name: {change.key: change.after for change in cohort.changes}
        for cohort in made.cohorts
        for name in cohort.hosts
    }
    most = "net.netfilter.nf_conntrack_max"
    assert changed == {
        "web1": {"net.ipv4.tcp_abort_on_overflow": "0"},
        "web[2]": {most: "1000000"},
        "web3": {most: "524288"},
    }
    assert made.fine == ("web4",)


def test_a_limit_is_for_the_hosts_whose_process_has_reached_it(tmp_path: Path) -> None:
    full = CASES["files at the limit, and a full queue behind"]
    path = tmp_path / "fix.yml"
    path.write_text(overlay(fleet(named(full, "app1"), named(WELL, "app2"))) or "")

    for name, expected in {"app1": [LimitDeviates], "app2": [LimitNotApplicable]}.items():
        found = audit_host(named(full, name).sampled.second, load_profile(str(path)), catalogue())
        assert [type(one) for one in found.limits] == expected


def test_hosts_that_need_the_same_share_an_entry() -> None:
    found = yaml.safe_load(overlay(fleet(*(named(FULL_TABLE, name) for name in ("web1", "web2")))) or "")

    [entry] = found["settings"]["net.netfilter.nf_conntrack_max"]
    assert (entry["at_least"], entry["when"]) == (524288, {"hosts": ["web1", "web2"]})


def test_what_led_to_a_value_stands_above_it() -> None:
    unread = Unread(host="db1", error="timed out")
    part = named(Faulty("", Confidence.HIGH, sampled(first={"kernel_log": None})), "web2")
    ill = named(CASES["a kernel that resets on overflow"], "web1")
    found = fleet(ill, part).model_copy(update={"unread": (unread,)})

    text = overlay(found) or ""

    assert "# Made by tcptune diagnose for 1 of 3 hosts: web1\n" in text
    assert "# Could not be read, so not in here whatever they need: db1\n" in text
    assert "# Not judged in full, so more may be needed there: web2\n" in text
    comment = text.partition("  net.ipv4.tcp_abort_on_overflow:\n")[2].partition("    - exactly:")[0]
    assert comment.startswith("    # web1: listen.abort_on_overflow (high): net.ipv4.tcp_abort_on_overflow 1;")
    assert "TcpExt.ListenOverflows 30 per second, bound 0.1;" in re.sub(r"\n +#  ", "", comment)


def test_no_name_of_a_host_or_a_process_ends_a_comment() -> None:
    ill = fleet(named(FULL_TABLE, "web1\nsettings: {}\u2028- x"))

    text = overlay(ill) or ""

    assert set(yaml.safe_load(text)["settings"]) == {
        "net.netfilter.nf_conntrack_max",
        "net.netfilter.nf_conntrack_buckets",
    }
    assert yaml.safe_load(text)["settings"]["net.netfilter.nf_conntrack_max"][0]["when"] == {
        "hosts": ["web1\nsettings: {}\u2028- x"]
    }


def test_a_range_is_widened_at_both_ends_and_listeners_keep_their_ports() -> None:
    found = yaml.safe_load(overlay(fleet(CASES["a range without a port"])) or "")

    assert found["settings"]["net.ipv4.ip_local_port_range"][0]["elements"] == [{"at_most": 10240}, {"at_least": 65535}]
    assert found["settings"]["net.ipv4.tcp_tw_reuse"][0]["exactly"] == "1"


def test_a_process_with_a_name_like_a_pattern_is_left_out() -> None:
    case = CASES["files at the limit, and a full queue behind"]
    diagnosis = fleet(case)
    first = diagnosis.hosts[0].causes[0]
    assert first.nofile is not None
    wild = first.model_copy(update={"nofile": first.nofile.model_copy(update={"process": "*"}), "settings": ()})
    host_ = diagnosis.hosts[0].model_copy(update={"causes": (wild,)})

    assert overlay(FleetDiagnosis(hosts=(host_,))) is None
