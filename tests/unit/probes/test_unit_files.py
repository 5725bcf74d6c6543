"""What a host says of its services' limits, by every shell: files in a tree of their own, no systemd needed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tcptune.domain.limits import UNIT_FOLDERS
from tcptune.domain.state import UnitAlias, UnitFiles
from tcptune.probes import unit_files
from tests.unit.probes.test_shells import _NOBODY, Shell, shell, tree

__all__ = ["shell", "tree"]

_HOST_PATH = re.compile(r"(?<![\w/.])/(?=(?:etc|run|usr|lib|proc)\b)")
LIB = "usr/lib/systemd/system"
ETC = "etc/systemd/system"
SECRETS = "hunter2"


def write(tree: Path, path: str, text: str) -> Path:
    file = tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def answer(shell: Shell, tree: Path, *cgroups: str) -> str:
    """Run the probe for processes of these control groups."""
    for pid, cgroup in enumerate(cgroups, start=101):
        write(tree, f"proc/{pid}/cgroup", cgroup + "\n")
    script = _HOST_PATH.sub(f"{tree}/", unit_files.SCRIPT)
    pids = " ".join(str(pid) for pid, _ in enumerate(cgroups, start=101))
    root = os.geteuid() == 0
    done = subprocess.run(
        [*shell, "-c", f"probe() {{\n{script}\n}}\npids='{pids}'\nprobe"],
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
        cwd="/",
        user=_NOBODY if root else None,
        group=_NOBODY if root else None,
        extra_groups=[] if root else None,
    )
    assert done.stderr == ""
    return done.stdout.replace(str(tree), "")


def read(shell: Shell, tree: Path, *cgroups: str) -> UnitFiles:
    return unit_files.parse(answer(shell, tree, *(cgroups or ("0::/system.slice/web.service",))).splitlines())


def contents(found: UnitFiles) -> dict[str, str | None]:
    return {file.path: file.content for file in found.files}


def test_of_a_unit_only_its_limit_leaves_the_host(shell: Shell, tree: Path) -> None:
    write(
        tree,
        f"{LIB}/web.service",
        f"[Unit]\nDescription={SECRETS}\n[Service]\nEnvironment=PASSWORD={SECRETS}\nExecStart=/bin/web {SECRETS}\n"
        f"LimitNOFILE=4096\n# LimitNOFILE={SECRETS}\nEnvironment=A=1 \\\n  LimitNOFILE={SECRETS} \\\n[{SECRETS}]\n"
        f"LimitNOFILE=5 {SECRETS}\nLimitNOFILE={SECRETS}-\n[X {SECRETS}]\n",
    )
    said = answer(shell, tree, "0::/system.slice/web.service")

    assert SECRETS not in said
    assert contents(unit_files.parse(said.splitlines())) == {
        f"/{LIB}/web.service": "[Unit]\n[Service]\nLimitNOFILE=4096\nLimitNOFILE=?\nLimitNOFILE=?\n[]\n"
    }


# What systemd 252 makes of each of these was looked at with `systemd --test`; see planning/test_next_start.py.
@pytest.mark.parametrize(
    ("written", "passed_on"),
    [
        ("LimitNOFILE=4096", "LimitNOFILE=4096\n"),
        ("  LimitNOFILE  =  1000:2000  ", "LimitNOFILE=1000:2000\n"),
        ("LimitNOFILE=", "LimitNOFILE=\n"),
        ("LimitNOFILE=64K\r", "LimitNOFILE=64K\n"),
        ("LimitNOFILE=4096 # x", "LimitNOFILE=?\n"),
        ("LimitNOFILE=40\\\n96", "LimitNOFILE=?\n"),
        ("LimitNOFILE=\\\n# comment\n4097", "LimitNOFILE=4097\n"),
        ("limitnofile=4098", ""),
        ("; LimitNOFILE=1\n#LimitNOFILE=2", ""),
        ("Environment=A=\\\n#LimitNOFILE=1\\\nLimitNOFILE=9", ""),
        ("Environment=A=\\\n# c\nLimitNOFILE=9", ""),
        ("Environment=A=\\\n\nLimitNOFILE=71", "LimitNOFILE=71\n"),
        ("# c \\\nLimitNOFILE=73", "LimitNOFILE=73\n"),
        ("Environment=A \\\nB\nLimitNOFILE=5", "LimitNOFILE=5\n"),
    ],
)
def test_lines_are_told_apart_as_systemd_does(shell: Shell, tree: Path, written: str, passed_on: str) -> None:
    write(tree, f"{LIB}/web.service", f"[Service]\n{written}\n")
    found = contents(read(shell, tree))[f"/{LIB}/web.service"]

    assert found == (f"[Service]\n{passed_on}" if "LimitNOFILE" in written else "")


def test_the_files_of_a_unit_its_template_and_all_drop_ins_are_named_in_the_order_of_the_folders(
    shell: Shell, tree: Path
) -> None:
    write(tree, f"{LIB}/db@.service", "[Service]\n")
    write(tree, f"{ETC}/db@main.service", "[Service]\n")
    write(tree, f"{ETC}/db@.service.d/10.conf", "[Service]\nLimitNOFILE=1\n")
    write(tree, f"{LIB}/service.d/10.conf", "[Service]\n")
    write(tree, "run/systemd/system/db@main.service.d/with space.conf", "[Service]\nLimitNOFILE=2\n")
    write(tree, f"{ETC}/db@main.service.d/README", "LimitNOFILE=3\n")
    write(tree, f"{LIB}/other.service", "[Service]\n")
    found = read(shell, tree, "0::/system.slice/system-db.slice/db@main.service")

    assert found.units == ("db@main.service",)
    assert contents(found) == {
        f"/{ETC}/db@.service.d/10.conf": "[Service]\nLimitNOFILE=1\n",
        f"/{ETC}/db@main.service": "",
        "/run/systemd/system/db@main.service.d/with space.conf": "[Service]\nLimitNOFILE=2\n",
        f"/{LIB}/service.d/10.conf": "",
        f"/{LIB}/db@.service": "",
    }


def test_a_mask_is_told_from_a_file(shell: Shell, tree: Path) -> None:
    write(tree, f"{LIB}/web.service", "[Service]\n")
    folder = tree / ETC / "web.service.d"
    folder.mkdir(parents=True)
    (folder / "10.conf").symlink_to("/dev/null")
    (folder / "20.conf").touch()
    (folder / "30.conf").symlink_to("/nonexistent")
    (folder / "40.conf").mkdir()

    assert {file.path: file.mask for file in read(shell, tree).files} == {
        f"/{ETC}/web.service.d/10.conf": True,
        f"/{ETC}/web.service.d/20.conf": True,
        f"/{ETC}/web.service.d/30.conf": True,
        f"/{LIB}/web.service": False,
    }


def test_another_name_of_a_unit_is_told_where_there_are_drop_ins_under_it(shell: Shell, tree: Path) -> None:
    service = write(tree, f"{LIB}/ssh.service", "[Service]\n")
    write(tree, f"{ETC}/sshd.service.d/10.conf", "[Service]\nLimitNOFILE=7\n")
    write(tree, f"{ETC}/other.service.d/10.conf", "[Service]\n")
    (tree / ETC / "sshd.service").symlink_to(service)
    (tree / ETC / "plain.service").symlink_to(service)

    assert read(shell, tree, "0::/system.slice/ssh.service").aliases == (
        UnitAlias(unit="ssh.service", name="sshd.service"),
    )


def test_what_this_login_may_not_read_is_named(shell: Shell, tree: Path) -> None:
    write(tree, f"{LIB}/web.service", "[Service]\nLimitNOFILE=1\n").chmod(0)
    write(tree, f"{ETC}/web.service.d/10.conf", "[Service]\n").parent.chmod(0)
    if os.geteuid() != 0 and os.access(tree / LIB / "web.service", os.R_OK):
        pytest.skip("this login may read everything")
    try:
        found = contents(read(shell, tree))
    finally:
        (tree / ETC / "web.service.d").chmod(0o755)

    assert found == {f"/{ETC}/web.service.d/*.conf": None, f"/{LIB}/web.service": None}


@pytest.mark.parametrize(
    ("cgroup", "units"),
    [
        ("0::/system.slice/web.service", ("web.service",)),
        ("0::/system.slice/web.service/worker", ("web.service",)),
        ("9:name=systemd:/system.slice/web.service", ("web.service",)),
        (r"0::/system.slice/a\x2db.service", (r"a\x2db.service",)),
        ("0::/user.slice/user-1000.slice/session-3.scope", ()),
        ("0::/", ()),
        ("0::/system.slice/$(echo no)*.service", ("no)*.service",)),
    ],
)
def test_units_are_named_by_the_control_group(shell: Shell, tree: Path, cgroup: str, units: tuple[str, ...]) -> None:
    write(tree, f"{LIB}/web.service", "[Service]\n")
    said = [line for line in answer(shell, tree, cgroup, cgroup).splitlines() if line.startswith("unit ")]

    assert len(said) == len(units)
    assert [line.split()[-1] for line in said] == list(units)


def test_without_a_service_that_listens_nothing_is_looked_at(shell: Shell, tree: Path) -> None:
    write(tree, f"{ETC}/web.service.d/10.conf", "[Service]\nLimitNOFILE=1\n")

    assert answer(shell, tree, "0::/") == answer(shell, tree) == ""


@pytest.mark.parametrize("folder", UNIT_FOLDERS)
def test_every_folder_of_units_is_read(shell: Shell, tree: Path, folder: str) -> None:
    if folder.startswith("/lib/"):
        (tree / "lib").unlink()
    write(tree, f"{folder[1:]}/web.service", "[Service]\nLimitNOFILE=8\n")

    assert contents(read(shell, tree)) == {f"{folder}/web.service": "[Service]\nLimitNOFILE=8\n"}


@pytest.mark.parametrize("line", ["|LimitNOFILE=1", "in /etc/a", "file a", "alias a", "unit", "other"])
def test_a_line_that_is_none_of_ours_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="unexpected line"):
        unit_files.parse([line])


def test_a_drop_in_of_ours_is_measured_and_no_other(shell: Shell, tree: Path) -> None:
    ours = "# \u00e4 comment\n[Service]\nLimitNOFILE=65536:524288\n"
    write(tree, f"{LIB}/web.service", "[Service]\n")
    write(tree, f"{ETC}/web.service.d/99-tcptune.conf", ours)
    write(tree, f"{ETC}/web.service.d/90-other.conf", "[Service]\nLimitNOFILE=4096\n")
    found = {file.path: file for file in read(shell, tree).files}

    mine = found[f"/{ETC}/web.service.d/99-tcptune.conf"]
    assert (mine.content, mine.size_bytes) == ("[Service]\nLimitNOFILE=65536:524288\n", len(ours.encode()))
    assert [file.size_bytes for path, file in found.items() if "99-tcptune" not in path] == [None, None]
