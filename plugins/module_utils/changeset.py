# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply, confirm, roll back: what a decision says, step by step, each durable before the next relies on it.

    apply      prepared -> (timer) -> running -> (each key: write, read back) -> held
    confirm    held -> confirming -> (guard; each folder; each file: temporary, sync, rename; systemd) -> confirmed
    extend     held, with a later deadline
    roll back  any -> rolling_back -> (each file, folder and key, backwards; what they take along; systemd)
               -> rolled_back

A process that dies at any step leaves a record from which the next call, whatever it asks for, finishes or undoes it
first (see recovery). rollback.sh does the same without us.
"""

from __future__ import annotations

from typing import Callable, Iterable, Sequence

from . import files, recovery, side_effects, timer
from .decisions import Decision, Left, Outcome, decide_apply, decide_confirm, decide_extend, decide_rollback
from .errors import ChangeError, Failed, explained
from .host import Host
from .kernel import VALUE, Kernel, Written, hint_for, same
from .request import Request, check_seconds, new_run
from .runs import (
    CONFIRMED,
    CONFIRMING,
    FAILED_RESTORED,
    HELD,
    LOST,
    REVERTED,
    ROLLED_BACK,
    ROLLING_BACK,
    RUNNING,
    KeyChange,
    Manifest,
)
from .script import NAME, SCRIPT


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
        lambda manifest, decision: _apply(host, request, manifest._replace(run=run), decision),
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
        lambda manifest, end: manifest.run == run and (manifest.state, end) == (CONFIRMING, REVERTED),
    )


def extend(host: Host, run: str, seconds: int, *, check: bool = False) -> Outcome:
    """Give `run` time until `seconds` from now, never less than it has. With `check`, only say so."""
    check_seconds(seconds)
    return _act(
        host,
        run,
        lambda: decide_extend(host, run, seconds),
        lambda manifest, decision: _extend(host, manifest, decision.outcome),
        check,
    )


def rollback(
    host: Host, run: str, force_keys: Iterable[str] = (), *, check: bool = False, fence: bool = False
) -> Outcome:
    """Put back what `run` replaced. What a third party has changed since is reported and left, unless it is forced.

    With `fence`, a run that this host has no record of gets one, so that it is refused should it still come.
    """
    forced = tuple(force_keys)
    return _act(
        host,
        run,
        lambda: decide_rollback(host, run, forced, fence=fence),
        lambda manifest, decision: _rollback(host, manifest, decision),
        check,
        lambda manifest, end: (manifest.run, end) != (run, LOST),
    )


def _act(
    host: Host,
    run: str,
    decide: Callable[[], Decision],
    act: Callable[[Manifest, Decision], Outcome],
    check: bool = False,
    kept: recovery.Kept = lambda _manifest, _end: False,
) -> Outcome:
    def undo(manifest: Manifest, state: str) -> None:
        _rollback(host, manifest, decide_rollback(host, manifest.run), state)

    try:
        host.runs.lock.peek()
        if not check and recovery.pending(host, kept):
            with host.runs.lock.hold(run):
                recovery.settle(host, undo, kept)
        decision = decide()
        if check or decision.manifest is None:
            return decision.outcome
        with host.runs.lock.hold(run):
            # Again, now that nobody else of ours can change what it was based on.
            recovery.settle(host, undo, kept)
            decision = decide()
            return decision.outcome if decision.manifest is None else act(decision.manifest, decision)
    except OSError as error:
        raise explained(error) from error


def _apply(host: Host, request: Request, manifest: Manifest, decision: Decision) -> Outcome:
    blobs = {**decision.blobs, **host.way_back(manifest)}
    manifest = host.runs.create(manifest, blobs, {NAME: SCRIPT.encode()})
    host.reached(manifest.state)
    run = manifest.run
    try:
        host.runs.prune(request.keep_runs)
        if request.revert_after_s is not None:
            host.set_deadline(run, request.revert_after_s)
            host.arm(run, request.revert_after_s)
        manifest = host.move(manifest, RUNNING)
        for change in manifest.keys:
            _write(host, change)
        keys = tuple(_stored(host, change) for change in manifest.keys)
        manifest = manifest._replace(keys=keys, side_effects=tuple(side_effects.stored(host, manifest)))
        host.runs.keep(manifest, host.way_back(manifest))
        host.reached("stored")
        manifest = host.move(manifest, HELD)
    except Exception as error:
        raise _take_back(host, manifest, request, error) from error
    return decision.outcome._replace(run=run, previous=manifest.previous, timer=timer.look(host.runs.at(run)))


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
        raise Failed(
            f"the kernel did not keep {change.key} = {change.after}: it shows {found.shown}",
            hint="another program writes it, or a later setting of this run moves it: leave it out, or stop the other",
            key=change.key,
            value=change.after,
            found=found.shown,
        )
    return change._replace(stored=found.text)


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


def _take_back(host: Host, manifest: Manifest, request: Request, error: Exception) -> ChangeError:
    """Restore all that apply may have written, always from the snapshot. Return what to tell the controller."""
    failed = explained(error)
    writer = request.writers.get(failed.facts.get("key", ""))
    if writer and failed.facts.get("errno") is None and "found" in failed.facts:
        failed.message += f"; {writer} is known to write it"
        failed.hint = f"keep {writer} from writing {failed.facts['key']}, or leave it out"
        failed.facts["writer"] = writer
    ours: list[str] = []
    others: list[str] = []
    if manifest.state == RUNNING:
        keys = [(change.key, change.replaced) for change in reversed(manifest.keys)]
        effects = [(effect.key, effect.replaced) for effect in manifest.side_effects]
        ours, others = _sorted_out(host, manifest, _restore_keys(host, keys, effects))
    if others:
        failed.facts["changed_since"] = others
        failed.message += "; changed by somebody else meanwhile, and left: " + ", ".join(others)
    if ours:
        failed.facts["not_restored"] = ours
        failed.message += "; not restored: " + ", ".join(ours)
        failed.hint = f"roll back {manifest.run} once the cause is gone"
    return _ended(host, manifest, failed, FAILED_RESTORED if ours else ROLLED_BACK, tuple(others))


def _sorted_out(host: Host, manifest: Manifest, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return which of the settings that were not restored are still ours, and which somebody else has changed."""
    changes = {change.key: change for change in manifest.keys}
    ours: list[str] = []
    others: list[str] = []
    for name in names:
        found, change = host.kernel.read(name), changes.get(name)
        # A side effect is only written where there is something to restore.
        mine = change is None or (
            found.state == VALUE and side_effects.is_ours(manifest, change, found.text, restoring=True)
        )
        (ours if mine else others).append(name)
    return ours, others


