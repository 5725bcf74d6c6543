"""Why a rule on a setting has no meaning on a host: the kernel, the network namespace or a module is in the way."""

from __future__ import annotations

from tcptune.domain.facts import Absent, HostFacts, Reading, Value
from tcptune.domain.guards import Scope
from tcptune.domain.hosts import NOTHING_DECLARED
from tcptune.domain.parameters import Parameter, View
from tcptune.planning.rules import situation


def reason_against(reading: Reading | None, facts: HostFacts, parameter: Parameter | None) -> str | None:
    """Return why the setting cannot be asked for here, or None where it can.

    A setting of the whole machine that its containers only see is the machine's business, whatever its value.
    """
    kernel = facts.system.kernel
    in_child = situation(facts, NOTHING_DECLARED).scope is Scope.NAMESPACE
    here = parameter.at(kernel) if parameter else None
    match reading:
        case Absent():
            if here and here.missing:
                return here.missing
            if here and in_child and here.in_child is View.ABSENT:
                return "of the whole machine: a network namespace has no such key; set it on the host"
            if parameter and parameter.module:
                return _module_missing(parameter.module, facts)
            return f"Linux {kernel} has no such key here"
        case Value(writable=False, text=text) if here and in_child and here.in_child is View.READ_ONLY:
            return f"of the whole machine, which has {text}: a network namespace only sees it; set it on the host"
    return None


def _module_missing(module: str, facts: HostFacts) -> str:
    if module == "nf_conntrack" and facts.conntrack is not None and not facts.conntrack.loaded:
        return "the module nf_conntrack is not loaded"
    return f"Linux {facts.system.kernel} has no such key here: it needs the kernel module {module}"
