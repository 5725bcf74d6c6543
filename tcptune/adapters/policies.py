"""Rollout policies: from files and from the built-in set to domain values.

Every mistake of a file is reported at once, with line, column and a hint.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from tcptune.adapters.model_mistakes import checked
from tcptune.adapters.profile_demands import closest
from tcptune.adapters.yaml_source import Document, file_text, looks_like_path
from tcptune.adapters.yaml_source import Path as Place
from tcptune.domain.changes import sha256
from tcptune.domain.gates import CountersGate
from tcptune.domain.rollout import ListedPolicy, OrderBy, Policy, PolicyFile, PolicyList
from tcptune.domain.time_windows import DAYS
from tcptune.errors import PolicyError
from tcptune.knowledge.catalogue import built_in_policies
from tcptune.knowledge.gates import built_in_rules

_RULE = "{name: ..., measure: rate, counters: [...], tolerated_per_s: 1, why: ..., source: ...}"
HINTS = {
    "": "policy: NAME and waves: [1, 10%, 100%]",
    "policy": "policy: careful",
    "format_version": "format_version: 1",
    "summary": "summary: What it is for.",
    "waves": "waves: [1, 5%, 25%, 100%]",
    "failure_domain": "failure_domain: rack, or failure_domain: {groups: rack_*}",
    "failure_domain.label": "failure_domain: rack",
    "failure_domain.groups": "failure_domain: {groups: [rack_a, rack_b]}",
    "cohorts": "cohorts: spread",
    "order": "order: name, or order: {by: name, first: [{labels: {stage: canary}}]}",
    "order.by": "order: name",
    "order.seed": "order: {by: shuffled, seed: 7}",
    "order.first": "first: [{labels: {stage: canary}}]",
    "order.first.labels": "labels: {stage: canary}",
    "order.first.group": "group: staging",
    "concurrency": "concurrency: 20",
    "soak": "soak: 5m",
    "gates": "gates: [{gate: ssh}, {gate: counters}]; there are ssh, tcp, http, command and counters",
    "gates.command.command": "command: [/usr/local/bin/check, '{host}']",
    "gates.command.name": "name: smoke-test",
    "gates.counters.rules": f"rules: [{_RULE}]",
    "gates.http.path": "path: /health",
    "gates.http.status": "status: [200]",
    "gates.tcp.ports": "ports: [80, 443]",
    "failures": "failures: {per_wave: 10%, total: 5%}",
    "failures.per_wave": "per_wave: 10%",
    "failures.total": "total: 5%",
    "on_failure": "on_failure: roll_back_wave",
    "confirm": "confirm: after_gates",
    "window": "window: {days: [mon, tue], opens: '22:00', closes: '04:00', zone: Europe/Berlin}",
    "window.days": f"days: [{', '.join(DAYS[:5])}]",
    "window.opens": "opens: '22:00'",
    "window.closes": "closes: '04:00'",
    "window.zone": "zone: Europe/Berlin, or zone: UTC",
    "notify": "notify: [{url_env: CHAT_WEBHOOK, format: chat}]",
    "notify.url_env": "url_env: CHAT_WEBHOOK, and export that variable",
    "notify.url_file": "url_file: /etc/tcptune/webhook",
    "notify.format": "format: json, or format: chat",
    "notify.events": "events: [wave_held, rollout_ended]",
}
"""Key -> what to write instead."""
_SHORT_FORMS: dict[str, dict[str, Any]] = {
    "failure_domain": {"type": "string", "minLength": 1},
    "order": {"enum": [by.value for by in OrderBy]},
    "window": {"$ref": "#/$defs/TimeWindow"},
}
"""Key -> what may stand there instead of its whole form."""


def load_policy(name_or_path: str) -> Policy:
    """Return the built-in policy of that name, or the policy in that file.

    Raises PolicyError with every mistake of the file, or where there is no such policy.
    """
    return read_policy(name_or_path)[0]


def read_policy(name_or_path: str) -> tuple[Policy, str]:
    """Return the built-in policy of that name, or the policy in that file, and its text.

    Raises PolicyError with every mistake of the file, or where there is no such policy.
    """
    built_in = built_in_policies()
    if name_or_path in built_in:
        text = built_in[name_or_path]
        return _loaded(text, f"{name_or_path} (built in)"), text
    path = Path(name_or_path)
    if not looks_like_path(name_or_path) and not path.is_file():
        known = difflib.get_close_matches(name_or_path, built_in, 1) or sorted(built_in)
        raise PolicyError(f"there is no policy {name_or_path!r}", hint=" or ".join([*known, "a path ending in .yml"]))
    text = file_text(path, PolicyError, hint="the name of a built-in policy, or a path")
    return _loaded(text, str(path)), text


def recorded_policy(text: str, origin: str) -> Policy:
    """Return the policy of a run, from its text. Raises PolicyError where this tcptune does not understand it."""
    return _loaded(text, origin)


def load_policy_file(path: Path) -> Policy:
    """Return the policy in a file, whatever its name. Raises PolicyError with every mistake."""
    return _loaded(file_text(path, PolicyError, hint="the name of a built-in policy, or a path"), str(path))


def list_built_in_policies() -> PolicyList:
    """Return the built-in policies, by name."""
    loaded = {name: load_policy(name) for name in built_in_policies()}
    return PolicyList(policies=tuple(ListedPolicy(name=n, waves=p.waves, summary=p.summary) for n, p in loaded.items()))


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema of policy files, for completion and first checks in editors."""
    found = without_null(PolicyFile.model_json_schema())
    for name, short in _SHORT_FORMS.items():
        field = found["properties"][name]
        whole = {key: field.pop(key) for key in ("$ref", "type", "items", "anyOf") if key in field}
        field["anyOf"] = [short, whole]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": "tcptune policy",
        "description": "How a plan reaches its hosts.",
    }


def without_null(node: Any) -> Any:
    """Return a schema without what stands for a key that is left out: nothing can be written for that."""
    if isinstance(node, list):
        return [without_null(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: without_null(value) for key, value in node.items() if value is not None or key != "default"}
    if {"type": "null"} in kept.get("anyOf", ()):
        [only] = [item for item in kept.pop("anyOf") if item != {"type": "null"}]
        kept |= only
    return kept


def _loaded(text: str, origin: str) -> Policy:
    document = Document(text)
    found = checked(document, PolicyFile, HINTS) if document.readable else None
    for at, gate in enumerate(found.gates if found else ()):
        if isinstance(gate, CountersGate):
            _check_left_out(document, ("gates", at, "leave_out"), gate)
    if found is None or document.mistakes:
        raise document.error(origin, PolicyError)
    return Policy(**dict(found), origin=origin, digest=sha256(text))


def _check_left_out(document: Document, path: Place, gate: CountersGate) -> None:
    known = [rule.name for rule in built_in_rules()]
    for at, name in enumerate(gate.leave_out):
        if name not in known:
            document.add(
                (*path, at), f"there is no built-in rule {name!r}", hint=closest(name, known) or ", ".join(known)
            )
