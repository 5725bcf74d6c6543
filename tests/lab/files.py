"""What a lab's directory holds: state, lock, keys, and the files by which ssh and Ansible find the hosts."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import keys
from tests.lab.errors import LabError
from tests.lab.hosts import LabHost
from tests.lab.image import OPERATOR

LOCK_TIMEOUT_S = 90.0
# All that we make there, and so all that we may remove.
OURS = (
    *("hostkeys", "id_ed25519", "id_ed25519.pub", "log", "init", "init.new"),
    *(name + suffix for name in ("inventory.yml", "known_hosts", "lab.json", "ssh_config") for suffix in ("", ".new")),
    "lock",
)


@dataclass(frozen=True)
class State:
    """What a lab was asked to be."""

    network: int | None = None
    """The N of 10.213.N.0/24; None before the first switch."""
    count: int = 0


def default_directory() -> Path:
    """Give the directory of a person's own lab."""
    return Path(os.environ.get("XDG_RUNTIME_DIR") or "/run") / "tcptune-lab"


def check_path(directory: Path) -> None:
    """Refuse a path that ssh or Ansible would cut or expand in an option."""
    if not re.fullmatch(r"[\w./+@=-]{1,180}", str(directory), re.ASCII):
        raise LabError(
            f"{directory} has characters that ssh would misread, or is too long", hint="use --dir with a plain path"
        )


def read_state(directory: Path) -> State:
    """Read the state; a lab without one, or with half of one, has no hosts."""
    try:
        state = json.loads((directory / "lab.json").read_text())
        return State(int(state["network"]) % 255 or None, int(state["count"]))
    except (OSError, KeyError, TypeError, ValueError):
        return State()


def write_state(directory: Path, state: State) -> None:
    """Replace the state in one step."""
    replace(directory / "lab.json", json.dumps({"network": state.network, "count": state.count}) + "\n")


def replace(path: Path, text: str) -> None:
    """Write `path` for us alone, so that nobody sees half of it."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_text(text)
    temporary.replace(path)


def create(directory: Path) -> None:
    """Make the directory for root alone; refuse one in which someone keeps other things."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = {entry.name for entry in directory.iterdir()}
    if names and not names & {"lab.json", "lock"}:
        raise LabError(f"{directory} is not empty and not a lab", hint="name another directory with --dir")
    if directory.stat().st_uid != os.geteuid():
        raise LabError(f"{directory} belongs to someone else", hint="name another directory with --dir")
    directory.chmod(0o700)
    (directory / "log").mkdir(exist_ok=True)


def remove(directory: Path, ours: Iterable[str] = OURS) -> None:
    """Remove what we made, and the directory if nothing else is in it. The lock goes last, while it is held."""
    for name in ours:
        path = directory / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if not any(directory.iterdir()):
        directory.rmdir()


@contextmanager
def locked(directory: Path) -> Iterator[int]:
    """Hold the lab's lock; its file descriptor is passed on to what must be finished before the next one's turn."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if _lock(descriptor) and _is_still(directory / "lock", descriptor):
                yield descriptor
                return
        finally:
            os.close(descriptor)
        if time.monotonic() > deadline:
            raise LabError(f"another process works on the lab in {directory}", hint="wait for it, or end it")
        time.sleep(0.02)


def write_connections(directory: Path, hosts: Iterable[LabHost]) -> None:
    """Write inventory.yml, known_hosts and ssh_config."""
    hosts = list(hosts)
    known = "".join(keys.known_hosts_lines(directory, host.name, host.known_as) for host in hosts)
    replace(directory / "known_hosts", known)
    replace(directory / "inventory.yml", _inventory(directory, hosts))
    replace(directory / "ssh_config", _ssh_config(directory, hosts))


def write_known_host(directory: Path, host: LabHost, *, wrong: bool) -> None:
    """Replace what known_hosts says of `host`."""
    path = directory / "known_hosts"
    others = [line for line in path.read_text().splitlines(keepends=True) if line.split()[0] != host.known_as]
    if wrong:
        lines = keys.wrong_known_hosts_lines(directory, host.known_as)
    else:
        lines = keys.known_hosts_lines(directory, host.name, host.known_as)
    replace(path, "".join(others) + lines)


def checked(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """Give a command that succeeded; raise CalledProcessError, with what it said, for one that failed."""
    try:
        done.check_returncode()
    except subprocess.CalledProcessError as error:
        error.add_note(f"stdout: {done.stdout}\nstderr: {done.stderr}")
        raise
    return done


def _inventory(directory: Path, hosts: list[LabHost]) -> str:
    options = {
        "UserKnownHostsFile": directory / "known_hosts",
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
    }
    common = " ".join(f"-o {name}={value}" for name, value in options.items())
    variables = {
        "ansible_user": OPERATOR,
        "ansible_ssh_private_key_file": str(keys.user_key(directory)),
        "ansible_ssh_common_args": common,
        "ansible_become": True,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    lines = ["lab:", "  hosts:" if hosts else "  hosts: {}"]
    lines += [f"    {host.name}: {{ansible_host: {host.address}{_port(host)}}}" for host in hosts]
    lines += ["  vars:", *(f"    {name}: {json.dumps(value)}" for name, value in variables.items())]
    return "\n".join(lines) + "\n"


def _port(host: LabHost) -> str:
    return "" if host.port == 22 else f", ansible_port: {host.port}"


def _ssh_config(directory: Path, hosts: list[LabHost]) -> str:
    names = [f"Host {host.name}\n    HostName {host.address}\n    Port {host.port}\n" for host in hosts]
    return "".join(names) + (
        "Host *\n"
        f"    User {OPERATOR}\n"
        f"    IdentityFile {keys.user_key(directory)}\n"
        "    IdentitiesOnly yes\n"
        f"    UserKnownHostsFile {directory / 'known_hosts'}\n"
        "    GlobalKnownHostsFile /dev/null\n"
        "    StrictHostKeyChecking yes\n"
        "    BatchMode yes\n"
        # 50 ms less of processor time per connection than OpenSSH's first choice.
        "    KexAlgorithms curve25519-sha256\n"
        "    ConnectTimeout 10\n"
    )


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Tell whether the file we locked is not one that a `down` has removed meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
