#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tcptune.linux.tcp_facts promises. Its work is done by plugins/action/tcp_facts.py."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tcp_facts
short_description: Read the TCP settings of a host, and what bears on them
version_added: 0.1.0
author:
  - tcptune contributors (!UNKNOWN)
description:
  - Reads kernel settings with whether they can be written, the files that a boot reads, counters, links, listeners with
    their backlogs and limits, connection tracking, and other programs that write the same settings.
  - The answer is what C(tcptune facts) writes of a host, so that C(tcptune audit --facts) and the module
    M(tcptune.linux.tcp_audit) take it.
  - One script of POSIX sh, over any connection plugin. The host needs no Python. The controller needs no package beside
    Ansible.
  - Secrets are never read, such as C(net.ipv4.tcp_fastopen_key).
  - Fails where a host cannot be read, or gives an answer that makes no sense. A part that is not known is in
    C(ansible_facts.tcptune.gaps), with the reason.
options:
  keys:
    description:
      - The settings to read, as sysctl prints them. By default, those that the catalogue of tcptune knows.
      - A key that this kernel lacks has the state V(absent), and one that this user may not read V(unreadable).
    type: list
    elements: str
attributes:
  action:
    description: Runs on the controller, and sends a script to the host.
    support: full
  async:
    description: Can be run in the background.
    support: none
  check_mode:
    description: Reads, as it does without. It changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show, as nothing is changed.
    support: none
  facts:
    description: Returns C(ansible_facts), which later tasks of the play see.
    support: full
  platform:
    description: The systems it works on.
    support: full
    platforms: linux
notes:
  - Without root it reads what the login may. What it may not is told as such, never as missing.
  - Needs no C(gather_facts).
seealso:
  - module: tcptune.linux.tcp_audit
  - module: tcptune.linux.tcp_settings
"""

EXAMPLES = r"""
- name: Read the host
  tcptune.linux.tcp_facts:

- name: Refuse a host whose accept queue is short
  ansible.builtin.assert:
    that: ansible_facts.tcptune.sysctl['net.core.somaxconn'].text | int >= 1024

- name: Keep what all hosts said for tcptune audit --facts facts.jsonl
  ansible.builtin.copy:
    dest: facts.jsonl
    mode: "0600"
    content: |
      {{ {'tcptune': 'facts', 'format_version': 1, 'made_at': now(utc=true).isoformat() ~ 'Z'} | to_json }}
      {% for host in ansible_play_hosts %}
      {{ hostvars[host].ansible_facts.tcptune | to_json }}
      {% endfor %}
  delegate_to: localhost
  become: false
  run_once: true
"""

RETURN = r"""
ansible_facts:
  description: Facts of the host.
  returned: success
  type: dict
  contains:
    tcptune:
      description:
        - One host of a facts file. What is null has its reason in RV(ansible_facts.tcptune.gaps).
      returned: success
      type: dict
      contains:
        host:
          description: Its name in the inventory.
          type: str
          returned: always
        collected_at:
          description: When the answer came, in UTC, by the clock of the controller.
          type: str
          returned: always
          sample: "2026-03-02T10:00:00Z"
        system:
          description:
            - Kernel, distribution, memory, processors, page size, boot, user, whether PID 1 is systemd, whether it is
              a machine or a container, and whether the network is a namespace of its own.
          type: dict
          returned: always
        sysctl:
          description:
            - Key to C(state), which is V(value), V(absent) or V(unreadable). With V(value), C(text) as the kernel
              prints it, with single spaces, and C(writable).
          type: dict
          returned: always
          sample: {"net.core.somaxconn": {"state": "value", "text": "4096", "writable": true}}
        sysctl_files:
          description: The files of settings that a boot may read, with C(path), C(content) and C(link).
          type: list
          elements: dict
          returned: always
        config_files:
          description: Other files that bear on TCP, for limits and for modules to load.
          type: list
          elements: dict
          returned: always
        counters:
          description: Name to the counter's value since boot, such as C(TcpExt.ListenOverflows).
          type: dict
          returned: always
        links:
          description: The network interfaces.
          type: dict
          returned: always
        listeners:
          description: What listens, with the backlog that it really got, and the limits of its process.
          type: dict
          returned: always
        unit_files:
          description: What systemd reads for the services that listen.
          type: dict
          returned: always
        conntrack:
          description: Connection tracking, its size and how full it is.
          type: dict
          returned: always
        rivals:
          description: Other programs that may write the same settings.
          type: dict
          returned: always
        runs:
          description: Always null here. O(tcptune.linux.tcp_settings#module:state=status) tells the runs of a host.
          type: dict
          returned: always
        gaps:
          description: Name of a part to the reason why it is not known.
          type: dict
          returned: always
failure:
  description: Why the host could not be read, for a program.
  returned: failure
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
