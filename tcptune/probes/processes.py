"""Part of two probes: what the host tells of a few processes whose numbers are in the shell's variable `pids`."""

from __future__ import annotations

from collections.abc import Mapping

from tcptune.domain.state import Process

ABOUT = """
if [ -n "$pids" ]; then
  set --
  for pid in $pids; do set -- "$@" "/proc/$pid/limits" "/proc/$pid/cgroup" "/proc/$pid/status"; done
  grep -s -E '^(Max open files|FDSize:|Name:|Uid:|[0-9]+:)' "$@"
  IFS=. read -r major minor _ </proc/sys/kernel/osrelease
  # Since Linux 6.2 the size of the folder is the number of open files.
  case $major.$minor in
    [2-5].*|6.[01]|6.[01]-*) ;;
    *) set --; for pid in $pids; do set -- "$@" "/proc/$pid/fd"; done; stat -c 'open %s %n' "$@" 2>/dev/null ;;
  esac
fi
"""


def is_about(line: str) -> bool:
    """Say whether a line is one that ABOUT prints."""
    return line.startswith(("/proc/", "open "))


def told(line: str) -> tuple[int, str, str]:
    """Return pid, what is told, and the text of it.

    Raises ValueError or LookupError for a line that is none of ours.
    """
    if line.startswith("open "):
        _, size, path = line.split(" ", 2)
        return int(path.split("/")[2]), "open", size
    path, _, text = line.partition(":")
    _, _, pid, file = path.split("/")
    if file == "cgroup":
        return int(pid), f"cgroup {text.partition(':')[0]}", text.rpartition(":")[2]
    if file in {"limits", "stat"}:
        return int(pid), file, text
    name, _, value = text.partition(":")
    return int(pid), name, value.strip()


def process(pid: int, name: str, said: Mapping[str, str]) -> Process:
    """Return a process; `name` is for one that is gone again."""
    # 'Max open files            1024                 524288               files'
    limits = said.get("limits", "").split()[3:5] or ["", ""]
    units = (_unit(text) for what, text in said.items() if what.startswith("cgroup "))
    return Process(
        pid=pid,
        name=said.get("Name") or name,
        unit=next((unit for unit in units if unit), None),
        uid=_number(said.get("Uid", "").split("\t")[0]),
        nofile_soft=_number(limits[0]),
        nofile_hard=_number(limits[1]),
        open_files=_number(said.get("open", "")) or None,
        open_files_at_most=_number(said.get("FDSize", "")),
    )


def _unit(cgroup: str) -> str | None:
    parts = reversed(cgroup.split("/"))
    return next((part for part in parts if part.endswith((".service", ".scope"))), None)


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None
