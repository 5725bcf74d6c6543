#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402  Ansible wants the documentation above the imports.
"""Change kernel TCP settings in two phases, and take them back."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tcp_settings
short_description: Change kernel TCP settings in two phases, and take them back
version_added: 0.1.0
author:
  - tcptune contributors (!UNKNOWN)
description:
  - With O(state=applied), writes the given settings to the running kernel, reads each one back and holds them. Files
    that a boot reads are not touched yet, so a crash or a reboot brings the previous values back.
  - With O(state=confirmed), writes the files of a run that is held, so that the next boot gives its values too.
  - With O(state=rolled_back), puts back what a run replaced, from the record that the host itself keeps below
    C(/var/lib/tcptune/runs).
  - All settings of a run are applied, or none. Where the kernel refuses one, all are taken back.
  - Only the given settings are written. Nothing else is loaded or reloaded.
options:
  state:
    description:
      - What is to be true of the run.
    type: str
    choices: [applied, confirmed, rolled_back]
    default: applied
  run:
    description:
      - The id of the run. Letters, digits, C(.), C(_) and C(-), at most 64 of them.
      - Required with O(state=confirmed) and O(state=rolled_back).
      - With O(state=applied), one is made up if it is left out. An id is used for one change alone. Applying the same
        change with the same id again changes nothing.
    type: str
  settings:
    description:
      - The settings, key to value, in the order in which they are to be written.
      - Keys are written as sysctl prints them. The first separator decides what a dot means, so that
        C(net.ipv4.conf.eth0/100.rp_filter) and C(net/ipv4/conf/eth0.100/rp_filter) are one setting.
      - Quote the values. The kernel has no booleans, so YAML booleans are refused.
      - All numbers of a setting have to be given, such as the three of C(net.ipv4.tcp_rmem).
      - Keys that hold secrets are refused.
      - Used with O(state=applied) alone.
    type: dict
    default: {}
  before:
    description:
      - What must be there, key to value. If a value is another one, nothing is changed and the module fails with
        RV(stale=true).
      - Values are compared as the kernel would, so that spaces and tabs, or the spelling of a list of ports, do not
        matter.
      - Used with O(state=applied) alone.
    type: dict
    default: {}
  files:
    description:
      - The files that O(state=confirmed) is to write, whole.
      - Used with O(state=applied) alone. A run keeps its own copy of them.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - Where the file is. Only C(/etc/sysctl.d/NN-tcptune*.conf) may be written, where C(NN) is a number.
        type: str
        required: true
      content:
        description:
          - The text of the file.
        type: str
        required: true
      before_sha256:
        description:
          - The SHA-256 of the file that must be there now, or V(absent) where there must be none.
          - If it is another one, nothing is changed and the module fails with RV(stale=true).
        type: str
  force_keys:
    description:
      - Settings that are to be restored even if a third party has changed them since. The path of a file is accepted
        too.
      - Used with O(state=rolled_back) alone.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Says what would be changed, and fails where it would be refused. Changes nothing.
    support: full
  diff_mode:
    description: Shows the running values before and after, then each file.
    support: full
  platform:
    description: The systems it works on.
    support: full
    platforms: linux
notes:
  - Needs root, and Python 3.8 or later.
  - One run at a time changes a host. While a run is held, no other can be applied.
"""

EXAMPLES = r"""
- name: Try larger buffers
  tcptune.linux.tcp_settings:
    run: 20260302-buffers
    settings:
      net.ipv4.tcp_rmem: "4096 131072 16777216"
      net.ipv4.tcp_wmem: "4096 65536 16777216"
    before:
      net.ipv4.tcp_rmem: "4096 131072 6291456"
    files:
      - path: /etc/sysctl.d/99-tcptune.conf
        content: |
          net.ipv4.tcp_rmem = 4096 131072 16777216
          net.ipv4.tcp_wmem = 4096 65536 16777216
        before_sha256: absent

- name: Keep them across reboots
  tcptune.linux.tcp_settings:
    state: confirmed
    run: 20260302-buffers

- name: Put back what was there
  tcptune.linux.tcp_settings:
    state: rolled_back
    run: 20260302-buffers

- name: Put one setting back although somebody else has changed it since
  tcptune.linux.tcp_settings:
    state: rolled_back
    run: 20260302-buffers
    force_keys:
      - net.ipv4.tcp_rmem
"""

