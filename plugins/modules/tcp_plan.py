#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tcptune.linux.tcp_plan promises. Its work is done by plugins/action/tcp_plan.py."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tcp_plan
short_description: Work out what a host lacks to meet a profile
version_added: 0.1.0
author:
  - tcptune contributors (!UNKNOWN)
description:
  - Returns the options of M(tcptune.linux.tcp_settings) that bring a host to a profile.
  - What is in them is that of C(tcptune plan), by the same code. It is worked out on the controller, which needs the
    Python package C(tcptune) beside Ansible, and so Python 3.11 or later. The host needs a POSIX sh, and no Python.
  - A host that cannot be read always fails.
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
    description: What C(ansible_facts.tcptune) holds after M(tcptune.linux.tcp_facts). Without it the host is read.
    type: dict
attributes:
  check_mode:
    description: It changes nothing.
    support: full
  diff_mode:
    description: It changes nothing, so that there is none.
    support: none
  platform:
    description: The systems it works on.
    support: full
    platforms: linux
"""

EXAMPLES = r"""
- name: Work out what is to be changed
  tcptune.linux.tcp_plan:
    profile: web-frontend
  register: wanted

- name: Change it, and hold it
  tcptune.linux.tcp_settings:
    settings: "{{ wanted.settings }}"
    before: "{{ wanted.before }}"
    files: "{{ wanted.files }}"
"""

RETURN = r"""
profile:
  description: The name of the profile.
  returned: success
  type: str
settings:
  description: Key to value, in the order of the writes.
  returned: success
  type: dict
before:
  description: Key to the value that is there.
  returned: success
  type: dict
files:
  description: The files that confirm is to write, each with C(path), C(content) and C(before_sha256).
  returned: success
  type: list
  elements: dict
dangers:
  description: Key to the reason why its change can strand the host. Somebody should allow it first.
  returned: success
  type: dict
writers:
  description: Key to the program that is known to write it too.
  returned: success
  type: dict
skipped:
  description: What the profile asks for and is not in the plan, each with C(key), C(kind) and C(why).
  returned: success
  type: list
  elements: dict
unknown:
  description: Which of them could not be judged, and why.
  returned: success
  type: list
  elements: str
failure:
  description: Why there is no plan, with C(kind), C(message) and C(hint).
  returned: failure
  type: dict
"""
