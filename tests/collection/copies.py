"""The parts of the package that the collection carries, so that it needs no package: copies, made by this program.

    python -m tests.collection.copies

The package is the source. A copy differs by its imports and its first lines alone, and a test compares all of them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tcptune.knowledge.catalogue import catalogue

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "plugins/plugin_utils/copied"
_PLUGIN_UTILS = "ansible_collections.tcptune.linux.plugins.plugin_utils"
_FIRST = "tcptune.probes.script"
_LICENSE = """\
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""


def expected() -> dict[Path, str]:
    """Return the text of each file that is to be in the folder."""
    found = {FOLDER / path.relative_to(ROOT / "tcptune"): _copy(path) for path in sorted(_needed(_FIRST, set()))}
    for package in {path.parent for path in found} | {FOLDER}:
        found.setdefault(package / "__init__.py", "")
    keys = "".join(f'    "{key}",\n' for key in catalogue())
    found[FOLDER / "keys.py"] = (
        f"{_LICENSE}# Made of tcptune/knowledge/data/parameters by tests/collection/copies.py: change it there.\n"
        f'"""The settings that the catalogue knows."""\n\nfrom __future__ import annotations\n\nKEYS = (\n{keys})\n'
    )
    return found


def _needed(module: str, seen: set[Path]) -> set[Path]:
    path = _path(module)
    if path is not None and path not in seen:
        seen.add(path)
        for name in _imports(path):
            _needed(name, seen)
    return seen


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _path(module: str) -> Path | None:
    if module.partition(".")[0] != "tcptune":
        return None
    place = ROOT.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _copy(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"^from tcptune\b", f"from {_PLUGIN_UTILS}.copied", text, flags=re.MULTILINE)
    # StrEnum came with Python 3.11, and ansible-core 2.17 runs on 3.10.
    for source in ("pydantic import ", "enum import (?=StrEnum$)"):
        text = re.sub(rf"^from {source}", f"from {_PLUGIN_UTILS}.stand_in import ", text, flags=re.MULTILINE)
    return f"{_LICENSE}# Copied from {path.relative_to(ROOT)} by tests/collection/copies.py: change it there.\n{text}"


def write() -> None:
    """Make the folder what it is to be."""
    wanted = expected()
    for path in FOLDER.rglob("*.py"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
