# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request means on this very host: the lines of our drop-in, and the values from before our first run.

A controller that plans sends files whole and values as they are to be. A plain task says `persist`, names what is to be
`absent`, or the first line of files of which the others are to go, and leaves the rest to the host. All become one kind
of request before anything is decided.
"""

from __future__ import annotations

from typing import NamedTuple, Sequence

from . import files, own_lines
from .errors import ChangeError, Failed, Refused
from .host import Host
from .kernel import FORBIDDEN, VALUE, made_of, same
from .request import ABSENT, Request, WantedFile
from .runs import UNDONE, KeyChange, Manifest


class Left(NamedTuple):
    """What an act leaves alone, because it is not ours, or no longer."""

    name: str
    """A key, or the path of a file."""
    expected: str
    """What the run left. For a file: its SHA-256."""
    found: str
    before: str
    """What a restore would put there."""


class Known(NamedTuple):
    """What the records of a host say of one setting."""

    origin: str
    """Its value before the first of our runs that still stands."""
    ours: tuple[str, ...]
    """What the newest of them left there."""


def known(runs: Sequence[Manifest]) -> dict[str, Known]:
    """Return each setting that a run of ours, not taken back, has had to do with, the one written last at the end."""
    found: dict[str, Known] = {}
    for manifest in runs:
        for change in manifest.keys if manifest.state not in UNDONE else ():
            before = found.get(change.key)
            if change.changes or before is None:
                found.pop(change.key, None)
                found[change.key] = Known(origin_of(change, before), change.ours)
    return found


def origin_of(change: KeyChange, before: Known | None) -> str:
    """Return what was there before us: carried over from run to run, as older ones are forgotten."""
    if change.origin is not None:
        return change.origin
    if before is not None and any(same(change.key, change.replaced, one) for one in before.ours):
        return before.origin
    return change.replaced


def resolved(host: Host, request: Request) -> tuple[Request, tuple[Left, ...]]:
    """Return the request with all that it leaves to the host filled in, and what has to be left alone.

    Raises Refused where a file of ours, or a setting, cannot be read: nobody knows then what to keep.
    """
    if request.absent or request.absent_files:
        return _taken_out(host, request)
    if request.persist:
        request = _with_dropin(host, request)
    if request.exclusive_header is not None:
        request = _alone(host, request, request.exclusive_header)
    return request, ()


def _with_dropin(host: Host, request: Request) -> Request:
    text, digest = own_lines.read(host, own_lines.DROPIN)
    data = own_lines.with_settings(text, request.settings).encode()
    dropin = WantedFile(own_lines.DROPIN, data, ABSENT if text is None else digest)
    return request._replace(files=(*request.files, dropin))


def _alone(host: Host, request: Request, header: str) -> Request:
    listed = {file.path for file in request.files}
    others = [
        WantedFile(path, None, digest) for path, digest in files.with_first_line(host, header) if path not in listed
    ]
    return request._replace(files=(*request.files, *others))


def _taken_out(host: Host, request: Request) -> tuple[Request, tuple[Left, ...]]:
    said: dict[str, str] = {}
    owned = []
    for path, text, digest in own_lines.ours(host):
        said.update(own_lines.lines(text, path))
        after = own_lines.without(text, request.absent, path)
        if after != text:
            owned.append(WantedFile(path, None if after is None else after.encode(), digest))
    for path in request.absent_files:
        found = files.look(host, path)
        if found is not None:
            owned.append(WantedFile(path, None, found.sha256))
    records = known(host.runs.all())
    # What was written last is taken back first: the order of coupled settings, turned round.
    order = [key for key in reversed([*records]) if key in request.absent]
    values: dict[str, str] = {}
    left: list[Left] = []
    for key in (*order, *(key for key in request.absent if key not in records)):
        reading, record = host.kernel.read(key), records.get(key)
        if reading.state == FORBIDDEN:
            raise Refused(f"{key} cannot be read: {reading.why}", hint="run as root on the host itself", key=key)
        if reading.state != VALUE:
            # A setting that is gone took its value with it; the line goes.
            continue
        if record is None:
            if key in said:
                left.append(Left(key, said[key], reading.text, "unknown"))
        elif same(key, reading.text, record.origin):
            continue
        elif made_of(key, reading.text, *record.ours) or key in request.force_keys:
            values[key] = record.origin
        elif not any(same(key, one, record.origin) for one in record.ours):
            left.append(Left(key, record.ours[-1], reading.text, record.origin))
    return request._replace(settings=values, files=tuple(owned)), tuple(left)


def both(first: ChangeError, second: ChangeError) -> ChangeError:
    """Return the failure of a confirm that was followed by the failure of its way back."""
    failed = Failed(f"{first.message}; not taken back: {second.message}", hint=second.hint, **second.facts)
    failed.also = (first,)
    return failed
