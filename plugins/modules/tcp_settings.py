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
  - With O(state=applied), O(persist=true) and O(confirm=true), one task does it all. The settings are written to the
    running kernel and to C(/etc/sysctl.d/99-tcptune.conf), or nothing is. A second run changes nothing.
  - With O(state=absent), takes settings out of our own files below C(/etc/sysctl.d), and gives the running kernel the
    value that was there before the first run of ours that changed it. A file without any setting left goes. That is a
    run of its own, with its own way back.
  - With O(state=rolled_back), puts back what a run replaced, from the record that the host itself keeps below
    C(/var/lib/tcptune/runs). What the kernel had changed along with a setting goes back with it, such as the
    C(forwarding) of every interface with C(net.ipv4.ip_forward).
  - With O(revert_after_s), the host itself takes a run back that nobody confirms in time, whatever has become of SSH,
    of Ansible or of the network.
  - Any call but O(state=status) first ends what a crash, a reboot or a deadline left in the middle.
  - All settings of a run are applied, or none. Where the kernel refuses one, all are taken back.
  - Only the given settings are written. No module is loaded, no service is restarted, and no other file of settings is
    read. Where systemd is PID 1 and a drop-in of a service was written or put back, it reads its units anew
    (C(systemctl daemon-reload)).
options:
  state:
    description:
      - What is to be true of the run.
      - V(applied) and V(absent) leave a run that is held, unless O(confirm=true).
      - With V(extended), a run that is held gets O(revert_after_s) from now on, but never less time than it has.
      - With V(status), nothing is changed. The answer has what the host knows of O(run), and all of its runs in short.
      - An option that says nothing with the state is refused, and the host is left as it is. Each says which states use
        it. One that is empty, or as it is by default, counts as left out.
    type: str
    choices: [applied, confirmed, extended, rolled_back, absent, status]
    default: applied
  run:
    description:
      - The id of the run. Letters, digits, C(.), C(_) and C(-), at most 64 of them.
      - Required with O(state=confirmed), O(state=extended) and O(state=rolled_back).
      - With O(state=applied) and O(state=absent), one is made up if it is left out. An id is used for one change alone.
        Applying the same change with the same id again changes nothing.
    type: str
  settings:
    description:
      - The settings, key to value, in the order in which they are to be written.
      - Keys are written as sysctl prints them. The first separator decides what a dot means, so that
        C(net.ipv4.conf.eth0/100.rp_filter) and C(net/ipv4/conf/eth0.100/rp_filter) are one setting.
      - Quote the values. The kernel has no booleans, so YAML booleans are refused.
      - Values are compared as the kernel understands them. Tabs and spaces are the same, and so are
        C(8081,8080,8082) and C(8080-8082) for a list of ports.
      - Numbers are decimal. C(0100), which the kernel would read as 64, and C(0x10) are refused.
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
          - Where the file is. Only C(NN-tcptune*.conf) may be written, where C(NN) is a number, and only in
            C(/etc/sysctl.d), C(/etc/modules-load.d), C(/etc/security/limits.d) and
            C(/etc/systemd/system/UNIT.service.d).
          - A folder that is missing is made, with mode 0755, if the one above it is there. It is taken away again with
            the file, if it is empty then. A link in the place of a folder is refused.
        type: str
        required: true
      content:
        description:
          - The text of the file. What may stand in it depends on its folder.
          - In C(modules-load.d), comments and a name of a module on each line. None is loaded before the next boot.
          - In C(limits.d), comments and lines as C(* soft nofile 65536). A number above C(fs.nr_open) is refused, as it
            would keep everybody from logging in.
          - In C(UNIT.service.d), comments, C([Service]) and one line C(LimitNOFILE=SOFT) or C(LimitNOFILE=SOFT:HARD).
            A service that runs keeps its limits until it is restarted.
        type: str
        required: true
      before_sha256:
        description:
          - The SHA-256 of the file that must be there now, or V(absent) where there must be none.
          - If it is another one, nothing is changed and the module fails with RV(stale=true).
        type: str
  exclusive_header:
    description:
      - The first line of O(files), by which the host knows others of the same writer. Those that are not among
        O(files) any more are removed when the run is confirmed, and come back when it is rolled back.
      - A comment, such as C(# Written by the role example). Each of O(files) has to begin with it, but for those in
        C(/etc/sysctl.d), which are left alone.
      - Only files that may be one of O(files[].path) are looked at, with C(modules-load.d), C(limits.d) and
        C(UNIT.service.d) alone. The folder of a file stays. Without it, none is removed.
      - Used with O(state=applied) alone.
    type: str
  persist:
    description:
      - Whether the host is to put O(settings) into C(/etc/sysctl.d/99-tcptune.conf) too, in the given order and behind
        what other tasks have put there. The file is written when the run is confirmed.
      - A file of somebody else is never changed. If one comes later and says something else, that is told in
        RV(shadowed), with a warning. It is no failure, as the running kernel has the value.
      - It does not go with that same file in O(files).
      - Used with O(state=applied) alone.
    type: bool
    default: false
  confirm:
    description:
      - Whether to confirm the run at once, in the same call. If that fails, the run is taken back.
      - Nobody looks in between whether the host can still be reached. For settings that could cut it off, leave this
        out, give O(revert_after_s), and confirm in a task that comes after a look.
      - Used with O(state=applied) and O(state=absent).
    type: bool
    default: false
  keys:
    description:
      - The settings that are to be as they were before us, and the paths of files of ours that are to go.
      - Such a path is one of O(files[].path), but in C(/etc/sysctl.d), where a file goes with the last of its settings.
        The folder of a file stays.
      - A setting whose value somebody else has changed since is left alone, and told in RV(left), but for those in
        O(force_keys). So is one that has a line of ours and no record of what was there before. The line goes all the
        same.
      - Used with O(state=absent) alone, and required there.
    type: list
    elements: str
    default: []
  revert_after_s:
    description:
      - After how many seconds the host takes the run back by itself unless it is confirmed before. At most a week.
      - Without it, a held run stays until it is confirmed or rolled back, or the host is booted.
      - A transient systemd timer waits where systemd is PID 1, a process of its own session elsewhere. It is armed
        before the first setting is written, and needs neither Python nor the network.
      - Whoever confirms when the time is over is too late, even if the timer has not acted yet.
      - With O(confirm=true), it guards the moment between the two alone.
      - Used with O(state=applied), O(state=absent) and O(state=extended). Required with the latter.
    type: int
  writers:
    description:
      - Programs that are known to write a setting too, key to name. They are named where a value does not last.
      - Used with O(state=applied) alone.
    type: dict
    default: {}
  keep_runs:
    description:
      - How many runs the host remembers. The oldest that are finished are forgotten, and with them their way back.
        What was there before the first of them is remembered as long as a newer one has the setting.
      - Used with O(state=applied) and O(state=absent).
    type: int
    default: 20
  force_keys:
    description:
      - Settings that are to be restored even if a third party has changed them since. The path of a file is accepted
        too.
      - Used with O(state=rolled_back), and with O(state=absent) for some of O(keys).
    type: list
    elements: str
    default: []
  fence:
    description:
      - What to do where the host has no record of O(run). By default the module fails. With V(true), the host records
        the run as taken back, so that it is refused there should it still come, sent by a controller that has died.
      - Used with O(state=rolled_back) alone.
    type: bool
    default: false
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
  - A run is rolled back before the older ones that changed the same settings or files.
  - In check mode, a run that stopped in the middle is not settled, so applying another one fails.
"""

EXAMPLES = r"""
- name: Set the running kernel and the next boot in one task
  tcptune.linux.tcp_settings:
    settings:
      net.core.somaxconn: "4096"
      net.ipv4.tcp_rmem: "4096 131072 16777216"
      net.ipv4.ip_local_reserved_ports: "8080-8082,9000"
    persist: true
    confirm: true

- name: Let go of a setting, now and at boot
  tcptune.linux.tcp_settings:
    state: absent
    keys:
      - net.core.somaxconn
    confirm: true

- name: Let go of the limit of a service, from its next start on
  tcptune.linux.tcp_settings:
    state: absent
    keys:
      - /etc/systemd/system/nginx.service.d/99-tcptune.conf
    confirm: true

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

- name: Try larger buffers, and have the host take them back unless they are confirmed within two minutes
  tcptune.linux.tcp_settings:
    run: 20260302-buffers
    settings:
      net.ipv4.tcp_rmem: "4096 131072 16777216"
    revert_after_s: 120

- name: Take five minutes more to look
  tcptune.linux.tcp_settings:
    state: extended
    run: 20260302-buffers
    revert_after_s: 300

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
    - V(held) after O(state=applied), O(state=absent) and O(state=extended), V(confirmed) after O(state=confirmed) and
      with O(confirm=true), V(rolled_back) after O(state=rolled_back), V(unchanged) if nothing was to be done and O(run)
      was not given.
    - On a failure, V(rolled_back) if everything was taken back, V(failed_restored) if that failed too.
    - V(reverted) if the host took it back, because its time was over or because its confirm died.
    - V(lost) if the host was booted before it was confirmed. Its values are gone, and no file was touched.
    - V(prepared), V(running), V(confirming) or V(rolling_back) while another process is at work, or where one died.
      The next call settles that.
    - Null on failures that come before there is a run, and so before anything was written.
  returned: always
  type: str
  sample: held
timer:
  description: Which kind of timer takes the run back, V(systemd) or V(process). Null if it has none.
  returned: success
  type: str
  sample: systemd
deadline:
  description: When the run is taken back, in UTC. Null without a timer, and in check mode.
  returned: success
  type: str
  sample: "2026-03-02T10:02:00Z"
seconds_left:
  description: Seconds until then, by the host's own clock that nobody can set. Null without a timer.
  returned: success
  type: int
  sample: 120
record:
  description:
    - What the host knows of O(run). C(ends) is the state in which the next call would end it, null if it stays
      as it is. C(timer.alive) says whether something is there that will take it back. C(origin) of a setting is
      what was there before any run that still stands.
  returned: with O(state=status), if O(run) was given
  type: dict
  sample:
    run: 20260302-buffers
    host_state: held
    ends: null
    since: "2026-03-02T10:00:00Z"
    booted_since: false
    timer: {"kind": systemd, "deadline": "2026-03-02T10:02:00Z", "seconds_left": 117, "alive": true}
    keys:
      - key: net.ipv4.tcp_rmem
        before: "4096 131072 6291456"
        replaced: "4096 131072 6291456"
        after: "4096 131072 16777216"
        stored: "4096 131072 16777216"
        origin: "4096 131072 6291456"
        now: "4096 131072 16777216"
    files: [/etc/sysctl.d/99-tcptune.conf]
    left: []
    history: [{"state": held, "at": "2026-03-02T10:00:00Z"}]
runs:
  description: Each run of the host, the oldest first, as in RV(record) up to C(timer).
  returned: with O(state=status)
  type: list
  elements: dict
busy:
  description: Who changes the host right now. Null if nobody does.
  returned: with O(state=status)
  type: str
  sample: "pid 4711, run 20260302-buffers"
previous:
  description:
    - The values that were replaced, key to value. For a run that was applied before, those it replaced then.
    - After O(state=rolled_back), the values that the roll back replaced.
  returned: success
  type: dict
  sample: {"net.ipv4.tcp_rmem": "4096 131072 6291456"}
files:
  description:
    - The files that the act writes, puts back or removes; with O(state=applied), those that O(state=confirmed) will
      write.
    - Empty if nothing was to be done.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Where the file is.
      type: str
      returned: always
    before_sha256:
      description: The SHA-256 of what was there, or V(absent).
      type: str
      returned: always
    after_sha256:
      description: The SHA-256 of what is there afterwards, or V(absent).
      type: str
      returned: always
folders:
  description:
    - The folders that O(state=confirmed) makes for its files, or that O(state=rolled_back) takes away. With
      O(state=applied), those that O(state=confirmed) will make.
  returned: success
  type: list
  elements: str
  sample: [/etc/systemd/system/nginx.service.d]
shadowed:
  description:
    - The lines of other files that overrule ours at the next boot, so that it gives another value than the one wanted.
    - Looked at with O(persist=true), for C(systemd-sysctl) where systemd is PID 1, and for C(sysctl) of procps
      elsewhere, which reads C(/etc/sysctl.conf) last.
  returned: with O(persist=true)
  type: list
  elements: dict
  contains:
    key:
      description: The setting.
      type: str
      returned: always
    ours:
      description: What our file says.
      type: str
      returned: always
    value:
      description: What the boot gives.
      type: str
      returned: always
    path:
      description: The file that wins.
      type: str
      returned: always
    line:
      description: Its line.
      type: int
      returned: always
    loader:
      description: Who reads it so, C(systemd-sysctl) or C(procps).
      type: str
      returned: always
changed_since:
  description:
    - Keys and files that O(state=rolled_back) or O(state=absent) left alone, because a third party has changed them
      since, or because nobody knows what was there before.
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
      description: What the run had left there, or the line of our file says. For a file, its SHA-256.
      type: str
      returned: always
    found:
      description: What is there now.
      type: str
      returned: always
    before:
      description: What would be restored if it were named in O(force_keys). V(unknown) if there is no record of it.
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
    writer:
      description: The program that is known to write the setting too.
      type: str
      returned: if O(writers) names one, and the value did not last
    changed_since:
      description: The settings that somebody else changed while they were taken back. They were left alone.
      type: list
      elements: str
      returned: if there are any
    newer:
      description: The run that has to be rolled back first.
      type: str
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
    - First the running values before and after, each setting on a line of its own, also those that stay. Then one entry
      for each file.
    - If the run is only to be held, the name of a file is followed by C((written on confirm\)).
  returned: success, in diff mode
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tcptune.linux.plugins.module_utils import options, task
from ansible_collections.tcptune.linux.plugins.module_utils.errors import ChangeError
from ansible_collections.tcptune.linux.plugins.module_utils.host import Host

ARGUMENTS = {
    "state": {
        "type": "str",
        "choices": ["applied", "confirmed", "extended", "rolled_back", "absent", "status"],
        "default": "applied",
    },
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
    "exclusive_header": {"type": "str"},
    "persist": {"type": "bool", "default": False},
    "confirm": {"type": "bool", "default": False},
    "keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "revert_after_s": {"type": "int"},
    "writers": {"type": "dict", "default": {}},
    "keep_runs": {"type": "int", "default": 20},
    "force_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "fence": {"type": "bool", "default": False},
}


def main():
    """Read the arguments, act, answer."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[
            ("state", "confirmed", ["run"]),
            ("state", "extended", ["run", "revert_after_s"]),
            ("state", "rolled_back", ["run"]),
            ("state", "absent", ["keys"]),
        ],
        supports_check_mode=True,
    )
    host, failure = Host(), None
    try:
        options.refuse_idle(module.params, ARGUMENTS)
        answer = task.answer(host, module.params, check=module.check_mode, diff=module._diff)
    except ChangeError as error:
        failure = error
    for text in host.warnings:
        module.warn(text)
    if failure:
        module.fail_json(**task.refusal(failure, module.params["run"]))
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
