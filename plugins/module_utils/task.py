# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One task of tcp_settings: its parameters as the act that they ask for, and what became of it as the task's answer."""

from __future__ import annotations

from typing import Any, Mapping

from . import at_once, changeset, own_lines, status
from .decisions import Outcome
from .diffs import diff as diff_of
from .diffs import digests
from .errors import ChangeError, explained
from .host import Host
from .kernel import canonical, kernel_text
from .request import Request, make_removal, make_request


def answer(host: Host, params: Mapping[str, Any], *, check: bool, diff: bool) -> dict[str, Any]:
    """Return the result of the task, with `diff` in it if asked for. Raises ChangeError.

    What the user should be told beside it is in the warnings of the host.
    """
    state = params["state"]
    if state == "status":
        return _look(host, params["run"])
    outcome = _act(host, state, params, check)
    found = {
        "changed": outcome.changed,
        "run": outcome.run,
        "host_state": outcome.state,
        "timer": outcome.timer.kind if outcome.timer else None,
        "deadline": outcome.timer.deadline if outcome.timer else None,
        "seconds_left": outcome.timer.seconds_left if outcome.timer else None,
        "previous": outcome.previous,
        "files": digests(outcome),
        "folders": list(outcome.folders),
        "changed_since": [left.name for left in outcome.changed_since],
        "left": [left._asdict() for left in outcome.changed_since],
        "stale": False,
    }
    if state == "applied" and params["persist"]:
        found["shadowed"] = _shadowed(host, params["settings"])
    host.warnings += [
        f"{left.name} was left alone: it is {left.found}, the run had left {left.expected} there"
        for left in outcome.changed_since
    ]
    if diff:
        found["diff"] = diff_of(outcome, " (written on confirm)" if outcome.state == "held" else "")
    return found


def refusal(error: ChangeError, run: str | None) -> dict[str, Any]:
    """Return the result of a task that failed. `run` is the id that was given, for failures that know of none."""
    found = {
        "msg": f"{error.message} (try: {error.hint})" if error.hint else error.message,
        "changed": bool(error.facts.get("not_restored")),
        "run": error.facts.get("run", run),
        "host_state": error.facts.get("host_state"),
        "stale": error.kind == "stale",
        "failure": error.as_dict(),
    }
    if error.kind == "stale":
        found["stale_reason"] = error.message
    return found


def _act(host: Host, state: str, params: Mapping[str, Any], check: bool) -> Outcome:
    if state == "confirmed":
        return changeset.confirm(host, params["run"], check=check)
    if state == "rolled_back":
        return changeset.rollback(host, params["run"], params["force_keys"], check=check, fence=params["fence"])
    if state == "extended":
        return changeset.extend(host, params["run"], params["revert_after_s"], check=check)
    request = _asked(state, params)
    if params["confirm"]:
        return at_once.apply_and_confirm(host, request, check=check)
    return changeset.apply(host, request, check=check)


def _asked(state: str, params: Mapping[str, Any]) -> Request:
    more = {name: params[name] for name in ("run", "revert_after_s", "keep_runs")}
    if state == "absent":
        return make_removal(params["keys"], force_keys=params["force_keys"], **more)
    return make_request(
        params["settings"],
        params["before"],
        params["files"],
        writers=params["writers"],
        persist=params["persist"],
        exclusive_header=params["exclusive_header"] or None,
        **more,
    )


def _shadowed(host: Host, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the lines that overrule ours at boot, each told to the user too."""
    found = own_lines.shadows(host, {canonical(str(key)): kernel_text(str(settings[key])) for key in settings})
    host.warnings += [
        f"{shadow.path}:{shadow.line} overrules our file: the next boot gives {shadow.key} = {shadow.value}"
        for shadow in found
    ]
    return [shadow._asdict() for shadow in found]


def _look(host: Host, run: str | None) -> dict[str, Any]:
    try:
        record = status.status(host, run) if run else None
        runs, busy = status.runs(host), status.busy(host)
    except OSError as error:
        # Such as for who is not root.
        raise explained(error) from error
    timer = (record or {}).get("timer") or {}
    return {
        "changed": False,
        "run": run,
        "host_state": record["host_state"] if record else None,
        "timer": timer.get("kind"),
        "deadline": timer.get("deadline"),
        "seconds_left": timer.get("seconds_left"),
        "stale": False,
        "runs": runs,
        "busy": busy,
        **({"record": record} if record else {}),
    }
