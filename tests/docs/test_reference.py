"""The reference is complete: every command, option, operator, setting, field and variable has its place in it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel

from plugins.module_utils import errors as module_errors
from tcptune.adapters.files import FactsHeader
from tcptune.adapters.journal.tables import Base, RunRow
from tcptune.cli.app import app
from tcptune.domain.changes import Change, Cohort, FileChange, Plan, Skipped
from tcptune.domain.facts import HostFacts, SysctlFile, System, Unread
from tcptune.domain.hosts import Connection
from tcptune.domain.journal import Pruned, RunRecord
from tcptune.domain.parameters import NUMERIC
from tcptune.domain.runs import HostResult, HostState, Run
from tcptune.domain.verdicts import RunVerdict
from tcptune.errors import EXIT_PENDING, TcptuneError
from tcptune.knowledge.catalogue import catalogue
from tcptune.probes import EVIDENCE, PROBES, script
from tcptune.workflows.collect import COMMAND
from tests.docs.examples import blocks
from tests.docs.pages import ROOT

REFERENCE = ROOT / "docs/reference"
GROUPS: dict[str, Any] = {}
COMMANDS: dict[str, Any] = {}
for _name, _found in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
    if hasattr(_found, "commands"):
        GROUPS[_name] = _found
        COMMANDS |= {f"{_name} {inner}": command for inner, command in _found.commands.items()}
    else:
        COMMANDS[_name] = _found
"""Every command by what stands behind `tcptune`, those of groups among them."""


@cache
def sections(page: Path, level: str = "##") -> dict[str, str]:
    """Return the text of a page by heading."""
    parts = re.split(rf"^{level} (.+)$", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> dict[str, list[str]]:
    """Return the table rows of a text by what stands in back quotes in their first column."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for name in re.findall(r"`([^`]+)`", cells[0]) if cells else []:
            found[name] = cells[1:]
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_section(name: str) -> None:
    assert COMMANDS[name].help
    assert f"tcptune {name}" in sections(REFERENCE / "commands.md")


def test_no_section_is_about_a_command_that_does_not_exist() -> None:
    titles = {title for title in sections(REFERENCE / "commands.md") if title.startswith("tcptune ")}

    assert titles == {f"tcptune {name}" for name in COMMANDS}
    assert all(group.help for group in GROUPS.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_table_of_its_command_and_no_other(name: str) -> None:
    table = rows(sections(REFERENCE / "commands.md")[f"tcptune {name}"])
    options = {spelling for p in COMMANDS[name].params if p.param_type_name == "option" for spelling in p.opts}

    assert set(table) == options


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_the_default_of_each_option(name: str) -> None:
    table = rows(sections(REFERENCE / "commands.md")[f"tcptune {name}"])
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option" and isinstance(parameter.default, (int, str)):
            default = "off" if parameter.default is False else str(parameter.default)
            assert table[parameter.opts[0]][0].strip("`") == default, parameter.opts


@pytest.mark.parametrize("name", COMMANDS)
def test_the_exit_codes_of_the_help_are_in_the_section(name: str) -> None:
    [said] = re.findall(r"^ *Exits ((?:.+\n?)+)", COMMANDS[name].help, re.MULTILINE)
    section = sections(REFERENCE / "commands.md")[f"tcptune {name}"]
    [shown] = re.findall(r"^Exits with ((?:.+\n)+)", section, re.MULTILINE)

    assert set(re.findall(r"\b\d+\b", said)) == set(re.findall(r"\b\d+\b", shown))


@pytest.mark.parametrize("page", [ROOT / "README.md", REFERENCE / "commands.md"], ids=lambda page: page.name)
def test_every_exit_code_that_exists_is_in_the_table(page: Path) -> None:
    def codes(kind: type[TcptuneError]) -> set[int]:
        return {kind.exit_code}.union(*(codes(branch) for branch in kind.__subclasses__()))

    table = re.findall(r"^\| (\d+) \|", sections(page)["Exit codes"], re.MULTILINE)

    assert {int(code) for code in table} == codes(TcptuneError) | {0, EXIT_PENDING}


