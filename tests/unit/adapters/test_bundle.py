from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tcptune.adapters import bundle
from tcptune.adapters.bundle import collection_root, write_project
from tcptune.errors import TcptuneError

INSIDE = "collections/ansible_collections/tcptune/linux"


def test_the_collection_of_this_very_tcptune_is_found() -> None:
    galaxy = yaml.safe_load((collection_root() / "galaxy.yml").read_text())

    assert (galaxy["namespace"], galaxy["name"]) == ("tcptune", "linux")


def test_a_project_holds_what_was_rendered_and_a_copy_of_the_collection(tmp_path: Path) -> None:
    write_project(tmp_path / "new/project", {"site.yml": "a\n", "inventory/group_vars/x.yml": "ü\n"})
    project = tmp_path / "new/project"

    assert (project / "site.yml").read_text() == "a\n"
    assert (project / "inventory/group_vars/x.yml").read_text(encoding="utf-8") == "ü\n"
    for part in ("galaxy.yml", "LICENSE", "meta", "playbooks", "plugins", "roles"):
        assert (project / INSIDE / part).exists()


def test_the_copy_is_byte_for_byte_the_collection_without_what_python_left_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    for part in ("meta", "playbooks", "roles", "plugins/modules/__pycache__"):
        (source / part).mkdir(parents=True)
    (source / "galaxy.yml").write_text("name: linux\n")
    (source / "LICENSE").write_text("GPL\n")
    (source / "plugins/modules/a.py").write_bytes(b"\xef\xbb\xbf# bytes\r\n")
    (source / "plugins/modules/a.pyc").touch()
    (source / "plugins/modules/__pycache__/a.cpython-311.pyc").touch()
    monkeypatch.setattr(bundle, "collection_root", lambda: source)
    write_project(tmp_path / "project", {})
    copied = {p.relative_to(tmp_path / "project" / INSIDE) for p in (tmp_path / "project" / INSIDE).rglob("*.*")}

    assert copied == {Path("galaxy.yml"), Path("plugins/modules/a.py")}
    assert (tmp_path / "project" / INSIDE / "plugins/modules/a.py").read_bytes() == b"\xef\xbb\xbf# bytes\r\n"


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    write_project(tmp_path / "project", {"site.yml": "a\n"})

    assert (tmp_path / "project/site.yml").is_file()


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text("mine\n")
    with pytest.raises(TcptuneError, match="not empty") as refused:
        write_project(tmp_path, {"site.yml": "a\n"})

    assert refused.value.exit_code == 1
    assert (tmp_path / "site.yml").read_text() == "mine\n"
    assert [p.name for p in tmp_path.iterdir()] == ["site.yml"]


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_place_that_cannot_be_a_folder_is_an_error_in_words(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine\n")
    with pytest.raises(TcptuneError, match="file") as refused:
        write_project(tmp_path / name, {})
    assert refused.value.hint == "name another folder"
