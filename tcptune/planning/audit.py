"""Compare facts with a profile. Three layers at once: wanted, actual, at boot."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from tcptune.domain.boot import AtBoot, BootValue, Loader
from tcptune.domain.changes import DROPIN_PATH
from tcptune.domain.demands import Leave, Unset, meets
from tcptune.domain.facts import HostFacts, System, Unreadable, Value
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
from tcptune.domain.kernel_values import Stored, stored
from tcptune.domain.parameters import ARITY, USUAL_HZ, Parameter, Storage
from tcptune.domain.profile import Profile, Waiver
from tcptune.domain.values import kernel_text
from tcptune.planning import checks
from tcptune.planning.applicability import reason_against
from tcptune.planning.boot import BootModel
from tcptune.planning.checks.scene import Scene
from tcptune.planning.dropin import merged
from tcptune.planning.kernel_default import computed_default, is_near
from tcptune.planning.late_modules import brought_up, loaded_late, remedy
from tcptune.planning.limits import audit_limits
from tcptune.planning.rules import Rule, rule_for, situation
from tcptune.planning.unset import judge_unset


def audit_host(
    facts: HostFacts,
    profile: Profile,
    parameters: Mapping[str, Parameter],
    *,
    today: date = date.max,
    declared: Declared = NOTHING_DECLARED,
) -> HostAudit:
    """Judge everything the profile asks of one host, in the profile's order.

    Without a day no waiver counts. Raises ProfileError where several profiles cannot be met together on this host.
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
    whole = checks.judge(Scene(facts, profile, parameters, findings, model, declared))
    return HostAudit(
        host=facts.host,
        kernel=facts.system.kernel,
        findings=tuple(findings),
        limits=audit_limits(facts, profile, today=today, declared=declared),
        concerns=whole.concerns,
        not_judged=whole.not_judged,
    )


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
    found = facts.sysctl.get(rule.key)
    if against := reason_against(found, facts, parameters.get(rule.key)):
        return NotApplicable(key=rule.key, why=against)
    match found:
        case Unreadable():
            return Unknown(key=rule.key, why=f"{_login(facts)} may not read it on this host")
        case Value() as reading:
            if facts.boot_gap is None and not _under(model.at_boot(rule.key), facts).certain:
                return Unknown(key=rule.key, why=f"what a boot gives is not known: {_doubt(model)}")
            try:
                return _compare(rule, reading, facts, model, parameters)
            except ValueError as problem:
                return Unknown(key=rule.key, why=str(problem))
        case _:
            return Unknown(key=rule.key, why="these facts do not hold it; collect them again for this profile")


def _compare(
    rule: Rule, reading: Value, facts: HostFacts, model: BootModel, parameters: Mapping[str, Parameter]
) -> Finding:
    if facts.boot_gap is not None:
        return _runtime_only(rule, reading, facts.boot_gap)
    wanted = rule.demand.settle(reading.text)
    parameter = parameters.get(rule.key)
    if parameter is not None:
        wanted = _read_back(parameter, wanted, facts.system)
    layers = _layers(rule.key, wanted, reading.text, facts, model, parameters)
    runtime_met = wanted == reading.text
    if not layers.at_boot.known and not isinstance(rule.demand, Leave):
        return Unknown(key=rule.key, why=f"what a boot gives is not known: {layers.at_boot.by}")
    if layers.at_boot.value is None and (about := _own_default(rule.key, reading.text, facts, parameters)):
        at_boot = Boot(value=None, by=f"{layers.at_boot.by}, about {about}")
        layers = layers.model_copy(update={"at_boot": at_boot})
        boot_met = meets(rule.demand, about)
    else:
        boot_met = _boot_meets(rule, wanted, layers.at_boot, facts, parameters, otherwise=runtime_met)
    if isinstance(rule.demand, Leave) or (runtime_met and boot_met):
        return Met(key=rule.key, demand=rule.words, layers=layers, why=rule.why, source=rule.source)
    return Deviates(
        key=rule.key,
        demand=rule.words,
        layers=layers,
        where=Where.BOOT if runtime_met else Where.RUNTIME if boot_met else Where.BOTH,
        # Whoever is not root is told nothing by access(2) about what root may write.
        writable=reading.writable or facts.system.user != "0",
        shadowed_by=_shadow(rule, wanted, facts, model, parameters),
        lost_at_boot=_lost(parameter, facts),
        why=rule.why,
        source=rule.source,
    )


