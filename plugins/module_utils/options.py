# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which options of tcp_settings say something with which state. One that would say nothing is refused, not passed over.

`state` itself and `run` are not here: every state takes them.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from .errors import Refused

STATES: dict[str, tuple[str, ...]] = {
    "settings": ("applied",),
    "before": ("applied",),
    "files": ("applied",),
    "exclusive_header": ("applied",),
    "persist": ("applied",),
    "confirm": ("applied", "absent"),
    "keys": ("absent",),
    "revert_after_s": ("applied", "extended", "absent"),
    "writers": ("applied",),
    "keep_runs": ("applied", "absent"),
    "force_keys": ("rolled_back", "absent"),
    "fence": ("rolled_back",),
}
"""Option -> the states that read it."""

# What a template leaves of nothing, beside null.
_EMPTY = ("", [""])


def refuse_idle(params: Mapping[str, Any], arguments: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise Refused if an option was given that says nothing with this state, with all of them in it.

    `arguments` is the specification of the module. An option that has its default, or is empty, was not given.
    """
    state = params["state"]
    idle = [name for name in _given(params, arguments) if state not in STATES[name]]
    if idle:
        theirs = "; ".join(f"{name} belongs to state={' or '.join(STATES[name])}" for name in idle)
        out = "it" if len(idle) == 1 else "them"
        raise Refused(f"state={state} has no use for {', '.join(idle)}", hint=f"leave {out} out: {theirs}")


def _given(params: Mapping[str, Any], arguments: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name in STATES:
        value = params[name]
        if value is not None and value not in _EMPTY and value != arguments[name].get("default"):
            yield name
