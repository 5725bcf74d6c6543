"""Variables of the Ansible role linux-system-roles.kernel_settings: vars files, and plays that hold them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tcptune.dialects.lines import last_wins, unknown
from tcptune.dialects.writing import ExportOptions, exactly, is_plain_number, origin, slug, written
from tcptune.domain.exchange import Exported, Followed, Imported, LeftOut, Operator, Setting
from tcptune.domain.profile import Profile
from tcptune.domain.values import sysctl_key
from tcptune.errors import InputError

_PREFIX = "kernel_settings_"
_SYSCTL = "kernel_settings_sysctl"
_BOOL = "tag:yaml.org,2002:bool"
_NULL = "tag:yaml.org,2002:null"


def recognises(path: str, text: str) -> bool:  # noqa: ARG001  # one signature for the family
    """Say whether a variable of the role is given anywhere."""
    return any(line.lstrip(" -").startswith(_PREFIX) for line in text.split("\n"))


def read(files: Mapping[str, str], known: Container[str]) -> Imported:
    """Return what `kernel_settings_sysctl` lists. Scalars stay text: 010 is octal to the kernel and a mistake to us.

    Raises InputError for what is no YAML.
    """
    settings: list[Setting] = []
    left_out: list[LeftOut] = []
    followed: list[Followed] = []
    texts: dict[tuple[str, int], str] = {}
    for path, text in files.items():
        for found in _all(_Source(path, known), text):
            match found:
                case Setting():
                    settings.append(found)
                    texts[path, found.line] = f"{found.key}: {found.value}"
                case LeftOut():
                    left_out.append(found)
                case Followed():
                    followed.append(found)
    kept, overridden = last_wins(settings, texts)
    return Imported(settings=tuple(kept), left_out=(*left_out, *overridden), followed=tuple(followed))


def write(profile: Profile, options: ExportOptions) -> Exported:
    """Write a vars file. The role knows values only; that tuned, behind it, reads `>` is no promise of the role."""
    lines, left_out = written(profile, options, exactly)
    if not lines:
        return Exported(files={}, left_out=left_out)
    text = f"---\n{origin(profile)}{_SYSCTL}:\n"
    for line in lines:
        # A quoted value cannot become a YAML boolean or an octal number.
        value = line.value if is_plain_number(line.value) else yaml.safe_dump(line.value, default_style='"').strip()
        text += f"  # {line.remark}\n  - name: {line.entry.key}\n    value: {value}\n"
    return Exported(files={f"{slug(profile.name)}.yml": text}, left_out=left_out)


class _Source(NamedTuple):
    path: str
    known: Container[str]

    def leave(self, node: Node, text: str, why: str) -> LeftOut:
        last = node.end_mark.line + (1 if node.end_mark.column else 0)
        return LeftOut(
            path=self.path,
            line=node.start_mark.line + 1,
            text=text,
            why=why,
            lines=max(1, last - node.start_mark.line),
        )


_Found = Setting | LeftOut | Followed


def _all(source: _Source, text: str) -> list[_Found]:
    try:
        return list(_walked(source, _composed(source.path, text)))
    except RecursionError:
        raise InputError(f"{source.path}: this YAML is nested too deep, or holds itself") from None


def _composed(path: str, text: str) -> Node | None:
    try:
        return yaml.compose(text.removeprefix("\ufeff"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise InputError(f"{path}:{line}: this is no YAML: {problem.problem or problem.context}") from None
    except yaml.YAMLError as problem:
        raise InputError(f"{path}: this is no YAML: {str(problem).splitlines()[0]}") from None


def _walked(source: _Source, node: Node | None) -> Iterator[_Found]:
    """Look for the role's variables. What lies beside them is left out as a whole."""
    if isinstance(node, SequenceNode):
        for item in node.value:
            if _holds_ours(item):
                yield from _walked(source, item)
            else:
                yield source.leave(item, "an item", "it holds no variable of the role")
    elif isinstance(node, MappingNode):
        for name, value in node.value:
            key = str(name.value)
            spanned = type(name)(name.tag, name.value, name.start_mark, value.end_mark)
            if key == _SYSCTL:
                yield from _sysctl(source, spanned, value)
            elif key.startswith(_PREFIX):
                yield source.leave(spanned, key, "tcptune has no place for this variable of the role")
            elif _holds_ours(value):
                yield from _walked(source, value)
            else:
                yield source.leave(spanned, key, "no variable of the role")


