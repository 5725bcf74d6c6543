"""`when`: on which hosts an entry of a profile has a meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from operator import eq, ge, gt, le, lt
from typing import Annotated, Any

from pydantic import AfterValidator

from tcptune.domain.facts import kernel_version
from tcptune.domain.values import Frozen

_COMPARES: dict[str, Callable[[Any, Any], bool]] = {">=": ge, "<=": le, "==": eq, ">": gt, "<": lt}
_BOUND = re.compile(r"(>=|<=|==|>|<)\s*(\S.*)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(MiB|GiB|TiB)")
_SHOWN = 4
_UNITS = {"MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}


class Scope(StrEnum):
    """Where a host's network stack stands."""

    HOST = "host"
    """The network namespace the machine booted with."""
    NAMESPACE = "namespace"
    """A child network namespace: a container or a pod."""


def _kernel_range(text: str) -> str:
    for _, version in _bounds(text):
        if not re.fullmatch(r"\d+\.\d+", version):
            raise ValueError(f"{version!r} is no kernel version such as 5.10")
    return text


def _memory_range(text: str) -> str:
    for _, size in _bounds(text):
        _bytes(size)
    return text


class Guard(Frozen):
    """Every condition that is given has to hold. A list holds if one of its items does."""

    kernel: Annotated[str, AfterValidator(_kernel_range)] | None = None
    """For example '>= 5.4, < 6.6'."""
    memory: Annotated[str, AfterValidator(_memory_range)] | None = None
    """For example '>= 8 GiB'."""
    virtualization: tuple[str, ...] = ()
    """vm, container, or a name such as kvm or docker; none for bare metal."""
    scope: Scope | None = None
    roles: tuple[str, ...] = ()
    """Names that the inventory variable tcptune_roles may hold."""
    hosts: tuple[str, ...] = ()
    """Names of hosts in the inventory, or wildcards."""

    def __str__(self) -> str:
        return "; ".join(
            words
            for words in (
                f"kernel {self.kernel}" if self.kernel else "",
                f"memory {self.memory}" if self.memory else "",
                f"virtualization {' or '.join(self.virtualization)}" if self.virtualization else "",
                {None: "", Scope.HOST: "on the host itself", Scope.NAMESPACE: "in a network namespace"}[self.scope],
                f"role {' or '.join(self.roles)}" if self.roles else "",
                f"host {' or '.join(self.hosts)}" if self.hosts else "",
            )
            if words
        )


class Situation(Frozen):
    """What guards ask of a host. None where it is not known."""

    kernel: str
    memory_bytes: int | None
    virtualization: tuple[str, ...] | None = None
    """Every name that fits: ('vm', 'kvm'), ('container', 'docker', 'vm', 'kvm'), ('none',)."""
    scope: Scope | None = None
    roles: tuple[str, ...] = ()
    host: str | None = None
    """Its name in the inventory."""


def unmet(guard: Guard, here: Situation) -> str | None:
    """Say in words why a guard does not hold, or None where it does.

    Raises ValueError where that depends on what is not known of the host.
    """
    if guard.kernel and not _holds(guard.kernel, kernel_version(here.kernel), kernel_version):
        return f"only for kernel {guard.kernel}; this is {here.kernel}"
    if guard.memory and here.memory_bytes is None:
        raise ValueError("it is not known how much memory this host has")
    if guard.memory and here.memory_bytes and not _holds(guard.memory, here.memory_bytes, _bytes):
        return f"only for memory {guard.memory}; this host has {here.memory_bytes / 1024**3:.1f} GiB"
    if reason := _not_meant(guard, here):
        return reason
    if guard.scope:
        if here.scope is None:
            raise ValueError("it is not known whether this is a child network namespace")
        if guard.scope is not here.scope:
            here_is = "a child network namespace" if here.scope is Scope.NAMESPACE else "the host itself"
            return f"only {Guard(scope=guard.scope)}; this is {here_is}"
    if guard.virtualization:
        if here.virtualization is None:
            raise ValueError("it is not known whether this host is virtual")
        if not set(here.virtualization) & set(guard.virtualization):
            return f"only for virtualization {' or '.join(guard.virtualization)}; this is {here.virtualization[-1]}"
    return None


def _not_meant(guard: Guard, here: Situation) -> str | None:
    if guard.roles and not set(guard.roles) & set(here.roles):
        has = f"has {', '.join(here.roles)}" if here.roles else "has none (inventory variable tcptune_roles)"
        return f"only for role {' or '.join(guard.roles)}; this host {has}"
    if guard.hosts and here.host is None:
        raise ValueError("it is not known which host this is")
    if guard.hosts and not any(fnmatchcase(here.host or "", pattern) for pattern in guard.hosts):
        # Without the name of this one, so that all hosts of a fleet share the reason.
        return f"only for host {_few(guard.hosts)}"
    return None


def _few(names: Sequence[str]) -> str:
    shown = names if len(names) <= _SHOWN else [*names[: _SHOWN - 1], f"{len(names) - _SHOWN + 1} others"]
    return " or ".join(shown)


def _holds(text: str, actual: object, read: Callable[[str], object]) -> bool:
    return all(_COMPARES[sign](actual, read(bound)) for sign, bound in _bounds(text))


def _bounds(text: str) -> list[tuple[str, str]]:
    found = []
    for part in text.split(","):
        match = _BOUND.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part.strip()!r} is no comparison; write for example '>= 5.4, < 6.6' or '>= 8 GiB'")
        found.append((match[1], match[2].strip()))
    return found


def _bytes(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no size such as 8 GiB")
    return int(float(match[1]) * _UNITS[match[2]])
