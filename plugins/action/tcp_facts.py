# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work of tcptune.linux.tcp_facts, which is documented in plugins/modules/tcp_facts.py."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.values import sysctl_key
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.errors import ProbeFailed
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.keys import KEYS
from ansible_collections.tcptune.linux.plugins.plugin_utils.reading import read_host

ARGUMENTS = {"keys": {"type": "list", "elements": "str", "no_log": False}}


class ActionModule(ActionBase):
    """Reads a host, and changes nothing."""

    # Only where the connection cannot hand the script over: no temporary folder is made for nothing.
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Return the facts, or why there are none."""
        result = super().run(tmp, task_vars)
        given = self.validate_argument_spec(ARGUMENTS)[1]
        host = str((task_vars or {}).get("inventory_hostname", self._play_context.remote_addr))
        keys = KEYS if given["keys"] is None else given["keys"]
        try:
            facts = read_host(self, host, [sysctl_key(key) for key in keys])
        except ValueError as wrong:
            return {**result, "changed": False, "failed": True, "msg": f"keys: {wrong}"}
        except ProbeFailed as unread:
            failure = {"kind": "unread", "message": str(unread), "hint": unread.hint}
            return {
                **result,
                "changed": False,
                "failed": True,
                "msg": f"{unread} (try: {unread.hint})",
                "failure": failure,
            }
        return {**result, "changed": False, "ansible_facts": {"tcptune": facts}}
