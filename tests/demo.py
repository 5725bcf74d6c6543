"""`make demo`: the main job on three real hosts with different faults, and the proof that all of it was taken back."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.lab import Lab, LabError

PROFILE = "web-frontend"

DETUNED = {
    "net.core.somaxconn": "128",
    "net.ipv4.tcp_syncookies": "0",
    "net.ipv4.tcp_timestamps": "0",
    "net.ipv4.tcp_rmem": "4096 87380 262144",
}
FINE = {
    "net.core.somaxconn": "16384",
    "net.ipv4.ip_local_port_range": "10240 65535",
    "net.ipv4.tcp_keepalive_intvl": "30",
    "net.ipv4.tcp_keepalive_probes": "3",
    "net.ipv4.tcp_keepalive_time": "240",
    "net.ipv4.tcp_mtu_probing": "1",
    "net.ipv4.tcp_notsent_lowat": "131072",
    "net.ipv4.tcp_slow_start_after_idle": "0",
}
BOOT_FILES = ("/etc/sysctl.d", "/etc/sysctl.conf", "/etc/modules-load.d")
LEGACY = "# kept from an old guide\nnet.core.somaxconn = 128\nnet.ipv4.tcp_timestamps = 0\n"


class DemoError(Exception):
    """A step did not do what the demo is to show."""


def main() -> int:
    """Run the demo. Returns 0 where every step gave what it should and every host is as it was."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tcptune-demo-") as folder:
        lab = Lab(Path(folder) / "lab", tied=True)
        try:
            lab.up(3)
            _story(lab, Path(folder))
        except (DemoError, LabError) as problem:
            print(f"the demo failed: {problem}", file=sys.stderr)
            return 1
        finally:
            lab.down()
    say(f"done in {time.monotonic() - started:.0f} s; nothing is left behind")
    return 0


def _story(lab: Lab, folder: Path) -> None:
    say("three hosts: lab1 is detuned, lab2 half tuned with a later file that wins at boot, lab3 is fine")
    _break(lab)
    before = {host.name: snapshot(lab, host.name) for host in lab.hosts}
    run = Runner(folder, lab)
    run("facts", "-i", run.inventory, "-o", run.file("facts.jsonl"))
    run("audit", PROFILE, "-i", run.inventory, expect=10)
    run("plan", PROFILE, "-i", run.inventory, "-o", run.file("plan.json"), expect=10)
    run("apply", run.file("plan.json"), "--auto-confirm", "--allow-risk", "net.ipv4.ip_local_port_range")
    run("verify", "last")
    run("audit", PROFILE, "-i", run.inventory)
    say("every host meets the profile, now and at the next boot; now all of it is taken back")
    run("rollback", "last")
    for host in lab.hosts:
        after = snapshot(lab, host.name)
        if after != before[host.name]:
            moved = sorted(after ^ before[host.name])
            raise DemoError(f"{host.name} is not as it was: {moved}")
        say(f"{host.name}: {len(after)} settings and files, each as before")


def _break(lab: Lab) -> None:
    tuned = {**FINE, "net.core.somaxconn": "8192"}
    write_sysctl(lab, "lab1", DETUNED)
    write_sysctl(lab, "lab2", tuned)
    write_file(lab, "lab2", "/etc/sysctl.d/10-tuning.conf", _lines(tuned))
    write_file(lab, "lab2", "/etc/sysctl.d/60-legacy.conf", LEGACY)
    write_sysctl(lab, "lab3", FINE)
    write_file(lab, "lab3", "/etc/sysctl.d/60-web.conf", _lines(FINE))


class Runner:
    """Runs tcptune as a person would, and shows it."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.folder = folder
        self.inventory = str(lab.inventory)
        self._environment = {**os.environ, "TCPTUNE_JOURNAL": f"sqlite:///{folder / 'journal.sqlite'}"}

    def file(self, name: str) -> str:
        """Give a path in the demo's own folder."""
        return str(self.folder / name)

    def __call__(self, *arguments: str, expect: int = 0) -> None:
        """Run one command. Raises DemoError where it exits with another code than `expect`."""
        shown = " ".join(a.replace(str(self.folder), ".").replace("./lab/", "") for a in arguments)
        print(f"\n$ tcptune {shown}", flush=True)
        done = subprocess.run([sys.executable, "-m", "tcptune", *arguments], env=self._environment, check=False)
        if done.returncode != expect:
            raise DemoError(f"`tcptune {shown}` exited with {done.returncode}, not {expect}")


def say(text: str) -> None:
    """Show a line of the story."""
    print(f"\n# {text}", flush=True)


def write_sysctl(lab: Lab, host: str, values: dict[str, str]) -> None:
    """Set values in a host's kernel, below everything that tcptune does."""
    for key, value in values.items():
        lab.run(host, ["tee", f"/proc/sys/{key.replace('.', '/')}"], input=value)


def write_file(lab: Lab, host: str, path: str, text: str) -> None:
    """Write a file on a host."""
    lab.run(host, ["tee", path], input=text)


def snapshot(lab: Lab, host: str) -> frozenset[str]:
    """Give every TCP setting of a host, and every file a boot reads with its bytes' digest, mode and owner."""
    settings = lab.run(host, ["grep", "-rs", "", "/proc/sys/net/core", "/proc/sys/net/ipv4"], check=False).stdout
    files = lab.run(
        host,
        ["find", *BOOT_FILES, "-type", "f", "-printf", "%p %m %U %G ", "-exec", "sha256sum", "{}", ";"],
        check=False,
    ).stdout
    return frozenset(line for line in f"{settings}\n{files}".splitlines() if line and "tcp_fastopen_key" not in line)


def _lines(values: dict[str, str]) -> str:
    return "".join(f"{key} = {value}\n" for key, value in values.items())


if __name__ == "__main__":
    sys.exit(main())
