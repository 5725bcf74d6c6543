"""Playbooks, roles, tasks and variables: every place of them that sets a kernel setting, whoever's module does it.

What is a template is not known here: a key that is one is passed over, a value that is one is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tcptune.dialects.lint import sysctl_files
from tcptune.domain.concerns import Severity
from tcptune.domain.lint import How, LintFinding, Statement
from tcptune.domain.values import is_secret, sysctl_key

_MOST_CHARACTERS = 2 * 1024 * 1024
_MOST_OF_A_COMMAND = 64 * 1024
_KEY = re.compile(r"(?:net|vm|fs|kernel|dev|user|sunrpc|abi)[./][A-Za-z0-9_./:@-]+")
_COMMANDS = frozenset({"command", "shell", "raw"})
_EDITS = frozenset({"lineinfile", "blockinfile", "copy"})
_NAMES = ("name", "key", "sysctl_key")
_VALUES = ("value", "val", "sysctl_value")
_SYSCTL_FILES = re.compile(r"(?:^|/)(?:sysctl\.conf|sysctl\.d/[^/]+)$")
_CALLS = re.compile(r"\bsysctl(?=\s)([^;&|\n]*)")
_WRITES = re.compile(r"(?<=\s)[\"']?([A-Za-z][\w./:@-]{1,200})\s{0,9}=\s{0,9}(\"[^\"]*\"|'[^']*'|[^\s\"']+)")
_ECHOES = re.compile(
    r"\becho\s+(?:-n\s+)?[\"']?([^\"'>;&|\n]{1,200})[\"']?[ \t]{0,9}>\s{0,9}/proc/sys/([\w./:@-]{1,200})"
)
_TEES = re.compile(
    r"\becho\s+(?:-n\s+)?[\"']?([^\"'>;&|\n]{1,200})[\"']?[ \t]{0,9}\|\s{0,9}(?:sudo\s{1,9})?tee\s{1,9}"
    r"/proc/sys/([\w./:@-]{1,200})"
)
_APPENDED = re.compile(
    r"\becho\s+(?:-[ne]+\s+)?[\"']?((?:net|fs|vm)\.[\w./:@-]{1,200})[ \t]{0,9}"
    r"=([^\"'>;&|\n]{1,200})[\"']?[ \t]{0,9}[>|]"
)
_APPENDS = re.compile(r"(?:>>|\btee\s{1,9}-a)\s{0,9}\S{0,200}?sysctl(?:\.conf|\.d/\S)")
_RELOADS = re.compile(
    r"\bsysctl\b[^\n;&|]{0,200}?\s(?:-p|--load|--system)\b|\bsystemctl\s{1,9}(?:re)?start\s{1,9}systemd-sysctl\b"
)
_KEY_VALUE = re.compile(r"\b(\w{1,64})=(\"[^\"]*\"|'[^']*'|\S+)")
_BOOLEANS = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}
_NULL = "tag:yaml.org,2002:null"
_INT = "tag:yaml.org,2002:int"
_TASKS = frozenset({"tasks", "pre_tasks", "post_tasks", "block", "rescue", "always", "handlers"})
_NOW_AND_THEN = frozenset({"rescue", "handlers"})
"""Lists of tasks that run where another one failed, or changed something."""
_ANSIBLE_POSIX = "ansible.posix.sysctl"


def read(path: str, text: str) -> tuple[list[Statement], list[LintFinding]]:
    """Return what a file of tasks or variables sets, and what is wrong with how it does.

    Raises ValueError for what is no YAML, or more than anybody writes.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ValueError("this file is larger than any playbook is")
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{place}this is no YAML: {problem.problem or problem.context}") from None
    except yaml.YAMLError as problem:
        raise ValueError(f"this is no YAML: {' '.join(str(problem).split())}") from None
    except RecursionError:
        raise ValueError("this is nested too deep to be read") from None
    reader = _Reader(path)
    for document in documents:
        if document is not None:
            reader.walk(document)
    return reader.statements, reader.findings


class _Around(NamedTuple):
    """What is known of a node from those around it."""

    conditional: bool = False
    group: str = ""
    module: str = ""
    """The module whose arguments these are."""


