# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work of tcptune.linux.tcp_audit, which is documented in plugins/modules/tcp_audit.py."""

from __future__ import annotations

import math
import os
import sys
from datetime import datetime, timezone
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.errors import ProbeFailed
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.keys import KEYS
from ansible_collections.tcptune.linux.plugins.plugin_utils.reading import read_host

# Here, so that it is done once and not in the process of each host.
try:
    from pydantic import ValidationError

    from tcptune.adapters.profiles import load_profiles, load_waivers
    from tcptune.domain.facts import HostFacts
    from tcptune.domain.hosts import Declared
    from tcptune.errors import TcptuneError
    from tcptune.knowledge.catalogue import catalogue
    from tcptune.workflows.audit import audit
except ImportError as missing:
    MISSING = str(missing)
else:
    MISSING = ""

OLDEST = (3, 11)
"""The oldest Python that the package runs on. ansible-core 2.17 runs on an older one."""

ARGUMENTS = {
    "profile": {"type": "list", "elements": "str", "required": True},
    "waivers": {"type": "path"},
    "load": {"type": "dict", "default": {}},
    "roles": {"type": "list", "elements": "str", "default": []},
    "facts": {"type": "dict"},
    "fail_on": {
        "type": "list",
        "elements": "str",
        "choices": ["deviation", "harm", "unknown"],
        "default": ["deviation", "harm", "unknown"],
    },
}


class ActionModule(ActionBase):
    """Judges a host, and changes nothing."""

    NAME = "tcptune.linux.tcp_audit"
    ARGUMENTS = ARGUMENTS
    # Only where the connection cannot hand the script over: no temporary folder is made for nothing.
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Return the findings, or why there are none."""
        result = {**super().run(tmp, task_vars), "changed": False}
        given = self.validate_argument_spec(self.ARGUMENTS)[1]
        host = str((task_vars or {}).get("inventory_hostname", self._play_context.remote_addr))
        if MISSING:
            return {**result, **_not_judged(host, *lacking(self.NAME, MISSING, sys.version_info[:2]))}
        try:
            return {**result, **self._judged(host, given)}
        except (ProbeFailed, TcptuneError) as problem:
            return {**result, **_not_judged(host, str(problem), problem.hint)}

    def _judged(self, host, given):
        profile, found = self._found(host, given)[1:]
        return _answer(found, profile, given["fail_on"])

    def _found(self, host, given):
        """Return the facts of the host, the profile, and what the one is by the other."""
        profile = load_profiles([self._named(name) for name in given["profile"]])
        if given["waivers"]:
            waivers = (*profile.waivers, *load_waivers(Path(self._find_needle("files", given["waivers"]))))
            profile = profile.model_copy(update={"waivers": waivers})
        declared = Declared(roles=tuple(given["roles"]), load=_numbers(given["load"], profile))
        facts = given["facts"]
        if facts is None:
            facts = read_host(self, host, KEYS)
        try:
            read = HostFacts.model_validate(facts)
        except ValidationError as wrong:
            first = wrong.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise TcptuneError(
                f"facts: {where}: {first['msg']}", hint="facts: {{ ansible_facts.tcptune }}, of tcptune.linux.tcp_facts"
            ) from None
        today = datetime.now(timezone.utc).date()  # as in reading
        (found,) = audit([read], profile, catalogue(), today=today, otherwise=declared).hosts
        return read, profile, found

    def _named(self, name):
        """Return the name of a built-in profile as it is, and a file where Ansible looks for files."""
        if os.sep not in name and not name.endswith((".yml", ".yaml")):
            return name
        return str(self._find_needle("files", name))


def lacking(name, missing, python):
    """Return why a profile cannot be judged on this controller, and what to do. `python` is its (major, minor)."""
    why = f"{name} needs the Python package tcptune beside Ansible on the controller"
    if python < OLDEST:
        wanted, found = (".".join(map(str, version)) for version in (OLDEST, python))
        return f"{why}, and that needs Python {wanted}; here it is {found}", "run Ansible with a later Python"
    return f"{why}: {missing}", "pip install tcptune, into the environment of ansible-playbook"


def _answer(found, profile, fail_on):
    problems = {
        "deviation": [*(one.key for one in found.deviations), *(one.process for one in found.deviating_limits)],
        "harm": [concern.check for concern in found.harms],
        "unknown": [*(one.key for one in found.unknowns), *(one.process for one in found.unknown_limits)],
    }
    there = [kind for kind, names in problems.items() if names]
    status = next((kind for kind in ("unknown", "deviation", "harm") if kind in there), "met")
    answer = {
        "host": found.host,
        "profile": profile.name,
        "status": status,
        "compliant": status == "met",
        "deviations": problems["deviation"],
        "harms": problems["harm"],
        "unknown": problems["unknown"],
        "not_judged": [check.check for check in found.not_judged],
        "audit": found.model_dump(mode="json"),
    }
    if any(kind in fail_on for kind in there):
        parts = [f"{kind}: {', '.join(problems[kind])}" for kind in there]
        answer.update(failed=True, msg=f"{found.host} does not meet {profile.name}; {'; '.join(parts)}")
    return answer


def _numbers(load, profile):
    """Return the load variables as numbers. Raises TcptuneError for what the profile lacks."""
    found = {}
    for name, value in load.items():
        if name not in profile.load:
            known = ", ".join(profile.load) or f"{profile.name} has none"
            raise TcptuneError(f"load: {profile.name} has no load variable {name!r}", hint=known)
        try:
            found[name] = float(value)
        except (TypeError, ValueError):
            found[name] = math.nan
        if not math.isfinite(found[name]):
            raise TcptuneError(f"load: {name} is {value!r}, which is no number", hint=f"{name}: 5000")
    return found


def _not_judged(host, why, hint):
    return {
        "failed": True,
        "host": host,
        "status": "unread",
        "compliant": False,
        "msg": f"{why} (try: {hint})" if hint else why,
        "failure": {"kind": "unread", "message": why, "hint": hint or ""},
    }
