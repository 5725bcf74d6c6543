"""rollback.sh, run by each shell that a host may have, and killed where a test says so."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

SHELLS = [
    pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"there is no {name} here"))
    for name in ("dash", "busybox", "bash")
]
# Counts the commands that the script runs, and kills the script and itself before, or after, the one that was chosen.
_SHIM = """#!/bin/sh
echo "${0##*/}" >>"$SHIM/log"
n=$(/usr/bin/wc -l <"$SHIM/log")
if [ "$n" -eq "$SHIM_AT" ]; then
  [ "$SHIM_WHEN" = before ] || PATH=/usr/bin:/bin "${0##*/}" "$@"
  kill -KILL 0
fi
PATH=/usr/bin:/bin exec "${0##*/}" "$@"
"""
COMMANDS = ["cat", "chmod", "chown", "cp", "date", "dd", "ln", "mv", "readlink", "rm", "sha256sum", "sleep", "sync"]


@cache
def applets():
    """Return a folder with all commands of busybox, which none but this process uses."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    subprocess.run([shutil.which("busybox"), "--install", "-s", folder], check=True)
    return folder


def script(fake, run="run-1"):
    return str(Path(fake.runs.folder) / run / "rollback.sh")


def run_script(fake, shell, *arguments, run="run-1"):
    """Run the script to its end, with the commands of coreutils; with those of busybox where that is the shell."""
    path = "/usr/bin:/bin"
    if shell == "busybox":
        path = applets()
    command = [shutil.which(shell), *(["ash"] if shell == "busybox" else [])]
    # The script adds the usual folders at the end, so what busybox has is taken from busybox.
    return subprocess.run(
        [*command, script(fake, run), *arguments],
        env={"PATH": path},
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
    done = subprocess.run(
        ["/bin/sh", script(fake, run), *arguments],
        env={"PATH": f"{shims}:/usr/bin:/bin", "SHIM": str(shims), "SHIM_AT": str(at), "SHIM_WHEN": when},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        start_new_session=True,
    )
    assert (done.returncode == -9) == (at > 0), done
    return (shims / "log").read_text().split()