class _Reader:
    """Walks the nodes of one file. Each is visited once: with anchors a page can stand for gigabytes."""

    def __init__(self, path: str) -> None:
        self.statements: list[Statement] = []
        self.findings: list[LintFinding] = []
        self._path = path
        self._around = _Around()
        self._seen: set[int] = set()

    def walk(self, document: Node) -> None:
        """Take every statement below a node, in the order of the file."""
        ahead: list[tuple[Node, _Around]] = [(document, _Around())]
        while ahead:
            node, around = ahead.pop()
            if id(node) in self._seen:
                continue
            self._seen.add(id(node))
            below: list[tuple[Node, _Around]] = []
            if isinstance(node, SequenceNode):
                below = [(one, around) for one in node.value]
            elif isinstance(node, MappingNode):
                fields = _fields(node)
                around = _inside(around, fields)
                self._around = around
                self._mapping(node, fields, around.conditional)
                below = [(value, _below(around, key, value)) for key, value in node.value]
            ahead += reversed(below)

    def _mapping(self, node: MappingNode, fields: dict[str, Node], conditional: bool) -> None:
        name = _first(fields, _NAMES)
        value = _first(fields, _VALUES)
        if name is not None and value is not None and _KEY.fullmatch(name.value):
            state = fields.get("state")
            if not (isinstance(state, ScalarNode) and state.value == "absent"):
                self._take(name, name.value, value, How.TASK, conditional)
        for key, item in node.value:
            if not isinstance(key, ScalarNode):
                continue
            module = key.value.rpartition(".")[2]
            if module == "sysctl" and isinstance(item, ScalarNode):
                self._free_form(item, conditional)
            if module == "sysctl" and _reloads(item):
                self._told(key, "global-reload", _RELOAD_WHY, "reload: false; the module sets the value itself", "")
            elif module in _COMMANDS:
                self._command(key, item, conditional)
            elif module in _EDITS:
                self._edit(key, item, conditional)
            elif _KEY.fullmatch(key.value) and isinstance(item, ScalarNode):
                self._around = self._around._replace(group=f"mapping {node.start_mark.index}")
                self._take(key, key.value, item, How.VARIABLE, conditional)

    def _take(self, place: Node, name: str, value: Node, how: How, conditional: bool) -> None:
        self._add(place, name, _text(value, as_module=self._around.module == "sysctl"), how, conditional)

    def _add(self, place: Node, name: str, value: str | None, how: How, conditional: bool, line: int = 0) -> None:
        if is_secret(name):
            self._told(
                place,
                "secret",
                f"{name} is a secret, and a playbook is for everybody to read",
                "hand it over from a vault, in a file of its own",
                name if _is_key(name) else "",
            )
            return
        if _is_key(name):
            self.statements.append(
                Statement(
                    path=self._path,
                    line=place.start_mark.line + 1 + line,
                    column=place.start_mark.column + 1 if line == 0 else 1,
                    key=sysctl_key(name),
                    value=value,
                    how=how,
                    conditional=conditional,
                    group=self._around.group,
                )
            )

    def _free_form(self, item: ScalarNode, conditional: bool) -> None:
        """Take `sysctl: name=KEY value=VALUE`."""
        words = {word: _unquoted(text) for word, text in _KEY_VALUE.findall(item.value)}
        name = next((words[word] for word in _NAMES if word in words), "")
        value = next((words[word] for word in _VALUES if word in words), None)
        if _KEY.fullmatch(name) and words.get("state") != "absent":
            known = None if value is None or "{{" in value else _BOOLEANS.get(value.lower(), value)
            self._add(item, name, known, How.TASK, conditional)

    def _command(self, key: ScalarNode, item: Node, conditional: bool) -> None:
        text = _command_text(item)[:_MOST_OF_A_COMMAND]
        written = [one for call in _CALLS.findall(text) for one in _WRITES.findall(call)]
        for name, value in (*written, *_APPENDED.findall(text)):
            known = None if "{{" in value or "$" in value else _unquoted(value.strip())
            self._add(key, name, known, How.COMMAND, conditional)
        for value, name in (*_ECHOES.findall(text), *_TEES.findall(text)):
            self._add(key, name, None if "{{" in value or "$" in value else value.strip(), How.COMMAND, conditional)
        if written and "-w" in text.split():
            self._told(
                key,
                "not-kept",
                "sysctl -w sets the value until the next boot, and no file keeps it",
                f"the module {_ANSIBLE_POSIX}, or a file in /etc/sysctl.d",
                "",
            )
        if _APPENDS.search(text):
            self._told(
                key,
                "appends",
                "each run adds the line once more, and the last one in the file wins whatever was there",
                "a file of its own in /etc/sysctl.d, written as a whole",
                "",
            )
        if _RELOADS.search(text):
            self._told(key, "global-reload", _RELOAD_WHY, "set the few keys that are meant, one by one", "")

    def _edit(self, key: ScalarNode, item: Node, conditional: bool) -> None:
        """Take lines that are put into a sysctl file."""
        fields = _fields(item) if isinstance(item, MappingNode) else _free_fields(item)
        target = _first(fields, ("path", "dest", "name", "destfile"))
        if target is None or not _SYSCTL_FILES.search(target.value):
            return
        if target.value.endswith("sysctl.conf"):
            self._told(
                key,
                "shared-file",
                "/etc/sysctl.conf is everybody's: what is put there gets mixed up with what others put there",
                "a file of its own in /etc/sysctl.d",
                "",
            )
        for name in ("line", "block", "content"):
            text = fields.get(name)
            if not isinstance(text, ScalarNode):
                continue
            # Below | or > the text begins in the next line.
            first = text.start_mark.line + (1 if text.style in {"|", ">"} else 0)
            said, found = sysctl_files.read(self._path, text.value, line_offset=first)
            self.statements += [
                one.model_copy(
                    update={
                        "how": How.EDIT,
                        "conditional": conditional,
                        "group": self._around.group,
                        "column": text.start_mark.column + 1,
                    }
                )
                for one in said
            ]
            self.findings += found

    def _told(self, place: Node, rule: str, why: str, instead: str, key: str) -> None:
        self.findings.append(
            LintFinding(
                path=self._path,
                line=place.start_mark.line + 1,
                column=place.start_mark.column + 1,
                key=key,
                rule=rule,
                severity=Severity.ADVICE,
                why=why,
                instead=instead,
                source="tcptune's manual, no global reload" if rule == "global-reload" else sysctl_files.SYSCTL_D,
            )
        )


