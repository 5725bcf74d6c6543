"""Every example in the README and the manual is run, and says what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import fleet
from tests.docs.examples import Block, Command, difference, run_page
from tests.docs.pages import NOT_RUN, PAGES, name, shown_commands, steps
from tests.lab import Lab
from tests.lab.pytest_plugin import Hosts

RUNNABLE = [page for page in PAGES if any(isinstance(step, Command) for step in steps(page))]
LAB_FOLDER = "/run/tcptune-lab"
"""Where the tour finds the reader's own lab; here it is the tests'."""


@pytest.mark.lab
@pytest.mark.parametrize("page", RUNNABLE, ids=name)
def test_the_examples_of_a_page_do_what_it_shows(
    page: Path, lab: Lab, hosts: Hosts, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Not tmp_path: a test's name in it would make the paths of ssh's sockets too long.
    folder = tmp_path_factory.mktemp("page") / "work"
    folder.mkdir()
    if any(LAB_FOLDER in step.text for step in steps(page)):
        hosts(2)
        lab.up(2)  # the tour speaks of all hosts of its lab
        preamble = ""
    else:
        given = hosts(len(fleet.NAMES))
        fleet.prepare(lab, given, folder)
        preamble = fleet.ssh_for(lab, given, folder)

    done = run_page([_here(step, lab) for step in steps(page)], folder, fleet.environment(folder), preamble)

    for command, code, said in done:
        place = f"{name(page)}:{command.line}: $ {command.text}"
        assert code == command.exits, f"{place}\nexited with {code}, the page says {command.exits}:\n{said}"
        if command.shows:
            differs = difference(command.shows, said)
            assert differs is None, f"{place}\n{differs}"


def test_what_no_test_runs_is_in_the_manual_and_has_a_reason() -> None:
    assert set(NOT_RUN) <= set(shown_commands())
    assert all(NOT_RUN.values())


def _here(step: Command | Block, lab: Lab) -> Command | Block:
    if isinstance(step, Command):
        return Command(step.line, step.text.replace(LAB_FOLDER, str(lab.directory)), step.exits, step.shows)
    return step
