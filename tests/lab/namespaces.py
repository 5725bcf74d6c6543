"""Start processes in namespaces of their own, and join those later.

A start script is PID 1 of its PID namespace. It says `ready` when all is set up, and keeps the lab's lock until then:
if we are killed meanwhile, whoever comes next waits until it knows what there is to clean up.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.hosts import LabHost
from tests.lab.processes import Process

HERE = Path(__file__).parent
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
# What these allow is not bounded by any namespace: a host could load modules or set the clock of the machine.
DROPPED = "-sys_module,-sys_rawio,-sys_time,-sys_boot,-syslog"

# `unshare --pid` without --fork: the shell's first child is PID 1 of the new namespace, and no parent stays behind.
LAUNCH = 'exec 3<&0; "$@" &'


def start_switch(record: Path, lock: int, log: Path, lifeline: int | None) -> None:
    """Start the first process of a lab. It writes who it is to `record`, and dies when `lifeline` is closed."""
    watched = f"/proc/self/fd/{lifeline}" if lifeline is not None else ""
    new = ["unshare", "--mount", "--net", "--uts", "--ipc", "--pid"]
    _start(new, "switch.sh", [str(record), watched], lock, log, () if lifeline is None else (lifeline,))


def start_host(switch: Process, host: LabHost, lock: int, log: Path) -> None:
    """Start the first process of `host`, nested in the lab's namespaces."""
    inside = ["nsenter", "--target", str(switch.pid), "--mount", "--net", "--ipc", "--pid"]
    new = ["unshare", "--mount", "--net", "--uts", "--ipc", "--pid"]
    arguments = [host.name, f"{host.address}/24", host.mac, str(switch.pid), DROPPED]
    _start([*inside, *new], "host.sh", arguments, lock, log)


def enter(init_pid: int, argv: list[str]) -> list[str]:
    """Give the command that runs `argv` as root within a host, with the powers that root has there."""
    namespaces = ["--mount", "--net", "--uts", "--ipc", "--pid"]
    return ["nsenter", "--target", str(init_pid), *namespaces, "setpriv", "--bounding-set", DROPPED, "--", *argv]


def _start(
    prefix: list[str], script: str, arguments: list[str], lock: int, log: Path, pass_fds: tuple[int, ...] = ()
) -> None:
    text = (HERE / script).read_text()
    launcher = [*prefix, "sh", "-c", LAUNCH, "tcptune-lab", "sh", "-c", text, f"tcptune-lab-{script}", *arguments]
    with log.open("ab") as errors:
        try:
            started = subprocess.run(
                launcher,
                stdin=lock,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=ENVIRONMENT,
                cwd="/",
                pass_fds=pass_fds,
                start_new_session=True,
                timeout=60,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"{script} did not finish in 60 s", hint=f"look into {log}") from None
    if started.stdout != b"ready\n":
        lines = log.read_text(errors="replace").strip().splitlines()
        raise LabError(f"{' '.join([script, *arguments[:2]])} failed: {lines[-1] if lines else 'it said nothing'}")
