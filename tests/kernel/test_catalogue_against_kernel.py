"""The catalogue against the running kernel: what exists, what it holds, who may write it, and what a write stores.

What a kernel of another release does differently belongs into the data, not here; tests/vm asks other releases.
TCPTUNE_KERNEL_CASES sets how many values each writable key gets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tcptune.domain.parameters import Parameter
from tcptune.knowledge.catalogue import catalogue
from tests.kernel import kernel_lab, oracle
from tests.kernel.kernel_lab import Kernel, System

CASES = int(os.environ.get("TCPTUNE_KERNEL_CASES", "40"))
RELEASE = os.uname().release
MANY = max(CASES, 1000)
WRITABLE = oracle.writable(RELEASE)

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(kernel_lab.missing() is not None, reason=str(kernel_lab.missing())),
]


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    yield kernel
    kernel.close()


def test_the_catalogue_describes_a_fresh_namespace_of_this_kernel(kernel: Kernel) -> None:
    found = kernel.see(catalogue())
    differences = [
        difference
        for key, known in catalogue().items()
        if oracle.is_loaded(known, kernel.system)
        for difference in oracle.differences(known, found[key], kernel.system)
    ]

    assert not differences, f"Linux {RELEASE} differs from the catalogue:\n  " + "\n  ".join(differences)


def test_the_machine_itself_has_every_key_that_its_kernel_should_have() -> None:
    root, system = Path("/proc/sys"), System.here()
    differences = []
    for key, known in catalogue().items():
        expected = known.at(RELEASE).missing is None
        exists = (root / key.replace(".", "/")).exists()
        if exists != expected and oracle.is_loaded(known, system):
            differences.append(
                f"{key}: {'exists' if exists else 'does not exist'}; {known.at(RELEASE).missing or 'known'}"
            )

    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("key", WRITABLE)
def test_our_verdict_on_a_written_value_is_the_kernels(kernel: Kernel, key: str) -> None:
    oracle.check_verdict(kernel, here(kernel, key), CASES)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("key", WRITABLE)
def test_our_verdict_on_many_written_values_is_the_kernels(kernel: Kernel, key: str) -> None:
    oracle.check_verdict(kernel, here(kernel, key), MANY)


@pytest.mark.parametrize("key", WRITABLE)
def test_what_our_rules_let_pass_is_stored_as_it_reads(kernel: Kernel, key: str) -> None:
    oracle.check_strict(kernel, here(kernel, key), 10)


@pytest.mark.parametrize("key", WRITABLE)
def test_a_text_that_reads_back_as_written_is_refused_for_what_it_means_alone(kernel: Kernel, key: str) -> None:
    oracle.check_meaning(kernel, here(kernel, key), CASES)


def here(kernel: Kernel, key: str) -> Parameter:
    """Return a setting of this machine; without its module there is nothing to test."""
    known = catalogue()[key]
    if not oracle.is_loaded(known, kernel.system):
        pytest.skip(f"module {known.module} is not loaded")
    return known
