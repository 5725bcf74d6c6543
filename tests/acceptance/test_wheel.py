"""The wheel is all that a controller needs: it runs outside the checkout, and brings the collection along."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.acceptance.command import CHECKOUT, Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, PROFILE, WANTED

INSIDE = "tcptune/_collection/ansible_collections/tcptune/linux/"
COLLECTION = ("LICENSE", "galaxy.yml", "meta", "playbooks", "plugins", "roles")

ANSIBLE_PLAYBOOK = """\
#!{python}
import sys
from ansible.cli.playbook import main
sys.exit(main())
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(CHECKOUT)]
    subprocess.run(build, capture_output=True, check=True)
    [built] = folder.glob("tcptune-*.whl")
    return built


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Not tmp_path: a test's name in it would make the paths of ssh's sockets too long.
    return tmp_path_factory.mktemp("installed")


def environment(folder: Path) -> Path:
    """Make an empty virtual environment, and give its folder of programs."""
    venv.create(folder, symlinks=True)
    return folder / "bin"


def install(programs: Path, *arguments: str | Path) -> None:
    pip = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet", *arguments]
    subprocess.run(list(map(str, pip)), cwd="/", check=True)


def check_a_whole_job(programs: Path, folder: Path, machines: Machines, on: On) -> None:
    where = [programs / "python", "-c", "import tcptune; print(tcptune.__file__)"]
    imported = subprocess.run(where, cwd=folder, text=True, capture_output=True, check=True).stdout
    assert Path(imported).is_relative_to(programs.parent)
    assert not Path(imported).is_relative_to(CHECKOUT)

    tcptune = Tcptune(folder, installed=programs / "tcptune")
    assert not tcptune.work.is_relative_to(CHECKOUT)
    [machine] = machines(1)
    before = machine.state()
    plan = tcptune.file("plan.json")
    try:
        assert tcptune("--version").stdout.startswith("tcptune ")
        tcptune("audit", PROFILE, *on(machine), expect=10)
        tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
        tcptune("apply", plan, *ALLOWED, "--auto-confirm")
        assert machine.values() == WANTED
        tcptune("verify", "last")
        tcptune("audit", PROFILE, *on(machine))
        tcptune("rollback", "last")
        assert machine.state() == before
    finally:
        tcptune.close()


def test_it_carries_the_collection_and_nothing_that_is_not_ours(wheel: Path) -> None:
    # What git knows or would take in, so that a file that was just written counts as well.
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *COLLECTION]
    listed = subprocess.run(listing, cwd=CHECKOUT, text=True, capture_output=True, check=True).stdout
    ours = {name for name in listed.split("\0") if name and (CHECKOUT / name).exists()}

    with zipfile.ZipFile(wheel) as archive:
        carried = {name.removeprefix(INSIDE) for name in archive.namelist() if name.startswith(INSIDE)}
        assert carried == ours
        for name in ours:
            assert archive.read(INSIDE + name) == (CHECKOUT / name).read_bytes()
        others = {name.split("/")[0] for name in archive.namelist() if not name.startswith("tcptune/")}
        assert {name for name in others if not name.endswith(".dist-info")} == set()
        data = "tcptune/knowledge/data/"
        carried = {name for name in archive.namelist() if name.startswith(data)}
        assert carried == {
            str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / data).rglob("*.yml") if path.is_file()
        }


@pytest.mark.lab
def test_it_does_the_whole_job_outside_the_checkout(wheel: Path, folder: Path, machines: Machines, on: On) -> None:
    # The dependencies are those of the tests' environment: put on the path they are found, and what its own .pth
    # files name, the checkout for one, is not.
    programs = environment(folder / "venv")
    install(programs, "--no-deps", "--no-index", wheel)
    [site] = programs.parent.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    ansible = programs / "ansible-playbook"
    ansible.write_text(ANSIBLE_PLAYBOOK.format(python=programs / "python"))
    ansible.chmod(0o755)

    check_a_whole_job(programs, folder, machines, on)


@pytest.mark.lab
@pytest.mark.slow
def test_installed_alone_it_does_the_whole_job(wheel: Path, folder: Path, machines: Machines, on: On) -> None:
    programs = environment(folder / "venv")
    install(programs, "--constraint", CHECKOUT / "requirements/dev.txt", wheel)

    check_a_whole_job(programs, folder, machines, on)