def _ended(
    host: Host, manifest: Manifest, failed: ChangeError, state: str, left: tuple[str, ...] | None = None
) -> ChangeError:
    """Record in which state a failure ends. The caller's failure comes first, should that fail too."""
    failed.facts.update(run=manifest.run, host_state=manifest.state)
    try:
        if left is not None:
            manifest = host.runs.keep_left(manifest, left)
        failed.facts["host_state"] = host.move(manifest, state).state
        host.disarm(manifest.run)
    except OSError as disk:
        failed.message += f"; the end of run {manifest.run} could not be recorded: {disk.strerror}"
        failed.hint = f"roll back {manifest.run} once the disk can be written"
    return failed


def _confirm(host: Host, manifest: Manifest, outcome: Outcome) -> Outcome:
    try:
        absent = files.missing(host, manifest.files)
        manifest = files.record_folders(host, manifest, absent)
        if manifest.state == HELD:
            manifest = host.move(manifest, CONFIRMING)
        if any(change.changes for change in manifest.files):
            # Should we die between two files, somebody has to undo the first before a boot reads it.
            if timer.alive(host.runs.at(manifest.run)):
                timer.wake(host.runs.at(manifest.run))
            else:
                host.arm(manifest.run, timer.GUARD_S)
        manifest = files.make_folders(host, manifest, absent)
        files.write(host, manifest)
        # Before it is confirmed: who dies here is called again, and tells systemd again.
        host.reload_units(manifest)
        host.move(manifest, CONFIRMED)
        host.disarm(manifest.run)
    except Exception as error:
        raise _unconfirm(host, manifest, error) from error
    return outcome


