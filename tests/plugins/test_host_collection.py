"""What the collection promises about itself: its documentation agrees with its code, and it runs anywhere."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import role_tables

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles/tcp_settings"
MODULE = ROOT / "plugins/modules/tcp_settings.py"
SOURCES = sorted(
    path for part in ("filter", "modules", "module_utils") for path in (ROOT / "plugins" / part).rglob("*.py")
)
ROLES = sorted((ROOT / "roles").iterdir())
OPTIONS = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]


def constant(name):
    """Return a literal that the module assigns at its top."""
    for node in ast.parse(MODULE.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise KeyError(name)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


def plain(options):
    kept = ("type", "elements", "required", "default", "choices")
    return {
        name: {
            **{word: option[word] for word in kept if word in option},
            **({"options": plain(option["options"])} if "options" in option else {}),
        }
        for name, option in options.items()
    }


def test_the_modules_documentation_agrees_with_its_arguments():
    documented = yaml.safe_load(constant("DOCUMENTATION"))["options"]
    for option in documented.values():
        if "suboptions" in option:
            option["options"] = option.pop("suboptions")

    assert plain(documented) == plain(constant("ARGUMENTS"))


def test_the_modules_examples_use_its_options_and_its_returns_are_yaml():
    examples = [task["tcptune.linux.tcp_settings"] for task in yaml.safe_load(constant("EXAMPLES"))]
    assert {option for example in examples for option in example} <= set(constant("ARGUMENTS"))
    assert {example.get("state", "applied") for example in examples} == {*constant("ARGUMENTS")["state"]["choices"]} - {
        "status"
    }
    assert {"run", "host_state", "previous", "changed_since", "stale", "failure", "deadline", "runs"} <= set(
        yaml.safe_load(constant("RETURN"))
    )


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_roles_defaults_agree_with_its_table_of_variables(role):
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    options = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]

    assert defaults == {name: option["default"] for name, option in options.items()}
    assert all(name.startswith(f"{role.name}_") for name in options)


@pytest.mark.parametrize("path", role_tables.files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_table_of_variables_is_the_one_that_is_made(path):
    assert path.read_text() == role_tables.files()[path], "python -m tests.role_tables"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_uses_each_of_its_variables(role):
    options = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    files = [path for part in ("tasks", "handlers", "templates", "vars") for path in (role / part).glob("*")]
    used = set(re.findall(rf"(?<!_){role.name}_\w+", "".join(path.read_text() for path in files)))

    assert set(options) <= used


def variables(task):
    return set(re.findall(r"(?<!__)tcp_settings_\w+", str(task)))


def test_the_role_judges_some_variables_itself_and_hands_every_other_one_to_the_module():
    tasks = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
    (arguments,) = [task["tcptune.linux.tcp_settings"] for task in tasks if "tcptune.linux.tcp_settings" in task]
    judged = {f"tcp_settings_{name}" for name in ("allow_risk", "dangers", "profile", "waivers")}

    # The module confirms at once only where no checks decide.
    assert variables(arguments) == set(OPTIONS) - judged
    assert set(arguments) == set(constant("ARGUMENTS"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_what_runs_on_the_host_needs_nothing_but_python(path):
    ours = ("ansible.module_utils.basic", "ansible_collections.tcptune.linux.") if path.parent == MODULE.parent else ()
    foreign = [
        name
        for name in imports(path)
        if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith(ours)
    ]

    assert foreign == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_what_runs_on_the_host_says_its_license_and_is_python_3_8(path):
    text = path.read_text()
    ast.parse(text, feature_version=(3, 8))

    assert "SPDX-License-Identifier: GPL-3.0-or-later" in text[:300]
    assert "GNU General Public License v3.0+" in text[:300]


def oldest_python():
    """Return a Python 3.8 of this machine, None if it has none."""
    found = [*Path("~/.pyenv/versions").expanduser().glob("3.8.*/bin/python"), shutil.which("python3.8")]
    return next((str(path) for path in found if path and "shims" not in str(path)), None)


@pytest.mark.skipif(oldest_python() is None, reason="there is no Python 3.8 here")
def test_there_and_back_with_the_oldest_python(tmp_path):
    code = (
        "from pathlib import Path; from fake_host import FakeHost, asking, dropin\n"
        "from module_utils import changeset, status\n"
        f"fake = FakeHost(Path({str(tmp_path)!r})); before = fake.tree()\n"
        "changeset.predict(fake, asking(files=[dropin()])); changeset.apply(fake, asking(files=[dropin()]))\n"
        "changeset.confirm(fake, 'run-1'); assert fake.tree() != before\n"
        "status.status(fake, 'run-1'); status.runs(fake)\n"
        "changeset.rollback(fake, 'run-1'); assert fake.tree() == before; print('there and back')\n"
    )
    path = os.pathsep.join([str(ROOT / "plugins"), str(Path(__file__).parent)])
    done = subprocess.run(
        [oldest_python(), "-B", "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )

    assert done.stdout == "there and back\n", done.stderr


def test_the_built_collection_holds_no_python_package(tmp_path):
    copy = tmp_path / "linux"
    parts = ("galaxy.yml", "LICENSE", "README.md", "meta", "playbooks", "plugins", "roles")
    unwanted = ("tcptune", "tests", "docs", "requirements", "benchmarks", "changelog.d", "inventories", "molecule")
    for part in (*parts, *unwanted, "pyproject.toml", "Makefile", ".gitignore"):
        source = ROOT / part
        if part in unwanted or not source.exists():
            (copy / part).mkdir(parents=True)
            (copy / part / "file").write_text("x")
        elif source.is_dir():
            shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy(source, copy / part)
    galaxy = Path(sys.executable).parent / "ansible-galaxy"
    subprocess.run(
        [galaxy, "collection", "build", "--output-path", tmp_path, copy],
        check=True,
        capture_output=True,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    (archive,) = tmp_path.glob("tcptune-linux-*.tar.gz")
    names = subprocess.run(["tar", "tf", archive], check=True, capture_output=True, text=True).stdout.split()

    assert {name.partition("/")[0] for name in names} == {
        *("FILES.json", "MANIFEST.json", "LICENSE", "README.md"),
        *("meta", "playbooks", "plugins", "roles"),
    }
    assert "plugins/modules/tcp_settings.py" in names
