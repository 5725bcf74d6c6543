"""Find what a word means in the catalogue, and say what a setting is on one host. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from tcptune.domain.explanation import Hit, Hits, OnHost, RivalHere
from tcptune.domain.facts import HostFacts
from tcptune.domain.parameters import Parameter
from tcptune.domain.values import sysctl_key
from tcptune.planning.audit import boot_model
from tcptune.planning.late_modules import brought_up, loaded_late, remedy

_PER_INTERFACE = (
    (re.compile(r"(net\.ipv[46]\.conf)\.[^.]+\.(\w+)"), r"\1.all.\2"),
    (re.compile(r"(net\.ipv[46]\.neigh)\.[^.]+\.(\w+)"), r"\1.default.\2"),
    (re.compile(r"net\.(nf_conntrack_max)"), r"net.netfilter.\1"),
)


def find_key(word: str, parameters: Mapping[str, Parameter]) -> str | None:
    """Return the key of the page a word names: a key in any spelling, or the last part of one key only.

    Raises ValueError for a secret.
    """
    text = word.strip().removeprefix("/proc/sys/")
    try:
        key = sysctl_key(text)
    except ValueError as problem:
        if "secret" in str(problem):
            raise
        named = [key for key in parameters if key.rpartition(".")[2] == text]
        return named[0] if len(named) == 1 else None
    if key in parameters:
        return key
    general = (pattern.sub(into, key) for pattern, into in _PER_INTERFACE if pattern.fullmatch(key))
    return next((other for other in general if other in parameters), None)


def search(word: str, parameters: Mapping[str, Parameter]) -> Hits:
    """Return the settings whose page holds the words side by side, or else those with all of them in one sentence.

    Those come first that have them in their name or summary.
    """
    phrase = _plain(word).strip()
    return Hits(word=word, hits=_hits([phrase], parameters) or _hits(phrase.split(), parameters))


def _hits(wanted: list[str], parameters: Mapping[str, Parameter]) -> tuple[Hit, ...]:
    found = [
        (rank, Hit(key=parameter.key, summary=parameter.summary, where=where, text=text))
        for parameter in parameters.values()
        if wanted and all(wanted) and (hit := _best(parameter, wanted))
        for rank, where, text in [hit]
    ]
    found.sort(key=lambda one: (one[0], one[1].key))
    return tuple(hit for _, hit in found)


def near_misses(word: str, parameters: Mapping[str, Parameter], most: int = 3) -> tuple[str, ...]:
    """Return keys that are spelled much like the word, or begin much like it."""
    text = word.strip().lower()
    by_name: dict[str, str] = {}
    for key in parameters:
        by_name.setdefault(key, key)
        by_name.setdefault(key.rpartition(".")[2], key)
    # A word that breaks off early is little like any whole name.
    begin = {name[: len(text)]: name for name in sorted(by_name, reverse=True)}
    close = [begin[start] for start in difflib.get_close_matches(text, begin, 1, 0.85)]
    close += difflib.get_close_matches(text, by_name, most * 2, 0.6)
    return tuple(dict.fromkeys(by_name[name] for name in close))[:most]


def _late(parameter: Parameter, facts: HostFacts) -> str | None:
    try:
        module = loaded_late(parameter, facts)
    except ValueError as problem:
        return str(problem)
    return remedy(module, planned=brought_up(parameter, facts) is not None) if module else None


def on_host(parameter: Parameter, key: str, facts: HostFacts, parameters: Mapping[str, Parameter]) -> OnHost:
    """Say what a setting is on one host: now, and at the next boot under either loader."""
    model = boot_model(facts, parameters)
    found = model.at_boot(key)
    return OnHost(
        host=facts.host,
        here=parameter.at(facts.system.kernel),
        reading=facts.sysctl.get(key),
        definitions=model.definitions(key),
        systemd=found.systemd,
        procps=found.procps,
        boots_with_systemd=facts.system.systemd,
        late=_late(parameter, facts),
        hz=facts.system.hz,
        rivals=tuple(_rivals_here(parameter, facts)),
        rivals_gap=_rivals_gap(facts) if parameter.rivals and facts.rivals is None else None,
    )


def _rivals_here(parameter: Parameter, facts: HostFacts) -> Iterator[RivalHere]:
    """Yield those of the page that were found, the active ones first."""
    found = {rival.name: rival for rival in facts.rivals.found} if facts.rivals else {}
    here = []
    for known in parameter.rivals:
        # k3s is one program that has a kube-proxy in it.
        names = (known.who, "k3s") if known.who == "kube-proxy" else (known.who,)
        here += [RivalHere(found=found[name], what=known.what) for name in names if name in found]
    yield from sorted(here, key=lambda one: not one.active)


def _rivals_gap(facts: HostFacts) -> str:
    return facts.gaps.get("rivals", "these facts do not tell")


def _best(parameter: Parameter, wanted: list[str]) -> tuple[int, str, str] | None:
    for rank, (where, text) in enumerate(_parts(parameter)):
        if all(part in _plain(text) for part in wanted):
            return rank, where, text
    return None


def _parts(parameter: Parameter) -> Iterator[tuple[str, str]]:
    yield "key", parameter.key
    yield "summary", f"{parameter.key} {parameter.summary}"
    yield from (("counter", counter) for counter in parameter.counters)
    yield from (("symptom", symptom) for symptom in parameter.symptoms)
    yield from (("myth", f"{myth.claim}: {myth.correction}") for myth in parameter.myths)
    yield from (("coupling", f"{coupling.key}: {coupling.rule}") for coupling in parameter.couplings)
    yield "risk", parameter.risk_note
    yield "effect", parameter.effect_note
    yield from (("written by", f"{rival.who} {rival.what}") for rival in parameter.rivals)


def _plain(text: str) -> str:
    return re.sub(r"[-_\s]+", " ", text.casefold())
