"""Compare facts with a profile. Three layers at once: wanted, actual, at boot."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from tcptune.domain.boot import AtBoot, BootValue, Loader
from tcptune.domain.changes import DROPIN_PATH
from tcptune.domain.demands import Demand, Leave, Unset, meets
from tcptune.domain.facts import Absent, HostFacts, Unreadable, Value
from tcptune.domain.findings import (
    Boot,
    Deviates,
    Finding,
    HostAudit,
    Layers,
    Met,
    NotApplicable,
    Unknown,
    Waived,
    Where,
)
from tcptune.domain.hosts import NOTHING_DECLARED, Declared
from tcptune.domain.parameters import ARITY, Parameter
from tcptune.domain.profile import Profile, Waiver
from tcptune.domain.values import kernel_text, numbers
from tcptune.planning.boot import BootModel
from tcptune.planning.dropin import merged
from tcptune.planning.rules import Rule, rule_for
from tcptune.planning.unset import judge_unset


def audit_host(
    facts: HostFacts,
    profile: Profile,
    parameters: Mapping[str, Parameter],
    *,
    today: date,
    declared: Declared = NOTHING_DECLARED,
) -> HostAudit:
    """Judge everything the profile asks of one host, in the profile's order.

    Raises ProfileError where several profiles cannot be met together on this host.
    """
    model = boot_model(facts, parameters)
    findings: list[Finding] = []
    found: Finding
    for key, groups in profile.groups().items():
        rule = rule_for(key, groups, facts, parameters.get(key), declared)
        match rule:
            case Rule(demand=Unset()):
                found = _judge_unset(rule, facts, model, parameters)
            case Rule():
                found = _judge(rule, facts, model, parameters)
            case _:
                found = rule
        findings.append(_waived(found, facts.host, profile.waivers, today))
    return HostAudit(host=facts.host, kernel=facts.system.kernel, findings=tuple(findings))


def _waived(found: Finding, host: str, waivers: tuple[Waiver, ...], today: date) -> Finding:
    if not isinstance(found, Deviates):
        return found
    about = sorted((w for w in waivers if w.covers(found.key, host)), key=lambda w: w.until)
    if not about:
        return found
    last = about[-1]
    if last.until < today:
        return found.model_copy(update={"note": f"the waiver of {last.who} ran out on {last.until}: {last.why}"})
    return Waived(key=found.key, who=last.who, until=last.until, why=last.why, demand=found.demand, layers=found.layers)


def _judge_unset(rule: Rule, facts: HostFacts, model: BootModel, parameters: Mapping[str, Parameter]) -> Finding:
    return judge_unset(
        rule,
        facts.sysctl.get(rule.key),
        model,
        _layers(rule.key, "", "", facts, model, parameters),
        _default(rule.key, facts, parameters),
        systemd=facts.system.systemd,
    )


def _judge(rule: Rule, facts: HostFacts, model: BootModel, parameters: Mapping[str, Parameter]) -> Finding:
    match facts.sysctl.get(rule.key):
        case None:
            return Unknown(key=rule.key, why="these facts do not hold it; collect them again for this profile")
        case Absent():
            return NotApplicable(key=rule.key, why=_absence(rule.key, facts, parameters))
        case Unreadable():
            return Unknown(key=rule.key, why=f"uid {facts.system.user} may not read it on this host")
        case Value() as reading:
            if not _under(model.at_boot(rule.key), facts).certain:
                why = f"what a boot gives is not known: {', '.join(model.unreadable)} cannot be read"
                return Unknown(key=rule.key, why=why)
            try:
                return _compare(rule, reading, facts, model, parameters)
            except ValueError as problem:
                return Unknown(key=rule.key, why=str(problem))


def _compare(
    rule: Rule, reading: Value, facts: HostFacts, model: BootModel, parameters: Mapping[str, Parameter]
) -> Finding:
    wanted = rule.demand.settle(reading.text)
    layers = _layers(rule.key, wanted, reading.text, facts, model, parameters)
    runtime_met = wanted == reading.text
    boot_met = _boot_meets(rule.demand, layers.at_boot, otherwise=runtime_met)
    if isinstance(rule.demand, Leave) or (runtime_met and boot_met):
        return Met(key=rule.key, demand=rule.words, layers=layers, why=rule.why, source=rule.source)
    return Deviates(
        key=rule.key,
        demand=rule.words,
        layers=layers,
        where=Where.BOOT if runtime_met else Where.RUNTIME if boot_met else Where.BOTH,
        # Whoever is not root is told nothing by access(2) about what root may write.
        writable=reading.writable or facts.system.user != "0",
        shadowed_by=_shadow(rule.key, wanted, facts, model),
        why=rule.why,
        source=rule.source,
    )


def _layers(
    key: str, wanted: str, actual: str, facts: HostFacts, model: BootModel, parameters: Mapping[str, Parameter]
) -> Layers:
    own, other = _both_loaders(key, facts, model, parameters)
    return Layers(wanted=wanted, actual=actual, at_boot=own, other_loader=other if other.value != own.value else None)


def boot_model(facts: HostFacts, parameters: Mapping[str, Parameter]) -> BootModel:
    """Return what the host's files make of the next boot, with what the catalogue knows of widths and bounds."""

    def accepts(key: str, value: str) -> bool:
        parameter, found = parameters.get(key), numbers(value)
        if parameter is None or found is None:
            return parameter is None
        bounds = parameter.kernel_accepts
        return all(bounds.min <= number <= bounds.max for number in found)

    widths = {key: ARITY[p.shape] for key, p in parameters.items() if p.shape in ARITY}
    return BootModel(facts.sysctl_files, accepts=accepts, widths=widths)


