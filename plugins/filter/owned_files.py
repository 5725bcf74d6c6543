# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles hand to the module tcp_settings, made of what a person writes in an inventory.

What may stand in an owned file is checked on the host, by plugins/module_utils/owned.py. Here is only its form.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

NAME = "99-tcptune.conf"
UNIT_FOLDER = "/etc/systemd/system"
LOGINS_PATH = "/etc/security/limits.d/" + NAME

_HEADER = """\
# Written by the role tcptune.linux.nofile_limits, which owns this file: its next run undoes a change made by hand.
"""


def nofile_files(units: Iterable[Mapping[str, Any]], logins: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return a drop-in for each of `units`, then the one file for all `logins`.

    Each has `soft` and `hard`, of which `hard` may be missing for the same; units have a `unit`, without `.service`,
    logins a `domain` as limits.conf(5) says. Raises ValueError for what is no limit, or given twice.
    """
    files = []
    for limit in units:
        soft, hard = _limits(limit, "unit")
        number = str(soft) if soft == hard else f"{soft}:{hard}"
        text = f"{_HEADER}[Service]\nLimitNOFILE={number}\n"
        unit = str(limit["unit"])
        if unit.endswith(".service"):
            raise ValueError(f"unit {unit}: leave .service out")
        files.append({"path": f"{UNIT_FOLDER}/{unit}.service.d/{NAME}", "content": text})
    lines = []
    for limit in logins:
        soft, hard = _limits(limit, "domain")
        # The hard one first: a soft limit above the hard one of the moment is refused.
        lines += [f"{limit['domain']} hard nofile {hard}\n", f"{limit['domain']} soft nofile {soft}\n"]
    if lines:
        files.append({"path": LOGINS_PATH, "content": _HEADER + "".join(lines)})
    _once([file["path"] for file in files], lines)
    return files


def conntrack_settings(values: Mapping[str, Any], most: int = 0, buckets: int = 0) -> dict[str, str]:
    """Return the settings of the connection tracker, the size of its table first; 0 leaves a size as it is.

    `values` are further ones by their last part, such as nf_conntrack_tcp_timeout_established.
    """
    settings = {}
    if buckets:
        settings["net.netfilter.nf_conntrack_buckets"] = str(buckets)
    if most:
        settings["net.netfilter.nf_conntrack_max"] = str(most)
    for name, value in values.items():
        key = f"net.netfilter.{name}"
        if not str(name).startswith("nf_conntrack_") or "." in str(name):
            raise ValueError(f"{name} is no setting of the connection tracker: nf_conntrack_tcp_timeout_established is")
        if key in settings:
            raise ValueError(f"{name} is given twice: it has a variable of its own")
        settings[key] = _plain(key, value)
    return settings


def changed_units(files: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the services, with their ending, whose drop-ins are others afterwards, of what tcp_settings answered."""
    changed = [file["path"] for file in files if file["before_sha256"] != file["after_sha256"]]
    return [path.split("/")[4][: -len(".d")] for path in changed if path.startswith(UNIT_FOLDER + "/")]


def files_alone(files: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return the files without what must be there before: to see whether they are written already."""
    return [{"path": file["path"], "content": file["content"]} for file in files]


def _plain(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"{key}: {value!r} is not text; quote it as sysctl prints it")
    return " ".join(str(value).split())


def _limits(limit: Mapping[str, Any], whose: str) -> tuple[int, int]:
    name = limit[whose]
    try:
        soft = int(limit["soft"])
        hard = int(limit.get("hard") or soft)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{whose} {name}: soft and hard are numbers of open files") from None
    if soft > hard:
        raise ValueError(f"{whose} {name}: the soft limit {soft} is above the hard one, {hard}")
    return soft, hard


def _once(paths: list[str], lines: list[str]) -> None:
    whose = [*paths, *(" ".join(line.split()[:2]) for line in lines)]
    twice = sorted({one for one in whose if whose.count(one) > 1})
    if twice:
        raise ValueError(f"given twice: {', '.join(twice)}")


class FilterModule:
    """The filters, by the name that a template calls them."""

    def filters(self) -> dict[str, Any]:
        """Return them."""
        return {
            "changed_units": changed_units,
            "conntrack_settings": conntrack_settings,
            "files_alone": files_alone,
            "nofile_files": nofile_files,
        }
