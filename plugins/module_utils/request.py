# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller asks of one host, checked before the host is looked at."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from .errors import ChangeError, Refused, raise_worst
from .kernel import FOLDED, canonical, kernel_text
from .owned import KINDS, Kind, kind_of
from .storage import sha256

ABSENT = "absent"

DROPIN = "/etc/sysctl.d/99-tcptune.conf"
"""Where settings are kept that a boot is to give, where the request names no file."""

OWNED = tuple(kind.pattern for kind in KINDS)
"""The files we may write. Everything else on a host belongs to somebody else."""

MAX_WAIT_S = 7 * 24 * 3600
"""The longest that a run can wait for confirm before the host takes it back."""

# A page, less the final newline and the kernel's own end of text. It takes the rest as another write.
_ONE_WRITE = 4094
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"-?[0-9]+")
_DECIMAL = re.compile(r"0|-?[1-9][0-9]*")


class WantedFile(NamedTuple):
    """An owned file as it is to be once the run is confirmed."""

    path: str
    data: bytes | None
    """None where there is to be no file."""
    before_sha256: str | None = None
    """What must be there now: a digest, or `absent`. None where anything may be."""


class Request(NamedTuple):
    """A change of one host: decided elsewhere, to be carried out as it stands."""

    settings: dict[str, str]
    """Key to value, in the order of the writes."""
    before: dict[str, str]
    files: tuple[WantedFile, ...] = ()
    run: str | None = None
    revert_after_s: int | None = None
    """When the host is to take the run back by itself unless it is confirmed; None for never."""
    writers: dict[str, str] = {}
    """Key to the program that is known to write it too, for messages."""
    keep_runs: int = 20
    """How many runs the host is to remember."""
    persist: bool = False
    """Whether the host is to put the settings into our own drop-in, beside what that holds already."""
    absent: tuple[str, ...] = ()
    """Keys that are to be as they were before us: no line of ours, and the value that was there."""
    force_keys: frozenset[str] = frozenset()
    """Those of `absent` whose value goes back even if somebody else has changed it since."""
    absent_files: tuple[str, ...] = ()
    """Files of ours, not of settings, that are to go."""
    exclusive_header: str | None = None
    """The first line of files that are to go where they are not among `files`; None if all stay."""

    @property
    def sha256(self) -> str:
        """Return a digest of what is to change: two requests with one digest ask for the same change."""
        files = [(file.path, sha256(file.data or b""), file.before_sha256) for file in self.files]
        asked: list[Any] = [list(self.settings.items()), sorted(self.before.items()), files]
        if self.persist or self.absent or self.absent_files:
            # What the host makes of it is not part of what was asked.
            asked.append([self.persist, self.absent, sorted(self.force_keys), *self.absent_files])
        if self.exclusive_header is not None:
            asked.append({"exclusive_header": self.exclusive_header})
        return sha256(json.dumps(asked).encode())


def make_request(
    settings: Mapping[str, Any],
    before: Mapping[str, Any] | None = None,
    files: Sequence[Mapping[str, Any]] = (),
    run: str | None = None,
    *,
    revert_after_s: int | None = None,
    writers: Mapping[str, Any] | None = None,
    keep_runs: int = 20,
    persist: bool = False,
    exclusive_header: str | None = None,
) -> Request:
    """Return the checked request. Raises Refused, with every mistake in it."""
    problems: list[ChangeError] = []
    if revert_after_s is not None:
        _collect(problems, check_seconds, revert_after_s)
    if keep_runs < 1:
        problems.append(Refused(f"keep_runs is {keep_runs}", hint="a host keeps at least one run, its last"))
    known = {_collect(problems, canonical, str(key)): str(name) for key, name in (writers or {}).items()}
    if run is not None:
        _collect(problems, check_run, run)
    wanted = _values(settings, problems, empty_ok=False)
    expected = _values(before or {}, problems, empty_ok=True)
    owned = [made for made in (_collect(problems, _file, file) for file in files) if made]
    paths = [file.path for file in owned]
    problems += [Refused(f"{path} is given twice", key=path) for path in sorted(set(paths)) if paths.count(path) > 1]
    if persist and DROPIN in paths:
        hint = "leave the file out, or persist"
        problems.append(Refused(f"{DROPIN} is given, and persist writes it", hint=hint, key=DROPIN))
    if persist and not wanted:
        problems.append(Refused("persist without settings", hint="name the settings that a boot is to give"))
    if exclusive_header is not None:
        problems += _unlike(exclusive_header, owned)
    raise_worst(problems)
    request = Request(wanted, expected, tuple(owned), run, revert_after_s, known, keep_runs, persist)
    return request._replace(exclusive_header=exclusive_header)


def make_removal(
    keys: Sequence[str],
    run: str | None = None,
    *,
    force_keys: Sequence[str] = (),
    revert_after_s: int | None = None,
    keep_runs: int = 20,
) -> Request:
    """Return the checked request to have `keys` as they were before us. Raises Refused, with every mistake in it.

    What begins with a slash is the path of a file of ours, which is to go.
    """
    problems: list[ChangeError] = []
    paths = [_collect(problems, _removable, str(key)) for key in keys if str(key).startswith("/")]
    named = [_collect(problems, canonical, str(key)) for key in keys if not str(key).startswith("/")]
    forced = [_collect(problems, canonical, str(key)) for key in force_keys]
    problems += [
        Refused(f"{key} is forced and not among the keys", hint="name it in both", key=key)
        for key in sorted({key for key in forced if key} - {*named})
    ]
    if not keys:
        problems.append(Refused("no keys are named", hint="keys: [net.core.somaxconn]"))
    raise_worst(problems)
    request = make_request({}, run=run, revert_after_s=revert_after_s, keep_runs=keep_runs)
    absent, gone = tuple(dict.fromkeys(named)), tuple(dict.fromkeys(paths))
    return request._replace(absent=absent, absent_files=gone, force_keys=frozenset(forced))


