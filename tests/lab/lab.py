"""A lab: bring hosts up, run things in them, break them, take them down.

All methods that change the lab may be called from several processes: they take turns by the directory's lock. Killed in
the middle, they leave what the next `up` or `down` puts right.
"""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tests.lab import files, hosts, image, keys, namespaces, network, processes, requirements
from tests.lab.errors import LabError
from tests.lab.faults import Faults
from tests.lab.hosts import LabHost
from tests.lab.processes import Process

SSH_PORT = 22


class Lab(Faults):
    """The lab that lives in `directory`; making this object starts nothing.

    With `tied`, the hosts die with this Python process, however it ends; their directory stays for `down`.
    """

    def __init__(self, directory: Path | None = None, *, tied: bool = False) -> None:
        self.directory = (directory or files.default_directory()).absolute()
        files.check_path(self.directory)
        self.inventory = self.directory / "inventory.yml"
        self.known_hosts = self.directory / "known_hosts"
        self.ssh_config = self.directory / "ssh_config"
        self.key = keys.user_key(self.directory)
        self._lifeline = _lifeline() if tied else None

    @property
    def hosts(self) -> list[LabHost]:
        """The hosts that were asked for, running or not."""
        state, switch = files.read_state(self.directory), self._switch()
        return [self._host(state.network, number, switch) for number in range(1, state.count + 1) if state.network]

    def host(self, name: str | LabHost) -> LabHost:
        """Give a host as it is now; after `up`, `reset` or `reboot` it has another process."""
        name = name if isinstance(name, str) else name.name
        state = files.read_state(self.directory)
        number = name.removeprefix("lab")
        known = number.isdecimal() and name == hosts.name(int(number)) and 1 <= int(number) <= state.count
        if state.network is None or not known:
            raise LabError(f"no host {name} in {self.directory}", hint="python -m tests.lab status")
        return self._host(state.network, int(number), self._switch())

    def up(self, count: int) -> list[LabHost]:
        """See to it that exactly `count` hosts run and answer; those that do keep all they have.

        known_hosts and the inventory are written anew.
        """
        if not 0 <= count <= hosts.MOST_HOSTS:
            raise LabError(f"a lab has 0 to {hosts.MOST_HOSTS} hosts, not {count}")
        self._require()
        files.create(self.directory)
        with files.locked(self.directory) as lock:
            files.create(self.directory)  # a `down` may have been at it before our turn
            switch, number = self._ensure_switch(lock)
            present = self._present(switch)
            self._end([name for name in present if int(name.removeprefix("lab")) > count], switch)
            files.write_state(self.directory, files.State(number, count))
            wanted = self.hosts
            keys.generate(self.directory, [host.name for host in wanted])
            files.write_connections(self.directory, wanted)
            with ThreadPoolExecutor(max_workers=32) as pool:
                answers = pool.map(lambda host: host.init_pid is not None and _answers(host, wait_s=1.0), wanted)
                broken = [host for host, answer in zip(wanted, answers, strict=True) if not answer]
            self._create(broken, switch, lock)
        return self.hosts

    def down(self) -> None:
        """End all hosts and remove all that the lab made, on disk too."""
        self._require_root()
        if self.directory.is_dir() and (self.directory / "lock").exists():
            with files.locked(self.directory):
                self._destroy()
                files.remove(self.directory)
        else:
            self._destroy()

    def reset(self, *names: str | LabHost) -> list[LabHost]:
        """Make hosts anew, all at once: fresh files, default sysctls; same names, addresses and keys."""
        with files.locked(self.directory) as lock:
            switch = self._required_switch()
            fresh = [self.host(name) for name in names]
            self._end([host.name for host in fresh], switch)
            for host in fresh:
                files.write_known_host(self.directory, host, wrong=False)
            self._create(fresh, switch, lock)
        return [self.host(host) for host in fresh]

    def reboot(self, name: str | LabHost) -> LabHost:
        """Do to a host what a power cut does: processes and runtime values are lost, its files stay.

        The boot reads sysctl.d as procps does. /proc/uptime goes on: it is the machine's.
        """
        with files.locked(self.directory) as lock:
            switch, host = self._required_switch(), self.host(name)
            self._end([host.name], switch)
            self._start(host, switch, lock)
        return self.host(host)

    def run(
        self,
        name: str | LabHost,
        argv: Sequence[str],
        *,
        input: str | None = None,  # noqa: A002 # as subprocess.run calls it
        check: bool = True,
        timeout_s: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run `argv` as root within a host, without ssh. Raise CalledProcessError, with what it said, if it fails."""
        done = subprocess.run(
            self.command(name, argv),
            **({"stdin": subprocess.DEVNULL} if input is None else {"input": input}),
            text=True,
            capture_output=True,
            env=self.environment,
            timeout=timeout_s,
            check=False,
        )
        return files.checked(done) if check else done

    def ssh(
        self,
        name: str | LabHost,
        command: str,
        *,
        user: str = image.OPERATOR,
        input: str | None = None,  # noqa: A002
        check: bool = True,
        timeout_s: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run `command`, a line for the remote shell, over ssh as operator or root."""
        done = subprocess.run(
            ["ssh", "-F", str(self.ssh_config), "-l", user, name if isinstance(name, str) else name.name, command],
            **({"stdin": subprocess.DEVNULL} if input is None else {"input": input}),
            text=True,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        return files.checked(done) if check else done

    def command(self, name: str | LabHost, argv: Sequence[str]) -> list[str]:
        """Give the command of this machine by which `run` runs `argv`; it wants `environment`."""
        host = self.host(name)
        if host.init_pid is None:
            raise LabError(f"{host.name} does not run", hint="python -m tests.lab up again repairs it")
        return namespaces.enter(host.init_pid, list(argv))

    @property
    def environment(self) -> dict[str, str]:
        """What root finds in its environment within a host."""
        return namespaces.ENVIRONMENT | {"HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/sh"}

    def _switch(self) -> Process | None:
        return processes.read(self.directory / "init")

    def _required_switch(self) -> Process:
        self._require_root()
        switch = self._switch()
        if switch is None:
            raise LabError(f"no lab runs in {self.directory}", hint="python -m tests.lab up 3")
        return switch

    def _host(self, number: int, index: int, switch: Process | None) -> LabHost:
        name = hosts.name(index)
        init = processes.read(_disk(switch, name) / "init") if switch else None
        return LabHost(name, hosts.address(number, index), hosts.mac(number, index), init.pid if init else None)

    def _ensure_switch(self, lock: int) -> tuple[Process, int]:
        """Keep a switch that is whole; otherwise start from nothing, but for keys and network number."""
        state, switch = files.read_state(self.directory), self._switch()
        if switch and state.network and network.plugged_in(state.network):
            return switch, state.network
        self._destroy()
        files.write_state(self.directory, replace(state, count=0))
        namespaces.start_switch(self.directory / "init", lock, self.directory / "log/switch.log", self._lifeline)
        switch = self._required_switch()
        keys.generate(self.directory, [])
        image.write_common(switch.root / "mnt/image", self.directory)
        return switch, network.claim(self.directory, switch, state.network)

    def _destroy(self) -> None:
        switch = self._switch()
        processes.end([*([switch] if switch else []), *network.orphans(self.directory)])
        network.unplug(self.directory)

    def _present(self, switch: Process) -> list[str]:
        """Name the hosts that have a disk, those that died on the way up included."""
        return sorted(entry.name for entry in (switch.root / "mnt/hosts").iterdir())

    def _end(self, names: Sequence[str], switch: Process) -> None:
        inits = [processes.read(_disk(switch, name) / "init") for name in names]
        processes.end([init for init in inits if init])
        network.unplug_hosts(switch, list(names))
        for name in names:
            (_disk(switch, name) / "init").unlink(missing_ok=True)

    def _create(self, fresh: Sequence[LabHost], switch: Process, lock: int) -> None:
        self._end([host.name for host in fresh], switch)
        with ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1)) as pool:
            list(pool.map(lambda host: self._create_one(host, switch, lock), fresh))

    def _create_one(self, host: LabHost, switch: Process, lock: int) -> None:
        image.write_host(_disk(switch, host.name), self.directory, host)
        self._start(host, switch, lock)

    def _start(self, host: LabHost, switch: Process, lock: int) -> None:
        log = self.directory / "log" / f"{host.name}.log"
        namespaces.start_host(switch, host, lock, log)
        if not _answers(host, wait_s=10.0):
            raise LabError(
                f"sshd of {host.name} does not answer", hint=f"look into {log} and /var/log/sshd.log in the host"
            )

    def _require(self) -> None:
        reasons = requirements.missing()
        if reasons:
            raise LabError("; ".join(reasons), hint=requirements.hint(reasons))

    def _require_root(self) -> None:
        if os.geteuid() != 0:
            self._require()


def _lifeline() -> int:
    """Open a pipe that ends when this process does, and give the end to read; the other stays open without a name."""
    reading, _ = os.pipe()
    # The shell scripts use the low numbers.
    high = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, 20)
    os.close(reading)
    return high


def _disk(switch: Process, name: str) -> Path:
    return switch.root / "mnt/hosts" / name


def _answers(host: LabHost, *, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while (left_s := deadline - time.monotonic()) > 0:
        try:
            socket.create_connection((host.address, SSH_PORT), timeout=left_s).close()
        except ConnectionRefusedError:
            time.sleep(0.005)
        except OSError:
            continue
        else:
            return True
    return False
