# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply and confirm in one call, for a task that nobody stands beside: both are done, or none is."""

from __future__ import annotations

from . import changeset
from .decisions import Outcome
from .errors import ChangeError
from .host import Host
from .request import Request
from .resolving import both
from .runs import CONFIRMED, HELD


def apply_and_confirm(host: Host, request: Request, *, check: bool = False) -> Outcome:
    """Return the outcome of both. A confirm that fails takes the run back, and is raised.

    A run that an earlier such call left held, because it died in between, is confirmed by the next one.
    """
    applied = changeset.apply(host, request, check=check)
    if applied.state != HELD:
        return applied
    if check or applied.run is None:
        # Without check mode, a run that is held has an id.
        return applied._replace(changed=True, state=CONFIRMED, timer=None)
    try:
        confirmed = changeset.confirm(host, applied.run)
    except ChangeError as failed:
        raise _taken_back(host, applied.run, failed) from failed
    # A call that finds the run held by an earlier one shows the files that it writes itself.
    files = applied.files or confirmed.files
    return applied._replace(changed=True, state=CONFIRMED, files=files, folders=confirmed.folders, timer=None)


def _taken_back(host: Host, run: str, failed: ChangeError) -> ChangeError:
    try:
        back = changeset.rollback(host, run)
    except ChangeError as second:
        return both(failed, second)
    failed.message += "; the run was taken back"
    if back.changed_since:
        failed.message += ", but for " + ", ".join(left.name for left in back.changed_since)
    failed.facts.update(run=run, host_state=back.state)
    return failed
