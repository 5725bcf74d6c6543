"""rollback.sh, run by each shell that a host may have, and killed where a test says so."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest
from fake_host import UNIT

SHELLS = [
    pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"there is no {name} here"))
    for name in ("dash", "busybox", "bash")
]
# What a fake kernel needs in a shell: a setting is not written, or takes others along.
_DD = """#!/bin/sh
for word; do
  while read -r key; do
    [ "$word" != "of=$key" ] || exit 1
  done <"${0%/*}/refused"
done
PATH=$REAL_PATH
dd "$@" || exit
for word; do
  while read -r key moved; do
    [ "$word" != "of=$key" ] || cat "$key" >"$moved"
  done <"${0%/*}/moves"
done
"""
# A systemd that is PID 1 of our own namespaces, and knows what the drop-in said when it was last told.
_SYSTEMCTL = """#!/bin/sh
[ "$*" = daemon-reload ] && [ ! -e "${0%/*}/fails" ] || exit 1
cat "${0%/*}/unit" >"${0%/*}/known" 2>/dev/null || :
"""
_READLINK = """#!/bin/sh
case $1 in
/proc/1/ns/*)
  [ ! -e "${0%/*}/outside" ] || exec echo "${1##*/}:[1]"
  set -- "/proc/self/${1#/proc/1/}"
  ;;
esac
PATH=/usr/bin:/bin
exec readlink "$1"
"""
# Counts the commands that the script runs, and kills the script and itself before, or after, the one that was chosen.
_SHIM = """#!/bin/sh
echo "${0##*/}" >>"$SHIM/log"
n=$(/usr/bin/wc -l <"$SHIM/log")
if [ "$n" -eq "$SHIM_AT" ]; then
  [ "$SHIM_WHEN" = before ] || PATH=$SHIM_PATH "${0##*/}" "$@"
  kill -KILL 0
fi
PATH=$SHIM_PATH exec "${0##*/}" "$@"
"""
COMMANDS = [
    *("cat", "chmod", "chown", "cp", "date", "dd", "ln", "mv", "readlink", "rm", "rmdir", "sha256sum", "sleep", "sync"),
    "systemctl",
]


@cache
def applets():
    """Return a folder with all commands of busybox, which none but this process uses."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    subprocess.run([shutil.which("busybox"), "--install", "-s", folder], check=True)
    return folder


def script(fake, run="run-1"):
    return str(Path(fake.runs.folder) / run / "rollback.sh")


class FakeSystemd:
    """A service manager for the script: `known` is what it knows of the drop-in UNIT, None if it was never told."""

    def __init__(self, fake):
        self.folder = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, self.folder)
        for name, text in (("systemctl", _SYSTEMCTL), ("readlink", _READLINK)):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)
        (self.folder / "unit").symlink_to(fake.file(UNIT))
        Path(fake.systemd).mkdir(parents=True)
        fake.commands = self.folder

    def tell(self, _booted=None):
        """Stand for systemd.reload: Python is not in the namespaces of the machine's PID 1 everywhere."""
        subprocess.run([self.folder / "systemctl", "daemon-reload"], check=True)

    def move_out(self):
        """Be the systemd of a machine, of which the host is a container."""
        (self.folder / "outside").touch()

    def fail(self):
        (self.folder / "fails").touch()

    @property
    def known(self):
        known = self.folder / "known"
        return known.read_text() if known.exists() else None


def kernel_like(fake, path):
    """Return the environment in which the script meets the fake kernel, which refuses a key for any value."""
    if hasattr(fake, "commands"):
        path = f"{fake.commands}:{path}"
    if not fake.kernel.moves and not fake.kernel.refused:
        return {"PATH": path}
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    pairs = [(key, moved) for key in fake.kernel.moves for moved in fake.kernel.moved_by(key)]
    (folder / "moves").write_text("".join(f"{fake.kernel.path(one)} {fake.kernel.path(two)}\n" for one, two in pairs))
    (folder / "refused").write_text("".join(f"{fake.kernel.path(key)}\n" for key, _ in fake.kernel.refused))
    (folder / "dd").write_text(_DD)
    (folder / "dd").chmod(0o755)
    return {"PATH": f"{folder}:{path}", "REAL_PATH": path}


def run_script(fake, shell, *arguments, run="run-1"):
    """Run the script to its end, with the commands of coreutils; with those of busybox where that is the shell."""
    path = "/usr/bin:/bin"
    if shell == "busybox":
        path = applets()
    command = [shutil.which(shell), *(["ash"] if shell == "busybox" else [])]
    # The script adds the usual folders at the end, so what busybox has is taken from busybox.
    return subprocess.run(
        [*command, script(fake, run), *arguments],
        env=kernel_like(fake, path),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def run_shimmed(fake, folder, *arguments, at=0, when="before", run="run-1"):
    """Run the script with dash, killed at its command number `at`. Return the commands that it ran."""
    shims = folder / f"shims-{at}-{when}"
    shims.mkdir()
    for name in COMMANDS:
        (shims / name).write_text(_SHIM)
        (shims / name).chmod(0o755)
    real = kernel_like(fake, "/usr/bin:/bin")
    shim = {"SHIM": str(shims), "SHIM_AT": str(at), "SHIM_WHEN": when, "SHIM_PATH": real["PATH"]}
    done = subprocess.run(
        ["/bin/sh", script(fake, run), *arguments],
        env={**real, **shim, "PATH": f"{shims}:{real['PATH']}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        start_new_session=True,
    )
    assert (done.returncode == -9) == (at > 0), done
    return (shims / "log").read_text().split()
