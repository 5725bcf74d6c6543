"""The catalogue against the kernel of each release: what exists, what it holds after a boot, and what a write stores.

A difference is named by its key, and belongs into the data: what differs by version is data, not code.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator

import pytest

from tcptune.domain.facts import HostFacts, Value
from tcptune.domain.parameters import Parameter
from tcptune.knowledge.catalogue import catalogue
from tests.acceptance.command import Tcptune
from tests.kernel import oracle
from tests.kernel.kernel_lab import WORKER, Kernel, System
from tests.lab.vm import VmLab
from tests.vm.conftest import On

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

CASES = int(os.environ.get("TCPTUNE_KERNEL_CASES", "10"))
MODULES = sorted({known.module for known in catalogue().values() if known.module})
# Whoever builds the kernel decides whether it has these at all.
OPTIONS = {"net.mptcp.enabled": "CONFIG_MPTCP=y"}
# Up to 6.1 at least its handler forgets that it could not read the text: nothing is stored, and no error told.
FORGETFUL = {"net.ipv6.conf.all.disable_ipv6"}
Settings = dict[str, Parameter]


@pytest.fixture(scope="module")
def loaded(vm: VmLab, used: set[str]) -> VmLab:
    """Give the machine after a boot and nothing else, with every module that brings settings."""
    if vm.name in used:
        vm.reset()
    used.add(vm.name)
    for module in MODULES:
        vm.run(None, ["modprobe", module])
    return vm


@pytest.fixture(scope="module")
def system(loaded: VmLab) -> System:
    page = int(loaded.run(None, ["getconf", "PAGE_SIZE"]).stdout)
    return System(
        release=loaded.run(None, ["uname", "-r"]).stdout.strip(),
        memory_bytes=page * int(loaded.run(None, ["getconf", "_PHYS_PAGES"]).stdout),
        page_size_bytes=page,
        cpus=int(loaded.run(None, ["getconf", "_NPROCESSORS_ONLN"]).stdout),
        modules=frozenset(MODULES),
    )


@pytest.fixture(scope="module")
def known(loaded: VmLab, system: System) -> Settings:
    """Give the settings that this kernel was built with."""
    built = loaded.run(None, ["cat", f"/boot/config-{system.release}"]).stdout.splitlines()
    return {key: known for key, known in catalogue().items() if OPTIONS.get(key, built[0]) in built}


@pytest.fixture(scope="module")
def kernel(loaded: VmLab, system: System) -> Iterator[Kernel]:
    outside = loaded.run(None, ["readlink", "/proc/self/ns/net"]).stdout.strip()
    argv = ["unshare", "--net", "--mount", "python3", "-c", WORKER.read_text(), outside]
    kernel = Kernel(loaded.command(None, shlex.join(argv)), system)
    yield kernel
    kernel.close()


def test_the_facts_of_a_fresh_host_are_what_the_catalogue_says(
    tcptune: Tcptune, on: On, system: System, known: Settings
) -> None:
    file = tcptune.file("facts.jsonl")
    tcptune("facts", *on(), "-o", file)
    facts = HostFacts.model_validate_json(file.read_text().splitlines()[1])

    _nothing((line for one in known.values() for line in _fact_differences(one, facts, system)), system)


def test_a_fresh_namespace_is_what_the_catalogue_says(kernel: Kernel, known: Settings, system: System) -> None:
    seen = kernel.see(known)

    _nothing((line for key, one in known.items() for line in oracle.differences(one, seen[key], system)), system)


def test_our_verdict_on_a_written_value_is_the_kernels(kernel: Kernel, known: Settings, system: System) -> None:
    told = {key: one for key, one in known.items() if key not in FORGETFUL}

    _nothing(_tried(told, system, lambda one: oracle.check_verdict(kernel, one, CASES)), system)


def test_what_our_rules_let_pass_is_stored_as_it_reads(kernel: Kernel, known: Settings, system: System) -> None:
    _nothing(_tried(known, system, lambda one: oracle.check_strict(kernel, one, CASES)), system)


def _fact_differences(known: Parameter, facts: HostFacts, system: System) -> Iterator[str]:
    """Say how the machine itself, as the tool reads it, differs from the catalogue."""
    here, fact = known.at(system.release), facts.sysctl.get(known.key)
    exists = fact is not None and fact.state != "absent"
    if exists != (here.missing is None):
        yield f"{known.key}: {'exists' if exists else 'does not exist'}, the catalogue says {here.missing or 'it does'}"
    elif isinstance(fact, Value):
        if fact.writable == known.read_only:
            yield f"{known.key}: {'can' if fact.writable else 'cannot'} be written, the catalogue says otherwise"
        # What systemd or Debian sets at boot is not the kernel's default, and the catalogue says who does.
        wrong = oracle.default_differs(known, fact.text, system, compare=known.default_note is None)
        if wrong:
            yield wrong


def _tried(known: Settings, system: System, check: Callable[[Parameter], None]) -> Iterator[str]:
    """Check each setting that may be written, and go on after one that is not as it should be."""
    for key in oracle.writable(system.release):
        if key in known:
            try:
                check(known[key])
            except AssertionError as wrong:
                yield f"{key}: {wrong}"


def _nothing(differences: Iterable[str], system: System) -> None:
    lines = list(differences)
    assert not lines, f"Linux {system.release} differs from the catalogue:\n  " + "\n  ".join(lines)
