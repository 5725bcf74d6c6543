"""The catalogue against the running kernel: what exists, what it holds, who may write it, and what a write stores.

What a kernel of another release does differently belongs into the data, not here. TCPTUNE_KERNEL_CASES sets how many
values each writable key gets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2.nativetypes
import kernel_lab
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kernel_lab import Kernel, Outcome, Seen

from tcptune.domain import strict
from tcptune.domain.kernel_values import Refused, Stored, equal, stored
from tcptune.domain.parameters import NUMERIC, Parameter, Shape, View
from tcptune.domain.values import kernel_text
from tcptune.knowledge.catalogue import catalogue

CASES = int(os.environ.get("TCPTUNE_KERNEL_CASES", "40"))
RELEASE = os.uname().release
WRITABLE = [
    key
    for key, known in catalogue().items()
    if (here := known.at(RELEASE)).in_child is View.WRITABLE and not here.missing
]
MANY = max(CASES, 1000)
EASY = settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))

# The other rules are about spelling: quotes, octal numbers, units, and more or fewer numbers than there are.
MEANING = {strict.Rule.RANGE, strict.Rule.NEGATIVE, strict.Rule.MEANING, strict.Rule.ORDER}

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
        if _loaded(known)
        for difference in _differences(known, found[key])
    ]

    assert not differences, f"Linux {RELEASE} differs from the catalogue:\n  " + "\n  ".join(differences)


def test_the_machine_itself_has_every_key_that_its_kernel_should_have() -> None:
    root = Path("/proc/sys")
    differences = []
    for key, known in catalogue().items():
        expected = known.at(RELEASE).missing is None
        exists = (root / key.replace(".", "/")).exists()
        if exists != expected and _loaded(known):
            differences.append(
                f"{key}: {'exists' if exists else 'does not exist'}; {known.at(RELEASE).missing or 'known'}"
            )

    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("key", WRITABLE)
def test_our_verdict_on_a_written_value_is_the_kernels(kernel: Kernel, key: str) -> None:
    agree(kernel, key, CASES)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("key", WRITABLE)
def test_our_verdict_on_many_written_values_is_the_kernels(kernel: Kernel, key: str) -> None:
    agree(kernel, key, MANY)


def agree(kernel: Kernel, key: str, cases: int) -> None:
    """Write generated values: what is stored, or how it is refused and what is kept then, is what the model says."""
    known = catalogue()[key]
    if not _loaded(known):
        pytest.skip(f"module {known.module} is not loaded")

    @given(text=texts(known), setup=setups(known))
    @example(text="", setup={})
    @example(text="0" * 20 + "5", setup={})
    @settings(EASY, max_examples=cases)
    def check(text: str, setup: dict[str, str]) -> None:
        outcome = kernel.write(key, text, setup)
        verdict = _verdict(kernel, known, text, outcome)
        match verdict:
            case Stored():
                assert (outcome.errno, kernel_text(outcome.after)) == (None, verdict.text), text
            case Refused():
                kept = kernel_text(outcome.before) if verdict.leaves is None else verdict.leaves
                assert (outcome.errno, kernel_text(outcome.after)) == (verdict.errno, kept), text

    check()


@pytest.mark.parametrize("key", WRITABLE)
def test_what_our_rules_let_pass_is_stored_as_it_reads(kernel: Kernel, key: str) -> None:
    known = catalogue()[key]
    if not _loaded(known):
        pytest.skip(f"module {known.module} is not loaded")

    @given(text=texts(known).filter(lambda text: not strict.mistakes(known, text)))
    @settings(EASY, max_examples=10)
    def check(text: str) -> None:
        outcome = kernel.write(key, text)
        if outcome.errno is None:
            assert equal(known, text, kernel_text(outcome.after), kernel=RELEASE, hz=kernel.hz)
        else:
            # What the text alone cannot say: another setting's value, or the names this kernel knows.
            assert known.limits or known.shape in {Shape.NAME, Shape.NAMES}, f"{text!r}: {outcome.errno}"

    check()


@pytest.mark.parametrize("key", WRITABLE)
def test_a_text_that_reads_back_as_written_is_refused_for_what_it_means_alone(kernel: Kernel, key: str) -> None:
    known = catalogue()[key]
    if not _loaded(known):
        pytest.skip(f"module {known.module} is not loaded")

    @given(text=texts(known))
    @EASY
    def check(text: str) -> None:
        outcome = kernel.write(key, text)
        if outcome.errno is None and outcome.after.split("\t") == text.split(" "):
            assert {mistake.rule for mistake in strict.mistakes(known, text)} <= MEANING, text

    check()


def _verdict(kernel: Kernel, known: Parameter, text: str, outcome: Outcome) -> Stored | Refused:
    peers = dict(outcome.peers)
    if known.shape is Shape.NAME:
        names = ("net.ipv4.tcp_available_congestion_control", "net.ipv4.tcp_allowed_congestion_control")
        peers |= {key: seen.text or "" for key, seen in kernel.see(names).items()}
    return stored(
        known,
        text,
        kernel=RELEASE,
        hz=kernel.hz,
        current=kernel_text(outcome.before),
        peers=peers,
        in_child=True,
    )


def _loaded(known: Parameter) -> bool:
    return (
        known.module is None
        or Path("/sys/module", known.module).exists()
        or Path("/proc/sys/net/netfilter/nf_conntrack_max").exists()
    )


def _differences(known: Parameter, seen: Seen) -> Iterator[str]:
    here = known.at(RELEASE)
    expected = "absent" if here.missing else here.in_child.value
    actual = seen.view
    if here.in_child is View.MACHINE and not here.missing:
        # The tree around it is read-only here, so the mode has to tell.
        expected = "read-only" if known.read_only else "writable"
        actual = "writable" if seen.mode & 0o200 else seen.view
    if actual != expected:
        yield f"{known.key}: {actual} in a child namespace, the catalogue says {expected} ({here.missing or 'exists'})"
        return
    if seen.text is None:
        return
    if known.shape in NUMERIC and len(seen.text.split()) != known.arity:
        yield f"{known.key}: holds {seen.text!r}, the catalogue says {known.shape.value}"
    elif here.in_child is not View.MACHINE and not _is_default(known, kernel_text(seen.text)):
        yield f"{known.key}: holds {seen.text!r} in a fresh namespace, the catalogue says {here.default}"


def _is_default(known: Parameter, text: str) -> bool:
    default = known.at(RELEASE).default
    assert default is not None
    if default.value is not None:
        return default.value == text
    if default.formula is None:
        return True
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    values = {
        "memory_bytes": memory,
        "page_size_bytes": os.sysconf("SC_PAGE_SIZE"),
        "cpus": os.cpu_count(),
        "max": max,
        "min": min,
        "round_up_pow2": lambda number: 1 << (number - 1).bit_length(),
    }
    result: Any = jinja2.nativetypes.NativeEnvironment().from_string("{{ " + default.formula + " }}").render(values)
    return kernel_text(result) == text


NUMBERS = [-1, 0, 1, 2, 3, 4, 5, 8, 31, 63, 127, 255, 256, 999, 1000, 1024, 32768, 60999, 65535, 65536]
NUMBERS += [2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, -(2**31), -(2**31) - 1, 2**63, 2**64 - 1, 2**64]


def texts(known: Parameter) -> st.SearchStrategy[str]:
    """Generate what people and programs write for a setting: mostly numbers near its bounds, spelled in every way."""
    if known.shape is Shape.PORTS:
        return port_lists()
    if known.shape in {Shape.NAME, Shape.NAMES}:
        real = st.sampled_from(
            ["reno", "cubic", "bbr", "Reno", "nosuch", "reno bbr", " reno", "reno ", '"reno"', "", "r" * 20]
        )
        return st.one_of(real, st.text(st.sampled_from("abc_- 1\t"), max_size=18))
    bounds = known.accepted(RELEASE).bounds(250)
    assert bounds is not None
    edges = [n + d for n in (bounds.min, bounds.max, known.sensible.min, known.sensible.max) for d in (-1, 0, 1)]
    number = st.one_of(
        st.sampled_from(edges),
        st.integers(known.sensible.min, known.sensible.max),
        st.sampled_from(NUMBERS),
        st.integers(-(2**65), 2**65),
    )
    token = st.one_of(number.map(str), number.map(str), spelled(number))
    if known.arity == 1:
        return st.one_of(token, token, st.lists(token, max_size=3).flatmap(joined))
    ordered = st.lists(st.integers(1, known.sensible.max), min_size=known.arity, max_size=known.arity).map(
        lambda ns: " ".join(map(str, sorted(ns)))
    )
    return st.one_of(ordered, st.lists(token, max_size=known.arity + 1).flatmap(joined))


def spelled(number: st.SearchStrategy[int]) -> st.SearchStrategy[str]:
    forms = [
        "{:#x}",
        "{:#X}",
        "0{:o}",
        "0{}",
        "{:022}",
        "{:020}",
        "{}s",
        "{}.5",
        "+{}",
        '"{}"',
        "{},",
        "{}#",
        "{}\r",
        "{} ",
        " {}",
        "\v{}",
        "{}\t",
        "{}\n",
        "\xa0{}",
        "-{}",
        "{}e3",
        "0x",
        "08",
        "-",
        "yes",
        "#{}",
    ]
    return st.builds(lambda form, n: form.format(n), st.sampled_from(forms), number)


def joined(tokens: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from([" ", "\t", "  ", "\n", ", ", ","]).map(lambda between: between.join(tokens))


def port_lists() -> st.SearchStrategy[str]:
    port = st.one_of(st.integers(0, 65535), st.sampled_from([0, 1, 8080, 8081, 8082, 65535, 65536, -1]))
    word = st.one_of(
        port.map(str),
        st.tuples(port, port).map(lambda ends: f"{min(ends)}-{max(ends)}"),
        st.tuples(port, port).map(lambda ends: f"{ends[0]}-{ends[1]}"),
        st.sampled_from(["", "0x1f90", "010", "08", " 80", "80 ", "80-", "-80", "a", "1-2-3", "80\n", "\n80"]),
    )
    plain = st.lists(st.integers(1, 65535).map(str), min_size=1, max_size=8).map(",".join)
    return st.one_of(plain, st.lists(word, max_size=6).map(",".join))


def setups(known: Parameter) -> st.SearchStrategy[Mapping[str, str]]:
    """Generate values of the settings that limit this one."""
    return st.fixed_dictionaries({}, optional={limit.key: st.integers(1, 2000).map(str) for limit in known.limits})
