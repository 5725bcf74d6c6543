# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host and say what apply, confirm or roll back would do. Check mode is this and nothing more: it reads."""

from __future__ import annotations

import os
from typing import Iterable, Iterator, NamedTuple

from . import files, recovery, side_effects, storage, timer
from .errors import AbsentKey, ChangeError, Refused, Stale, Unfinished, UnknownRun, raise_worst
from .host import Host
from .kernel import FORBIDDEN, VALUE, Reading, canonical, same
from .preconditions import newest_first, no_logins, no_room
from .request import ABSENT, Request, check_run, mistake_in
from .resolving import Known, Left, known, origin_of, resolved
from .runs import (
    CONFIRMED,
    CONFIRMING,
    HELD,
    LOST,
    PREPARED,
    REVERTED,
    ROLLED_BACK,
    RUNNING,
    UNDONE,
    Before,
    FileChange,
    KeyChange,
    Manifest,
)

UNCHANGED = "unchanged"
"""The state of a host where nothing was to be done, so that no run was made."""


NO_REQUEST = ""
"""In the place of the digest of a request: the run was taken back before it began here."""


class KeyShift(NamedTuple):
    """A setting now, and once the act is done."""

    key: str
    now: str
    then: str


class FileShift(NamedTuple):
    """A file now, and once the act, or the confirm that follows it, is done. None where there is no file."""

    path: str
    now: bytes | None
    then: bytes | None


class Outcome(NamedTuple):
    """What an act did, or would do."""

    changed: bool
    run: str | None
    state: str
    previous: dict[str, str] = {}
    """The values that were, or would be, replaced."""
    keys: tuple[KeyShift, ...] = ()
    files: tuple[FileShift, ...] = ()
    folders: tuple[str, ...] = ()
    """Folders that the act, or the confirm that follows it, makes; for a roll back, those that it takes away."""
    changed_since: tuple[Left, ...] = ()
    timer: timer.Timer | None = None
    """The revert timer of a run that is held, if it has one."""


class Decision(NamedTuple):
    """What would be done, and all that doing it needs."""

    outcome: Outcome
    manifest: Manifest | None = None
    """None if nothing is to be done."""
    blobs: dict[str, bytes] = {}
    """Apply: what is to be kept beside the manifest."""
    restore: tuple[str, ...] = ()
    """Roll back: the keys and files to restore or keep at what was there before."""
    side_effects: tuple[tuple[str, str], ...] = ()
    """Roll back: each with the value that is to be there once the keys that change it are restored."""
    found: dict[str, str] = {}
    """Roll back: what the side effects were when it began."""


def decide_apply(host: Host, request: Request) -> Decision:
    """Return what apply would do. Raises what it would raise, with all problems of the host in it."""
    again = _same_run(host, request)
    if again:
        return again
    for other in host.runs.unfinished():
        if request.run is None and other.state == HELD and other.request_sha256 == request.sha256:
            return _settled(host, other)
        raise _unfinished(host, other)
    asked = request.sha256
    request, left = resolved(host, request)
    readings = {key: host.kernel.read(key) for key in (*request.settings, *request.before)}
    problems = [*_key_problems(host, request, readings)]
    states: dict[str, storage.FileState | None] = {}
    for file in request.files:
        try:
            states[file.path] = files.look_at(host, file)
        except ChangeError as problem:
            problems.append(problem)
    problems += no_room(host, request)
    problems += no_logins(host, request)
    raise_worst(problems)

    records = known(host.runs.all())
    keys = tuple(
        _with_origin(KeyChange(key, request.before.get(key), readings[key].text, value), records.get(key))
        for key, value in request.settings.items()
    )
    owned = tuple(
        FileChange(file.path, None if file.data is None else storage.sha256(file.data), _before(states[file.path]))
        for file in request.files
    )
    changed = any(key.changes for key in keys) or any(file.changes for file in owned)
    folders = files.missing(host, owned)
    effects = tuple(side_effects.along_with(host, keys))
    manifest = Manifest(request.run or "", PREPARED, asked, host.boot_id(), keys, owned, effects, folders=folders)
    shifts = tuple(KeyShift(key.key, key.replaced, key.after) for key in keys)
    moves = tuple(FileShift(file.path, _data(states[file.path]), file.data) for file in request.files)
    if not changed and request.run is None:
        return Decision(Outcome(False, None, UNCHANGED, {}, shifts, moves, changed_since=left))
    blobs = {f"{at}.after": file.data for at, file in enumerate(request.files) if file.data is not None}
    for at, file in enumerate(request.files):
        state = states[file.path]
        if state is not None:
            blobs[f"{at}.before"] = state.data
    outcome = Outcome(changed, request.run, HELD, manifest.previous, shifts, moves, folders, left)
    if request.revert_after_s is not None:
        outcome = outcome._replace(timer=timer.Timer(timer.kind_for(host.systemd), None, request.revert_after_s))
    return Decision(outcome, manifest, blobs)


def _with_origin(change: KeyChange, record: Known | None) -> KeyChange:
    return change._replace(origin=origin_of(change, record))