def test_every_environment_variable_is_in_the_manual() -> None:
    text = (REFERENCE / "commands.md").read_text()
    named = {
        name
        for path in (ROOT / "tcptune").rglob("*.py")
        for name in re.findall(r"\b(?:TCPTUNE_[A-Z_]+|NO_COLOR)\b", path.read_text())
    }

    assert {name for name in named if f"| `{name}` |" not in text} == set()


def test_every_operator_has_a_section() -> None:
    from tcptune.adapters.profile_demands import OPERATORS

    shown = sections(REFERENCE / "profiles.md", level="###")

    assert set(OPERATORS) <= set(shown)
    assert all(f"  {name}:" in shown[name] for name in OPERATORS)


def test_every_key_of_a_profile_is_in_the_manual() -> None:
    from tcptune.adapters.profile_syntax import TOP

    assert set(rows(sections(REFERENCE / "profiles.md")["A profile file"])) >= set(TOP)


def test_every_setting_is_in_the_table_with_its_effect_and_risk() -> None:
    table = rows(sections(REFERENCE / "profiles.md")["Settings"])

    assert {key: cells[1:] for key, cells in table.items()} == {
        key: [parameter.effect.value, parameter.risk.value] for key, parameter in catalogue().items()
    }
    for key, parameter in catalogue().items():
        if parameter.read_only or parameter.shape not in NUMERIC:
            continue
        bounds = parameter.sensible
        values = ", ".join(parameter.meanings) if parameter.meanings else f"{bounds.min} to {bounds.max}"
        assert values in table[key][0], key


def test_the_help_of_a_profile_says_where_the_built_in_ones_are_listed() -> None:
    [argument] = [p for p in COMMANDS["audit"].params if p.param_type_name == "argument"]

    assert "tcptune profile list" in argument.help
    assert "profile list" in COMMANDS


@pytest.mark.parametrize(
    ("title", "models"),
    [
        ("Facts", [FactsHeader, HostFacts, System, SysctlFile, Unread]),
        ("Plan", [Plan, Connection, Cohort, Change, FileChange, Skipped]),
        ("Reports", [Run, HostResult, RunVerdict, RunRecord, Pruned]),
    ],
)
def test_every_field_of_a_file_is_in_the_manual(title: str, models: list[type[BaseModel]]) -> None:
    text = sections(REFERENCE / "files.md")[title]
    missing = {
        f"{model.__name__}.{field}"
        for model in models
        for field in model.model_fields
        if f"`{field}`" not in text and f'"{field}"' not in text
    }

    assert missing == set()


def test_every_table_of_the_journal_is_in_the_manual() -> None:
    text = sections(REFERENCE / "journal.md")["Tables"]

    assert set(rows(text)) == {*Base.metadata.tables, "alembic_version"}
    assert all(f"`{column.name}`" in text for column in RunRow.__table__.columns)


def test_every_state_of_a_host_is_explained() -> None:
    text = sections(ROOT / "docs/explanation/phases.md")["The states of a host in a run"]

    assert set(re.findall(r"^\| ([a-z ]+) \|", text, re.MULTILINE)) == {state.value for state in HostState}


def test_every_option_and_value_of_the_module_is_in_the_manual() -> None:
    source = (ROOT / "plugins/modules/tcp_settings.py").read_text()
    documentation, returns = (
        yaml.safe_load(re.search(rf'^{name} = r"""(.+?)"""', source, re.MULTILINE | re.DOTALL)[1])  # type: ignore[index]
        for name in ("DOCUMENTATION", "RETURN")
    )
    page = sections(REFERENCE / "ansible.md")
    table = rows(page["Module options"])

    assert set(documentation["options"]) == set(table)
    for name, option in documentation["options"].items():
        if "default" in option:
            assert table[name][0].strip("`") == _shown(option["default"]), name
        assert all(f"`{choice}`" in page["Module options"] for choice in option.get("choices", []))
    assert set(returns) <= set(re.findall(r"`(\w+)`", page["Return values"]))


MODULES = {"tcp_facts": "Facts", "tcp_audit": "Audit", "tcp_plan": "Plan", "nginx_file": "A file of nginx"}
"""Module -> its section in the reference; tcp_settings has more than one."""