def _unconfirm(host: Host, manifest: Manifest, error: Exception) -> ChangeError:
    """Give the files back that confirm has written, so that the run is held again. Return what to tell."""
    failed = explained(error)
    try:
        files.give_back(host, manifest, [change.path for change in manifest.files])
        if manifest.state == CONFIRMING:
            host.reload_units(manifest)
            manifest = host.move(manifest, HELD)
        if timer.look(host.runs.at(manifest.run)) is None:
            host.disarm(manifest.run)
    except (OSError, ChangeError) as second:
        failed.message += f"; not taken back: {second}"
        failed.hint = f"roll back {manifest.run} once the disk can be written"
    failed.facts.update(run=manifest.run, host_state=manifest.state)
    return failed


def _extend(host: Host, manifest: Manifest, outcome: Outcome) -> Outcome:
    folder, wanted = host.runs.at(manifest.run), outcome.timer
    found = timer.look(folder)
    if wanted is not None and (found is None or wanted.seconds_left > found.seconds_left):
        host.set_deadline(manifest.run, wanted.seconds_left)
    if wanted is not None and not timer.alive(folder):
        # It had none, or somebody has ended it.
        host.arm(manifest.run, wanted.seconds_left)
    return outcome._replace(timer=timer.look(folder))


def _rollback(host: Host, manifest: Manifest, decision: Decision, state: str = ROLLED_BACK) -> Outcome:
    outcome = decision.outcome
    if not manifest.history:
        manifest = host.runs.create(manifest, host.way_back(manifest), {NAME: SCRIPT.encode()})
        host.reached(manifest.state)
    if manifest.side_effects and not host.runs.found(manifest, host.boot_id()):
        host.runs.keep_found(manifest, host.boot_id(), decision.found)
        host.reached("found")
    if manifest.state != ROLLING_BACK:
        manifest = host.move(manifest, ROLLING_BACK)
    try:
        outcome = outcome._replace(changed_since=(*outcome.changed_since, *_restore(host, manifest, decision)))
        manifest = host.runs.keep_left(manifest, tuple(one.name for one in outcome.changed_since))
        host.reached("left")
        host.move(manifest, state)
        host.disarm(manifest.run)
    except Exception as error:
        raise _ended(host, manifest, explained(error), FAILED_RESTORED) from error
    return outcome


def _restore(host: Host, manifest: Manifest, decision: Decision) -> list[Left]:
    """Restore what was decided. Return what somebody else has changed in the meantime, which is left."""
    wanted, broken = {shift.key: shift.then for shift in decision.outcome.keys}, None
    try:
        # Files first: should the host boot in the middle, it boots with the previous values.
        files.give_back(host, manifest, decision.restore)
    except (OSError, ChangeError) as error:
        # A disk that says no is no reason to leave the running kernel as it is.
        broken = error
    missing = _restore_keys(host, [*wanted.items()], decision.side_effects)
    if manifest.reached(CONFIRMING):
        # After the values, which do not wait for it. Whatever was given back now: a way back may have died before this.
        host.reload_units(manifest)
    if broken is not None:
        raise broken
    ours, others = _sorted_out(host, manifest, missing)
    if ours:
        # Once more, for the kernel's reason.
        failed = _refusal(host.kernel.write(ours[0], {**wanted, **dict(decision.side_effects)}[ours[0]]))
        failed.facts["not_restored"] = ours
        raise failed
    after = {change.key: change.after for change in manifest.keys}
    return [Left(key, after[key], host.kernel.read(key).shown, wanted[key]) for key in others]


def _restore_keys(host: Host, keys: Sequence[tuple[str, str]], effects: Sequence[tuple[str, str]]) -> list[str]:
    """Write the keys in the given order, then what they take along. Return what does not show its value in the end."""
    # Twice: restoring one key can move another that was right before, as ip_forward does.
    for _ in range(2):
        for key, value in keys:
            if not _shows(host.kernel, key, value):
                host.kernel.write(key, value)
                host.reached(key)
        for key, value in effects:
            if not _gone_or_shows(host.kernel, key, value):
                host.kernel.write(key, value)
    if effects:
        host.reached("side effects")
    return [
        *(key for key, value in keys if not _shows(host.kernel, key, value)),
        *(key for key, value in effects if not _gone_or_shows(host.kernel, key, value)),
    ]


def _shows(kernel: Kernel, key: str, value: str) -> bool:
    found = kernel.read(key)
    return found.state == VALUE and same(key, found.text, value)


def _gone_or_shows(kernel: Kernel, key: str, value: str) -> bool:
    # An interface that is gone has taken its settings with it.
    return kernel.read(key).state != VALUE or _shows(kernel, key, value)
