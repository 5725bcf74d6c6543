"""Limits in the reports of an audit and of a plan."""

from __future__ import annotations

from datetime import date

import pytest

from tcptune.domain.profile import Profile, Waiver
from tcptune.knowledge.catalogue import catalogue
from tcptune.reports import FORMATS
from tcptune.workflows.audit import audit
from tcptune.workflows.plan import plan
from tests.unit.builders import NOW, SOMAXCONN, host, rule
from tests.unit.conftest import Golden
from tests.unit.planning.test_limits import LIB, NGINX, limit, of, process
from tests.unit.planning.test_limits import host as listening

PROFILE = of(
    limit(65536, "nginx", "odd", why="each connection is a file " * 6),
    limit(8192, "sshd"),
    limit(4096, "java"),
    waivers=(Waiver(key="limits.nofile", hosts="waived", who="ada", until=date(2027, 1, 31), why="moves | <b>"),),
).model_copy(update={"name": "web"})
FITS = {f"{LIB}/{NGINX}": "[Service]\nLimitNOFILE=65536\n"}
HOSTS = [
    *(
        listening(process(open_files=1000), process(name="odd", unit=None, pid=2), host=f"web{n}", nr_open=20000)
        for n in (1, 2)
    ),
    listening(process(70000, 70000), host="late"),
    listening(process(524288, 524288), host="raises"),
    listening(process(70000, 70000), files=FITS, host="unseen", unowned=1, user="1000"),
    listening(process(70000, 70000), files=FITS, host="fine"),
    listening(process(), host="waived"),
    *(listening(process(), host=f"app{n}") for n in range(1, 6)),
    listening(process(1024, 8192, unit="session-4.scope"), files={}, host="login"),
    listening(host="closed").model_copy(update={"listeners": None, "gaps": {"listeners": "no ss"}}),
]
AUDIT = audit(HOSTS, PROFILE, catalogue(), today=NOW.date())
PLAN = plan(HOSTS, [host(one.host) for one in HOSTS], PROFILE, catalogue(), NOW)
SUFFIX = {"terminal": "txt", "markdown": "md"}


@pytest.mark.parametrize("format_", SUFFIX)
@pytest.mark.parametrize(("name", "result"), [("audit", AUDIT), ("plan", PLAN)], ids=["audit", "plan"])
def test_a_report_of_limits_reads_like_this(name: str, result: object, format_: str, golden: Golden) -> None:
    golden(f"reports/limits_{name}.{SUFFIX[format_]}", FORMATS[format_](result))


def test_a_limit_makes_its_host_deviate_and_an_unknown_one_makes_it_undecided() -> None:
    assert [one.host for one in AUDIT.deviating] == [
        *("app1", "app2", "app3", "app4", "app5"),
        "late",
        "login",
        "web1",
        "web2",
    ]
    assert [one.host for one in AUDIT.undecided] == ["closed", "unseen"]


def test_the_json_of_an_audit_holds_every_outcome_and_is_read_again() -> None:
    said = FORMATS["json"](AUDIT)

    assert type(AUDIT).model_validate_json(said) == AUDIT
    for outcome in ("met", "deviates", "not_applicable", "unknown", "waived"):
        assert f'"outcome": "{outcome}"' in said


def test_an_audit_of_before_limits_is_read_still() -> None:
    old = AUDIT.model_dump(mode="json")
    for one in old["hosts"]:
        del one["limits"]

    assert type(AUDIT).model_validate(old).deviating == ()


def test_a_plan_of_limits_alone_has_cohorts_and_says_which_limits_it_leaves_out() -> None:
    apps = tuple(f"app{n}" for n in range(1, 6))

    assert [one.hosts for one in PLAN.cohorts] == [apps, ("late",), ("login",)]
    assert {one.host for one in PLAN.out_of_reach} == {"web1", "web2"}
    assert PLAN.fine == ("fine", "raises")
    assert PLAN.undecided


def test_what_is_said_of_limits_is_part_of_the_plans_id() -> None:
    fewer = plan(HOSTS[1:], [host(one.host) for one in HOSTS], PROFILE, catalogue(), NOW)

    assert fewer.plan_id != PLAN.plan_id


@pytest.mark.parametrize("format_", SUFFIX)
def test_nothing_is_said_of_limits_where_none_is_asked_for(format_: str) -> None:
    silent = Profile(name="web", summary="", origin="here", entries=(rule(SOMAXCONN),), digest="d" * 64)
    shown = FORMATS[format_](audit([listening(process())], silent, catalogue()))

    assert "nofile" not in shown
    assert "limit" not in shown
