"""Limits in a plan: which files of ours bring them about, and what is left to a person."""

from __future__ import annotations

from typing import Any

import pytest

from tcptune.domain.changes import DROPIN_PATH, LIMITS_PATH, HostPlan, SkipKind, Skipped
from tcptune.domain.demands import AtLeast
from tcptune.domain.facts import HostFacts
from tcptune.domain.profile import LimitEntry
from tcptune.domain.state import TextFile, UnitFile
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tcptune.planning.own_files import limits_text, unit_path, unit_text, with_files
from tcptune.planning.plan import moved, plan_host
from tests.unit.builders import cohort, rule
from tests.unit.planning.test_limits import ETC, LIB, NGINX, host, limit, of, process, unit

OURS = f"{ETC}/{NGINX}.d/99-tcptune.conf"


def planned(said: HostFacts, *limits: LimitEntry, nr_open: str | None = None) -> tuple[HostPlan, tuple[Skipped, ...]]:
    wanted = of(*(limits or (limit(),)))
    if nr_open is not None:
        wanted = wanted.model_copy(update={"entries": (rule("fs.nr_open", AtLeast(value=nr_open)),)})
    return plan_host(said, audit_host(said, wanted, catalogue()), catalogue())


def with_ours(said: HostFacts, content: str, size: int | None, *, mask: bool = False) -> HostFacts:
    """Return the host with a drop-in at our place, as the probe tells of it."""
    assert said.unit_files is not None
    file = UnitFile(path=OURS, content=content, size_bytes=size, mask=mask)
    files = (*said.unit_files.files, file)
    return said.model_copy(update={"unit_files": said.unit_files.model_copy(update={"files": files})})


def earlier(value: str, **fields: Any) -> HostFacts:
    """Return a host on which an earlier run left our drop-in."""
    return with_ours(host(process(), **fields), f"[Service]\nLimitNOFILE={value}\n", len(unit_text(value)))


# Services


def test_a_limit_of_a_service_becomes_a_drop_in_of_ours_and_a_plan_of_files_alone() -> None:
    made, skipped = planned(host(process()))
    [change], [file] = made.limits, made.files

    assert (made.changes, skipped) == ((), ())
    assert (change.process, change.unit, change.path, change.layers.soft) == ("nginx", NGINX, OURS, 1024)
    assert (file.path, file.before, file.before_sha256) == (OURS, None, "absent")
    assert file.after.endswith("\n[Service]\nLimitNOFILE=65536:524288\n")
    assert [one.do for one in made.afterwards] == [f"systemctl restart {NGINX}"]


def test_our_drop_in_holds_what_a_host_takes_of_it() -> None:
    [file] = planned(host(process(1024, 4096), files=unit("4096")))[0].files
    lines = [line for line in file.after.splitlines() if not line.startswith("#")]

    assert lines == ["[Service]", "LimitNOFILE=65536"]


def test_once_written_it_is_what_the_next_start_gives_and_nothing_is_planned_again() -> None:
    said = host(process())
    written = with_files(said, planned(said)[0].files)
    made, [left] = planned(written)

    assert (made.files, made.limits) == ((), ())
    assert left.why.endswith(f"By hand: systemctl daemon-reload; systemctl restart {NGINX}")


def test_a_service_that_has_enough_now_is_planned_for_its_next_start_and_needs_no_restart() -> None:
    made, _ = planned(host(process(65536, 65536)))

    assert [file.path for file in made.files] == [OURS]
    assert made.afterwards == ()


def test_two_programs_of_one_unit_get_the_higher_of_their_limits() -> None:
    here = host(process(), process(name="helper", pid=911))
    made, _ = planned(here, limit(65536, "nginx"), limit(8192, "helper"))

    assert [change.process for change in made.limits] == ["helper", "nginx"]
    assert [file.after.splitlines()[-1] for file in made.files] == ["LimitNOFILE=65536:524288"]


