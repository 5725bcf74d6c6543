# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own files of sysctl.d as lines: with settings put in, with settings taken out, and who overrules them at boot.

The form is the one that the command line tool writes, so that either goes on with what the other has left.
"""

from __future__ import annotations

import os
from typing import Iterable, Iterator, Mapping, NamedTuple

from . import files
from .errors import Refused
from .host import Host
from .kernel import canonical, kernel_text, same
from .owned import KINDS
from .request import DROPIN

FOLDER = "/etc/sysctl.d"
HEADER = """\
# Written by tcptune, which owns this file: a change made here by hand is reported, and undone by the next plan.
# What a line does: tcptune explain KEY. To take all of it back: tcptune rollback RUN.
"""

# The strongest first: of files with one name, the first is read (sysctl.d(5)).
_FOLDERS = (FOLDER, "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
_PLAIN = "/etc/sysctl.conf"


class Shadow(NamedTuple):
    """A line that overrules one of ours at boot."""

    key: str
    ours: str
    value: str
    """What the boot gives."""
    path: str
    line: int
    loader: str
    """Who reads it so: systemd-sysctl, or the sysctl of procps."""


def lines(text: str, path: str = DROPIN) -> dict[str, str]:
    """Return key -> value of a file of ours, in its order. Raises Refused for a line that is neither nor a comment."""
    found: dict[str, str] = {}
    for at, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(("#", ";")):
            continue
        name, sign, value = line.partition("=")
        try:
            key = canonical(name.strip() if sign and not line.lstrip().startswith("-") else "")
        except Refused as why:
            raise Refused(
                f"{path}: line {at} is no plain setting: {line.strip()}",
                hint="that file is ours: move the line to a file of your own",
                key=path,
            ) from why
        # The last one counts, and its place too.
        found.pop(key, None)
        found[key] = kernel_text(value)
    return found


def with_settings(text: str | None, wanted: Mapping[str, str]) -> str:
    """Return the file with `wanted` in it, in that order, behind what it holds of others.

    A file that says so already stays as it is, however it spells it.
    """
    held = lines(text) if text is not None else {}
    order = [key for key in held if key in wanted]
    if text is not None and order == [*wanted] and all(same(key, held[key], wanted[key]) for key in order):
        return text
    return _text({**{key: value for key, value in held.items() if key not in wanted}, **wanted})


def without(text: str, keys: Iterable[str], path: str = DROPIN) -> str | None:
    """Return the file without these keys, None where that leaves it no setting. One that has none of them stays."""
    held, gone = lines(text, path), frozenset(keys)
    if not gone & held.keys():
        return text
    rest = {key: value for key, value in held.items() if key not in gone}
    return _text(rest) if rest else None


def ours(host: Host) -> Iterator[tuple[str, str, str]]:
    """Yield path, text and SHA-256 of each of our files in /etc/sysctl.d. Raises Refused for one that is no text."""
    try:
        names = sorted(os.listdir(host.path(FOLDER)))
    except FileNotFoundError:
        return
    for path in (f"{FOLDER}/{name}" for name in names):
        if KINDS[0].pattern.fullmatch(path):
            text, digest = read(host, path)
            if text is not None:
                yield path, text, digest


def read(host: Host, path: str) -> tuple[str | None, str]:
    """Return text and SHA-256 of a file of ours; None and an empty digest where there is none."""
    found = files.look(host, path)
    if found is None:
        return None, ""
    try:
        return found.data.decode("utf-8"), found.sha256
    except UnicodeDecodeError:
        raise Refused(f"{path} is no text", hint="move that file away", key=path) from None


def shadows(host: Host, wanted: Mapping[str, str], path: str = DROPIN) -> list[Shadow]:
    """Return which of our lines a boot overrules. Reads the files that come behind `path`, and changes nothing.

    systemd-sysctl is asked where systemd is PID 1, procps elsewhere: that one reads /etc/sysctl.conf last.
    """
    systemd = os.path.isdir(host.systemd)
    loader = "systemd-sysctl" if systemd else "procps"
    strongest: dict[str, str] = {}
    for folder in _FOLDERS:
        try:
            names = os.listdir(host.path(folder))
        except OSError:
            # Most hosts lack one or the other.
            continue
        for name in names:
            if name.endswith(".conf") and name > os.path.basename(path):
                strongest.setdefault(name, f"{folder}/{name}")
    later = [strongest[name] for name in sorted(strongest)] + ([] if systemd else [_PLAIN])
    last: dict[str, Shadow] = {}
    for other in later:
        for at, key, value in _said(host, other):
            if key in wanted:
                last[key] = Shadow(key, wanted[key], value, other, at, loader)
    return [shadow for shadow in last.values() if not same(shadow.key, shadow.value, shadow.ours)]


def _said(host: Host, path: str) -> Iterator[tuple[int, str, str]]:
    try:
        with open(host.path(path), encoding="utf-8", errors="replace") as file:
            text = file.read()
    except FileNotFoundError:
        return
    except OSError as error:
        host.warnings.append(f"{path} could not be read ({error.strerror}): whether it overrules ours is not known")
        return
    for at, line in enumerate(text.splitlines(), 1):
        name, separator, value = line.strip().partition("=")
        if not separator or name.startswith(("#", ";")):
            continue
        try:
            # A pattern is no key, and an explicit line beats it wherever it stands.
            yield at, canonical(name.strip().lstrip("-").strip()), kernel_text(value)
        except Refused:
            continue


def _text(settings: Mapping[str, str]) -> str:
    return HEADER + "".join(f"{key} = {value}".rstrip() + "\n" for key, value in settings.items())
