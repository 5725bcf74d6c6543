# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work of tcptune.linux.tcp_plan, which is documented in plugins/modules/tcp_plan.py."""

from __future__ import annotations

from ansible_collections.tcptune.linux.plugins.action import tcp_audit

if not tcp_audit.MISSING:
    from tcptune.knowledge.catalogue import catalogue
    from tcptune.planning.plan import plan_host


class ActionModule(tcp_audit.ActionModule):
    """Works out what a host lacks, and changes nothing."""

    NAME = "tcptune.linux.tcp_plan"
    ARGUMENTS = {name: option for name, option in tcp_audit.ARGUMENTS.items() if name != "fail_on"}

    def _judged(self, host, given):
        facts, profile, found = self._found(host, given)
        plan, skipped = plan_host(facts, found, catalogue())
        return {
            "host": host,
            "profile": profile.name,
            "settings": {change.key: change.after for change in plan.changes},
            "before": {change.key: change.before for change in plan.changes},
            "files": [
                {"path": file.path, "content": file.after, "before_sha256": file.before_sha256} for file in plan.files
            ],
            "dangers": {change.key: change.danger for change in plan.changes if change.danger},
            "writers": {change.key: change.writer for change in plan.changes if change.writer},
            "skipped": [{"key": one.key, "kind": one.kind.value, "why": one.why} for one in skipped],
            "unknown": [f"{one.key}: {one.why}" for one in skipped if one.kind.value == "unknown"],
        }
