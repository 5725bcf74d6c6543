"""Options that commands share, each defined once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class FactsFormat(StrEnum):
    """What facts are written as."""

    JSONL = "jsonl"
    SUMMARY = "summary"


class Via(StrEnum):
    """How hosts are reached to be read."""

    SSH = "ssh"
    ANSIBLE = "ansible"


class Format(StrEnum):
    """What a report is written as."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "markdown"


ProfileArg = Annotated[
    str,
    typer.Argument(help="Name of a built-in profile (`tcptune profile list`), or a YAML file.", metavar="PROFILE"),
]
WantedArg = Annotated[
    str | None,
    typer.Argument(help="Name of a built-in profile (`tcptune profile list`), or a YAML file.", metavar="PROFILE"),
]
Profiles = Annotated[
    list[str],
    typer.Option("--profile", "-p", help="One more profile that has to be met on the same hosts. May be repeated."),
]
Load = Annotated[
    list[str],
    typer.Option(
        "--load",
        help="A load variable of the profile, over its default and the inventory's: NAME=VALUE. May be repeated.",
    ),
]
Waivers = Annotated[Path | None, typer.Option("--waivers", help="File of deviations that somebody answers for.")]
ConfirmWithin = Annotated[
    str,
    typer.Option(
        "--confirm-within",
        help="Time after which a host takes the change back by itself unless it is confirmed: 90s, 10m, 2h or never.",
        metavar="TIME",
    ),
]
PlanArg = Annotated[Path, typer.Argument(help="Plan file, as written by `tcptune plan`.", metavar="PLAN")]
RunArg = Annotated[str, typer.Argument(help="Run id, a unique start of it, or 'last'.", metavar="RUN")]
Inventory = Annotated[
    list[str],
    typer.Option(
        "--inventory",
        "-i",
        envvar="TCPTUNE_INVENTORY",
        help="Ansible inventory: a file, a folder or a list such as 'web1,web2,'. Default: what ansible.cfg names.",
    ),
]
Limit = Annotated[str, typer.Option("--limit", "-l", help="Ansible host pattern: 'web*', 'group1:!host3', '@FILE'.")]
Facts = Annotated[Path | None, typer.Option("--facts", help="Facts file to use instead of reading hosts.")]
SysctlA = Annotated[
    Path | None,
    typer.Option("--sysctl-a", help="Saved output of `sysctl -a` of one host to use instead; tells nothing of a boot."),
]
Kernel = Annotated[
    str | None, typer.Option("--kernel", help="Kernel release of that host, where the file does not tell: 5.10.0.")
]
FactsFormatOption = Annotated[
    FactsFormat, typer.Option("--format", help="JSON lines to keep and use again, or a page per host to read.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to write the report.")]
Evidence = Annotated[
    bool,
    typer.Option(
        "--evidence",
        help="Read what a diagnosis needs, too: every socket, added up on the host; its drops; its kernel's log.",
    ),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write to instead of standard output.")]
Forks = Annotated[int, typer.Option("--forks", "-f", min=1, max=128, help="Hosts read at once.")]
Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Seconds a host may take to be read.")]
ViaOption = Annotated[
    Via,
    typer.Option(
        "--via",
        help="How to reach hosts: one SSH connection each, or whatever connection plugin Ansible has for them.",
    ),
]
Reach = Annotated[
    float,
    typer.Option("--timeout", min=1, help="Seconds a host may take to connect, and sudo there to answer."),
]
Become = Annotated[
    bool, typer.Option("--become", "-b", help="Become another user on the hosts, where the inventory does not say.")
]
BecomeUser = Annotated[
    str | None,
    typer.Option("--become-user", help="Whom to become, where the inventory does not say. Default: root."),
]
AskBecomePass = Annotated[
    bool,
    typer.Option(
        "--ask-become-pass", "-K", help="Ask once for the password of sudo, for hosts that have none of their own."
    ),
]
BecomePasswordFile = Annotated[
    str | None,
    typer.Option(
        "--become-password-file",
        help="File with that password, or a program that prints it; '-' is standard input.",
        metavar="FILE",
    ),
]
PolicyOption = Annotated[
    str | None,
    typer.Option(
        "--policy",
        help="Go in waves, as this policy says: a built-in one (`tcptune policy list`), or a YAML file.",
        metavar="POLICY",
    ),
]
Events = Annotated[
    str | None,
    typer.Option("--events", help="File to append what happens to, a line of JSON each; '-' is standard output."),
]
Hosts = Annotated[
    str | None,
    typer.Option("--limit", "-l", help="Only these hosts of the run: names or wildcards, with commas between."),
]
_OF_HOP = "May be repeated, as HOP=FILE where the chain has several."
NginxFiles = Annotated[
    list[str],
    typer.Option(
        "--nginx", help=f"Main configuration file of the nginx hop, read with its includes. {_OF_HOP}", metavar="FILE"
    ),
]
HaproxyFiles = Annotated[
    list[str], typer.Option("--haproxy", help=f"Configuration file of the haproxy hop. {_OF_HOP}", metavar="FILE")
]