def _own_default(key: str, actual: str, facts: HostFacts, parameters: Mapping[str, Parameter]) -> str | None:
    """Return what the kernel computes for itself where the running value is something else: then somebody set that."""
    parameter = parameters.get(key)
    scope = situation(facts, NOTHING_DECLARED).scope
    about = computed_default(parameter, facts.system, scope) if parameter else None
    return None if about is None or is_near(actual, about) else about


def _runtime_only(rule: Rule, reading: Value, why: str) -> Finding:
    """Judge the runtime value where the next boot is not known: it may deviate, and is never met."""
    wanted = rule.demand.settle(reading.text)
    if wanted == reading.text and not isinstance(rule.demand, Leave):
        return Unknown(key=rule.key, why=f"{reading.text} at runtime is as wanted, at boot is not known: {why}")
    layers = Layers(wanted=wanted, actual=reading.text, at_boot=Boot(value=None, by=why, known=False))
    if isinstance(rule.demand, Leave):
        return Met(key=rule.key, demand=rule.words, layers=layers, why=rule.why, source=rule.source)
    return Deviates(
        key=rule.key,
        demand=rule.words,
        layers=layers,
        where=Where.RUNTIME,
        # Nobody asked the kernel.
        writable=True,
        shadowed_by=None,
        why=rule.why,
        source=rule.source,
    )


def _layers(
    key: str, wanted: str, actual: str, facts: HostFacts, model: BootModel, parameters: Mapping[str, Parameter]
) -> Layers:
    own, other = both_loaders(key, facts, model, parameters)
    return Layers(wanted=wanted, actual=actual, at_boot=own, other_loader=other if other.value != own.value else None)


def boot_model(facts: HostFacts, parameters: Mapping[str, Parameter]) -> BootModel:
    """Return what the host's files make of the next boot, with what the catalogue knows of widths and bounds."""

    def accepts(key: str, value: str) -> bool:
        parameter = parameters.get(key)
        if parameter is None:
            return True
        # Bounds that another key gives are taken as they are now: files seldom move them.
        now = {limit.key: facts.sysctl.get(limit.key) for limit in parameter.limits}
        peers = {other: reading.text for other, reading in now.items() if isinstance(reading, Value)}
        hz = facts.system.hz or USUAL_HZ
        return isinstance(stored(parameter, value, kernel=facts.system.kernel, hz=hz, peers=peers), Stored)

    widths = {key: ARITY[p.shape] for key, p in parameters.items() if p.shape in ARITY}
    return BootModel(facts.sysctl_files, accepts=accepts, widths=widths)


def boot_layer(key: str, facts: HostFacts, model: BootModel, parameters: Mapping[str, Parameter]) -> Boot:
    """Return what the loader that this host boots with will have set."""
    return both_loaders(key, facts, model, parameters)[0]


def both_loaders(
    key: str, facts: HostFacts, model: BootModel, parameters: Mapping[str, Parameter]
) -> tuple[Boot, Boot]:
    """Return what the loader that this host boots with will have set, and what the other one would."""
    found = model.at_boot(key)
    parameter = parameters.get(key)
    default = _default(key, facts, parameters)
    try:
        module = loaded_late(parameter, facts) if found.systemd.winner or found.procps.winner else None
    except ValueError as problem:
        unknown = Boot(value=None, by=str(problem), known=False)
        return unknown, unknown
    systemd, procps = (
        _as_stored(_boot(one, default, parameter, model, module), parameter, facts.system)
        for one in (found.systemd, found.procps)
    )
    return (systemd, procps) if facts.system.systemd else (procps, systemd)


