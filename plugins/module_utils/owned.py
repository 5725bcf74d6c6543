# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a host that are ours, and what may stand in each kind: nothing that could do more than it says.

    /etc/sysctl.d/NN-tcptune*.conf                    any text, as yet: the controller's lines of settings
    /etc/modules-load.d/NN-tcptune*.conf              comments, and names of modules: no parameters
    /etc/security/limits.d/NN-tcptune*.conf           comments, and DOMAIN soft|hard|- nofile NUMBER
    /etc/systemd/system/UNIT.service.d/NN-tcptune*.conf   comments, [Service], and one LimitNOFILE=SOFT[:HARD]

The rules are narrower than those of the programs that read the files: modules-load.d(5), limits.conf(5) with
pam_limits.c, systemd.unit(5) with systemd.exec(5). What these take in another way than a reader of the plan is refused.
"""

from __future__ import annotations

import re
from typing import Callable, Iterator, NamedTuple

LEAST_FILES = 1024
"""The fewest open files that we write: what every process gets without us (INR_OPEN_CUR in the kernel's fs.h)."""

MOST_FILES = 2147483584
"""The most that fs.nr_open can be on a kernel of 64 bits (sysctl_nr_open_max in the kernel's fs/file.c)."""

# pam_limits cuts a line of 1024 bytes or more in two, and takes the rest of a comment for a limit.
_LINE_BYTES = 1000

_OURS = r"[0-9]{1,3}-tcptune[A-Za-z0-9_-]*\.conf"
# No dash at the end: systemd reads such a folder for every service whose name begins so, as it does service.d for all.
_UNIT = r"(?!\.)(?!.*\.\.)(?:[A-Za-z0-9:_.-]|\\x[0-9a-f]{2})(?:[A-Za-z0-9:_.@-]|\\x[0-9a-f]{2}){0,240}(?<!-)"

_MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,55}")
# All, a user, a @group, or a range of ids. What begins with % is for another limit.
_DOMAIN = re.compile(r"\*|@?[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|@?[0-9]{1,10}:[0-9]{0,10}|@?:[0-9]{1,10}")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


class Kind(NamedTuple):
    """A kind of owned file."""

    folders: str
    """Where its files are, as a shell's pattern."""
    pattern: re.Pattern[str]
    """Matches its whole path."""
    holds: str
    """What may stand in it, for a message."""
    mistakes: Callable[[str], Iterator[str]]
    """Yields what is wrong with a text."""
    is_unit: bool = False
    """Whether the service manager has to be told when it changes."""
    is_for_logins: bool = False
    """Whether a mistake in it can keep everybody from logging in."""
    holds_settings: bool = False
    """Whether its lines are settings of the kernel, so that more than the file has to go back."""


def kind_of(path: str) -> Kind | None:
    """Return the kind of the file at `path`, None if it is not ours."""
    # 255 bytes is the longest name that a folder can have.
    if any(len(part) > 255 for part in path.split("/")):
        return None
    return next((kind for kind in KINDS if kind.pattern.fullmatch(path)), None)


def is_unit(path: str) -> bool:
    """Return whether the owned file at `path` is a drop-in of a service."""
    kind = kind_of(path)
    return kind is not None and kind.is_unit


def nofile_limits(text: str) -> Iterator[int]:
    """Yield each number of open files in the text of a limits.d file that has no mistake."""
    for _, line in _said(text):
        yield int(line.split()[3])


def _anything(_text: str) -> Iterator[str]:
    return iter(())


def _modules(text: str) -> Iterator[str]:
    yield from _unreadable(text)
    for at, line in _said(text):
        if not _MODULE.fullmatch(line):
            yield f"line {at} is not the name of a module alone: {line!r}"


def _limits(text: str) -> Iterator[str]:
    yield from _unreadable(text)
    for at, line in _said(text):
        words = re.split(r"[ \t]+", line)
        # The words are counted first: the rest has no meaning without.
        if len(words) != 4 or not _DOMAIN.fullmatch(words[0]) or words[1] not in ("soft", "hard", "-"):
            yield f"line {at} is not DOMAIN soft|hard|- nofile NUMBER: {line!r}"
        elif words[2] != "nofile":
            yield f"line {at} limits {words[2]}; only nofile is ours"
        else:
            yield from (f"line {at}: {why}" for why in _count(words[3]))


def _unit(text: str) -> Iterator[str]:
    yield from _unreadable(text)
    said = [*_said(text)]
    if not said or said[0][1] != "[Service]":
        yield "it does not begin with [Service]"
    numbers = 0
    for at, line in said[1:]:
        name, _, value = line.partition("=")
        if name != "LimitNOFILE":
            yield f"line {at} is not LimitNOFILE=SOFT[:HARD]: {line!r}"
            continue
        numbers += 1
        soft, colon, hard = value.partition(":")
        wrong = [why for one in ((soft, hard) if colon else (soft,)) for why in _count(one)]
        yield from (f"line {at}: {why}" for why in wrong)
        if colon and not wrong and int(soft) > int(hard):
            yield f"line {at}: the soft limit {soft} is above the hard one, {hard}"
    if numbers != 1:
        yield f"it has {numbers} lines LimitNOFILE=, not one"


def _count(text: str) -> Iterator[str]:
    # systemd takes 010 for eight.
    if not _NUMBER.fullmatch(text):
        yield f"{text!r} is not a plain number of open files"
    elif not LEAST_FILES <= int(text) <= MOST_FILES:
        yield f"{text} open files are not within {LEAST_FILES} to {MOST_FILES}"


def _unreadable(text: str) -> Iterator[str]:
    """Yield what is wrong with a line whatever it says: its reader could see another line than we do."""
    for at, line in enumerate(text.split("\n"), 1):
        if not line.replace("\t", " ").isprintable():
            yield f"line {at} has a character that cannot be printed"
        elif line.endswith("\\"):
            yield f"line {at} ends in a backslash, which joins it to the next"
        elif len(line.encode("utf-8", "surrogateescape")) > _LINE_BYTES:
            yield f"line {at} is longer than {_LINE_BYTES} bytes"


def _said(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line that is neither empty nor a comment, with its number."""
    for at, line in enumerate(text.split("\n"), 1):
        if line.strip(" \t") and not line.startswith("#"):
            yield at, line


KINDS = (
    Kind("/etc/sysctl.d", re.compile(r"/etc/sysctl\.d/" + _OURS), "any text", _anything, holds_settings=True),
    Kind(
        "/etc/modules-load.d",
        re.compile(r"/etc/modules-load\.d/" + _OURS),
        "comments, and names of modules",
        _modules,
    ),
    Kind(
        "/etc/security/limits.d",
        re.compile(r"/etc/security/limits\.d/" + _OURS),
        "comments, and lines as * soft nofile 65536",
        _limits,
        is_for_logins=True,
    ),
    Kind(
        "/etc/systemd/system/*.service.d",
        re.compile(r"/etc/systemd/system/" + _UNIT + r"\.service\.d/" + _OURS),
        "comments, [Service], and one line as LimitNOFILE=65536 or LimitNOFILE=1024:524288",
        _unit,
        is_unit=True,
    ),
)
