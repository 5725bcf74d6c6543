#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tcptune.linux.tcp_audit promises. Its work is done by plugins/action/tcp_audit.py."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tcp_audit
short_description: Compare the TCP settings of a host with a profile
version_added: 0.1.0
author:
  - tcptune contributors (!UNKNOWN)
description:
  - Says of each setting of a profile what is wanted, what the kernel runs now, and what the next boot will give. Says
    too what several settings, or what runs on the host, make wrong together.
  - The verdict is that of C(tcptune audit), by the same code. It is made on the controller, which needs the Python
    package C(tcptune) beside Ansible, and so Python 3.11 or later. The host needs a POSIX sh, and no Python.
  - Fails by default unless the host was read, all of it was judged, and nothing deviates or does harm.
  - A host that cannot be read always fails, whatever O(fail_on) says. A setting that could not be judged is in
    RV(unknown), and RV(compliant) is false then.
  - Changes nothing and is never C(changed), in check mode and out of it.
options:
  profile:
    description:
      - Names of built-in profiles (C(tcptune profile list)), or files, which are looked for as those of
        M(ansible.builtin.copy) are. With several, an entry of each has to be met.
    type: list
    elements: str
    required: true
  waivers:
    description: A file of deviations that somebody answers for.
    type: path
  load:
    description: Load variables of the profile, name to number, over its defaults.
    type: dict
    default: {}
  roles:
    description: Roles of the host, for entries of the profile that are for some alone.
    type: list
    elements: str
    default: []
  facts:
    description:
      - What M(tcptune.linux.tcp_facts) returned, so that the host is not read once more. Facts of an earlier moment
        tell of that moment.
      - By default, the host is read.
    type: dict
  fail_on:
    description:
      - What makes the task fail. V(deviation) is a setting or a limit that is not as wanted, now or at the next boot.
        V(harm) is a concern by which somebody suffers. V(unknown) is what could not be judged.
      - With an empty list, the task fails only if the host cannot be read, or the profile is wrong. Look at RV(status).
    type: list
    elements: str
    choices: [deviation, harm, unknown]
    default: [deviation, harm, unknown]
attributes:
  action:
    description: Runs on the controller, and sends a script to the host.
    support: full
  async:
    description: Can be run in the background.
    support: none
  check_mode:
    description: Does the same as without. It changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show, as nothing is changed.
    support: none
  platform:
    description: The systems it works on.
    support: full
    platforms: linux
notes:
  - The files that a boot reads, and the processes behind the listeners, want root to be read.
seealso:
  - module: tcptune.linux.tcp_facts
  - module: tcptune.linux.tcp_settings
"""

EXAMPLES = r"""
- name: Fail where a host is not as the profile wants it
  tcptune.linux.tcp_audit:
    profile: web-frontend

- name: Look, and decide in a task of your own
  tcptune.linux.tcp_audit:
    profile: [web-frontend, files/house.yml]
    waivers: files/waivers.yml
    load:
      peak_connections_per_s: 9000
    fail_on: []
  register: audit

- name: Refuse what was not judged
  ansible.builtin.assert:
    that: audit.compliant or audit.status == 'deviation'
    fail_msg: "not judged: {{ audit.unknown | join(', ') }}"
"""

RETURN = r"""
host:
  description: The name of the host in the inventory, or in O(facts).
  returned: always
  type: str
  sample: web1
profile:
  description: The name of the profile, or of all.
  returned: if the host was judged
  type: str
  sample: web-frontend
status:
  description:
    - V(met) if all was judged, nothing deviates, and nothing does harm.
    - V(unread) if the host was not judged at all. Else the first of V(unknown), V(deviation) and V(harm) that there is.
  returned: always
  type: str
  sample: deviation
compliant:
  description: Whether RV(status) is V(met).
  returned: always
  type: bool
deviations:
  description: The settings that are not as wanted, and the processes that may open too few files.
  returned: if the host was judged
  type: list
  elements: str
  sample: [net.core.somaxconn]
harms:
  description: The checks that saw harm.
  returned: if the host was judged
  type: list
  elements: str
unknown:
  description: The settings and limits that could not be judged.
  returned: if the host was judged
  type: list
  elements: str
not_judged:
  description: The checks of the whole host that lacked their facts. They say nothing of it, good or bad.
  returned: if the host was judged
  type: list
  elements: str
audit:
  description: All of it, as C(tcptune audit --format json) has a host, with C(findings), C(limits) and C(concerns).
  returned: if the host was judged
  type: dict
  sample:
    host: web1
    kernel: 6.1.0-37-amd64
    findings:
      - outcome: deviates
        key: net.core.somaxconn
        demand: at least 4096
        where: runtime and at boot
        layers: {"wanted": "4096", "actual": "128", "at_boot": {"value": "128", "by": kernel default, "known": true}}
failure:
  description: Why nothing was judged, for a program.
  returned: if the host was not judged
  type: dict
  contains:
    kind:
      description: V(unread).
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
"""
