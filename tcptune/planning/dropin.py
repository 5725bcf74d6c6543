"""The text of our own sysctl.d file."""

from __future__ import annotations

from collections.abc import Mapping

from tcptune.domain.values import kernel_text, sysctl_key

_HEADER = """\
# Written by tcptune, which owns this file: a change made here by hand is reported, and undone by the next plan.
# What a line does: tcptune explain KEY. To take all of it back: tcptune rollback RUN.
"""


def merged(before: str | None, settings: Mapping[str, str]) -> str:
    """Return the file with `settings` set, and with what earlier runs set and these do not touch."""
    kept = {} if before is None else owned(before)
    lines = [f"{key} = {value}" for key, value in sorted({**kept, **settings}.items())]
    return _HEADER + "\n".join(lines) + "\n"


def owned(text: str) -> dict[str, str]:
    """Return key -> value of a file we wrote; a line that is no plain setting is not ours and is left out."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, value = line.partition("=")
        if line.lstrip().startswith(("#", ";")) or not separator:
            continue
        try:
            found[sysctl_key(name.strip())] = kernel_text(value)
        except ValueError:
            continue
    return found
