"""Which line of which file a boot obeys: what the boot model says, and what the genuine loaders do with the same tree.

The trees of tests/differential/test_boot_model.py surprise; these are the ones that people meet every day.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tcptune.domain.boot import Loader
from tcptune.domain.facts import HostFacts, SysctlFile
from tcptune.domain.findings import Boot
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import boot_layer, boot_model
from tests.differential import boot_lab
from tests.differential.boot_lab import Lab, Laid, as_facts
from tests.unit.builders import facts

from .trees import CONF, ETC, KEYS, LIB, QUEUE, RMEM, RUN, SCENARIOS, Scenario, line, queue

each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.sentence.replace(" ", "-"))
each_loader = pytest.mark.parametrize("loader", Loader)


def laid(*files: Laid, systemd: bool = True) -> HostFacts:
    """Return facts of a host with these files, that boots with one of the loaders."""
    return facts(systemd=systemd).model_copy(update={"sysctl_files": tuple(as_facts(files))})


def at_boot(key: str, host: HostFacts) -> Boot:
    return boot_layer(key, host, boot_model(host, catalogue()), catalogue())


def expected(scenario: Scenario, loader: Loader) -> str | None:
    return scenario.systemd if loader is Loader.SYSTEMD else scenario.procps


@each_loader
@each_scenario
def test_the_model_says_what_a_boot_leaves_and_names_the_line(scenario: Scenario, loader: Loader) -> None:
    found = at_boot(scenario.key, laid(*scenario.files, systemd=loader is Loader.SYSTEMD))
    wanted = expected(scenario, loader)

    if wanted is None:
        default = catalogue()[scenario.key].default("6.12.0") if scenario.key in catalogue() else None
        assert (found.value, found.by) == (default, "kernel default")
    else:
        assert found.value == wanted
        path, _, number = found.by.rpartition(":")
        [file] = [file for file in as_facts(scenario.files) if file.path == path]
        words = (file.content or "").split("\n")[int(number) - 1].partition("=")[2].split()
        # The line may spell it in hexadecimal, or have more behind it.
        assert int(words[0], 0) == int(wanted.split()[0])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("root"), KEYS)
    yield lab
    lab.close()


@pytest.mark.lab
@pytest.mark.skipif(boot_lab.missing() is not None, reason=str(boot_lab.missing()))
@each_loader
@each_scenario
def test_the_genuine_loader_leaves_the_same(lab: Lab, scenario: Scenario, loader: Loader) -> None:
    wanted = expected(scenario, loader)

    assert lab.boot(loader, scenario.files)[scenario.key].split() == (wanted or lab.defaults[scenario.key]).split()


def test_there_are_scenarios_enough_and_no_two_of_a_name() -> None:
    assert len({scenario.sentence for scenario in SCENARIOS}) == len(SCENARIOS) >= 30
    assert any(scenario.systemd != scenario.procps for scenario in SCENARIOS)


# What the login may not read. Root reads everything, so no genuine loader can be asked.

CLOSED = SysctlFile(path=f"{ETC}/60-closed.conf", content=None)


def closed(*files: Laid, among: SysctlFile = CLOSED, systemd: bool = True) -> HostFacts:
    host = laid(*files, systemd=systemd)
    return host.model_copy(update={"sysctl_files": (*host.sysctl_files, among)})


@each_loader
def test_a_file_that_may_not_be_read_and_comes_later_makes_the_boot_unknown(loader: Loader) -> None:
    found = at_boot(QUEUE, closed(queue(f"{ETC}/50-a.conf", 100), systemd=loader is Loader.SYSTEMD))

    assert (found.value, found.known, found.by) == (None, False, f"{CLOSED.path} cannot be read")


@each_loader
def test_a_file_that_may_not_be_read_and_comes_earlier_changes_nothing(loader: Loader) -> None:
    found = at_boot(QUEUE, closed(queue(f"{ETC}/70-a.conf", 100), systemd=loader is Loader.SYSTEMD))

    assert found.value == "100"


def test_a_file_that_may_not_be_read_may_hold_what_beats_a_pattern_that_comes_later() -> None:
    found = at_boot(QUEUE, closed(line("net.core.somax* = 100", f"{ETC}/70-a.conf")))

    assert found.value is None


def test_a_file_that_may_not_be_read_and_is_masked_changes_nothing() -> None:
    vendors = SysctlFile(path=f"{LIB}/60-closed.conf", content=None)

    assert at_boot(QUEUE, closed(Laid(CLOSED.path), queue(f"{ETC}/50-a.conf", 100), among=vendors)).value == "100"


def test_a_sysctl_conf_that_may_not_be_read_makes_the_boot_unknown_under_procps_alone() -> None:
    conf = SysctlFile(path=CONF, content=None)
    mine = queue(f"{ETC}/50-a.conf", 100)

    assert at_boot(QUEUE, closed(mine, among=conf, systemd=True)).value == "100"
    assert at_boot(QUEUE, closed(mine, among=conf, systemd=False)).value is None


def test_a_folder_that_may_not_be_listed_may_hold_any_name() -> None:
    folder = SysctlFile(path=f"{RUN}/*.conf", content=None)

    assert at_boot(QUEUE, closed(queue(f"{ETC}/zz.conf", 100), among=folder)).value is None


def test_three_numbers_of_which_a_file_gives_one_are_not_taken_for_whole() -> None:
    found = boot_model(laid(line(f"{RMEM} = 8192")), catalogue()).at_boot(RMEM)

    assert (found.systemd.value, found.systemd.partial) == ("8192", True)