def _default(key: str, facts: HostFacts, parameters: Mapping[str, Parameter]) -> str | None:
    parameter = parameters.get(key)
    return parameter.default(facts.system.kernel) if parameter else None


def _boot(
    found: BootValue, default: str | None, parameter: Parameter | None, model: BootModel, late: str | None
) -> Boot:
    if not found.certain:
        return Boot(value=None, by=_doubt(model), known=False)
    if found.winner is None or found.value is None:
        return Boot(value=default, by="kernel default")
    if late is not None:
        return Boot(value=default, by=f"kernel default: {late} is loaded after {found.winner.place} is read")
    value = kernel_text(found.value)
    if found.partial and parameter is not None:
        # The file names the first numbers only; the kernel keeps its own for the rest.
        known = value.split()
        rest = default.split() if default else ["?"] * ARITY[parameter.shape]
        value = " ".join([*known, *rest[len(known) :]])
    return Boot(value=value, by=found.winner.place)


def _doubt(model: BootModel) -> str:
    if model.unreadable:
        return f"{', '.join(model.unreadable)} cannot be read"
    return "it depends on the release of procps"


def _as_stored(boot: Boot, parameter: Parameter | None, system: System) -> Boot:
    """Return the value as it will read back: a file may have it in hexadecimal, or with a comment behind it."""
    if parameter is None or boot.value is None:
        return boot
    return boot.model_copy(update={"value": _read_back(parameter, boot.value, system)})


def _read_back(parameter: Parameter, text: str, system: System) -> str:
    if system.hz is None and parameter.accepted(system.kernel).storage is Storage.MILLISECONDS:
        return text  # it is rounded up to a tick, and how long that is is not known
    held = stored(parameter, text, kernel=system.kernel, hz=system.hz or USUAL_HZ)
    return held.text if isinstance(held, Stored) and held.whole else text


def _boot_meets(
    rule: Rule, wanted: str, boot: Boot, facts: HostFacts, parameters: Mapping[str, Parameter], *, otherwise: bool
) -> bool:
    if boot.value is None:
        # No file sets it, and the kernel computes its default from the machine: then runtime is the best witness.
        return otherwise
    if boot.value == wanted:
        # What the kernel makes of the demand, such as a time rounded up to a tick, need not meet it to the letter.
        return True
    try:
        settled = rule.demand.settle(boot.value)
    except ValueError:
        return False
    # A list of ports may be written unfolded in the profile, and is folded in `boot`.
    parameter = parameters.get(rule.key)
    return (_read_back(parameter, settled, facts.system) if parameter else settled) == boot.value


def _shadow(
    rule: Rule, wanted: str, facts: HostFacts, model: BootModel, parameters: Mapping[str, Parameter]
) -> str | None:
    """Return what spoils the next boot even if our own file said `wanted`, or None where nothing does."""
    ours = next((f.content for f in facts.sysctl_files if f.path == DROPIN_PATH), None)
    then = model.replacing(DROPIN_PATH, merged(ours, {rule.key: wanted}))
    winner = _under(then.at_boot(rule.key), facts).winner
    if winner is None or winner.path == DROPIN_PATH:
        return None
    if _boot_meets(rule, wanted, boot_layer(rule.key, facts, then, parameters), facts, parameters, otherwise=False):
        return None
    return winner.place


def _lost(parameter: Parameter | None, facts: HostFacts) -> str | None:
    try:
        module = loaded_late(parameter, facts)
    except ValueError as problem:
        return f"whether a boot keeps it is not known: {problem}"
    return remedy(module, planned=brought_up(parameter, facts) is not None) if module else None


def _under(found: AtBoot, facts: HostFacts) -> BootValue:
    return found.under(Loader.SYSTEMD if facts.system.systemd else Loader.PROCPS)


def _login(facts: HostFacts) -> str:
    return f"uid {facts.system.user}" if facts.system.user.isdigit() else "the login that was used"