def boot_layer(key: str, facts: HostFacts, model: BootModel, parameters: Mapping[str, Parameter]) -> Boot:
    """Return what the loader that this host boots with will have set."""
    return _both_loaders(key, facts, model, parameters)[0]


def _both_loaders(
    key: str, facts: HostFacts, model: BootModel, parameters: Mapping[str, Parameter]
) -> tuple[Boot, Boot]:
    found = model.at_boot(key)
    default = _default(key, facts, parameters)
    systemd, procps = _boot(found.systemd, default), _boot(found.procps, default)
    return (systemd, procps) if facts.system.systemd else (procps, systemd)


def _default(key: str, facts: HostFacts, parameters: Mapping[str, Parameter]) -> str | None:
    parameter = parameters.get(key)
    return parameter.default(facts.system.kernel) if parameter else None


def _boot(found: BootValue, default: str | None) -> Boot:
    if found.winner is None or found.value is None:
        return Boot(value=default, by="kernel default")
    value: str | None = kernel_text(found.value)
    if found.partial and value is not None:
        # The file names the first numbers only; the kernel keeps its own for the rest.
        rest = default.split()[len(value.split()) :] if default else None
        value = None if rest is None else " ".join([value, *rest])
    return Boot(value=value, by=found.winner.place)


def _boot_meets(demand: Demand, boot: Boot, *, otherwise: bool) -> bool:
    if boot.value is None:
        # No file sets it, and the kernel computes its default from the machine: then runtime is the best witness.
        return otherwise
    try:
        return meets(demand, boot.value)
    except ValueError:
        return False


def _shadow(key: str, wanted: str, facts: HostFacts, model: BootModel) -> str | None:
    """Return who would win at boot even if our own file said `wanted`, or None where we would."""
    ours = next((f.content for f in facts.sysctl_files if f.path == DROPIN_PATH), None)
    found = model.replacing(DROPIN_PATH, merged(ours, {key: wanted})).at_boot(key)
    winner = _under(found, facts).winner
    return None if winner is None or winner.path == DROPIN_PATH else winner.place


def _under(found: AtBoot, facts: HostFacts) -> BootValue:
    return found.under(Loader.SYSTEMD if facts.system.systemd else Loader.PROCPS)


def _absence(key: str, facts: HostFacts, parameters: Mapping[str, Parameter]) -> str:
    parameter = parameters.get(key)
    if parameter and parameter.removed_in:
        return "removed in Linux {}.{}".format(*parameter.removed_in)
    return f"Linux {facts.system.kernel} has no such key here"
