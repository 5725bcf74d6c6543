"""Where a connection really goes: Ansible's variables, then ssh's own options, then ssh_config, first one wins."""

from __future__ import annotations

import getpass
import glob
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import paramiko

from tcptune.domain.hosts import Host
from tcptune.errors import HostUnreachable

_SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
_MAX_INCLUDES = 16
_PERCENT = "\x01"
_FLAGS_WITH_VALUE = {"-J": "proxyjump", "-p": "port", "-l": "user", "-i": "identityfile", "-F": "-F"}


@dataclass(frozen=True)
class Target:
    """One hop, settled."""

    host: str
    """Name for messages."""
    hostname: str
    port: int
    user: str
    key_files: tuple[Path, ...]
    """Named by somebody; the default identities come after them."""
    identities_only: bool
    known_hosts: tuple[Path, ...]
    key_alias: str | None
    jumps: tuple[str, ...]
    """`user@host:port` of each hop before this one."""
    proxy_command: str | None
    timeout_s: float
    config: Path | None
    """The configuration file that was named with -F."""


def target(host: Host) -> Target:
    """Settle how a host of the inventory is reached.

    Raises HostUnreachable where ssh_config cannot be understood.
    """
    connection = host.connection
    options = _options(connection.ssh_args)
    named = options.pop("-F", [None])[0]
    return _settle(
        host.name,
        connection.address,
        options,
        config=Path(named).expanduser() if named else None,
        port=connection.port,
        user=connection.user,
        key_file=connection.key_file,
        timeout_s=connection.timeout_s,
    )


def jump_target(spec: str, behind: Target) -> Target:
    """Settle one hop of a ProxyJump: `[user@]host[:port]`. It takes its own settings from ssh_config alone."""
    spec = spec.removeprefix("ssh://")
    user, _, rest = spec.rpartition("@")
    name = rest
    port: int | None = None
    if rest.startswith("["):
        name, _, tail = rest[1:].partition("]")
        port = _port(behind.host, tail[1:]) if tail.startswith(":") else None
    elif rest.count(":") == 1:
        name, _, digits = rest.partition(":")
        port = _port(behind.host, digits)
    return _settle(
        f"{behind.host} (by way of {name})",
        name,
        {},
        config=behind.config,
        port=port,
        user=user or None,
        key_file=None,
        timeout_s=behind.timeout_s,
    )


def _settle(
    name: str,
    alias: str,
    options: dict[str, list[str]],
    *,
    config: Path | None,
    port: int | None,
    user: str | None,
    key_file: str | None,
    timeout_s: float,
) -> Target:
    try:
        found = _config(config).lookup(alias)
    except (paramiko.ConfigParseError, paramiko.CouldNotCanonicalize) as problem:
        raise HostUnreachable(f"{name}: ssh_config cannot be used: {problem}") from problem

    def first(option: str) -> str | None:
        value = options[option][0] if option in options else found.get(option)
        return value if isinstance(value, str) else (value[0] if value else None)

    identities = [key_file] if key_file else []
    identities += options.get("identityfile", [])
    identities += found.get("identityfile", [])
    jump = first("proxyjump")
    command = first("proxycommand")
    hostname = first("hostname") or alias
    login = user or first("user") or getpass.getuser()
    number = port or _port(name, first("port") or "22")
    return Target(
        host=name,
        hostname=hostname,
        port=number,
        user=login,
        key_files=tuple(Path(path).expanduser() for path in identities),
        identities_only=(first("identitiesonly") or "no").lower() == "yes",
        known_hosts=_known_hosts(first("userknownhostsfile"), first("globalknownhostsfile")),
        key_alias=first("hostkeyalias"),
        jumps=tuple(hop.strip() for hop in jump.split(",")) if jump and jump.lower() != "none" else (),
        proxy_command=_expanded(command, h=hostname, p=str(number), r=login, n=alias),
        timeout_s=timeout_s,
        config=config,
    )


def _port(name: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise HostUnreachable(f"{name}: {text!r} is no port", hint="see ssh_config and the inventory")
    return int(text)


def _expanded(command: str | None, **tokens: str) -> str | None:
    if not command or command.lower() == "none":
        return None
    tokens["%"] = "%"
    return re.sub(f"[{_PERCENT}%]([hprn%])", lambda found: tokens[found[1]], command).replace(_PERCENT, "%")


def _known_hosts(user: str | None, system: str | None) -> tuple[Path, ...]:
    files = (user or "~/.ssh/known_hosts ~/.ssh/known_hosts2").split()
    files += (system or "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2").split()
    return tuple(Path(path.replace("%d", str(Path.home()))).expanduser() for path in files if path.lower() != "none")


def _options(words: Sequence[str]) -> dict[str, list[str]]:
    """Return ssh's command line options by lower-case name, without the flags that do not matter here."""
    options: dict[str, list[str]] = {}
    rest = iter(words)
    for word in rest:
        flag, attached = word[:2], word[2:]
        if flag == "-o":
            option = re.fullmatch(r"\s*(\w+)\s*[=\s]\s*(.*)", attached or next(rest, ""))
            if option:
                options.setdefault(option[1].lower(), []).append(option[2].strip().strip('"'))
        elif flag in _FLAGS_WITH_VALUE:
            options.setdefault(_FLAGS_WITH_VALUE[flag], []).append(attached or next(rest, ""))
    return options


@cache
def _config(named: Path | None) -> paramiko.SSHConfig:
    files = [named] if named else [Path.home() / ".ssh/config", _SYSTEM_CONFIG]
    return paramiko.SSHConfig.from_text("\n".join("Host *\n" + _text(path, path.parent, 0) for path in files))


def _text(path: Path, base: Path, depth: int) -> str:
    """Return a configuration with its Include lines replaced by what they name; paramiko does not follow them."""
    if depth > _MAX_INCLUDES or not path.is_file():
        return ""
    lines = []
    block = "Host *"
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        word, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        match word.lower():
            case "include":
                for pattern in shlex.split(rest):
                    found = sorted(glob.glob(str(base / Path(pattern).expanduser())))  # noqa: PTH207  # absolute patterns
                    lines += [_text(Path(name), base, depth + 1) for name in found]
                # Whatever block the included text ends in, this file goes on in its own.
                lines.append(block)
            case "proxycommand":
                # paramiko would put in what the files say, not what the inventory says.
                lines.append(line.replace("%", _PERCENT))
            case "host" | "match":
                block = line
                lines.append(line)
            case _:
                lines.append(line)
    return "\n".join(lines)
