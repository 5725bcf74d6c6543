"""Find and read the files that are to be judged: named ones, and those of folders that set kernel settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tcptune.adapters.dialects import settings_text
from tcptune.domain.lint import UnreadFile
from tcptune.errors import InputError

_YAML = (".yml", ".yaml")
_MOST_FILES = 20_000


def lint_texts(paths: Iterable[Path]) -> tuple[dict[str, str], list[UnreadFile]]:
    """Return the text of each file by path, and the files that could not be read.

    Of a folder these are taken: YAML anywhere below it, and *.conf or *.conf.j2 that lie in it, in a folder called
    sysctl.d, or have sysctl in their name.
    Raises InputError for a folder without any, or with more than anybody keeps.
    """
    texts: dict[str, str] = {}
    unread: list[UnreadFile] = []
    for path in paths:
        for file in _files(path):
            try:
                texts[str(file)] = settings_text(file, named=file == path)
            except (InputError, ValueError) as problem:
                unread.append(UnreadFile(path=str(file), why=str(problem).removeprefix(f"{file}: ")))
    return texts, unread


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = []
    for file in _below(path):
        found.append(file)
        if len(found) > _MOST_FILES:
            raise InputError(
                f"{path}: there are more than {_MOST_FILES} files to judge here", hint="name fewer folders"
            )
    if not found:
        raise InputError(f"{path}: no file in this folder sets kernel settings", hint="*.conf, *.yml, or name the file")
    return found


def _below(folder: Path) -> Iterator[Path]:
    for name, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        here = Path(name)
        for file in sorted(files):
            plain = file.removesuffix(".j2")
            settings = plain.endswith(".conf") and (here == folder or here.name == "sysctl.d" or "sysctl" in plain)
            if settings or (file.endswith(_YAML) and not file.startswith(".")):
                yield here / file
