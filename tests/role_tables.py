"""Write the tables of role variables: into each role's README, and into the manual's page of roles.

    python -m tests.role_tables

argument_specs.yml of each role is the one source; a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
ROLES = sorted(path.parent.parent for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"))
PAGE = ROOT / "docs/reference/roles.md"
_HEAD = "| Variable | Type | Default | Meaning |\n|---|---|---|---|\n"
# From a heading to the next one.
_SECTION = r"(?ms)^## {heading}\n.*?(?=^## |\Z)"


def specification(role: Path) -> dict[str, Any]:
    """Return what the role's argument_specs.yml says of its one entry point."""
    found: dict[str, Any] = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]
    return found


def table(role: Path) -> str:
    """Return the role's variables as a table; those inside a list of dicts follow it, by their whole name."""
    return _HEAD + "".join(_rows(specification(role)["options"]))


def rendered(text: str, heading: str, content: str) -> str:
    """Return `text` with `content` below the heading. Raises ValueError where there is no such heading."""
    pattern = _SECTION.format(heading=re.escape(heading))
    if not re.search(pattern, text):
        raise ValueError(f"there is no heading: ## {heading}")
    return re.sub(pattern, lambda _: f"## {heading}\n\n{content}\n", text).rstrip("\n") + "\n"


def files() -> dict[Path, str]:
    """Return each file that holds a table, with the text that it is to have."""
    page, found = PAGE.read_text(), {}
    for role in ROLES:
        readme = role / "README.md"
        found[readme] = rendered(readme.read_text(), "Variables", table(role))
        about = " ".join(specification(role)["description"])
        page = rendered(page, role.name, f"{_plain(about)}\n\n{table(role)}")
    return found | {PAGE: page}


def _rows(options: Mapping[str, Any], prefix: str = "") -> list[str]:
    rows = []
    for name, option in options.items():
        default = "required" if option.get("required") else f"`{_shown(option.get('default'))}`"
        meaning = _plain(option["description"])
        if "choices" in option:
            meaning += " One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
        rows.append(f"| `{prefix}{name}` | {option['type']} | {default} | {meaning} |\n")
        rows += _rows(option.get("options", {}), f"{prefix}{name}[].")
    return rows


def _shown(default: object) -> str:
    if default is None:
        return "none"
    return '""' if default == "" else str(default)


def _plain(text: str) -> str:
    return re.sub(r"\b[COV]\((.*?)\)", r"`\1`", text)


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
        print(path.relative_to(ROOT))
