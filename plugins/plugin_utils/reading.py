# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read one host through whatever connection Ansible has to it. The host needs a POSIX sh, and no Python."""

from __future__ import annotations

import shlex
from datetime import datetime, timezone

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.errors import ProbeFailed
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.probes import script
from ansible_collections.tcptune.linux.plugins.plugin_utils.stand_in import plain

COMMAND = shlex.join(["sh", "-c", script.BOOTSTRAP])


def read_host(action, host, keys):
    """Return the facts of one host, as a line of a facts file has them.

    Raises ProbeFailed where the answer is none, or makes no sense.
    """
    said = run(action, script.assemble(keys))
    if not said["stdout"]:
        reason = " ".join(said["stderr"].split())[:300] or "it exited with {}".format(said["rc"])
        raise ProbeFailed(f"{host}: the probe said nothing: {reason}", hint="is there a POSIX sh?")
    now = datetime.now(timezone.utc).replace(microsecond=0)  # not every controller has the short name
    return plain(script.parse(host, said["stdout"], now))


def run(action, text):
    """Run the script on the host, as the user of the task. Return what it said.

    It is handed over on standard input where the connection can do that, in a temporary file elsewhere.
    """
    if action._connection.is_pipelining_enabled(False):
        return action._low_level_execute_command(COMMAND, in_data=text.encode())
    folder = action._make_tmp_path()
    try:
        path = action._connection._shell.join_path(folder, "probe")
        action._transfer_data(path, text)
        action._fixup_perms2((folder, path))
        said = action._low_level_execute_command(f"{COMMAND} < {shlex.quote(path)}")
        return {**said, "stdout": untyped(said["stdout"])}
    finally:
        action._remove_tmp_path(folder)


def untyped(text):
    """Return what was written, where a terminal has put a carriage return before the end of each line.

    Without pipelining, Ansible's ssh asks for a terminal, as some sudo wants one.
    """
    lines = text.count("\n")
    return text.replace("\r\n", "\n") if lines and lines == text.count("\r\n") else text