def test_a_drop_in_of_an_earlier_run_is_known_to_the_byte() -> None:
    made, _ = planned(earlier("4096:524288"))

    assert made.files[0].before == unit_text("4096:524288")


@pytest.mark.parametrize(
    ("content", "size", "mask"),
    [
        ("[Service]\nLimitNOFILE=4096\n", len(unit_text("4096")) + 9, False),
        ("[Service]\nLimitNOFILE=4096\n", None, False),
        ("[Service]\nLimitNOFILE=4096\nLimitNOFILE=8192\n", len(unit_text("4096")), False),
        ("[Service]\nLimitNOFILE=?\n", 80, False),
        ("", 0, True),
    ],
    ids=["more in it", "nobody measured it", "a line more", "no number", "a mask"],
)
def test_a_drop_in_at_our_place_that_is_not_ours_is_left_to_a_person(
    content: str, size: int | None, mask: bool
) -> None:
    said = with_ours(host(process()), content, size, mask=mask)
    made, [left] = planned(said)

    assert made.files == ()
    assert f"{OURS} is not as tcptune wrote it" in left.why
    assert left.kind is SkipKind.OUT_OF_REACH


def test_a_drop_in_that_wins_over_ours_leaves_it_to_a_person() -> None:
    late = f"{ETC}/{NGINX}.d/zz.conf"
    made, [left] = planned(host(process(), files={f"{LIB}/{NGINX}": "", late: "[Service]\nLimitNOFILE=2048\n"}))

    assert made.files == ()
    assert "By hand: set LimitNOFILE=65536:2048" not in left.why
    assert f"in {late}, which wins over {OURS}" in left.why


def test_a_unit_that_a_boot_does_not_find_gets_no_drop_in() -> None:
    made, [left] = planned(host(process(), files={f"/run/systemd/transient/{NGINX}": "[Service]\n"}))

    assert made.files == ()
    assert "where nginx is started" in left.why


def test_a_unit_whose_name_the_host_would_refuse_is_left_to_a_person() -> None:
    name = "web-.service"
    made, [left] = planned(host(process(unit=name), files={f"{LIB}/{name}": "[Service]\n"}))

    assert made.files == ()
    assert f"write {unit_path(name)} by hand" in left.why


def test_an_escaped_name_of_a_unit_is_one_that_the_host_takes() -> None:
    name = r"web\x2dfront@a.service"
    made, _ = planned(host(process(unit=name), files={f"{LIB}/{name}": "[Service]\n"}))

    assert [file.path for file in made.files] == [unit_path(name)]


def test_a_limit_lower_than_any_file_of_ours_may_say_is_left_to_a_person() -> None:
    made, [left] = planned(host(process(64, 64), files=unit("64")), limit(512))

    assert made.files == ()
    assert "no file of ours says less than 1024" in left.why


# fs.nr_open


def test_what_fs_nr_open_forbids_is_planned_where_the_profile_raises_it() -> None:
    made, skipped = planned(host(process(1024, 20000), nr_open=20000), nr_open="65536")

    assert skipped == ()
    assert [(c.key, c.after) for c in made.changes] == [("fs.nr_open", "65536")]
    assert [file.path for file in made.files] == [DROPIN_PATH, OURS]
    assert made.files[1].after.endswith("LimitNOFILE=65536\n")


@pytest.mark.parametrize("raised", [None, "30000"], ids=["not at all", "not enough"])
def test_what_fs_nr_open_forbids_is_not_planned_where_the_profile_does_not_raise_it(raised: str | None) -> None:
    made, [left] = planned(host(process(1024, 20000), nr_open=20000), nr_open=raised)

    assert made.limits == ()
    assert "Not planned: fs.nr_open is 20000, and this plan does not raise it to 65536" in left.why


def test_an_fs_nr_open_that_was_not_read_may_forbid_it() -> None:
    said = host(process())
    made, [left] = planned(said.model_copy(update={"sysctl": {}}))

    assert made.files == ()
    assert "fs.nr_open is not known" in left.why


