#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402  Ansible wants the documentation above the imports.
"""Write one file of nginx's configuration, and put it back where the whole does not fit."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: nginx_file
short_description: Write one file of nginx's configuration, and put it back where the whole does not fit
version_added: 0.1.0
author:
  - tcptune contributors (!UNKNOWN)
description:
  - Has C(nginx -t) check the whole configuration with a file of its own in it, writes that below the folder that nginx
    includes, and tells a running nginx to reload. It is never restarted.
  - If nginx does not take the whole, or does not read the file at all, the module fails with what nginx said, and the
    file is as it was. A running nginx has seen nothing of it.
  - The file is tried in a mount namespace of C(nginx) alone before it is there, so that a host which dies in the middle
    starts with one that was checked. Where that is not allowed, as in many containers, or where nginx does not take its
    configuration as it is, the file is written first, checked there, and put back if it does not fit.
  - Until nginx has been told, the previous file is kept beside it, under a name that begins with a dot. A call that
    died leaves it there, and the next one puts it back first, unless somebody has written the file since.
options:
  state:
    description: Whether the file is to be there.
    type: str
    choices: [present, absent]
    default: present
  path:
    description: Where the file is. Only C(NN-tcptune*.conf) may be written, where C(NN) is a number.
    type: path
    default: /etc/nginx/conf.d/99-tcptune.conf
  content:
    description: The text of the file. Required with O(state=present).
    type: str
  default_servers:
    description:
      - Addresses, as C(listen) spells them, for which the file has a server of its own, to say how long the queue is.
      - Another server has to be their C(default_server). Else ours could answer for it, and the file is put back.
    type: list
    elements: str
    default: []
  reload:
    description: Whether to tell a running nginx to reload.
    type: bool
    default: true
  program:
    description: The nginx to ask.
    type: str
    default: nginx
attributes:
  check_mode:
    description: Says what would be written, and changes nothing.
    details: It does not ask nginx, which makes logs and folders of its own when it checks.
    support: partial
  diff_mode:
    description: Shows the file before and after.
    support: full
  platform:
    description: The systems it works on.
    support: full
    platforms: linux
notes:
  - Needs root, and Python 3.8 or later.
"""

EXAMPLES = r"""
- name: Keep connections of clients open for longer than the load balancer does
  tcptune.linux.nginx_file:
    content: |
      keepalive_timeout 75s;

- name: Take that back
  tcptune.linux.nginx_file:
    state: absent
"""

RETURN = r"""
reloaded:
  description: Whether a running nginx was told to reload.
  returned: success
  type: bool
previous:
  description:
    - The text that was there, null if there was no file. Where an earlier call had died, the one that was put back.
  returned: success
  type: str
failure:
  description: Why the module failed, with C(kind), C(message) and C(hint), as with tcptune.linux.tcp_settings.
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tcptune.linux.plugins.module_utils.errors import ChangeError, explained
from ansible_collections.tcptune.linux.plugins.module_utils.nginx import Nginx, bring

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "path": {"type": "path", "default": "/etc/nginx/conf.d/99-tcptune.conf"},
    "content": {"type": "str"},
    "default_servers": {"type": "list", "elements": "str", "default": []},
    "reload": {"type": "bool", "default": True},
    "program": {"type": "str", "default": "nginx"},
}


def text(data):
    """Return bytes as text, None where there are none."""
    return None if data is None else data.decode("utf-8", "replace")


def act(module):
    """Return the outcome of bringing the file to what the parameters say. Raises ChangeError."""
    wanted = module.params["content"].encode("utf-8") if module.params["state"] == "present" else None
    # Root's PATH is not everybody's: sbin is missing where somebody became root by su.
    program = module.get_bin_path(module.params["program"], opt_dirs=["/usr/sbin", "/usr/local/sbin"])
    try:
        return bring(
            Nginx([program or module.params["program"]]),
            module.params["path"],
            wanted,
            listens=module.params["default_servers"],
            reload=module.params["reload"],
            check=module.check_mode,
        )
    except OSError as error:
        raise explained(error) from error


def main():
    """Read the arguments, act, answer."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS, required_if=[("state", "present", ["content"])], supports_check_mode=True
    )
    try:
        outcome = act(module)
    except ChangeError as error:
        failure = error.as_dict()
        module.fail_json(
            msg=f"{error.message} (try: {error.hint})" if error.hint else error.message,
            changed=bool(error.facts.get("not_restored")),
            failure=failure,
        )
    if outcome.recovered:
        module.warn("an earlier call died before it had reloaded nginx: what it had written is put back first")
    answer = {"changed": outcome.changed, "reloaded": outcome.reloaded, "previous": text(outcome.before)}
    if outcome.changed and not outcome.reloaded and module.params["reload"] and not module.check_mode:
        module.warn("nginx does not run, so it was not reloaded")
    if module._diff:
        header = module.params["path"]
        sides = {"before": text(outcome.before) or "", "after": text(outcome.after) or ""}
        answer["diff"] = [{"before_header": header, "after_header": header, **sides}]
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