def decide_confirm(host: Host, run: str) -> Decision:
    """Return what confirm would do. Raises Stale where the host is no longer as the run left it."""
    manifest = host.runs.load(check_run(run))
    if manifest.state == CONFIRMED:
        return Decision(Outcome(False, run, CONFIRMED, manifest.previous))
    end = recovery.ending(host, manifest)
    if end == CONFIRMED:
        return Decision(Outcome(False, run, CONFIRMED, manifest.previous))
    # A confirm that died on this boot is finished by the next one.
    if end is not None and (manifest.state, end) != (CONFIRMING, REVERTED):
        # Without check mode, it has been ended so just now.
        raise _nothing_held(manifest, end)
    if manifest.state not in (HELD, CONFIRMING):
        raise _nothing_held(manifest, manifest.state)
    problems = [*_moved_keys(host, manifest)]
    moves = []
    for at, change in enumerate(manifest.files):
        try:
            files.check_folder(host, change.path)
            found = files.look(host, change.path)
        except Refused as problem:
            problems.append(problem)
            continue
        digest = found.sha256 if found else None
        if digest not in (change.before_sha256, change.after_sha256):
            problems.append(files.moved(change.path, change.before_sha256, digest))
        moves.append(FileShift(change.path, _data(found), host.runs.after(manifest, at)))
    raise_worst(problems)
    folders = files.missing(host, manifest.files)
    return Decision(Outcome(True, run, CONFIRMED, manifest.previous, (), tuple(moves), folders), manifest)


def decide_extend(host: Host, run: str, seconds: int) -> Decision:
    """Return what it would do to give `run` time until `seconds` from now. A deadline is never brought forward."""
    manifest = host.runs.load(check_run(run))
    end = recovery.ending(host, manifest)
    if end is not None or manifest.state != HELD:
        raise _nothing_held(manifest, end or manifest.state)
    found = timer.look(host.runs.at(run))
    outcome = Outcome(False, run, HELD, manifest.previous, timer=found)
    if found and found.alive and found.seconds_left >= seconds:
        return Decision(outcome)
    kind = found.kind if found and found.alive else timer.kind_for(host.systemd)
    left = max(seconds, found.seconds_left if found else 0)
    return Decision(outcome._replace(changed=True, timer=timer.Timer(kind, None, left)), manifest)


def decide_rollback(host: Host, run: str, force_keys: Iterable[str] = (), *, fence: bool = False) -> Decision:
    """Return what roll back would do, and what it would leave alone unless it is named in `force_keys`.

    A value is put back if it is what the run wrote, or the part of it that a crash left. After a finished roll back
    only what was left alone then is looked at: all else belongs to whoever came later.
    With `fence`, a run that this host has no record of is to get one, taken back already, so that it cannot begin.
    """
    manifest = _recorded(host, check_run(run), fence)
    if not manifest.history:
        return Decision(Outcome(True, run, ROLLED_BACK), manifest)
    forced = _forced(manifest, force_keys)
    if LOST in (manifest.state, recovery.ending(host, manifest)):
        return Decision(Outcome(False, run, LOST))
    # Also where a roll back of the rest died.
    again = manifest.reached(*UNDONE)
    shifts, moves, left, restore = [], [], [], []
    for at, change in enumerate(manifest.files):
        if not manifest.reached(CONFIRMING) or (again and change.path not in manifest.left):
            continue
        found = files.look(host, change.path)
        digest = found.sha256 if found else None
        if digest == change.before_sha256:
            continue
        if change.path in forced or (digest == change.after_sha256 and not again):
            before = change.before and host.runs.blob(run, f"{at}.before", change.before.sha256)
            moves.append(FileShift(change.path, _data(found), before))
            restore.append(change.path)
        else:
            names = (change.after_sha256, digest, change.before_sha256)
            left.append(Left(change.path, *(name or ABSENT for name in names)))
    found_then = side_effects.found(host, manifest)
    for key in reversed(manifest.keys):
        if not manifest.reached(RUNNING) or not key.changes or (again and key.key not in manifest.left):
            continue
        now = host.kernel.read(key.key)
        was = found_then.get(key.key, now.text)
        ours = not again and now.state == VALUE and side_effects.is_ours(manifest, key, was)
        if now.state == VALUE and (ours or key.key in forced):
            shifts.append(KeyShift(key.key, now.text, key.replaced))
            restore.append(key.key)
        elif now.state != VALUE or not same(key.key, was, key.replaced):
            left.append(Left(key.key, key.after, was if now.state == VALUE else now.shown, key.replaced))
    previous = {shift.key: shift.now for shift in shifts if not same(shift.key, shift.now, shift.then)}
    settled = manifest.state in UNDONE and not restore
    state = manifest.state if settled else ROLLED_BACK
    if not settled:
        newest_first(host, manifest)
    folders = () if settled else files.removable(host, manifest, restore)
    outcome = Outcome(not settled, run, state, previous, tuple(shifts), tuple(moves), folders, tuple(left))
    effects = tuple(side_effects.restored(host, manifest, [shift.key for shift in shifts], found_then))
    return Decision(
        outcome, None if settled else manifest, restore=tuple(restore), side_effects=effects, found=found_then
    )


