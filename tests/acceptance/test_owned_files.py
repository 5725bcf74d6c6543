"""What plans write beside settings: a limit of a service, and a list of modules. On real hosts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.machine import Machine
from tests.acceptance.test_limits import listen

pytestmark = pytest.mark.lab

UNIT = "web.service"
WANTED = 4096
OURS = f"/etc/systemd/system/{UNIT}.d/99-tcptune.conf"
PROFILE = f"""\
profile: files
limits:
  nofile: {{at_least: {WANTED}, processes: [{UNIT}], why: each connection is a file, source: getrlimit(2)}}
"""

CONNTRACK = "net.netfilter.nf_conntrack_max"
MODULES = "/etc/modules-load.d/99-tcptune.conf"
TRACKING = f"""\
profile: tracking
settings:
  {CONNTRACK}: {{at_least: 262144, why: every flow is an entry, source: nf_conntrack-sysctl.rst}}
"""

Service = Callable[[int, int], None]
"""Starts the web server of the unit anew with these limits, as its service manager would."""


@pytest.fixture
def unit_group() -> Iterator[Path]:
    """Give a control group with the name of the unit: that is how a process is known to belong to one."""
    for mount in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"):
        group = Path(mount) / f"tcptune-test-{os.getpid()}.slice" / UNIT
        try:
            group.mkdir(parents=True)
        except OSError:
            continue
        if (group / "cgroup.procs").exists():
            break
        group.rmdir()
        group.parent.rmdir()
    else:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no control group can be made here")
    yield group
    for pid in (group / "cgroup.procs").read_text().split():
        (group.parent.parent / "cgroup.procs").write_text(pid)
    group.rmdir()
    group.parent.rmdir()


@contextmanager
def serving(machine: Machine, group: Path) -> Iterator[Service]:
    """Give what starts the web server anew; it ends with the test."""

    def start(soft: int, hard: int) -> None:
        pids = (group / "cgroup.procs").read_text().split()
        for pid in pids:
            machine.run("kill", pid)
        while (group / "cgroup.procs").read_text().split():
            pass
        listen(machine, soft, hard)
        said = machine.run("ss", "-Hltnp", "sport = :8080")
        (group / "cgroup.procs").write_text(said.partition("pid=")[2].partition(",")[0])

    machine.write(f"/etc/systemd/system/{UNIT}", "[Service]\nExecStart=/bin/busybox httpd -f\n")
    try:
        yield start
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            machine.run("kill", pid)