_RELOAD_WHY = "it writes each line of the file, or of all files, once more, over what others have set since the boot"


def _fields(node: MappingNode) -> dict[str, Node]:
    return {str(key.value): value for key, value in node.value if isinstance(key, ScalarNode)}


def _free_fields(item: Node) -> dict[str, Node]:
    """Return the fields of `lineinfile: path=... line=...`, each at the place of the whole."""
    if not isinstance(item, ScalarNode):
        return {}
    return {
        word: ScalarNode(item.tag, _unquoted(text), item.start_mark, item.end_mark)
        for word, text in _KEY_VALUE.findall(item.value[:_MOST_OF_A_COMMAND])
    }


def _inside(around: _Around, fields: dict[str, Node]) -> _Around:
    """Return what is around whatever is inside a mapping with these fields."""
    hosts = fields.get("hosts")
    if isinstance(hosts, ScalarNode):
        around = around._replace(group=f"hosts {hosts.value}")
    return around._replace(conditional=around.conditional or "when" in fields or "delegate_to" in fields)


def _below(around: _Around, key: Node, value: Node) -> _Around:
    """Return what is around the value of a key."""
    name = str(key.value) if isinstance(key, ScalarNode) else ""
    if isinstance(value, SequenceNode) and name not in _TASKS and name != "loop" and not name.startswith("with_"):
        around = around._replace(group=f"list {value.start_mark.index}")
    return around._replace(conditional=around.conditional or name in _NOW_AND_THEN, module=name.rpartition(".")[2])


def _first(fields: dict[str, Node], names: tuple[str, ...]) -> ScalarNode | None:
    found = next((fields[name] for name in names if name in fields), None)
    return found if isinstance(found, ScalarNode) else None


def _text(value: Node, *, as_module: bool = False) -> str | None:
    """Return a value as the module hands it on; None where it is a template, a list, or nothing.

    `as_module`: ansible.posix.sysctl takes a quoted `yes` for 1, too.
    """
    if not isinstance(value, ScalarNode) or value.tag == _NULL or "{{" in value.value:
        return None
    # YAML's booleans become 1 and 0 on the way, and the lines between its digits are gone.
    plain = value.style is None
    text = value.value.replace("_", "") if plain and value.tag == _INT else str(value.value)
    return _BOOLEANS.get(text.lower(), text) if plain or as_module else text


def _reloads(item: Node) -> bool:
    """Say whether a task of ansible.posix.sysctl asks for a reload in so many words; it is the default, too."""
    reload = _fields(item).get("reload") if isinstance(item, MappingNode) else None
    return isinstance(reload, ScalarNode) and _BOOLEANS.get(reload.value.lower()) == "1"


def _command_text(item: Node) -> str:
    if isinstance(item, ScalarNode):
        return str(item.value)
    if isinstance(item, MappingNode):
        fields = _fields(item)
        return next((_command_text(fields[name]) for name in ("cmd", "argv", "_raw_params") if name in fields), "")
    return " ".join(_scalars(item))


def _scalars(item: Node) -> Iterator[str]:
    for one in item.value if isinstance(item, SequenceNode) else []:
        if isinstance(one, ScalarNode):
            yield str(one.value)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _is_key(name: str) -> bool:
    try:
        sysctl_key(name)
    except ValueError:
        return False
    return True
