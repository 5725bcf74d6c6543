"""A lab of one virtual machine: switch it on, cut its power, pull its cable, throw its disk away.

Its methods are those of the namespace lab where the two can do the same, so that a test can use either.
"""

from __future__ import annotations

import json
import random
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lab import files, keys
from tests.lab.errors import LabError
from tests.lab.hosts import LabHost
from tests.lab.vm import image, requirements
from tests.lab.vm.qemu import MONITOR, NIC, Qemu
from tests.lab.vm.releases import release

# Not 127.0.0.1: a connection from there could hold the port while the machine is off.
NETWORK = "127.74"
PORT = 2222
MAC = "52:54:00:12:34:56"
BOOT_TIMEOUT_S = 900.0
"""Software emulation on a busy machine."""
OURS = (
    *("hostkeys", "id_ed25519", "id_ed25519.pub", "log", "disk.qcow2", "qemu", "qemu.new", MONITOR),
    *(name + suffix for name in ("inventory.yml", "known_hosts", "vm.json", "ssh_config") for suffix in ("", ".new")),
    "lock",
)


def default_directory(suite: str) -> Path:
    """Give the directory of a person's own machine. On disk: what the guest writes is there."""
    return Path("/var/tmp") / f"tcptune-vm-{suite}"  # noqa: S108 # files.create refuses somebody else's


