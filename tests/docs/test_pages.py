"""The pages themselves: what is in their blocks, where their links lead, and the files around them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tcptune.adapters.chains import load_chain
from tcptune.adapters.inventory import read_hosts
from tcptune.adapters.policies import load_policy_file
from tcptune.adapters.profiles import load_profile, load_waivers
from tcptune.domain.values import sysctl_key
from tcptune.errors import InputError
from tcptune.reports import prometheus
from tests.docs.examples import Block, blocks
from tests.docs.pages import NOT_RUN, PAGES, ROOT, name, steps
from tests.unit.reports.results import DIAGNOSIS

LANGUAGES = {"console", "json", "sh", "text", "yaml"}
YAML = [
    pytest.param(page, block, id=f"{name(page)}:{block.line}")
    for page in PAGES
    for block in blocks(page.read_text())
    if block.language == "yaml"
]
METRICS = prometheus.render(DIAGNOSIS)
MISTAKEN = {"careless.yml", "wrong.yml"}
"""Profiles, policies and waivers that are shown for what is wrong with them; the page shows what tcptune says of it."""


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_command_stands_only_where_it_is_run(page: Path) -> None:
    for block in blocks(page.read_text()):
        assert block.language in LANGUAGES, f"line {block.line}: {block.language or 'no language'}"
        if block.language != "console":
            assert not any(line.startswith("$ ") for line in block.lines), f"line {block.line}"


@pytest.mark.parametrize(("page", "block"), YAML)
def test_yaml_in_the_manual_is_what_it_looks_like(page: Path, block: Block, tmp_path: Path) -> None:
    data = yaml.safe_load(block.text)
    path = tmp_path / "example.yml"
    for other in blocks(page.read_text()):
        if other.title and other is not block:
            # A profile may extend another one of its page.
            (tmp_path / other.title).write_text(other.text)
    if reader := _reader(data):
        path.write_text(block.text)
        if block.title in MISTAKEN:
            with pytest.raises(InputError):
                reader(path)
        else:
            assert reader(path)
    elif isinstance(data, dict) and "all" in data:
        path.write_text(block.text)
        assert read_hosts([str(path)])
    elif isinstance(data, list):
        assert block.title, "a playbook is run, so it needs a title"
        assert all("hosts" in play for play in data)
    elif "groups" in data:
        rules = [rule["expr"] for group in data["groups"] for rule in group["rules"]]
        named = {metric for expr in rules for metric in re.findall(r"\btcptune_\w+", expr)}
        assert named
        assert all(f"# TYPE {metric} gauge\n" in METRICS for metric in named)
    else:
        assert [sysctl_key(key) for key in data] == list(data)
        indented = "".join(f"  {line}\n" for line in block.lines)
        path.write_text(f"profile: example\nsettings:\n{indented}")
        assert load_profile(str(path)).entries


def _reader(data: object) -> Callable[[Path], object] | None:
    """Return what reads a file of ours, by what is in it."""
    if isinstance(data, dict) and "profile" in data:
        return lambda path: load_profile(str(path)).entries
    if isinstance(data, dict) and "policy" in data:
        return load_policy_file
    if isinstance(data, dict) and "chain" in data:
        return load_chain
    if isinstance(data, list) and "key" in data[0]:
        return lambda path: len(load_waivers(path)) == len(data)
    return None


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=name)
def test_links_outside_the_manual_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        found = page.parent / path
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, target


def test_paths_that_contributing_names_exist() -> None:
    table = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    paths = [path for cell in table for path in re.findall(r"`([^`]+)`", cell)]
    files = [path for path in paths if "/" in path or path.endswith(".yml")]

    assert len(files) > 10
    assert [path for path in files if not (ROOT / path).exists()] == []


def test_the_manual_builds_without_a_warning_and_without_a_network(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert built.returncode == 0, built.stderr
    for path in (tmp_path / "site").rglob("*.html"):
        loads = re.findall(r'<(?:script|img|iframe)[^>]*src="([^"]+)"|<link[^>]*href="([^"]+)"', path.read_text())
        assert not [url for pair in loads for url in pair if "//" in url], path


def test_every_page_is_in_the_navigation() -> None:
    configured = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    listed = [
        entry for item in configured for entry in ([item] if isinstance(item, str) else next(iter(item.values())))
    ]

    assert sorted(listed) == sorted(
        page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")
    )


def test_the_changelog_can_be_made() -> None:
    draft = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "0.1.0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    fragments = list((ROOT / "changelog.d").glob("*.md"))
    assert draft.returncode == 0, draft.stderr
    assert draft.stdout.count("\n- ") == len(fragments)
    assert "<!-- changelog -->" in (ROOT / "CHANGELOG.md").read_text()


def test_ci_runs_the_test_command_of_the_readme() -> None:
    tests = [text for text in NOT_RUN if text == "make test"]
    readme = [
        line.removeprefix("$ ") for line in (ROOT / "README.md").read_text().splitlines() if line == "$ make test"
    ]
    ci = (ROOT / ".ci/run").read_text().splitlines()

    assert tests == readme
    assert readme[0] in ci
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_pre_commit_downloads_nothing() -> None:
    configured = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())

    assert {repository["repo"] for repository in configured["repos"]} == {"local"}
    assert {hook["language"] for repository in configured["repos"] for hook in repository["hooks"]} == {"system"}


def test_pages_with_a_file_run_something_after_it() -> None:
    for page in PAGES:
        last = [step for step in steps(page) if isinstance(step, Block)][-1:]
        assert not last or steps(page)[-1] is not last[0] or name(page) == "docs/reference/profiles.md"
