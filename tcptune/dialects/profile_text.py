"""A profile of tcptune, from what was imported."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from tcptune.dialects.writing import is_plain_number
from tcptune.domain.exchange import Imported, LeftOut, Operator, Setting
from tcptune.domain.parameters import Parameter
from tcptune.domain.profile import PROFILE_FORMAT_VERSION


def checked(imported: Imported, parameters: Mapping[str, Parameter]) -> Imported:
    """Move what the catalogue calls a mistake from the settings to what is left out."""
    settings: list[Setting] = []
    left_out = list(imported.left_out)
    for setting in imported.settings:
        why = mistake(setting, parameters[setting.key])
        if why is None:
            settings.append(setting)
            continue
        text = f"{setting.key} = {setting.value}"
        left_out.append(LeftOut(path=setting.path, line=setting.line, text=text, why=why))
    order = {path: at for at, path in enumerate(dict.fromkeys(one.path for one in left_out))}
    left_out.sort(key=lambda one: (order[one.path], one.line))
    return imported.model_copy(update={"settings": tuple(settings), "left_out": tuple(left_out)})


def mistake(setting: Setting, parameter: Parameter) -> str | None:
    """Say why a profile may not ask this, or return None."""
    if parameter.removed_in is not None:
        return f"{setting.key} was removed in Linux {parameter.removed_in}"
    if setting.operator is Operator.LEAVE:
        return None
    found = parameter.mistake(setting.value)
    if found and any(mark in setting.value for mark in (" #", " ;")):
        return f"a comment has its own line here; all of this reaches the kernel ({found})"
    return found


def to_yaml(name: str, imported: Imported) -> str:
    """Return the text of a profile. It needs at least one setting to be valid."""
    settings = {
        setting.key: {
            setting.operator.value: True if setting.operator is Operator.LEAVE else _plain(setting.value),
            "why": f"imported from {setting.place}" + (f"; {setting.note}" if setting.note else ""),
            "source": setting.path,
        }
        for setting in imported.settings
    }
    document = {
        "profile": name,
        "format_version": PROFILE_FORMAT_VERSION,
        "summary": imported.summary or f"Imported from {_paths(imported)}.",
        "settings": settings,
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def _plain(value: str) -> int | str:
    return int(value) if is_plain_number(value) else value


def _paths(imported: Imported) -> str:
    paths = list(dict.fromkeys(setting.path for setting in imported.settings))
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