class VmLab:
    """The virtual machine that lives in `directory`; making this object starts nothing.

    With `tied`, it dies with the thread that starts it, however that ends; its directory stays for `down`.
    """

    def __init__(self, directory: Path | None, suite: str = "bookworm", *, tied: bool = False) -> None:
        self.release = release(suite)
        self.directory = (directory or default_directory(suite)).absolute()
        files.check_path(self.directory)
        self.inventory = self.directory / "inventory.yml"
        self.known_hosts = self.directory / "known_hosts"
        self.ssh_config = self.directory / "ssh_config"
        self.key = keys.user_key(self.directory)
        self.name = suite
        self._qemu = Qemu(self.directory, tied)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def hosts(self) -> list[LabHost]:
        """The one host, running or not; none before `up`."""
        address = self._address()
        return [self._host(address)] if address else []

    def host(self, name: str | LabHost | None = None) -> LabHost:
        """Give the host as it is now."""
        asked = name.name if isinstance(name, LabHost) else name
        if not self.hosts or asked not in {None, self.name}:
            raise LabError(f"no host {asked or self.name} in {self.directory}", hint="python -m tests.lab.vm status")
        return self.hosts[0]

    def up(self) -> LabHost:
        """See to it that the machine runs and answers; one that does keeps all it has."""
        requirements.require()
        files.create(self.directory)
        with files.locked(self.directory):
            if self._address() is None:
                self._settle(image.image(self.release))
            if self._qemu.process is None or not self._greets(wait_s=5.0):
                self._kill()
                self._boot()
        return self.host()

    def down(self) -> None:
        """Switch the machine off and remove all that the lab made but the image."""
        if self.directory.is_dir():
            files.create(self.directory)
            with files.locked(self.directory):
                self._kill()
                files.remove(self.directory, OURS)

    def reset(self, *_: str | LabHost) -> list[LabHost]:
        """Throw away all that was written, and boot."""
        with files.locked(self.directory):
            self._kill()
            self._fresh_disk(self._image())
            self._boot()
        return self.hosts

    def power_cut(self) -> None:
        """Switch the machine off with no word to it. What it had not synced may be lost."""
        with files.locked(self.directory):
            if self._qemu.process is None:
                raise LabError(f"{self.name} is off already")
            self._kill()

    def boot(self) -> LabHost:
        """Switch the machine on, with the disk as it is, and wait until systemd has started all there is."""
        with files.locked(self.directory):
            if self._qemu.process is not None:
                raise LabError(f"{self.name} is on already", hint="reboot() or power_cut() first")
            self._boot()
        return self.host()

    def reboot(self, name: str | LabHost | None = None) -> LabHost:
        """Let the machine boot anew as an operator does: services stop, file systems are synced."""
        with files.locked(self.directory):
            before = self.boot_id()
            # sshd ends before it can say how the command ended.
            self.run(name, ["systemctl", "reboot"], check=False)
            self._wait(lambda: self._answers(not_boot=before))
        return self.host(name)

    def link_down(self, name: str | LabHost | None = None) -> None:
        """Pull the cable: the guest sees its carrier go, connections hang."""
        self._link(name, up=False)

    def link_up(self, name: str | LabHost | None = None) -> None:
        """Plug the cable in again. The guest needs a moment to use it."""
        self._link(name, up=True)

    def run(
        self,
        name: str | LabHost | None,
        argv: Sequence[str],
        *,
        input: str | None = None,  # noqa: A002 # as subprocess.run calls it
        check: bool = True,
        timeout_s: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run `argv` as root, over ssh. Raise CalledProcessError, with what it said, if it fails."""
        return self.ssh(name, shlex.join(argv), user="root", input=input, check=check, timeout_s=timeout_s)

    def ssh(
        self,
        name: str | LabHost | None,
        command: str,
        *,
        user: str = image.OPERATOR,
        input: str | None = None,  # noqa: A002
        check: bool = True,
        timeout_s: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run `command`, a line for the remote shell, as operator or root."""
        done = subprocess.run(
            self.command(name, command, user=user),
            **({"stdin": subprocess.DEVNULL} if input is None else {"input": input}),
            text=True,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        return files.checked(done) if check else done

    def command(self, name: str | LabHost | None, command: str, *, user: str = "root") -> list[str]:
        """Give the command of this machine by which `ssh` runs `command`."""
        return ["ssh", "-F", str(self.ssh_config), "-l", user, self.host(name).name, command]

    def boot_id(self) -> str:
        """Give what the kernel says to tell this boot from others."""
        return self.run(None, ["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip()

    def flushes(self) -> int:
        """Give how often the guest has asked its disk to make durable what it wrote, since it was switched on."""
        [disk] = self._qemu.ask("query-blockstats")
        return int(disk["stats"]["flush_operations"])

    def _host(self, address: str) -> LabHost:
        process = self._qemu.process
        return LabHost(self.name, address, MAC, process.pid if process else None, PORT)

    def _address(self) -> str | None:
        return self._state().get("address")

    def _image(self) -> image.Image:
        """Give the image that the disk was made of: the recipe may have changed since."""
        return image.Image(Path(self._state()["image"]))

    def _state(self) -> dict[str, str]:
        try:
            return dict(json.loads((self.directory / "vm.json").read_text()))
        except (OSError, TypeError, ValueError):
            return {}

    def _settle(self, base: image.Image) -> None:
        """Take an address and a disk; the keys are the image's."""
        self._kill()
        for name in ("id_ed25519", "id_ed25519.pub"):
            shutil.copy2(base.folder / name, self.directory / name)
        shutil.copytree(base.folder / "hostkeys", self.directory / "hostkeys", dirs_exist_ok=True)
        self._fresh_disk(base)
        address = _free_address()
        files.write_connections(self.directory, [self._host(address)])
        files.replace(self.directory / "vm.json", json.dumps({"address": address, "image": str(base.folder)}) + "\n")

    def _fresh_disk(self, base: image.Image) -> None:
        disk = self.directory / "disk.qcow2"
        disk.unlink(missing_ok=True)
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(base.disk), str(disk)]
        subprocess.run(create, check=True, capture_output=True, text=True)

    def _kill(self) -> None:
        self._qemu.kill()
        if self._child:
            self._child.wait()
            self._child = None

    def _boot(self) -> None:
        host = self.host()
        disk = self.directory / "disk.qcow2"
        self._child = self._qemu.start(self._image(), disk, host.address, host.port)
        self._wait(self._answers)

    def _link(self, name: str | LabHost | None, *, up: bool) -> None:
        self.host(name)
        self._qemu.ask("set_link", name=NIC, up=up)

    def _wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while not done():
            log = self.directory / "log/serial.log"
            if self._qemu.process is None:
                raise LabError(f"{self.name} went off while it booted", hint=f"look into {log}")
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} did not boot in {BOOT_TIMEOUT_S:.0f} s", hint=f"look into {log}")
            time.sleep(0.2)

    def _answers(self, *, not_boot: str = "") -> bool:
        """Tell whether systemd has started all it starts at boot, in another boot than `not_boot`."""
        if not self._greets(wait_s=2.0):
            return False
        # A unit that failed is the test's business: the boot is over either way.
        script = "cat /proc/sys/kernel/random/boot_id; exec systemctl is-system-running --wait"
        try:
            said = self.ssh(None, script, user="root", check=False, timeout_s=300).stdout.split()
        except subprocess.TimeoutExpired:
            return False
        return len(said) == 2 and said[0] != not_boot and said[1] in {"running", "degraded"}

    def _greets(self, *, wait_s: float) -> bool:
        """Tell whether sshd says who it is. qemu takes connections for it before it is there."""
        host = self.host()
        try:
            with socket.create_connection((host.address, host.port), timeout=wait_s) as connection:
                connection.settimeout(wait_s)
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False


def _free_address() -> str:
    while True:
        address = f"{NETWORK}.{random.randint(1, 254)}.{random.randint(1, 254)}"  # noqa: S311 # no secret
        with socket.socket() as trial:
            try:
                trial.bind((address, PORT))
            except OSError:
                continue
            return address
