# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply, confirm, roll back: what a decision says, step by step, each durable before the next relies on it.

    apply      prepared -> running -> (each key: write, read back) -> held
    confirm    held -> confirming -> (each file: temporary, sync, rename) -> confirmed
    roll back  any -> rolling_back -> (each file, then each key, backwards) -> rolled_back

A process that dies at any step leaves a record from which roll back restores the host.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator, Sequence

from . import storage
from .decisions import Decision, Outcome, decide_apply, decide_confirm, decide_rollback
from .errors import ChangeError, Failed
from .host import Host
from .kernel import VALUE, Kernel, Written, hint_for, same
from .request import Request, check_run, new_run
from .runs import (
    CONFIRMED,
    CONFIRMING,
    FAILED_RESTORED,
    HELD,
    ROLLED_BACK,
    ROLLING_BACK,
    RUNNING,
    FileChange,
    KeyChange,
    Manifest,
    SideEffect,
)


def predict(host: Host, request: Request) -> Outcome:
    """Return what `apply` would do, and raise what it would raise. Changes nothing."""
    return apply(host, request, check=True)


def apply(host: Host, request: Request, *, check: bool = False) -> Outcome:
    """Write the settings and hold them: a boot before `confirm` brings the previous values back.

    All or nothing: where one write fails, all are taken back and Failed is raised. A refusal leaves no trace.
    """
    run = request.run or new_run()
    return _act(
        host,
        run,
        lambda: decide_apply(host, request),
        lambda manifest, decision: _apply(host, run, manifest, decision),
        check,
    )


def confirm(host: Host, run: str, *, check: bool = False) -> Outcome:
    """Write the files of `run`, so that the next boot gives its values too. With `check`, only say so."""
    return _act(
        host,
        run,
        lambda: decide_confirm(host, run),
        lambda manifest, decision: _confirm(host, manifest, decision.outcome),
        check,
    )


def rollback(host: Host, run: str, force_keys: Iterable[str] = (), *, check: bool = False) -> Outcome:
    """Put back what `run` replaced. What a third party has changed since is reported and left, unless it is forced."""
    forced = tuple(force_keys)
    return _act(
        host,
        run,
        lambda: decide_rollback(host, run, forced),
        lambda manifest, decision: _rollback(host, manifest, decision),
        check,
    )


def status(host: Host, run: str) -> dict[str, Any]:
    """Return the record of `run` beside what the kernel shows now. Changes nothing."""
    manifest = host.runs.load(check_run(run))
    return {
        "run": manifest.run,
        "host_state": manifest.state,
        "booted_since": manifest.boot_id != host.boot_id(),
        "keys": [dict(change._asdict(), now=host.kernel.read(change.key).shown) for change in manifest.keys],
        "files": [change.path for change in manifest.files],
        "left": list(manifest.left),
        "history": [{"state": state, "at": at} for state, at in manifest.history],
    }


def _act(
    host: Host,
    run: str,
    decide: Callable[[], Decision],
    act: Callable[[Manifest, Decision], Outcome],
    check: bool = False,
) -> Outcome:
    try:
        host.runs.lock.peek()
        decision = decide()
        if check or decision.manifest is None:
            return decision.outcome
        with host.runs.lock.hold(run):
            # Again, now that nobody else of ours can change what it was based on.
            decision = decide()
            return decision.outcome if decision.manifest is None else act(decision.manifest, decision)
    except OSError as error:
        raise _disk(error) from error


def _apply(host: Host, run: str, manifest: Manifest, decision: Decision) -> Outcome:
    manifest = host.runs.create(manifest._replace(run=run), decision.blobs)
    host.reached(manifest.state)
    try:
        manifest = host.move(manifest, RUNNING)
        for change in manifest.keys:
            _write(host, change)
        keys = tuple(_stored(host, change) for change in manifest.keys)
        manifest = host.move(manifest._replace(keys=keys, side_effects=tuple(_side_effects(host, manifest))), HELD)
    except Exception as error:
        raise _take_back(host, manifest, error) from error
    return decision.outcome._replace(run=run, previous=manifest.previous)


def _write(host: Host, change: KeyChange) -> None:
    now = host.kernel.read(change.key)
    if now.state == VALUE and same(change.key, now.text, change.after):
        return
    written = host.kernel.write(change.key, change.after)
    host.reached(change.key)
    if not written.ok:
        raise _refusal(written)


def _stored(host: Host, change: KeyChange) -> KeyChange:
    """Return the change with the value the kernel shows at the end: a later write can move an earlier key."""
    found = host.kernel.read(change.key)
    if found.state != VALUE or not same(change.key, found.text, change.after):
        raise _refusal(Written(change.key, change.after, found, None))
    return change._replace(stored=found.text)


def _side_effects(host: Host, manifest: Manifest) -> Iterator[SideEffect]:
    """Yield the side effects with what the kernel made of them. An interface may be gone by now."""
    for effect in manifest.side_effects:
        found = host.kernel.read(effect.key)
        if found.state == VALUE:
            yield effect._replace(stored=found.text)


def _refusal(written: Written) -> Failed:
    key, value, found = written.key, written.value, written.found.shown
    why = written.error.strerror if written.error else f"it shows {found}"
    return Failed(
        f"the kernel did not take {key} = {value}: {why}",
        hint=hint_for(written.error),
        key=key,
        value=value,
        found=found,
        errno=written.error.errno if written.error else None,
    )


