"""The output of `sysctl -a`, captured: every value of one host, standard error included or not."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

from tcptune.dialects.lines import content_lines, last_wins
from tcptune.domain.exchange import Imported, LeftOut, Setting
from tcptune.domain.values import sysctl_key

_LINE = re.compile(r"(\S+) = ?(.*)")
_COMPLAINT = "sysctl: "
_INTERFACES = re.compile(r"(net\.(?:ipv4|ipv6|mpls|mptcp)\.(?:conf|neigh))\.")
# No file that someone wrote sets these: the kernel refuses it.
_READ_ONLY = re.compile(r"^(?:kernel\.(?:ostype|osrelease|version)|fs\.(?:file-nr|inode-nr)) = ", re.MULTILINE)


def recognises(path: str, text: str) -> bool:  # noqa: ARG001  # one signature for the family
    """Say whether the text holds what only the kernel says, or a complaint of sysctl."""
    return _READ_ONLY.search(text) is not None or any(line.startswith(_COMPLAINT) for line in text.split("\n"))


def read(files: Mapping[str, str], known: Container[str]) -> Imported:
    """Return the values of known keys. What else there is, is counted by family."""
    settings: list[Setting] = []
    left_out: list[LeftOut] = []
    texts: dict[tuple[str, int], str] = {}
    for path, text in files.items():
        families: dict[str, LeftOut] = {}
        for number, raw in content_lines(text.removeprefix("\ufeff"), ""):
            line = raw.strip()
            texts[path, number] = line
            found = _setting(path, number, line)
            if isinstance(found, str):
                left_out.append(LeftOut(path=path, line=number, text=line, why=found))
            elif found.key in known:
                settings.append(found)
            else:
                family = _family(found.key)
                before = families.get(family) or LeftOut(
                    path=path, line=number, text=family, why=_family_why(family), lines=0
                )
                families[family] = before.model_copy(update={"lines": before.lines + 1})
        left_out += families.values()
    kept, overridden = last_wins(settings, texts)
    return Imported(settings=tuple(kept), left_out=(*left_out, *overridden))


def _setting(path: str, number: int, line: str) -> Setting | str:
    """Return what a line says, or why it says nothing."""
    if line.startswith(_COMPLAINT):
        return "sysctl could not read it"
    split = _LINE.fullmatch(line)
    if split is None:
        return "this is no line of sysctl -a"
    try:
        return Setting(key=sysctl_key(split[1]), value=split[2], path=path, line=number)
    except ValueError:
        return _refusal(split[1])


def _refusal(key: str) -> str:
    try:
        return f"{sysctl_key(key)} cannot be set"
    except ValueError as problem:
        return str(problem)


def _family(key: str) -> str:
    if tree := _INTERFACES.match(key):
        return f"{tree[1]}.*"
    parts = key.split(".")
    return ".".join([*parts[: 2 if parts[0] == "net" and len(parts) > 2 else 1], "*"])


def _family_why(family: str) -> str:
    if family.endswith((".conf.*", ".neigh.*")):
        return "settings of single interfaces, which a profile does not name"
    return "not in tcptune's catalogue"
