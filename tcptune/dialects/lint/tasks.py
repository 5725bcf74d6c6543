"""Playbooks, roles, tasks and variables: every place of them that sets a kernel setting, whoever's module does it.

What is a template is not known here: a key that is one is passed over, a value that is one is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

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
_WRITES = re.compile(
    r"\bsysctl\b(?:\s+-[\w-]+){0,9}\s+[\"']?([A-Za-z][\w./:@-]{1,200})\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s;&|\"']+)"
)
_ECHOES = re.compile(
    r"\becho\s+(?:-n\s+)?[\"']?([^\"'>;&|\n]{1,200})[\"']?[ \t]{0,9}>\s{0,9}/proc/sys/([\w./:@-]{1,200})"
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


class _Reader:
    """Walks the nodes of one file. Each is visited once: with anchors a page can stand for gigabytes."""

    def __init__(self, path: str) -> None:
        self.statements: list[Statement] = []
        self.findings: list[LintFinding] = []
        self._path = path
        self._seen: set[int] = set()

    def walk(self, document: Node) -> None:
        """Take every statement below a node, in the order of the file."""
        ahead: list[tuple[Node, bool]] = [(document, False)]
        while ahead:
            node, conditional = ahead.pop()
            if id(node) in self._seen:
                continue
            self._seen.add(id(node))
            below: list[Node] = []
            if isinstance(node, SequenceNode):
                below = list(node.value)
            elif isinstance(node, MappingNode):
                fields = _fields(node)
                conditional = conditional or "when" in fields
                self._mapping(node, fields, conditional)
                below = [value for _, value in node.value]
            ahead += [(one, conditional) for one in reversed(below)]

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
                self._take(key, key.value, item, How.VARIABLE, conditional)

    def _take(self, place: Node, name: str, value: Node, how: How, conditional: bool) -> None:
        self._add(place, name, _text(value), how, conditional)

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
                )
            )

    def _free_form(self, item: ScalarNode, conditional: bool) -> None:
        """Take `sysctl: name=KEY value=VALUE`."""
        words = {word: _unquoted(text) for word, text in _KEY_VALUE.findall(item.value)}
        name = next((words[word] for word in _NAMES if word in words), "")
        value = next((words[word] for word in _VALUES if word in words), None)
        if _KEY.fullmatch(name) and words.get("state") != "absent":
            self._add(item, name, None if value is None or "{{" in value else value, How.TASK, conditional)

    def _command(self, key: ScalarNode, item: Node, conditional: bool) -> None:
        text = _command_text(item)[:_MOST_OF_A_COMMAND]
        for name, value in (*_WRITES.findall(text), *_APPENDED.findall(text)):
            known = None if "{{" in value or "$" in value else _unquoted(value.strip())
            self._add(key, name, known, How.COMMAND, conditional)
        for value, name in _ECHOES.findall(text):
            self._add(key, name, None if "{{" in value or "$" in value else value.strip(), How.COMMAND, conditional)
        if _WRITES.search(text) and "-w" in text.split():
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
        fields = _fields(item) if isinstance(item, MappingNode) else {}
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
                    update={"how": How.EDIT, "conditional": conditional, "column": text.start_mark.column + 1}
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


def _first(fields: dict[str, Node], names: tuple[str, ...]) -> ScalarNode | None:
    found = next((fields[name] for name in names if name in fields), None)
    return found if isinstance(found, ScalarNode) else None


def _text(value: Node) -> str | None:
    """Return a value as the module hands it on; None where it is a template, a list, or nothing."""
    if not isinstance(value, ScalarNode) or value.tag == _NULL or "{{" in value.value:
        return None
    # YAML's booleans become 1 and 0 on the way.
    plain = value.style is None
    return _BOOLEANS.get(value.value.lower(), value.value) if plain else str(value.value)


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
