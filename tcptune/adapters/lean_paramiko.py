"""paramiko without invoke: `from tcptune.adapters.lean_paramiko import paramiko`.

paramiko imports invoke, and with it asyncio and unittest.mock, for `Match exec` in ssh_config alone. That is a third of
its start-up, so invoke stays out until a configuration asks for it.
"""

from __future__ import annotations

import importlib
import re
import sys
from typing import Any

_before: Any = sys.modules.get("invoke")
if "paramiko" not in sys.modules:
    # Python's own way to say that a module is not to be had; paramiko carries on without it.
    sys.modules["invoke"] = None  # type: ignore[assignment]
import paramiko  # noqa: E402  # invoke has to be out of the way first
import paramiko.config  # noqa: E402

if _before is None:
    sys.modules.pop("invoke", None)
else:
    sys.modules["invoke"] = _before

__all__ = ["paramiko", "with_exec"]

_MATCH_EXEC = re.compile(r"^\s*match\b.*\bexec\b", re.IGNORECASE | re.MULTILINE)


def with_exec(configuration: str) -> str:
    """Return the text of an ssh_config, after making sure that paramiko can judge the `Match exec` in it."""
    inside: dict[str, Any] = vars(paramiko.config)
    if _MATCH_EXEC.search(configuration) and inside["invoke"] is None:
        inside["invoke"] = importlib.import_module("invoke")
    return configuration