RETURN = r"""
run:
  description: The id of the run. Null if nothing was to be done, so that none was made.
  returned: always
  type: str
  sample: 20260302-buffers
host_state:
  description:
    - The state of the run on this host. In check mode, the one it would reach.
    - V(held) after O(state=applied), V(confirmed) after O(state=confirmed), V(rolled_back) after O(state=rolled_back),
      V(unchanged) if nothing was to be done and O(run) was not given.
    - On a failure, V(rolled_back) if everything was taken back, V(failed_restored) if that failed too.
    - V(prepared), V(running), V(confirming) or V(rolling_back) where it stopped in the middle. Roll the run back.
    - Null on failures that come before there is a run, and so before anything was written.
  returned: always
  type: str
  sample: held
previous:
  description:
    - The values that were replaced, key to value. For a run that was applied before, those it replaced then.
    - After O(state=rolled_back), the values that the roll back replaced.
  returned: success
  type: dict
  sample: {"net.ipv4.tcp_rmem": "4096 131072 6291456"}
changed_since:
  description: Keys and files that O(state=rolled_back) left alone, because a third party has changed them since.
  returned: success
  type: list
  elements: str
  sample: [net.ipv4.tcp_rmem]
left:
  description: The same as RV(changed_since), with what was expected and what was found.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The key, or the path of the file.
      type: str
      returned: always
    expected:
      description: What the run had left there. For a file, its SHA-256.
      type: str
      returned: always
    found:
      description: What is there now.
      type: str
      returned: always
    before:
      description: What would be restored if it were named in O(force_keys).
      type: str
      returned: always
stale:
  description: Whether the host is no longer what O(before), O(files[].before_sha256) or the run says it is.
  returned: always
  type: bool
stale_reason:
  description: The first thing that is not as expected.
  returned: if RV(stale) is true
  type: str
  sample: "net.core.somaxconn is no longer 128: it is 4096"
failure:
  description: Why the module failed, for a program to read.
  returned: failure
  type: dict
  contains:
    kind:
      description:
        - V(stale) if the host has moved, V(refused) if the request or the host does not allow it, V(absent) if there is
          no such setting, V(locked) if another process is changing the host, V(unfinished) if another run waits for
          confirm or roll back, V(unknown_run) if the host has no record of the run, V(io) if the kernel or the disk
          said no in the middle.
      type: str
      returned: always
    message:
      description: What happened.
      type: str
      returned: always
    hint:
      description: What to try next.
      type: str
      returned: always
    key:
      description: The setting, or the path of the file.
      type: str
      returned: if it is about one
    value:
      description: The value that was refused.
      type: str
      returned: if there is one
    expected:
      description: What should have been there.
      type: str
      returned: if RV(failure.kind) is V(stale)
    found:
      description: What is there.
      type: str
      returned: if it was read
    errno:
      description: The error number that the kernel gave.
      type: int
      returned: if there is one
    not_restored:
      description: The settings that could not be taken back.
      type: list
      elements: str
      returned: if there are any
    also:
      description: The other problems found on this host, each as RV(failure).
      type: list
      elements: dict
      returned: if there are any
diff:
  description:
    - First the running values before and after, then one entry for each file.
    - With O(state=applied), the name of a file is followed by C((written on confirm\)).
  returned: success, in diff mode
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tcptune.linux.plugins.module_utils import changeset
from ansible_collections.tcptune.linux.plugins.module_utils.diffs import diff
from ansible_collections.tcptune.linux.plugins.module_utils.errors import ChangeError
from ansible_collections.tcptune.linux.plugins.module_utils.host import Host
from ansible_collections.tcptune.linux.plugins.module_utils.request import make_request

ARGUMENTS = {
    "state": {"type": "str", "choices": ["applied", "confirmed", "rolled_back"], "default": "applied"},
    "run": {"type": "str"},
    "settings": {"type": "dict", "default": {}},
    "before": {"type": "dict", "default": {}},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "content": {"type": "str", "required": True},
            "before_sha256": {"type": "str"},
        },
    },
    "force_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
}


def act(host, state, params, check):
    """Return the outcome of bringing the run to `state`."""
    if state == "confirmed":
        return changeset.confirm(host, params["run"], check=check)
    if state == "rolled_back":
        return changeset.rollback(host, params["run"], params["force_keys"], check=check)
    request = make_request(params["settings"], params["before"], params["files"], params["run"])
    return changeset.apply(host, request, check=check)


def main():
    """Read the arguments, act, answer."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[("state", "confirmed", ["run"]), ("state", "rolled_back", ["run"])],
        supports_check_mode=True,
    )
    state = module.params["state"]
    try:
        outcome = act(Host(), state, module.params, module.check_mode)
    except ChangeError as error:
        answer = {
            "changed": bool(error.facts.get("not_restored")),
            "run": error.facts.get("run", module.params["run"]),
            "host_state": error.facts.get("host_state"),
            "stale": error.kind == "stale",
            "failure": error.as_dict(),
        }
        if error.kind == "stale":
            answer["stale_reason"] = error.message
        module.fail_json(msg=f"{error.message} (try: {error.hint})" if error.hint else error.message, **answer)
    answer = {
        "changed": outcome.changed,
        "run": outcome.run,
        "host_state": outcome.state,
        "previous": outcome.previous,
        "changed_since": [left.name for left in outcome.changed_since],
        "left": [left._asdict() for left in outcome.changed_since],
        "stale": False,
    }
    for left in outcome.changed_since:
        module.warn(f"{left.name} was left alone: it is {left.found}, the run had left {left.expected} there")
    if module._diff:
        answer["diff"] = diff(outcome, " (written on confirm)" if state == "applied" else "")
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
