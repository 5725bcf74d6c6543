"""Whether our files win, looked at just before they are written."""

from __future__ import annotations

from typing import Any

from tcptune.domain.changes import DROPIN_PATH, MODULES_PATH, Cohort, FileChange
from tcptune.domain.facts import HostFacts
from tcptune.domain.findings import Boot
from tcptune.domain.runs import BootCheck
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tcptune.planning.own_files import modules_text
from tcptune.planning.plan import plan_host
from tcptune.planning.winning import check_at_boot
from tests.unit.builders import ETC, LATER, SOMAXCONN, change, cohort, dropin, facts, profile, rule
from tests.unit.planning.test_late_modules_planned import CONNTRACK
from tests.unit.planning.test_late_modules_planned import host as tracking
from tests.unit.planning.test_limits import ETC as UNITS
from tests.unit.planning.test_limits import LIB, NGINX, limit, of, process
from tests.unit.planning.test_limits import host as listening

KEPT = cohort(changes=(change(SOMAXCONN, "128", "4096"),))


def checked(files: dict[str, str | None] | None = None, of_: Cohort = KEPT, **fields: Any) -> BootCheck:
    return check_at_boot(facts(sysctl={SOMAXCONN: "4096"}, files=files, **fields), of_, catalogue())


def test_our_file_wins_where_nothing_else_speaks_of_it() -> None:
    assert checked({f"{ETC}/60-web.conf": f"{SOMAXCONN} = 128\n"}).said == ()


def test_a_file_that_was_added_since_the_plan_is_named_with_its_value() -> None:
    assert checked({LATER: f"{SOMAXCONN} = 128\n"}).wins == (
        f"{SOMAXCONN}: {LATER}:1 gives 128 at the next boot, not 4096",
    )


def test_a_file_that_wins_under_the_other_loader_alone_is_named_too() -> None:
    found = checked({"/etc/sysctl.conf": f"{SOMAXCONN} = 128\n"})

    assert found.wins == (
        f"{SOMAXCONN}: /etc/sysctl.conf:1 gives 128 at the next boot under the other loader, not 4096",
    )
    assert "under the other loader" not in checked({"/etc/sysctl.conf": f"{SOMAXCONN} = 128\n"}, systemd=False).wins[0]


def test_what_wins_under_the_other_loader_is_in_the_plan_and_then_no_news() -> None:
    files: dict[str, str | None] = {"/etc/sysctl.conf": f"{SOMAXCONN} = 256\n"}
    before = facts(sysctl={SOMAXCONN: "128"}, files=files)
    made, _ = plan_host(before, audit_host(before, profile(rule(SOMAXCONN, "4096")), catalogue()), catalogue())
    [planned] = made.changes

    assert planned.other_loader == Boot(value="256", by="/etc/sysctl.conf:1")
    kept = cohort(changes=made.changes, files=made.files)
    assert checked(files, kept).said == ()
    assert checked({"/etc/sysctl.conf": f"{SOMAXCONN} = 512\n"}, kept).wins != ()


def test_what_won_when_the_plan_was_made_is_no_news() -> None:
    known = cohort(changes=(change(SOMAXCONN, "128", "4096", shadowed_by=f"{LATER}:7"),))

    assert checked({LATER: f"{SOMAXCONN} = 128\n"}, known).said == ()


def test_another_file_that_gave_a_good_value_in_the_plan_is_no_news() -> None:
    by = Boot(value="8192", by=f"{LATER}:1")
    known = cohort(changes=(change(SOMAXCONN, "128", "4096", at_boot=by),))

    assert checked({LATER: f"{SOMAXCONN} = 8192\n"}, known).said == ()
    assert checked({LATER: f"{SOMAXCONN} = 512\n"}, known).wins != ()


def test_what_cannot_be_read_is_said_and_never_fine() -> None:
    assert checked({LATER: None}).unknown == (f"{SOMAXCONN}: at the next boot is not known: {LATER} cannot be read",)
    gone = facts(sysctl={SOMAXCONN: "4096"}).model_copy(update={"gaps": {"sysctl_files": "no answer"}})
    assert check_at_boot(gone, KEPT, catalogue()).unknown == ("what the next boot gives is not known: no answer",)


# Late modules

CHANGE = change(CONNTRACK, "65536", "262144", module="nf_conntrack")
LIST = FileChange(path=MODULES_PATH, before=None, after=modules_text(None, ["nf_conntrack"]))


def test_a_setting_of_a_late_module_wins_with_our_list_of_modules() -> None:
    with_list = cohort(changes=(CHANGE,), files=(LIST, dropin(CHANGE)))
    without = cohort(changes=(CHANGE,), files=(dropin(CHANGE),))

    assert check_at_boot(tracking("262144"), with_list, catalogue()).said == ()
    [lost] = check_at_boot(tracking("262144"), without, catalogue()).wins
    assert f"nf_conntrack is loaded after {DROPIN_PATH}:3 is read" in lost


def test_a_list_that_was_not_read_leaves_the_boot_unknown() -> None:
    unread = tracking("262144").model_copy(update={"config_files": None, "gaps": {"config_files": "no answer"}})
    [said] = check_at_boot(unread, cohort(changes=(CHANGE,), files=(dropin(CHANGE),)), catalogue()).unknown

    assert "when nf_conntrack is loaded is not known: no answer" in said


# Limits


def limited(said: HostFacts) -> Cohort:
    made, _ = plan_host(said, audit_host(said, of(limit()), catalogue()), catalogue())
    return cohort(changes=(), files=made.files, limits=made.limits)


def test_a_drop_in_that_wins_over_ours_by_now_is_named() -> None:
    kept = limited(listening(process()))
    late = f"{UNITS}/{NGINX}.d/zz.conf"

    assert check_at_boot(listening(process()), kept, catalogue()).said == ()
    rival = listening(process(), files={f"{LIB}/{NGINX}": "", late: "[Service]\nLimitNOFILE=2048\n"})
    assert check_at_boot(rival, kept, catalogue()).wins == (
        f"nginx ({NGINX}): {late} gives 2048 at the next start, not 65536",
    )
    low = listening(process(), nr_open=4096)
    assert check_at_boot(low, kept, catalogue()).wins == (
        f"nginx ({NGINX}): fs.nr_open is 4096 at the next start, not 65536",
    )


def test_units_that_were_not_read_leave_the_next_start_unknown() -> None:
    kept = limited(listening(process()))
    unread = listening(process()).model_copy(update={"unit_files": None, "gaps": {"unit_files": "no answer"}})

    assert "no answer" in check_at_boot(unread, kept, catalogue()).unknown[0]


def test_a_login_is_judged_by_our_limits() -> None:
    login = listening(process(1024, 8192, unit="session-4.scope"), files={})
    kept = limited(login)

    assert check_at_boot(login, kept, catalogue()).said == ()
    config: dict[str, str | None] = {"/etc/security/limits.d/zz.conf": "root soft nofile 512\n"}
    rival = listening(process(1024, 8192, unit="session-9.scope"), files={}, config=config)
    assert "zz.conf" in check_at_boot(rival, kept, catalogue()).wins[0]
