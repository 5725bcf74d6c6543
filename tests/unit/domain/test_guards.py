"""A guard that does not hold says so in words; what is not known is no answer."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tcptune.domain.guards import Guard, Scope, Situation, unmet

HERE = Situation(
    kernel="6.1.0-37-amd64",
    memory_bytes=8 * 1024**3,
    virtualization=("vm", "kvm"),
    scope=Scope.HOST,
    roles=("edge",),
    host="web1",
)


@pytest.mark.parametrize(
    "guard",
    [
        Guard(),
        Guard(kernel=">= 5.10, < 6.6"),
        Guard(memory=">= 8 GiB"),
        Guard(virtualization=("none", "kvm")),
        Guard(virtualization=("vm",)),
        Guard(scope=Scope.HOST),
        Guard(roles=("edge", "core")),
        Guard(hosts=("db1", "web1")),
        Guard(hosts=("web*",)),
    ],
)
def test_a_guard_that_holds_has_nothing_to_say(guard: Guard) -> None:
    assert unmet(guard, HERE) is None


@pytest.mark.parametrize(
    ("guard", "words"),
    [
        (Guard(kernel=">= 6.6"), "only for kernel >= 6.6; this is 6.1.0-37-amd64"),
        (Guard(memory="< 4 GiB"), "only for memory < 4 GiB; this host has 8.0 GiB"),
        (Guard(virtualization=("none",)), "only for virtualization none; this is kvm"),
        (Guard(scope=Scope.NAMESPACE), "only in a network namespace; this is the host itself"),
        (Guard(roles=("core",)), "only for role core; this host has edge"),
        (Guard(hosts=("web", "Web1")), "only for host web or Web1"),
        (Guard(hosts=("a", "b", "c", "d", "e")), "only for host a or b or c or 2 others"),
        (Guard(kernel=">= 5.4", roles=("core",)), "only for role core; this host has edge"),
    ],
)
def test_a_guard_that_does_not_hold_is_put_in_words(guard: Guard, words: str) -> None:
    assert unmet(guard, HERE) == words


@pytest.mark.parametrize(
    "guard",
    [Guard(scope=Scope.HOST), Guard(virtualization=("none",)), Guard(memory=">= 1 GiB"), Guard(hosts=("web1",))],
)
def test_what_is_not_known_of_a_host_neither_holds_nor_fails(guard: Guard) -> None:
    with pytest.raises(ValueError, match="not known"):
        unmet(guard, Situation(kernel="6.1", memory_bytes=None))


@pytest.mark.parametrize("text", ["6.6", "=> 6.6", ">= six", ">= 6", ">= 6.6,"])
def test_a_kernel_range_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Guard(kernel=text)
