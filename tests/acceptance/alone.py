"""The collection as Galaxy would give it, beside an Ansible that has never heard of the Python package tcptune."""

from __future__ import annotations

import json
import subprocess
import sysconfig
import venv
from pathlib import Path
from typing import Any

from tests.acceptance.command import CHECKOUT, Said
from tests.acceptance.machine import Machine

_PROGRAM = """\
#!{python}
import sys
from ansible.cli.{name} import main
sys.exit(main())
"""


class Alone:
    """A virtual environment with ansible-core, and a folder of collections with the built one in it.

    With `package`, the Python package tcptune is there too.
    """

    def __init__(self, folder: Path, inventory: Path, *, package: bool = False) -> None:
        self.folder = folder
        self.inventory = inventory
        self.collections = folder / "collections"
        self._programs = folder / "venv/bin"
        venv.create(folder / "venv", symlinks=True)
        # Its packages are those of the tests. Put on the path they are found, and what their own .pth files name, the
        # checkout for one, is not.
        [site] = (folder / "venv").glob("lib/python*/site-packages")
        (site / "dependencies.pth").write_text(
            "".join(f"{path}\n" for path in [*([CHECKOUT] if package else []), sysconfig.get_path("purelib")])
        )
        for name in ("playbook", "galaxy", "doc"):
            program = self._programs / f"ansible-{name}"
            program.write_text(_PROGRAM.format(python=self._programs / "python", name=name))
            program.chmod(0o755)
        for path in ("home", "play"):
            (folder / path).mkdir()

    def run(self, program: str, *arguments: str | Path, expect: int = 0) -> Said:
        """Run a program of the environment where playbooks are, and nothing of this checkout is."""
        done = subprocess.run(
            [self._programs / program, *arguments],
            cwd=self.folder / "play",
            env={
                "PATH": f"{self._programs}:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(self.folder / "home"),
                "LC_ALL": "C.UTF-8",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_RETRY_FILES_ENABLED": "0",
                "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
                # Short: a socket has a hundred characters, and pytest's folders are long.
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "home"),
                "ANSIBLE_SSH_CONTROL_PATH": "%(directory)s/%%C",
                "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=10s",
            },
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=240,
            check=False,
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        assert said.status == expect, f"not exit {expect}: {program} {' '.join(map(str, arguments))}: {said}"
        return said

    def install(self) -> Path:
        """Build the collection, install it offline into an empty folder, and give where it is."""
        built = self.folder / "built"
        self.run("ansible-galaxy", "collection", "build", "--output-path", built, CHECKOUT)
        [artefact] = built.iterdir()
        assert not self.collections.exists()
        install = ("collection", "install", "--offline", "--collections-path", self.collections)
        self.run("ansible-galaxy", *install, artefact)
        return self.collections / "ansible_collections/tcptune/linux"

    def write(self, name: str, data: Any) -> Path:
        """Write a playbook, a file of tasks or an inventory beside the playbooks."""
        path = self.folder / "play" / name
        path.write_text(data if isinstance(data, str) else json.dumps(data))
        return path

    def play(self, fleet: list[Machine], playbook: str | Path, *options: str, expect: int = 0) -> Said:
        """Run a playbook on some machines."""
        where = ("-i", str(self.inventory), "--limit", ",".join(machine.name for machine in fleet))
        return self.run("ansible-playbook", *where, str(playbook), *options, expect=expect)

    def role(self, fleet: list[Machine], name: str, *options: str, expect: int = 0, **variables: Any) -> Said:
        """Run one role of the collection on some machines."""
        roles = [{"role": f"tcptune.linux.{name}", "vars": variables}]
        self.write("role.yml", [{"hosts": "all", "gather_facts": False, "roles": roles}])
        return self.play(fleet, "role.yml", *options, expect=expect)


def importing(alone: Alone) -> str:
    """Give what Python says when the environment imports the package tcptune."""
    # A module of it: an editable install leaves a folder of that name without code, which Python takes for a package.
    return alone.run("python", "-c", "import tcptune.errors", expect=1).stderr
