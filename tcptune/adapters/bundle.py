"""The collection that belongs to this very tcptune, and rendered projects that hold a copy of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from tcptune.errors import TcptuneError

_INSIDE = "ansible_collections/tcptune/linux"
_PARTS = ("galaxy.yml", "LICENSE", "meta", "playbooks", "plugins", "roles")


def collection_root() -> Path:
    """Return the collection inside the wheel, or the checkout around the package."""
    package = Path(str(files("tcptune")))
    packaged = package / "_collection" / _INSIDE
    return packaged if packaged.is_dir() else package.parent


def write_project(folder: Path, rendered: Mapping[str, str]) -> None:
    """Write a rendered project with a copy of the collection into `folder`, which is made or must be empty.

    Raises TcptuneError where it cannot be written or holds something.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise TcptuneError(f"{folder}: not empty", hint="name a new folder; nothing is overwritten")
        for name, text in rendered.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        source, target = collection_root(), folder / "collections" / _INSIDE
        target.mkdir(parents=True)
        for part in _PARTS:
            if (source / part).is_dir():
                shutil.copytree(source / part, target / part, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy(source / part, target / part)
    except OSError as problem:
        raise TcptuneError(f"{problem.filename or folder}: {problem.strerror}", hint="name another folder") from None
