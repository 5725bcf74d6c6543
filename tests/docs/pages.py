"""The pages of the manual, and the commands in them that no test runs, each with its reason."""

from __future__ import annotations

from pathlib import Path

from tests.docs.examples import Block, Command, blocks, commands

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)

CONTAINERS = "molecule -c .config/molecule/config.yml -c molecule/shared/containers/config.yml test -s default"
LOCK = (
    "uv pip compile --universal --python-version 3.11 --no-header --no-annotate "
    "requirements/dev.in -o requirements/dev.txt"
)
PASS = "tcptune facts -i hosts.yml --become-password-file <(pass show ops/sudo) -o facts.jsonl"

NOT_RUN = {
    "apt-get install -y git make python3-venv": "changes the machine that runs the tests",
    "make demo": "has tests of its own, and starts a lab beside the one of these tests",
    "make test": "is what runs this",
    "make test ARGS=tests/unit": "is what runs this",
    'make test WORKERS=0 ARGS="--pdb tests/acceptance/test_gates.py"': "is what runs this",
    "make slow": "takes minutes",
    "make slow ARGS=tests/differential": "takes minutes",
    'make slow ARGS="tests/acceptance/test_rollout_killed.py -s"': "takes minutes",
    "make test PYTHON=python3.13": "makes a virtual environment for another Python",
    "make test-vm": "takes minutes; is itself tests, of virtual machines",
    "make test-kernels": "takes minutes; is itself tests, of virtual machines",
    "python -m tests.lab.vm up bookworm": "needs qemu; tests/vm does it",
    "ssh -F /var/tmp/tcptune-vm-bookworm/ssh_config bookworm": "needs qemu; tests/vm does it",
    "python -m tests.lab.vm down bookworm": "needs qemu; tests/vm does it",
    'make prove ARGS="closed-port linger-zero"': "starts a lab beside that of these tests; tests/faults does the same",
    'make prove ARGS="--page docs/explanation/proof.md"': "takes minutes, and writes into the checkout",
    "make molecule": "takes minutes; CI runs it",
    'make molecule ARGS="-s rollback"': "starts a lab beside the one of these tests; CI runs it",
    "export ANSIBLE_HOME=$PWD/.ansible": "belongs to the three after it",
    "molecule converge -s rollback": "starts a lab beside the one of these tests",
    "molecule verify -s rollback": "needs the hosts of the one before",
    "molecule destroy -s rollback": "ends them",
    CONTAINERS: "needs a container engine",
    "make bench": "takes minutes; has tests of its own",
    "make sanity": "makes virtual environments, and takes minutes",
    "make sanity ARGS=validate-modules": "makes virtual environments, and takes minutes",
    "python -m tests.collection.copies": "writes into the checkout; a test compares what it writes",
    "make check": "runs this, after the linters",
    "make build": "writes into dist/ of the checkout",
    "make lab-up HOSTS=2": "the hosts of these tests stand in for it",
    "make lab-down": "the hosts of these tests stand in for it",
    ". .venv/python3/bin/activate": "the tests' own Python stands in for it",
    "pip install dist/*.whl": "installs into the environment of the tests",
    "ansible-galaxy collection install dist/tcptune-linux-*.tar.gz": "installs into the home of who runs the tests",
    "towncrier build --draft --version 0.1.0": "reads the checkout; test_pages.py runs it there",
    LOCK: "asks a package index",
    PASS: "needs a password store",
}
"""Command -> why no test runs it. A command that no page shows may not stand here."""


def steps(page: Path) -> list[Command | Block]:
    """Return what a test of a page does: the commands it runs, and the files it writes, in the page's order."""
    found: list[Command | Block] = []
    for block in blocks(page.read_text()):
        if block.language == "console":
            found += [command for command in commands(block) if command.text not in NOT_RUN]
        elif block.title:
            found.append(block)
    return found


def shown_commands() -> dict[str, list[str]]:
    """Return every command of every page, with the places where it is shown."""
    places: dict[str, list[str]] = {}
    for page in PAGES:
        for block in blocks(page.read_text()):
            if block.language == "console":
                for command in commands(block):
                    places.setdefault(command.text, []).append(f"{page.relative_to(ROOT)}:{command.line}")
    return places


def name(page: Path) -> str:
    """Return how tests call a page."""
    return page.relative_to(ROOT).as_posix()