def _take_back(host: Host, manifest: Manifest, error: Exception) -> ChangeError:
    """Restore all that apply may have written, always from the snapshot. Return what to tell the controller."""
    failed = _explained(error)
    left = []
    if manifest.state == RUNNING:
        replaced = [*reversed(manifest.keys), *manifest.side_effects]
        left = _restore_keys(host, [(one.key, one.replaced) for one in replaced])
    if left:
        failed.facts["not_restored"] = left
        failed.message += "; not restored: " + ", ".join(left)
        failed.hint = f"roll back {manifest.run} once the cause is gone"
    return _ended(host, manifest, failed, FAILED_RESTORED if left else ROLLED_BACK)


def _ended(host: Host, manifest: Manifest, failed: ChangeError, state: str) -> ChangeError:
    """Record in which state a failure ends. The caller's failure comes first, should that fail too."""
    failed.facts.update(run=manifest.run, host_state=manifest.state)
    try:
        failed.facts["host_state"] = host.move(manifest, state).state
    except OSError as disk:
        failed.message += f"; the end of run {manifest.run} could not be recorded: {disk.strerror}"
        failed.hint = f"roll back {manifest.run} once the disk can be written"
    return failed


def _confirm(host: Host, manifest: Manifest, outcome: Outcome) -> Outcome:
    try:
        if manifest.state == HELD:
            manifest = host.move(manifest, CONFIRMING)
        for at, change in enumerate(manifest.files):
            _write_file(host, change, host.runs.blob(manifest.run, f"{at}.after", change.after_sha256))
        host.move(manifest, CONFIRMED)
    except Exception as error:
        raise _unconfirm(host, manifest, error) from error
    return outcome


def _unconfirm(host: Host, manifest: Manifest, error: Exception) -> ChangeError:
    """Give the files back that confirm has written, so that the run is held again. Return what to tell."""
    failed = _explained(error)
    try:
        _restore_files(host, manifest, [change.path for change in manifest.files])
        if manifest.state == CONFIRMING:
            manifest = host.move(manifest, HELD)
    except (OSError, ChangeError) as second:
        failed.message += f"; not taken back: {second}"
        failed.hint = f"roll back {manifest.run} once the disk can be written"
    failed.facts.update(run=manifest.run, host_state=manifest.state)
    return failed


def _write_file(host: Host, change: FileChange, data: bytes) -> None:
    path = host.path(change.path)
    found = storage.look(path)
    if found is None or found.data != data:
        storage.write(path, found._replace(data=data) if found else storage.new_file(data))
        host.reached(change.path)


def _rollback(host: Host, manifest: Manifest, decision: Decision) -> Outcome:
    outcome = decision.outcome
    if manifest.state != ROLLING_BACK:
        manifest = host.move(manifest, ROLLING_BACK)
    try:
        _restore(host, manifest, decision)
        host.move(manifest._replace(left=tuple(one.name for one in outcome.changed_since)), ROLLED_BACK)
    except Exception as error:
        raise _ended(host, manifest, _explained(error), FAILED_RESTORED) from error
    return outcome


def _restore(host: Host, manifest: Manifest, decision: Decision) -> None:
    shifts, broken = (*decision.outcome.keys, *decision.side_effects), None
    try:
        # Files first: should the host boot in the middle, it boots with the previous values.
        _restore_files(host, manifest, decision.restore)
    except (OSError, ChangeError) as error:
        # A disk that says no is no reason to leave the running kernel as it is.
        broken = error
    left = _restore_keys(host, [(shift.key, shift.then) for shift in shifts])
    if broken is not None:
        raise broken
    for shift in shifts:
        if shift.key in left:
            # Once more, for the kernel's reason.
            failed = _refusal(host.kernel.write(shift.key, shift.then))
            failed.facts["not_restored"] = list(left)
            raise failed


def _restore_keys(host: Host, wanted: Sequence[tuple[str, str]]) -> list[str]:
    """Write the keys in the given order. Return those that do not show their value in the end."""
    # Twice: restoring one key can move another that was right before, as ip_forward does.
    for key, value in [*wanted, *wanted]:
        if not _shows(host.kernel, key, value):
            host.kernel.write(key, value)
            host.reached(key)
    return [key for key, value in wanted if not _shows(host.kernel, key, value)]


def _shows(kernel: Kernel, key: str, value: str) -> bool:
    found = kernel.read(key)
    return found.state == VALUE and same(key, found.text, value)


def _restore_files(host: Host, manifest: Manifest, paths: Sequence[str]) -> None:
    """Give each file of `paths` its previous bytes, mode, owner and label back, or remove it, last one first."""
    for at, change in reversed([*enumerate(manifest.files)]):
        if change.path not in paths:
            continue
        path, before = host.path(change.path), change.before
        found = storage.look(path)
        if (found.sha256 if found else None) == change.before_sha256:
            continue
        if before is None:
            storage.remove(path)
        else:
            data = host.runs.blob(manifest.run, f"{at}.before", before.sha256)
            storage.write(path, storage.FileState(data, before.mode, before.uid, before.gid, before.label))
        host.reached(change.path)


def _explained(error: Exception) -> ChangeError:
    if isinstance(error, ChangeError):
        return error
    if isinstance(error, OSError):
        return _disk(error)
    return Failed(f"{type(error).__name__}: {error}", hint="this is a bug: please report it")


def _disk(error: OSError) -> Failed:
    where = f"{error.filename}: " if error.filename else ""
    return Failed(
        f"{where}{error.strerror or error}",
        hint="is this root, and is there room on the disk?",
        key=error.filename,
        errno=error.errno,
    )