def test_every_module_and_filter_is_in_the_manual() -> None:
    page = sections(REFERENCE / "ansible.md")

    assert {path.stem for path in (ROOT / "plugins/modules").glob("*.py")} == {"tcp_settings", *MODULES}
    assert all(f"`tcptune.linux.{module}`" in page[section] for module, section in MODULES.items())
    assert set(rows(page["Filters"])) >= {
        f"tcptune.linux.{path.stem}" for path in (ROOT / "plugins/filter").glob("*.yml")
    }


@pytest.mark.parametrize(("module", "section"), MODULES.items())
def test_every_option_and_value_of_the_other_modules_is_in_the_manual(module: str, section: str) -> None:
    source = (ROOT / f"plugins/modules/{module}.py").read_text()
    documentation, returns = (
        yaml.safe_load(re.search(rf'^{name} = r"""(.+?)"""', source, re.MULTILINE | re.DOTALL)[1])  # type: ignore[index]
        for name in ("DOCUMENTATION", "RETURN")
    )
    text = sections(REFERENCE / "ansible.md")[section]
    told = set(re.findall(r"`(\w+)[`.]", text))

    assert set(documentation["options"]) <= set(rows(text))
    assert {
        *returns,
        *(one for option in documentation["options"].values() for one in option.get("choices", [])),
    } <= told


def test_every_kind_of_failure_is_in_the_manual() -> None:
    kinds = {
        error.kind
        for error in vars(module_errors).values()
        if isinstance(error, type) and issubclass(error, module_errors.ChangeError)
    } - {module_errors.ChangeError.kind}
    text = sections(REFERENCE / "ansible.md")["Return values"]

    assert kinds <= set(rows(text))


def test_every_variable_of_every_role_is_in_the_manual() -> None:
    page = sections(REFERENCE / "roles.md")

    for role in (ROOT / "roles").iterdir():
        specification = yaml.safe_load((role / "meta/argument_specs.yml").read_text())
        variables = specification["argument_specs"]["main"]["options"]
        table = {name: cells for name, cells in rows(page[role.name]).items() if "[]" not in name}
        assert {name: cells[1].strip("`") for name, cells in table.items()} == {
            name: _shown(variable["default"]) for name, variable in variables.items()
        }


def test_every_playbook_is_in_the_manual() -> None:
    text = sections(REFERENCE / "ansible.md")["Playbooks"]

    assert all(f"`tcptune.linux.{path.stem}`" in text for path in (ROOT / "playbooks").glob("*.yml"))


def test_the_probe_in_the_manual_is_the_probe_that_is_run() -> None:
    import shlex

    shown = (block.text for block in blocks((REFERENCE / "probe.md").read_text()) if block.language == "sh")
    command, stdin, evidence = shown

    assert command == shlex.join(COMMAND) + "\n"
    assert stdin == script.assemble(["net.core.somaxconn", "net.ipv4.tcp_rmem"])
    assert evidence == script.assemble([], EVIDENCE)


def test_every_section_of_the_probe_and_every_program_it_starts_is_in_the_manual() -> None:
    text = sections(REFERENCE / "probe.md")["What it reads"]
    script_text = script.assemble([])
    started = {
        name
        for name in ("grep", "ss", "sed", "stat", "wc", "awk", "cat", "readlink", "find", "ip")
        if _starts(name, script_text)
    }

    assert set(rows(text)) == set(PROBES)
    assert started == set(re.findall(r"`(\w+)`", text.partition("The programs it starts are ")[2].partition(". ")[0]))


def test_what_evidence_asks_and_starts_is_in_the_manual() -> None:
    text = sections(REFERENCE / "probe.md")["Evidence"]
    script_text = script.assemble([], EVIDENCE)
    named = set(re.findall(r"`(\w+)`", text.partition("The evidence starts ")[2].partition(". ")[0]))

    assert set(rows(text)) == set(EVIDENCE)
    assert named == {name for name in (*named, "find", "readlink", "sort", "uniq") if _starts(name, script_text)}


def _starts(program: str, text: str) -> bool:
    # Some are started through a variable that may hold `nice`.
    begins = r"(?:^|[;|(&{]|\bdo) *(?:\$gently )?|\bgently='"
    return re.search(rf"(?:{begins}){program} ", text, re.MULTILINE) is not None


def _shown(default: object) -> str:
    return '""' if default == "" else str(default)
