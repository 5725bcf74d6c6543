"""python -m tests.lab.vm: a virtual machine for trying things out."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.vm.lab import VmLab, default_directory
from tests.lab.vm.releases import RELEASES


def main() -> int:
    """Run one command; every error that has an explanation ends here."""
    arguments = _parser().parse_args()
    try:
        return COMMANDS[arguments.command](VmLab(arguments.dir, arguments.release))
    except LabError as error:
        sys.stderr.write(f"error: {error}\n" + (f"  try: {error.hint}\n" if error.hint else ""))
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"error: {error} {getattr(error, 'stderr', None) or ''}\n")
    return 1


def up(lab: VmLab) -> int:
    """Boot the machine and say how to reach it."""
    start = time.monotonic()
    lab.up()
    sys.stdout.write(f"up after {time.monotonic() - start:.0f} s\n")
    return status(lab)


def down(lab: VmLab) -> int:
    """Leave nothing but the image in the cache."""
    lab.down()
    return 0


def status(lab: VmLab) -> int:
    """Show the machine; exit 1 if there is none or it does not run."""
    if not lab.hosts:
        raise LabError(f"no virtual machine in {lab.directory}", hint=f"python -m tests.lab.vm up {lab.name}")
    host = lab.host()
    runs = f"qemu {host.init_pid}" if host.init_pid else "does not run"
    sys.stdout.write(f"{host.name:10}{host.address}:{host.port}  {runs}\n")
    sys.stdout.write(f"inventory {lab.inventory}\nssh       ssh -F {lab.ssh_config} {host.name}\n")
    return 0 if host.init_pid else 1


COMMANDS = {"up": up, "down": down, "status": status}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.vm", description="A virtual machine. Needs root.")
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("release", nargs="?", choices=RELEASES, default="bookworm", metavar="RELEASE")
    common.add_argument("--dir", type=Path, help=f"directory of the lab ({default_directory('RELEASE')})")
    commands.add_parser("up", parents=[common], help="build the image if need be, and boot")
    commands.add_parser("down", parents=[common], help="switch it off and leave nothing but the image")
    commands.add_parser("status", parents=[common], help="show the machine; changes nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