def _holds_ours(node: Node) -> bool:
    if isinstance(node, SequenceNode):
        return any(_holds_ours(item) for item in node.value)
    if isinstance(node, MappingNode):
        return any(str(name.value).startswith(_PREFIX) or _holds_ours(value) for name, value in node.value)
    return False


def _sysctl(source: _Source, name: Node, value: Node) -> Iterator[_Found]:
    if isinstance(value, SequenceNode):
        yield Followed(path=source.path, line=name.start_mark.line + 1, text=_SYSCTL)
        for item in value.value:
            yield _item(source, item)
    elif isinstance(value, MappingNode) and _fields(value).get("state", _NOTHING).value == "empty":
        yield source.leave(name, f"{_SYSCTL}: state empty", "a profile cannot ask to remove what others set")
    else:
        yield source.leave(name, _SYSCTL, "this is no list of settings")


_NOTHING = ScalarNode(_NULL, "")


def _fields(node: MappingNode) -> dict[str, Node]:
    return {str(name.value): value for name, value in node.value}


def _item(source: _Source, node: Node) -> Setting | LeftOut:
    fields = _fields(node) if isinstance(node, MappingNode) else {}
    name, value = fields.get("name", _NOTHING), fields.get("value", _NOTHING)
    try:
        operator, text = _asked(fields)
        key = _key(str(name.value), source.known)
    except ValueError as problem:
        said = value.value if isinstance(value, ScalarNode) else "…"
        return source.leave(node, f"{name.value}: {said}" if name.value else "an item", str(problem))
    note = "" if operator is Operator.EXACTLY else "tuned, behind the role, reads it so"
    line = node.start_mark.line + 1
    return Setting(key=key, operator=operator, value=text, path=source.path, line=line, note=note)


def _key(name: str, known: Container[str]) -> str:
    key = sysctl_key(name)
    if key not in known:
        raise ValueError(unknown(key))
    return key


def _asked(fields: Mapping[str, Node]) -> tuple[Operator, str]:
    """Return operator and value of an item. Raises ValueError with the reason where a profile cannot ask that."""
    if "previous" in fields:
        rest = "; the setting beside it is not read" if "name" in fields else ""
        raise ValueError(f"previous: a profile cannot ask to remove what others set{rest}")
    if "state" in fields:
        raise ValueError(f"state {fields['state'].value}: a profile cannot ask to remove what others set")
    if not fields.get("name", _NOTHING).value:
        raise ValueError("a setting has a name and a value")
    value = fields.get("value", _NOTHING)
    if why := _value_mistake(value):
        raise ValueError(why)
    text = str(value.value)
    operator = _OPERATORS.get(text[:1], Operator.EXACTLY)
    if operator is not Operator.EXACTLY:
        text = text[1:].strip()
        if re.fullmatch(r"-?\d+", text) is None:
            raise ValueError("tuned, behind the role, compares single whole numbers only")
    return operator, text


_OPERATORS = {">": Operator.AT_LEAST, "<": Operator.AT_MOST}


def _value_mistake(value: Node) -> str:
    if not isinstance(value, ScalarNode):
        return "a value is one text or number"
    if value.tag == _BOOL:
        return "write 0 or 1; the kernel has no booleans, and the role refuses them"
    if value.tag == _NULL:
        return "the value is missing"
    return "a template; its value is not known here" if "{{" in value.value else ""