def check_seconds(seconds: int) -> int:
    """Return `seconds`. Raises Refused unless a revert timer can wait for so long."""
    if not 1 <= seconds <= MAX_WAIT_S:
        hint = f"1 to {MAX_WAIT_S} seconds; a run that is to wait longer needs no timer"
        raise Refused(f"a run cannot be taken back after {seconds} seconds", hint=hint)
    return seconds


def check_run(run: str) -> str:
    """Return `run`. Raises Refused unless it can be the name of a folder and of a unit."""
    if not _RUN.fullmatch(run):
        raise Refused(f"{run!r} cannot be the id of a run", hint="letters, digits and ._-, at most 64", run=run)
    return run


def new_run() -> str:
    """Return an id that no other run has: the time in UTC, and a random end."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + "-" + uuid.uuid4().hex[:8]


def mistake_in(key: str, wanted: str, actual: str) -> str | None:
    """Return what is wrong with writing `wanted` where `actual` is now, None if nothing is.

    The kernel takes too few numbers, ignores surplus ones and reads 010 as eight, all without a word.
    """
    if max(len(wanted), len(actual)) > _ONE_WRITE:
        return f"{key} takes at most {_ONE_WRITE} characters at once, to write or to put back"
    numbers = actual.split()
    if key in FOLDED or not numbers or not all(_NUMBER.fullmatch(number) for number in numbers):
        return None
    tokens = wanted.split()
    if len(tokens) != len(numbers):
        return f"{key} takes {len(numbers)} number{'s' if len(numbers) > 1 else ''}, this has {len(tokens)}: {wanted}"
    odd = [token for token in tokens if not _DECIMAL.fullmatch(token)]
    return f"{key} takes plain decimal numbers, not {odd[0]}{_read_as(odd[0])}" if odd else None


def _read_as(token: str) -> str:
    """Return what the kernel would read, in the number bases of C, where that is another number than it seems."""
    for pattern, base in ((r"-?0[0-7]+", 8), (r"-?0[xX][0-9a-fA-F]+", 16)):
        if re.fullmatch(pattern, token):
            return f": the kernel would read it as {int(token, base)}"
    return ""


def _values(given: Mapping[str, Any], problems: list[ChangeError], *, empty_ok: bool) -> dict[str, str]:
    values: dict[str, str] = {}
    for raw, value in given.items():
        key = _collect(problems, canonical, str(raw))
        text = _collect(problems, _text, str(raw), value)
        if key is None or text is None:
            continue
        if key in values:
            problems.append(Refused(f"{key} is given twice", hint="keep one spelling", key=key))
        elif not text and not empty_ok and key not in FOLDED:
            # An empty write is a success that changes nothing, except for lists.
            problems.append(Refused(f"{key} has no value", hint="leave the key out to leave it alone", key=key))
        values[key] = text
    return values


def _text(key: str, value: Any) -> str:
    if isinstance(value, bool):
        raise Refused(f"{key} is a YAML boolean; the kernel has none", hint="write 0 or 1, in quotes", key=key)
    if not isinstance(value, (str, int)):
        hint = 'write it as sysctl prints it, in quotes: "4096 131072 6291456"'
        raise Refused(f"{key} is {type(value).__name__}, not text", hint=hint, key=key)
    text = kernel_text(str(value))
    if not text.isprintable() or '"' in text or "'" in text:
        raise Refused(f"{key} has a character the kernel cannot take: {text!r}", hint="no quotes inside", key=key)
    return text


def _removable(path: str) -> str:
    if _kind(path).holds_settings:
        hint = "name its settings: it goes with the last of them, and their values with it"
        raise Refused(f"{path} holds settings", hint=hint, key=path)
    return path


def _kind(path: str) -> Kind:
    kind = kind_of(path)
    if kind is None:
        raise Refused(
            f"{path} is not ours to write",
            hint="/etc/sysctl.d/99-tcptune.conf is, and such a drop-in for modules, limits or a service",
            key=path,
        )
    return kind


def _file(given: Mapping[str, Any]) -> WantedFile:
    path, content, before = str(given["path"]), str(given["content"]), given.get("before_sha256")
    kind = _kind(path)
    if before is not None and before != ABSENT and not _DIGEST.fullmatch(before):
        raise Refused(f"{path}: before_sha256 is neither absent nor a SHA-256", hint="64 hexadecimal digits", key=path)
    mistakes = [*kind.mistakes(content)]
    if mistakes:
        raise Refused(f"{path}: {'; '.join(mistakes)}", hint=f"only {kind.holds} may stand there", key=path)
    try:
        return WantedFile(path, content.encode("utf-8"), before)
    except UnicodeEncodeError as error:
        raise Refused(f"{path} has a character that is none: {error}", hint="write it in UTF-8", key=path) from error


def _unlike(header: str, owned: Sequence[WantedFile]) -> Iterator[ChangeError]:
    """Yield what is wrong with a header, or with a file that would not be known again by it."""
    if not header.startswith("#") or not header.isprintable():
        hint = 'such as "# Written by the role example"'
        yield Refused(f"exclusive_header is no line of a comment: {header!r}", hint=hint)
        return
    for file in owned:
        if not _kind(file.path).holds_settings and (file.data or b"").split(b"\n", 1)[0] != header.encode():
            hint = f"begin it with the line: {header}"
            yield Refused(f"{file.path} does not begin with exclusive_header", hint=hint, key=file.path)


def _collect(problems: list[ChangeError], check: Any, *given: Any) -> Any:
    try:
        return check(*given)
    except ChangeError as problem:
        problems.append(problem)
        return None
