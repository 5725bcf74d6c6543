"""A lab comes up, is repaired, and goes without leaving anything behind, whoever kills what."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, LabError, network, requirements
from tests.lab.pytest_plugin import Hosts

CHECKOUT = Path(__file__).parents[2]

pytestmark = pytest.mark.lab


@pytest.fixture
def own_lab(lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    # Beside the session's lab, whose fixture checks this machine, and which has to get along with another.
    assert lab.hosts
    own = Lab(tmp_path / "lab", tied=True)
    yield own
    own.down()


def command(*arguments: str | Path, lab: Lab, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    argv = [*prefix, sys.executable, "-m", "tests.lab", *map(str, arguments), "--dir", str(lab.directory)]
    return subprocess.run(argv, cwd=CHECKOUT, text=True, capture_output=True, timeout=120, check=False)


def wait_until(true: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def network_namespace(pid: int | str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


def processes_in(namespaces: set[str]) -> set[int]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return {pid for pid in pids if network_namespace(pid) in namespaces}


def switch_pid(lab: Lab) -> int:
    return int((lab.directory / "init").read_text().split()[0])


def cables(lab: Lab) -> list[str]:
    links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
    return [link["ifname"] for link in links if link.get("ifalias", "").endswith(f" {lab.directory}")]


def mounts() -> set[str]:
    return set(Path("/proc/self/mountinfo").read_text().splitlines())


def host_names(lab: Lab) -> list[str]:
    return [lab.ssh(host, "hostname").stdout.strip() for host in lab.hosts]


# Up and down


def test_up_twice_changes_nothing(own_lab: Lab) -> None:
    first = own_lab.up(3)
    known = own_lab.known_hosts.read_text()

    assert own_lab.up(3) == first
    assert own_lab.known_hosts.read_text() == known


def test_up_adds_and_removes_hosts(own_lab: Lab) -> None:
    three = own_lab.up(3)
    five = own_lab.up(5)
    assert five[:3] == three
    assert host_names(own_lab) == ["lab1", "lab2", "lab3", "lab4", "lab5"]

    assert own_lab.up(3) == three
    assert not any(runs(host.init_pid) for host in five[3:] if host.init_pid)
    assert five[3].address not in own_lab.known_hosts.read_text() + own_lab.inventory.read_text()
    assert own_lab.up(4)[3].init_pid != five[3].init_pid


def test_the_files_are_for_root_alone(own_lab: Lab) -> None:
    own_lab.up(1)

    modes = {path.name: path.stat().st_mode & 0o777 for path in own_lab.directory.rglob("*") if path.is_file()}

    assert own_lab.directory.stat().st_mode & 0o777 == 0o700
    assert modes["id_ed25519"] == modes["ssh_host_ed25519_key"] == modes["known_hosts"] == 0o600


def test_two_labs_that_want_one_network_get_two(own_lab: Lab, lab: Lab, hosts: Hosts) -> None:
    [theirs] = hosts(1)
    own_lab.directory.mkdir()
    taken = json.loads((lab.directory / "lab.json").read_text())["network"]
    (own_lab.directory / "lab.json").write_text(json.dumps({"network": taken, "count": 0}))

    [ours] = own_lab.up(1)

    assert ours.address != theirs.address
    assert own_lab.ssh(ours, "cat /etc/machine-id").stdout != lab.ssh(theirs, "cat /etc/machine-id").stdout


def test_a_network_that_the_machine_routes_elsewhere_is_left_alone(
    own_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = 254
    own_lab.directory.mkdir()
    (own_lab.directory / "lab.json").write_text(json.dumps({"network": wanted, "count": 0}))
    show = network._show
    route = {"dst": f"10.213.{wanted}.128/25", "dev": "vpn0"}
    monkeypatch.setattr(network, "_show", lambda *args: show(*args) + ([route] if "route" in args else []))

    [host] = own_lab.up(1)

    assert not host.address.startswith(f"10.213.{wanted}.")


def test_two_that_bring_up_one_lab_take_turns(own_lab: Lab) -> None:
    argv = [sys.executable, "-m", "tests.lab", "up", "3", "--dir", str(own_lab.directory)]
    both = [subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    shown = [process.communicate(timeout=60)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert shown[0] == shown[1]
    assert len(processes_in({network_namespace(switch_pid(own_lab))})) == 1


def test_a_host_that_was_killed_is_repaired_and_the_others_stay(own_lab: Lab) -> None:
    one, two = own_lab.up(2)
    own_lab.run(two, ["touch", "/etc/lab-test"])
    assert two.init_pid
    os.kill(two.init_pid, signal.SIGKILL)
    wait_until(lambda: own_lab.host(two).init_pid is None)

    assert own_lab.up(2)[0] == one
    assert own_lab.ssh(two, "hostname; ls /etc/lab-test", check=False).stdout == "lab2\n"


def test_a_host_whose_sshd_is_gone_is_repaired(own_lab: Lab) -> None:
    [host] = own_lab.up(1)
    own_lab.stop_sshd(host)

    own_lab.up(1)

    assert host_names(own_lab) == ["lab1"]


def test_a_lab_whose_switch_was_killed_is_repaired(own_lab: Lab) -> None:
    before = own_lab.up(2)
    os.kill(switch_pid(own_lab), signal.SIGKILL)
    wait_until(lambda: not any(runs(host.init_pid) for host in before if host.init_pid))

    after = own_lab.up(2)

    assert [host.address for host in after] == [host.address for host in before]
    assert host_names(own_lab) == ["lab1", "lab2"]


def test_a_cable_that_was_removed_is_repaired(own_lab: Lab) -> None:
    own_lab.up(1)
    [cable] = cables(own_lab)
    subprocess.run(["ip", "link", "delete", cable], check=True)

    own_lab.up(1)

    assert host_names(own_lab) == ["lab1"]


@pytest.mark.parametrize("end", ["up", "down"])
@pytest.mark.parametrize("lie", ["start time", "boot"])
def test_a_state_of_dead_pids_harms_no_one(own_lab: Lab, lie: str, end: str) -> None:
    own_lab.up(2)
    shutil.copytree(own_lab.directory, kept := own_lab.directory.with_name("kept"))
    own_lab.down()
    kept.rename(own_lab.directory)
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        start = Path(f"/proc/{bystander.pid}/stat").read_text().split()[21]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        record = f"{bystander.pid} 1 {boot}" if lie == "start time" else f"{bystander.pid} {start} {boot[::-1]}"
        (own_lab.directory / "init").write_text(f"{record}\n")

        if end == "up":
            own_lab.up(2)
            assert host_names(own_lab) == ["lab1", "lab2"]
        else:
            own_lab.down()
            assert not own_lab.directory.exists()

        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize(
    "moment", ["init", "id_ed25519.pub", "hostkeys/lab1", "inventory.yml", "log/lab1.log", "log/lab8.log"]
)
def test_an_up_that_was_killed_is_finished_by_the_next(own_lab: Lab, moment: str) -> None:
    argv = [sys.executable, "-m", "tests.lab", "up", "8", "--dir", str(own_lab.directory)]
    started = subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until((own_lab.directory / moment).exists)
    started.kill()
    assert started.wait() == -signal.SIGKILL, "it was faster than us: choose an earlier moment"

    own_lab.up(8)

    assert host_names(own_lab) == [f"lab{number}" for number in range(1, 9)]
    assert len(cables(own_lab)) == 1


@pytest.mark.parametrize("moment", ["init", "inventory.yml", "log/lab2.log"])
def test_an_up_that_was_killed_is_cleaned_up_by_down(own_lab: Lab, moment: str) -> None:
    argv = [sys.executable, "-m", "tests.lab", "up", "8", "--dir", str(own_lab.directory)]
    started = subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until((own_lab.directory / moment).exists)
    started.kill()
    assert started.wait() == -signal.SIGKILL, "it was faster than us: choose an earlier moment"
    switch = switch_pid(own_lab)
    namespaces = {network_namespace(switch)}

    own_lab.down()

    assert not own_lab.directory.exists()
    assert cables(own_lab) == []
    wait_until(lambda: not processes_in(namespaces))


def test_down_leaves_nothing(own_lab: Lab) -> None:
    mounts_before, machine = mounts(), network_namespace("self")
    hosts = own_lab.up(3)
    own_lab.ssh("lab1", "nohup setsid sleep 600 >/dev/null 2>&1 &")
    namespaces = {network_namespace(pid) for pid in (switch_pid(own_lab), *(host.init_pid or 0 for host in hosts))}
    inside = processes_in(namespaces)
    assert len(namespaces - {machine, ""}) == 4
    assert len(inside) >= 1 + 3 * 2 + 1
    assert len(cables(own_lab)) == 1

    own_lab.down()

    assert processes_in(namespaces) == set()
    assert [pid for pid in inside if runs(pid)] == []
    assert cables(own_lab) == []
    assert mounts() - mounts_before == set()
    assert not own_lab.directory.exists()


def test_down_ends_a_lab_whose_directory_was_deleted(own_lab: Lab) -> None:
    [host] = own_lab.up(1)
    shutil.rmtree(own_lab.directory)

    own_lab.down()

    assert host.init_pid
    assert not runs(host.init_pid)
    assert cables(own_lab) == []


def test_a_tied_lab_dies_with_its_process(own_lab: Lab) -> None:
    story = "import sys, time; from pathlib import Path; from tests.lab import Lab; "
    story += "print(Lab(Path(sys.argv[1]), tied=True).up(1)[0].init_pid, flush=True); time.sleep(60)"
    owner = subprocess.Popen(
        [sys.executable, "-c", story, str(own_lab.directory)], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    init = int(owner.stdout.readline())
    assert runs(init)

    owner.kill()
    owner.wait()
    owner.stdout.close()

    wait_until(lambda: not runs(init))


def test_a_directory_with_other_things_is_refused(own_lab: Lab) -> None:
    own_lab.directory.mkdir()
    precious = own_lab.directory / "thesis.txt"
    precious.write_text("all of it")

    with pytest.raises(LabError, match="not empty and not a lab"):
        own_lab.up(1)
    own_lab.down()

    assert precious.read_text() == "all of it"


def test_down_spares_what_someone_put_beside(own_lab: Lab) -> None:
    own_lab.up(0)
    precious = own_lab.directory / "thesis.txt"
    precious.write_text("all of it")

    own_lab.down()

    assert [path.name for path in own_lab.directory.iterdir()] == ["thesis.txt"]


# The command line


def test_the_command_line_goes_there_and_back(own_lab: Lab) -> None:
    assert command("up", "2", lab=own_lab).returncode == 0
    shown = command("status", lab=own_lab)
    assert shown.returncode == 0
    assert [line.split()[0] for line in shown.stdout.splitlines()[:2]] == ["lab1", "lab2"]

    argv = [
        sys.executable,
        "-m",
        "tests.lab",
        "exec",
        "--dir",
        str(own_lab.directory),
        "lab2",
        "--",
        "sh",
        "-c",
        "hostname; exit 7",
    ]
    done = subprocess.run(argv, cwd=CHECKOUT, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (7, "lab2\n")

    assert command("down", lab=own_lab).returncode == 0
    assert command("down", lab=own_lab).returncode == 0
    gone = command("status", lab=own_lab)
    assert (gone.returncode, gone.stdout) == (1, "")
    assert gone.stderr.startswith("error: no lab in")


# A user namespace without a map: the process has no id that it knows, and no power.
WITHOUT_ROOT = ("unshare", "--user")


@pytest.mark.parametrize("verb", [("up", "1"), ("down",), ("status",)], ids=lambda verb: verb[0])
def test_without_root_it_says_so_in_one_line(own_lab: Lab, verb: tuple[str, ...]) -> None:
    done = command(*verb, lab=own_lab, prefix=WITHOUT_ROOT)

    assert done.returncode == 1
    assert "root" in done.stderr.splitlines()[0]
    assert done.stderr.startswith("error: ")
    assert done.stderr.splitlines()[1:] == ["  try: run it again as root"]
    assert not own_lab.directory.exists()


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(requirements.PACKAGES, "/usr/sbin/no-such-sshd", "openssh-server")

    reasons = requirements.missing()

    assert reasons == ["/usr/sbin/no-such-sshd is missing (Debian package openssh-server)"]
    assert requirements.hint(reasons) == "apt-get install openssh-server"


@pytest.mark.parametrize(("ci", "code", "word"), [("true", 1, "1 error"), ("", 0, "1 skipped")])
def test_without_root_a_person_skips_and_ci_fails(tmp_path: Path, ci: str, code: int, word: str) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(lab): pass\n")
    argv = [*WITHOUT_ROOT, sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", str(tmp_path), str(tmp_path)]

    done = subprocess.run(
        [*argv, "-p", "tests.lab.pytest_plugin", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "base")],
        cwd=CHECKOUT, env={**os.environ, "CI": ci}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, word in done.stdout) == (code, True), done.stdout + done.stderr