# Logins


def login(config: dict[str, str | None] | None = None, **fields: Any) -> HostFacts:
    given = {"unit": "session-4.scope", "uid": 0, **fields}
    return host(process(1024, 8192, **given), files={}, config=config)


def test_a_program_of_a_login_of_root_gets_a_line_of_limits_d() -> None:
    made, skipped = planned(login({"/etc/security/limits.conf": "root soft nofile 2048\n"}))
    [change], [file] = made.limits, made.files

    assert skipped == ()
    assert (change.unit, change.path, file.before) == (None, LIMITS_PATH, None)
    lines = [line for line in file.after.splitlines() if not line.startswith("#")]
    assert lines == ["root hard nofile 65536", "root soft nofile 65536"]
    assert [one.do for one in made.afterwards] == ["log in again, and start nginx again from there"]


def test_lines_about_others_stay_in_our_limits() -> None:
    before = limits_text(None, "web", 4096, 8192) + "@dev - nofile unlimited\n"
    made, _ = planned(login({LIMITS_PATH: before}))

    assert made.files[0].before == before
    assert "web soft nofile 4096\n" in made.files[0].after
    # The host takes plain numbers alone.
    assert "unlimited" not in made.files[0].after


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        ({}, {"uid": 1000}),
        ({}, {"unit": None}),
        ({"/etc/security/limits.d/zz-local.conf": "root soft nofile 512\n"}, {}),
        ({"/etc/security/limits.d/zz-local.conf": ""}, {}),
        ({"/etc/security/limits.d/50-x.conf": None}, {}),
    ],
    ids=["another user", "no login", "a later file", "a later file that may", "a file that is closed"],
)
def test_where_our_line_does_not_certainly_decide_it_is_left_to_a_person(
    config: dict[str, str | None], fields: dict[str, Any]
) -> None:
    made, [left] = planned(login(config, **fields))

    assert made.files == ()
    assert "limits.d for sessions of PAM" in left.why


# A host that moved


def test_a_drop_in_that_appeared_since_is_a_move() -> None:
    made, _ = planned(host(process()))
    kept = cohort(changes=(), files=made.files, limits=made.limits)

    assert moved(kept, host(process())) is None
    assert moved(kept, earlier("4096")) == f"{OURS} is not the file the plan was made for"
    assert "is not as tcptune wrote it" in (moved(kept, with_ours(host(process()), "", 3)) or "")


def test_files_that_were_not_read_again_are_not_unchanged() -> None:
    made, _ = planned(host(process()))
    kept = cohort(changes=(), files=made.files, limits=made.limits)
    unread = host(process()).model_copy(update={"unit_files": None, "gaps": {"unit_files": "the answer is odd"}})

    assert moved(kept, unread) == f"{OURS} is not known: the answer is odd"
    said = host(process())
    assert said.unit_files is not None
    silent = said.model_copy(update={"unit_files": said.unit_files.model_copy(update={"units": ()})})
    assert "no service listens" in (moved(kept, silent) or "")


def test_limits_and_lists_that_were_not_read_again_are_not_unchanged() -> None:
    made, _ = planned(login())
    kept = cohort(changes=(), files=made.files, limits=made.limits)

    assert moved(kept, login()) is None
    assert moved(kept, login({LIMITS_PATH: "mine\n"})) == f"{LIMITS_PATH} is not the file the plan was made for"
    assert moved(kept, login({LIMITS_PATH: None})) == f"{LIMITS_PATH} cannot be read"
    gone = login().model_copy(update={"config_files": None, "gaps": {"config_files": "no answer"}})
    assert moved(kept, gone) == f"{LIMITS_PATH} is not known: no answer"
    closed = login().model_copy(
        update={"config_files": (TextFile(path="/etc/security/limits.d/*.conf", content=None),)}
    )
    assert moved(kept, closed) == "/etc/security/limits.d/*.conf cannot be read"
