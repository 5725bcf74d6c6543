"""The text of our own sysctl.d file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tcptune.domain.values import kernel_text, sysctl_key

_HEADER = """\
# Written by tcptune, which owns this file: a change made here by hand is reported, and undone by the next plan.
# What a line does: tcptune explain KEY. To take all of it back: tcptune rollback RUN.
"""


def merged(before: str | None, wanted: Mapping[str, str]) -> str:
    """Return the file with `wanted` set, and with what earlier runs set and these do not touch, by key."""
    return text(sorted(settings(before, wanted).items()))


def settings(before: str | None, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return what the file is to hold: `wanted`, and what earlier runs set and these do not touch."""
    return {**({} if before is None else owned(before)), **wanted}


def text(lines: Iterable[tuple[str, str]]) -> str:
    """Return the file with these settings in the given order: both loaders write the lines of a file in theirs."""
    return _HEADER + "".join(f"{key} = {value}\n" for key, value in lines)


def owned(content: str) -> dict[str, str]:
    """Return key -> value of a file we wrote; a line that is no plain setting is not ours and is left out."""
    found: dict[str, str] = {}
    for line in content.splitlines():
        name, separator, value = line.partition("=")
        if line.lstrip().startswith(("#", ";")) or not separator:
            continue
        try:
            found[sysctl_key(name.strip())] = kernel_text(value)
        except ValueError:
            continue
    return found
