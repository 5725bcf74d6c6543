from __future__ import annotations

import os
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tcptune.domain.host_runs import HostRun, HostRuns
from tcptune.probes import ON_REQUEST, PROBES, REQUIRED, runs
from tcptune.probes.closed import Closed
from tcptune.probes.script import assemble, parse
from tests.unit.builders import NOW, SOMAXCONN, answer

NOBODY = 65534
MANIFEST = '{\n  "run": "r1",\n  "boot_id": "b0",\n  "keys": []\n}\n'


def record(root: Path, name: str, **files: str) -> Path:
    folder = root / "runs" / name
    folder.mkdir(parents=True)
    for file, text in files.items():
        (folder / file.replace("_json", ".json")).write_text(text)
    return folder


def look(root: Path, shell: str = "sh", user: int | None = None) -> HostRuns:
    script = runs.SCRIPT.replace("/var/lib/tcptune", str(root))
    script = script.replace(" /var /var/lib ", f" {root.parent.parent} {root.parent} ")
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=True, user=user)
    assert done.stderr == ""
    return runs.parse(done.stdout.replace(str(root), "/var/lib/tcptune").splitlines())


def test_a_host_on_which_nothing_ever_ran_has_no_runs(tmp_path: Path) -> None:
    assert look(tmp_path / "tcptune") == HostRuns()
    (tmp_path / "tcptune").mkdir()
    assert look(tmp_path / "tcptune") == HostRuns()


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_every_record_is_read_with_its_last_state(tmp_path: Path, shell: str) -> None:
    record(tmp_path, "r1", state="prepared 2026-03-02T10:00:00Z\nheld 2026-03-02T10:00:01Z\n", manifest_json=MANIFEST)
    record(tmp_path, "r2", state="reverted 2026-03-03T10:00:00Z\n", deadline="120\nb1\n2026-03-03T10:02:00Z\n")
    record(tmp_path, ".draft", state="prepared 2026-03-02T10:00:00Z\n")

    assert look(tmp_path, shell).runs == (
        HostRun(run="r1", state="held", since=datetime(2026, 3, 2, 10, 0, 1, tzinfo=UTC), boot_id="b0"),
        HostRun(
            run="r2",
            state="reverted",
            since=datetime(2026, 3, 3, 10, tzinfo=UTC),
            boot_id=None,
            deadline=datetime(2026, 3, 3, 10, 2, tzinfo=UTC),
        ),
    )


@pytest.mark.parametrize(("pid", "alive"), [("1", True), ("4194305", False)])
def test_a_timer_that_is_a_process_is_alive_while_the_process_is(tmp_path: Path, pid: str, alive: bool) -> None:
    record(tmp_path, "r1", state="held 2026-03-02T10:00:00Z\n", timer=f"process {pid} 1 b0 1\n")

    assert look(tmp_path).runs[0].timer_alive is alive


def test_records_that_may_not_be_read_are_no_empty_list() -> None:
    with pytest.raises(ValueError, match="may not read"):
        runs.parse(["closed"])
    with pytest.raises(ValueError, match="unexpected"):
        runs.parse(["bash: grep: not found"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("closed", ["", "tcptune", "tcptune/runs", "tcptune/runs/r1", "tcptune/runs/r1/state"])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_what_is_closed_to_a_login_at_any_depth_is_no_empty_list(closed: str, shell: str) -> None:
    # Not tmp_path: nobody else may look into that.
    with tempfile.TemporaryDirectory() as made:
        top = Path(made)
        top.chmod(0o755)
        root = top / "lib" / "tcptune"
        record(root, "r1", state="held 2026-03-02T10:00:00Z\n")
        assert look(root, shell, NOBODY).runs
        (top / "lib" / closed).chmod(0o600)

        with pytest.raises(Closed, match="may not read"):
            look(root, shell, NOBODY)
        assert look(root, shell).runs


def test_a_record_without_a_state_is_no_empty_list(tmp_path: Path) -> None:
    record(tmp_path, "r1", state="")

    with pytest.raises(ValueError, match=r"a record has no state: .*/runs/r1/"):
        look(tmp_path)


def test_the_section_is_read_on_request_alone() -> None:
    assert "/var/lib/tcptune" not in assemble([SOMAXCONN])
    assert "/var/lib/tcptune" in assemble([SOMAXCONN], [*REQUIRED, "runs"])
    assert not ON_REQUEST.keys() & PROBES.keys()


def test_what_could_not_be_read_is_a_gap() -> None:
    said = answer({SOMAXCONN: "1"}).replace("@tcptune sysctl\n", "@tcptune runs\nclosed\n@tcptune sysctl\n")

    found = parse("web1", said, NOW, [*REQUIRED, "runs"])

    assert found.runs is None
    assert found.gaps["runs"].startswith("this login may not read")


def held_by(root: Path, pid: int, began: str, number: int = 7) -> None:
    (root / "lock").mkdir(exist_ok=True)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (root / "lock" / str(number)).symlink_to(f"{pid} {began} {boot} pid:[1] run-{number}")


def began() -> str:
    return Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_who_holds_the_lock_is_known_by_the_highest_link_whose_process_lives(tmp_path: Path, shell: str) -> None:
    held_by(tmp_path, 4194305, "1", number=9)
    held_by(tmp_path, os.getpid(), began(), number=10)

    assert look(tmp_path, shell).busy == "run-10"


def test_a_lock_whose_process_is_gone_is_nobodys(tmp_path: Path) -> None:
    held_by(tmp_path, os.getpid(), "1")
    assert look(tmp_path).busy is None
    held_by(tmp_path, 4194305, "1", number=8)
    assert look(tmp_path).busy is None
