"""python -m tests.lab: hosts for trying things out."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.lab import requirements
from tests.lab.errors import LabError
from tests.lab.files import default_directory
from tests.lab.lab import Lab


def main() -> int:
    """Run one command; every error that has an explanation ends here."""
    arguments = _parser().parse_args()
    try:
        return int(COMMANDS[arguments.command](arguments))
    except LabError as error:
        sys.stderr.write(f"error: {error}\n" + (f"  try: {error.hint}\n" if error.hint else ""))
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or ""
        sys.stderr.write(f"error: {error} {said if isinstance(said, str) else said.decode(errors='replace')}\n")
    return 1


def up(arguments: argparse.Namespace) -> int:
    """Bring hosts up and say how to reach them."""
    lab = Lab(arguments.dir)
    lab.up(arguments.count)
    return status(arguments)


def down(arguments: argparse.Namespace) -> int:
    """Leave nothing."""
    Lab(arguments.dir).down()
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Show the hosts; exit 1 if there is none or one does not run."""
    lab = Lab(arguments.dir)
    if os.geteuid() != 0:
        raise LabError("only root can look into a lab", hint="run it again as root")
    hosts = lab.hosts
    if not lab.directory.is_dir():
        raise LabError(f"no lab in {lab.directory}", hint="python -m tests.lab up 3")
    for host in hosts:
        sys.stdout.write(
            f"{host.name:8}{host.address:16}{f'pid {host.init_pid}' if host.init_pid else 'does not run'}\n"
        )
    sys.stdout.write(f"inventory {lab.inventory}\nssh       ssh -F {lab.ssh_config} lab1\n")
    return 0 if all(host.init_pid for host in hosts) else 1


def execute(arguments: argparse.Namespace) -> int:
    """Become the command: its terminal, signals and exit code are ours."""
    argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    lab = Lab(arguments.dir)
    command = lab.command(arguments.host, argv or ["/bin/bash", "-l"])
    os.execvpe(command[0], command, lab.environment | {"TERM": os.environ.get("TERM", "dumb")})  # noqa: S606


def check_requirements(_: argparse.Namespace) -> int:
    """Exit 0 if a lab can run here; otherwise say why not."""
    reasons = requirements.missing()
    for reason in reasons:
        sys.stderr.write(f"error: {reason}\n")
    if reasons:
        sys.stderr.write(f"  try: {requirements.hint(reasons)}\n")
    return 1 if reasons else 0


COMMANDS = {"up": up, "down": down, "status": status, "exec": execute, "check-requirements": check_requirements}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description="Hosts on this machine. Needs root.")
    commands = parser.add_subparsers(dest="command", required=True)
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        "--dir", type=Path, help=f"directory of the lab, which makes it this lab ({default_directory()})"
    )
    start = commands.add_parser("up", parents=[where], help="see to it that exactly COUNT hosts run")
    start.add_argument("count", type=int, metavar="COUNT")
    commands.add_parser("down", parents=[where], help="end all hosts and leave nothing")
    commands.add_parser("status", parents=[where], help="show the hosts; changes nothing")
    run = commands.add_parser("exec", parents=[where], help="run a command as root within a host, without ssh")
    run.add_argument("host", metavar="HOST")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    commands.add_parser("check-requirements", help="say what this machine lacks for a lab")
    return parser


if __name__ == "__main__":
    sys.exit(main())