def _recorded(host: Host, run: str, fence: bool) -> Manifest:
    """Return the record of a run. With `fence`, one without history where there is none: still to be created."""
    try:
        return host.runs.load(run)
    except UnknownRun:
        if not fence:
            raise
        return Manifest(run, PREPARED, NO_REQUEST, host.boot_id(), (), ())


def _same_run(host: Host, request: Request) -> Decision | None:
    """Return what to answer to an apply that names a run this host knows already. None if it does not."""
    if request.run is None:
        return None
    try:
        known = host.runs.load(request.run)
    except UnknownRun:
        return None
    facts = {"run": known.run, "host_state": known.state}
    if known.request_sha256 not in (NO_REQUEST, request.sha256):
        raise Refused(f"run {known.run} is another change", hint="give this change a run id of its own", **facts)
    if recovery.ending(host, known):
        raise _unfinished(host, known)
    if known.state in (HELD, CONFIRMED):
        return _settled(host, known)
    if known.state in UNDONE:
        raise Refused(f"run {known.run} was {_said(known.state)}", hint="plan again: a run id is used once", **facts)
    raise _unfinished(host, known)


def _unfinished(host: Host, other: Manifest) -> Unfinished:
    facts = {"run": other.run, "host_state": other.state}
    end = recovery.ending(host, other)
    if end is not None:
        # Only in check mode, which cannot look behind what the change itself will settle first.
        hint = "the next change without check mode settles it first"
        return Unfinished(f"run {other.run} stopped while {other.state}: it ends {_said(end)}", hint=hint, **facts)
    hint = f"confirm or roll back {other.run} first" if other.state == HELD else f"roll back {other.run} first"
    return Unfinished(f"run {other.run} on this host is {other.state}", hint=hint, **facts)


def _nothing_held(manifest: Manifest, state: str) -> Refused:
    why = {
        REVERTED: "its time was over, or its confirm died, so the host has taken it back",
        LOST: "the host was booted before it was confirmed",
    }.get(state, "nothing is held")
    hint = "plan again" if state in UNDONE else f"roll back {manifest.run} first"
    return Refused(
        f"run {manifest.run} is {_said(state)}: {why}", hint=hint, run=manifest.run, host_state=manifest.state
    )


def _said(state: str) -> str:
    return state.replace("_", " ")


def _settled(host: Host, known: Manifest) -> Decision:
    raise_worst([*_moved_keys(host, known)])
    shifts = tuple(KeyShift(key.key, key.after, key.after) for key in known.keys)
    held = timer.look(host.runs.at(known.run)) if known.state == HELD else None
    return Decision(Outcome(False, known.run, known.state, known.previous, shifts, timer=held))


def _key_problems(host: Host, request: Request, readings: dict[str, Reading]) -> Iterator[ChangeError]:
    for key, reading in readings.items():
        expected, wanted = request.before.get(key), request.settings.get(key)
        if reading.state == FORBIDDEN:
            yield Refused(f"{key} cannot be read: {reading.why}", hint="run as root on the host itself", key=key)
        elif reading.state != VALUE and expected is None:
            yield AbsentKey(f"this host has no {key}", hint="leave it out, or load the module it belongs to", key=key)
        elif expected is not None and (reading.state != VALUE or not same(key, expected, reading.text)):
            yield _moved(key, expected, reading.shown)
        elif wanted is not None:
            mistake = mistake_in(key, wanted, reading.text)
            if mistake:
                yield Refused(mistake, hint=f"now: {reading.text}", key=key, value=wanted)
            elif not same(key, wanted, reading.text) and not host.kernel.writable(key):
                hint = "become root" if os.geteuid() else "a container, or a setting of the host's own namespace"
                yield Refused(f"{key} is read-only here", hint=hint, key=key)


def _moved_keys(host: Host, manifest: Manifest) -> Iterator[ChangeError]:
    """Yield a problem for each key that is not as the run left it."""
    hint = f"roll back {manifest.run}, then plan again"
    if manifest.boot_id != host.boot_id():
        # A confirmed run whose values the boot did not give.
        hint = "the host was booted since; " + hint
    for change in manifest.keys:
        found = host.kernel.read(change.key)
        if found.state != VALUE or not any(same(change.key, found.text, one) for one in change.ours):
            yield _moved(change.key, change.after, found.shown, hint)


def _moved(key: str, expected: str, found: str, hint: str = "plan again") -> Stale:
    return Stale(f"{key} is no longer {expected}: it is {found}", hint=hint, key=key, expected=expected, found=found)


def _forced(manifest: Manifest, names: Iterable[str]) -> frozenset[str]:
    forced = frozenset(name if name.startswith("/") else canonical(name) for name in names)
    ours = {change.key for change in manifest.keys} | {change.path for change in manifest.files}
    raise_worst([Refused(f"run {manifest.run} did not change {name}", key=name) for name in sorted(forced - ours)])
    return forced


def _before(state: storage.FileState | None) -> Before | None:
    return None if state is None else Before(state.sha256, state.mode, state.uid, state.gid, state.label)


def _data(state: storage.FileState | None) -> bytes | None:
    return None if state is None else state.data
