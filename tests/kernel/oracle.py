"""The catalogue compared with a kernel, setting by setting: what exists, what it holds, what a write stores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jinja2.nativetypes
from hypothesis import HealthCheck, example, given, settings

from tcptune.domain import strict
from tcptune.domain.kernel_values import Refused, Stored, equal, stored
from tcptune.domain.parameters import NUMERIC, Parameter, Shape, View
from tcptune.domain.values import kernel_text
from tcptune.knowledge.catalogue import catalogue
from tests.kernel.kernel_lab import Kernel, Outcome, Seen, System
from tests.kernel.written import setups, texts

# The other rules are about spelling: quotes, octal numbers, units, and more or fewer numbers than there are.
_MEANING = {strict.Rule.RANGE, strict.Rule.NEGATIVE, strict.Rule.MEANING, strict.Rule.ORDER}


def writable(release: str) -> list[str]:
    """Name the settings that a child namespace of this kernel may write."""
    return [
        key
        for key, known in catalogue().items()
        if (here := known.at(release)).in_child is View.WRITABLE and not here.missing
    ]


def is_loaded(known: Parameter, system: System) -> bool:
    """Tell whether the module is there without which the setting is not."""
    return known.module is None or known.module in system.modules


def differences(known: Parameter, seen: Seen, system: System) -> Iterator[str]:
    """Say how a fresh namespace differs from what the catalogue says of this setting."""
    here = known.at(system.release)
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
    wrong = default_differs(known, kernel_text(seen.text), system, compare=here.in_child is not View.MACHINE)
    if wrong:
        yield wrong


def default_differs(known: Parameter, text: str, system: System, *, compare: bool = True) -> str | None:
    """Say how a value differs from the default that the catalogue has for it; None where it does not.

    Without `compare` any value will do, as long as it has as many numbers as it should.
    """
    if known.shape in NUMERIC and len(text.split()) != known.arity:
        return f"{known.key}: holds {text!r}, the catalogue says {known.shape.value}"
    if not compare or _is_default(known, text, system):
        return None
    return f"{known.key}: holds {text!r}, the catalogue says {known.at(system.release).default}"


def check_verdict(kernel: Kernel, known: Parameter, cases: int) -> None:
    """Write all sorts of texts, and compare what the kernel does with what we say it does."""

    @given(text=texts(known, kernel.release), setup=setups(known))
    @example(text="", setup={})
    @example(text="0" * 20 + "5", setup={})
    @_easy(cases)
    def check(text: str, setup: dict[str, str]) -> None:
        outcome = kernel.write(known.key, text, setup)
        verdict = _verdict(kernel, known, text, outcome)
        if isinstance(verdict, Refused):
            kept = kernel_text(outcome.before) if verdict.leaves is None else verdict.leaves
            said = (verdict.errno, kept)
        else:
            said = (None, verdict.text)
        done = (outcome.errno, kernel_text(outcome.after))
        assert done == said, f"{text!r} written after {dict(setup)}: the kernel did {done}, we say {said}"

    check()


def check_strict(kernel: Kernel, known: Parameter, cases: int) -> None:
    """Write what our rules let pass: the kernel has to store it as it reads."""

    @given(text=texts(known, kernel.release).filter(lambda text: not strict.mistakes(known, text)))
    @_easy(cases)
    def check(text: str) -> None:
        outcome = kernel.write(known.key, text)
        if outcome.errno is None:
            assert equal(known, text, kernel_text(outcome.after), kernel=kernel.release, hz=kernel.hz)
        else:
            # What the text alone cannot say: another setting's value, or the names this kernel knows.
            assert known.limits or known.shape in {Shape.NAME, Shape.NAMES}, f"{text!r}: {outcome.errno}"

    check()


def check_meaning(kernel: Kernel, known: Parameter, cases: int) -> None:
    """Write all sorts of texts: one that reads back as written may be refused by us for what it means alone."""

    @given(text=texts(known, kernel.release))
    @_easy(cases)
    def check(text: str) -> None:
        outcome = kernel.write(known.key, text)
        if outcome.errno is None and outcome.after.split("\t") == text.split(" "):
            assert {mistake.rule for mistake in strict.mistakes(known, text)} <= _MEANING, text

    check()


def _easy(cases: int) -> settings:
    return settings(
        max_examples=cases,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


def _verdict(kernel: Kernel, known: Parameter, text: str, outcome: Outcome) -> Stored | Refused:
    peers = dict(outcome.peers)
    if known.shape is Shape.NAME:
        names = ("net.ipv4.tcp_available_congestion_control", "net.ipv4.tcp_allowed_congestion_control")
        peers |= {key: seen.text or "" for key, seen in kernel.see(names).items()}
    return stored(
        known,
        text,
        kernel=kernel.release,
        hz=kernel.hz,
        current=kernel_text(outcome.before),
        peers=peers,
        in_child=True,
    )


def _is_default(known: Parameter, text: str, system: System) -> bool:
    default = known.at(system.release).default
    assert default is not None
    if default.value is not None:
        return default.value == text
    if default.formula is None:
        return True
    values = {
        "memory_bytes": system.memory_bytes,
        "page_size_bytes": system.page_size_bytes,
        "cpus": system.cpus,
        "max": max,
        "min": min,
        "round_up_pow2": lambda number: 1 << (number - 1).bit_length(),
    }
    result: Any = jinja2.nativetypes.NativeEnvironment().from_string("{{ " + default.formula + " }}").render(values)
    wanted = kernel_text(result)
    if "free" not in (default.words or ""):
        return wanted == text
    # It counts the memory that is free at boot, and we know all of it, which is a little more.
    pairs = zip(text.split(), wanted.split(), strict=True)
    return all(0.9 * int(most) <= int(number) <= int(most) for number, most in pairs)
