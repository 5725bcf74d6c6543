"""Files of a writer that it does not list any more: known by their first line, removed, and given back."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from fake_host import DROPIN, LIMITS, MODULES, UNIT
from filter.owned_files import nofile_files
from module_utils import at_once, changeset
from module_utils.errors import Refused, Stale, Unfinished
from module_utils.request import make_request

ROLE = Path(__file__).resolve().parents[2] / "roles/nofile_limits"
HEADER = "# Written by the role example"
WEB, DB, LOGINS = {"unit": "web", "soft": 4096}, {"unit": "db", "soft": 2048}, [{"domain": "*", "soft": 1024}]
WEB_PATH, DB_PATH = (f"/etc/systemd/system/{name}.service.d/99-tcptune.conf" for name in ("web", "db"))
OURS = nofile_files([WEB], [])[0]["content"].splitlines()[0]


@pytest.fixture
def host(fake):
    """A fake host whose PAM is installed: it has the folder for limits of logins."""
    fake.file(LIMITS).parent.mkdir()
    return fake


def limited(host, units, logins=(), check=False, header=OURS, **more):
    files = nofile_files(units, logins)
    return at_once.apply_and_confirm(host, make_request({}, files=files, exclusive_header=header, **more), check=check)


def shifts(outcome):
    """Return path -> whether it was there before, and is there afterwards."""
    return {shift.path: (shift.now is not None, shift.then is not None) for shift in outcome.files}


def test_the_role_says_the_line_that_its_files_begin_with():
    (task,) = yaml.safe_load((ROLE / "tasks/main.yml").read_text())

    assert task["vars"]["__nofile_limits_header"] == OURS


def test_a_file_goes_once_it_is_not_listed_and_comes_back_byte_for_byte(host):
    limited(host, [WEB, DB], LOGINS)
    before = {path: host.file(path).read_bytes() for path in (WEB_PATH, DB_PATH, LIMITS)}
    host.file(DB_PATH).chmod(0o600)

    told = limited(host, [WEB], check=True)
    assert shifts(told) == {WEB_PATH: (True, True), LIMITS: (True, False), DB_PATH: (True, False)}
    assert (told.changed, host.file(DB_PATH).exists()) == (True, True)
    done = limited(host, [WEB])
    assert shifts(done) == shifts(told)
    assert [host.file(path).exists() for path in (WEB_PATH, DB_PATH, LIMITS)] == [True, False, False]
    assert host.steps[-4:].count("reloaded") == 1
    assert not limited(host, [WEB]).changed

    changeset.rollback(host, done.run)
    assert {path: host.file(path).read_bytes() for path in before} == before
    assert host.file(DB_PATH).stat().st_mode & 0o777 == 0o600


def test_only_what_begins_with_the_very_line_goes(host, tmp_path):
    kept = {
        DROPIN: OURS + "\nnet.core.somaxconn = 7\n",
        DB_PATH: "[Service]\nLimitNOFILE=2048\n",
        UNIT: OURS + " not quite\n[Service]\nLimitNOFILE=2048\n",
        MODULES: "\n" + OURS + "\n",
        "/etc/systemd/system/db.service.d/override.conf": OURS + "\n[Service]\n",
        "/etc/systemd/system/db.socket.d/99-tcptune.conf": OURS + "\n[Socket]\n",
    }
    for path, text in kept.items():
        host.file(path).parent.mkdir(exist_ok=True)
        host.file(path).write_text(text)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "99-tcptune.conf").write_text(OURS + "\n")
    host.file("/etc/systemd/system/linked.service.d").symlink_to(elsewhere)
    link = host.file("/etc/systemd/system/app.service.d/99-tcptune.conf")
    link.parent.mkdir()
    link.symlink_to(elsewhere / "99-tcptune.conf")

    assert not limited(host, []).changed
    limited(host, [WEB])
    gone = limited(host, [])
    assert shifts(gone) == {WEB_PATH: (True, False)}
    assert {path: host.file(path).read_text() for path in kept} == kept
    assert (link.is_symlink(), (elsewhere / "99-tcptune.conf").exists()) == (True, True)


def test_without_the_line_every_file_stays(host):
    limited(host, [WEB, DB])
    limited(host, [WEB], header=None)

    assert host.file(DB_PATH).exists()


def test_a_run_that_waits_is_not_passed_by(host):
    request = make_request({}, files=nofile_files([WEB, DB], []), run="held", exclusive_header=OURS)
    changeset.apply(host, request)

    with pytest.raises(Unfinished, match="run held on this host is held"):
        limited(host, [WEB])
    changeset.confirm(host, "held")
    assert limited(host, [WEB]).changed
    with pytest.raises(Refused, match=r"came after run held and changed .*99-tcptune.conf too"):
        changeset.rollback(host, "held")


def test_a_file_that_another_took_over_before_confirm_is_told_and_left(host):
    limited(host, [WEB, DB])
    changeset.apply(host, make_request({}, files=nofile_files([WEB], []), run="r2", exclusive_header=OURS))
    host.file(DB_PATH).write_text("[Service]\nLimitNOFILE=7777\n")

    with pytest.raises(Stale, match="is no longer the file it was"):
        changeset.confirm(host, "r2")
    assert "7777" in host.file(DB_PATH).read_text()


@pytest.mark.parametrize("header", ["", "[Service]", "# two\n# lines"])
def test_a_line_that_is_no_comment_is_refused(header):
    with pytest.raises(Refused, match="exclusive_header is no line of a comment"):
        make_request({}, exclusive_header=header)


def test_a_file_that_would_not_be_known_again_is_refused():
    with pytest.raises(Refused, match=f"{WEB_PATH} does not begin with exclusive_header") as refused:
        make_request({}, files=nofile_files([WEB], []), exclusive_header=HEADER)

    assert refused.value.hint == f"begin it with the line: {HEADER}"
    # Lines of settings go with their settings.
    make_request({}, files=[{"path": DROPIN, "content": "net.core.somaxconn = 7\n"}], exclusive_header=HEADER)


def test_with_another_line_it_is_another_change():
    one, two = (make_request({}, run="r1", exclusive_header=header) for header in (HEADER, OURS))

    assert one.sha256 != two.sha256 != make_request({}, run="r1").sha256
