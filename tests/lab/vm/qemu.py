"""One qemu process: start it, speak to its monitor, cut its power.

The disk's cache mode decides what a power cut means. With `writeback`, a write that the guest did not flush may be
lost with qemu, as in a disk's own cache; what it flushed is in the file, which outlives qemu with the machine's page
cache. What the guest holds in its page cache is gone. `unsafe` would drop the flushes, and `writethrough` would make
each write durable: both lie about a disk.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import processes
from tests.lab.errors import LabError
from tests.lab.processes import Process
from tests.lab.vm.image import Image

MEMORY_MB = 512
MONITOR = "monitor"
NIC = "nic0"
GUEST_PORT = 22
# Without cmpxchg16b, which leaves rubbish in the flags under some versions of qemu: an interrupt right after it
# brings the guest's kernel down. And without svm, for which the guest would load kvm.
CPU = "qemu64,-cx16,-svm"
COMMAND_LINE = " ".join(
    (
        # auto_da_alloc would hide a rename without a sync before it, which other file systems do not forgive.
        "root=/dev/vda rw rootflags=noauto_da_alloc net.ifnames=0 console=ttyS0 quiet panic=-1",
        # Costs of a boot in software that no test looks at.
        "mitigations=off tsc=reliable no_timer_check",
        "modprobe.blacklist=kvm_amd,ata_piix,ata_generic,evdev,serio_raw,button,qemu_fw_cfg",
    )
)

# Writes who it is before it becomes qemu: there is no moment in which nobody knows it. Field 22 is the start time.
LAUNCH = """
set -eu
record=$1 tied=$2
shift 2
read -r boot_id </proc/sys/kernel/random/boot_id
read -r pid _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ start _ </proc/self/stat
printf '%s %s %s\\n' "$pid" "$start" "$boot_id" >"$record.new"
mv "$record.new" "$record"
[ "$tied" = no ] || exec setpriv --pdeathsig KILL nice -n 5 "$@"
exec nice -n 5 "$@"
"""


@dataclass
class Qemu:
    """The qemu that runs, or once ran, in `directory`."""

    directory: Path
    tied: bool
    """Whether it dies with the thread that starts it."""

    @property
    def record(self) -> Path:
        """Where it wrote who it is."""
        return self.directory / "qemu"

    @property
    def process(self) -> Process | None:
        """The process; None while the machine is off."""
        return processes.read(self.record)

    def start(self, image: Image, disk: Path, address: str, port: int) -> subprocess.Popen[bytes]:
        """Switch the machine on. Return once its monitor answers, long before the guest does."""
        said = self.directory / "log/qemu.log"
        launch = ["sh", "-c", LAUNCH, "tcptune-vm", str(self.record), "yes" if self.tied else "no"]
        with said.open("ab") as log:
            child = subprocess.Popen(
                [*launch, *_command(image, disk, address, port)],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # qemu opens the socket late: when it is there, all that can be wrong with the options was found wrong.
        while not self._answers():
            try:
                child.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            lines = said.read_text(errors="replace").strip().splitlines()
            raise LabError(f"qemu did not start: {lines[-1] if lines else 'it said nothing'}", hint=f"look into {said}")
        return child

    def kill(self) -> None:
        """Cut the power: SIGKILL, without a word to the guest. It is fine if the machine is off."""
        if process := self.process:
            processes.end([process])
        (self.directory / MONITOR).unlink(missing_ok=True)

    def ask(self, command: str, **arguments: Any) -> Any:
        """Run a command of the monitor, and give what it returns."""
        try:
            with self._monitor() as file:
                for request in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                    file.write(json.dumps(request).encode() + b"\n")
                    file.flush()
                    # Events come in between.
                    answer = next(said for said in map(json.loads, file) if {"return", "error"} & said.keys())
                    if "error" in answer:
                        raise LabError(f"qemu refused {request['execute']}: {answer['error']['desc']}")
        except (OSError, StopIteration) as error:
            raise LabError("the virtual machine is off", hint="boot() or up()") from error
        return answer["return"]

    def _answers(self) -> bool:
        try:
            self.ask("query-status")
        except LabError:
            return False
        return True

    @contextmanager
    def _monitor(self) -> Iterator[Any]:
        # A socket's path is short; a test's folder is not.
        folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(30)
                connection.connect(f"/proc/self/fd/{folder}/{MONITOR}")
                with connection.makefile("rwb") as file:
                    file.readline()  # its greeting
                    yield file
        finally:
            os.close(folder)


def _command(image: Image, disk: Path, address: str, port: int) -> list[str]:
    return [
        *("qemu-system-x86_64", "-no-user-config", "-nodefaults", "-display", "none"),
        *("-accel", "tcg", "-cpu", CPU, "-smp", "1", "-m", str(MEMORY_MB)),
        *("-kernel", str(image.kernel), "-initrd", str(image.initramfs), "-append", COMMAND_LINE),
        *("-drive", f"file={disk},if=virtio,format=qcow2,cache=writeback,discard=ignore"),
        # The guest reaches nothing; sshd alone is reached from here.
        *("-netdev", f"user,id=net0,restrict=on,hostfwd=tcp:{address}:{port}-:{GUEST_PORT}"),
        *("-device", f"virtio-net-pci,netdev=net0,id={NIC},romfile="),
        *("-device", "virtio-rng-pci"),
        *("-chardev", "file,id=serial0,path=log/serial.log,append=on", "-serial", "chardev:serial0"),
        *("-qmp", f"unix:{MONITOR},server=on,wait=off"),
    ]
