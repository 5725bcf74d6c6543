"""What a host answers: the sections of a collection, the tries of a probe, the results of Ansible."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.adapters.ansible_facts import _collected
from tcptune.adapters.profiles import load_profile
from tcptune.adapters.services import Probing, try_from_host
from tcptune.domain.facts import HostFacts, Unread
from tcptune.domain.hosts import Host
from tcptune.domain.samples import Sampled
from tcptune.domain.service import Try, target
from tcptune.errors import HostError, ProbeFailed
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tcptune.ports import Output
from tcptune.probes import ON_REQUEST, PROBES
from tcptune.probes.script import parse
from tcptune.workflows.diagnose import diagnose
from tests.fuzz.examples import EDITS, changed, edited, fuzz, only
from tests.unit.builders import NOW, host
from tests.unit.detectors.hosts import sampled

GOLDEN = Path(__file__).parents[1] / "golden"
ALL = {**PROBES, **ON_REQUEST}


FOLDER = b"/var/lib/tcptune/runs"
RUNS = (
    b"lock 712 1234 b0071d00-0000-4000-8000-000000000001 4026531840 r1|S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 "
    b"16 17 18 1234|b0071d00-0000-4000-8000-000000000001\n" + FOLDER + b"/r1/state:armed 2026-03-14T15:09:26+00:00\n"
    + FOLDER + b"/r1/deadline:1234.5\n" + FOLDER + b"/r1/deadline:b0071d00\n"
    + FOLDER + b"/r1/deadline:2026-03-14T15:19:26+00:00\n"
    + FOLDER + b'/r1/manifest.json:  "boot_id": "b0071d00",\n' + FOLDER + b"/r1/alive:yes\n"
)  # fmt: skip


@cache
def seeds(section: str) -> tuple[bytes, ...]:
    """Return what real hosts said in a section."""
    return tuple(path.read_bytes() for path in sorted((GOLDEN / section).glob("*.txt"))) or (RUNS,)


@cache
def answers() -> tuple[bytes, ...]:
    """Return whole answers, made of what hosts said in each section."""
    made = []
    for number in range(3):
        parts = [
            f"@tcptune {name}\n".encode() + seeds(name)[number % len(seeds(name))].rstrip(b"\n") + b"\n" for name in ALL
        ]
        made.append(b"".join(parts) + b"@tcptune done\n")
    return tuple(made)


def test_what_is_changed_here_is_understood_as_it_stands() -> None:
    for answer in answers():
        facts = parse("web1", answer.decode(), NOW, ALL)
        assert set(facts.gaps) <= {"runs", "kernel_log"}, facts.gaps


@pytest.mark.parametrize("name", ALL)
@fuzz(25)
@given(data=st.data())
def test_whatever_a_section_says_it_is_understood_or_refused(name: str, data: Any) -> None:
    probe: ModuleType = ALL[name]
    said = data.draw(changed(seeds(name))).decode("utf-8", errors="replace")
    try:
        probe.parse([line for line in said.split("\n") if line])
    except (LookupError, ValueError):
        return  # `script.parse` makes a gap of these


@fuzz(60)
@given(first=changed(answers()), edits=EDITS)
def test_whatever_a_host_answers_it_is_judged_or_not_read(first: bytes, edits: Any) -> None:
    read = [_read(first, 0), _read(edited(first, edits), 30)]
    for facts in read:
        if facts is not None:
            assert HostFacts.model_validate_json(facts.model_dump_json()) == facts
            audit_host(facts, load_profile("web-frontend"), catalogue(), today=date(2026, 3, 14))
    if read[0] is not None and read[1] is not None:
        found = diagnose([Sampled(first=read[0], second=read[1])])
        assert found.model_validate_json(found.model_dump_json()) == found


def _read(answer: bytes, later_s: int) -> HostFacts | None:
    with only(ProbeFailed, "web1"):
        return parse("web1", answer.decode("utf-8", "replace"), NOW + timedelta(seconds=later_s), ALL)
    return None


TRIES = (
    b'{"target": 0, "round": 0, "address": "10.0.0.1", "stages": [{"stage": "connect", "ms": 0.4, "error": null}]}\n'
    b'{"target": 0, "round": 1, "address": null, "stages": []}\n{"end": true}\n',
    b'{"problem": "no such name"}\n',
)
PROBING = Probing(count=2, interval_s=1, timeout_s=1, at_once=1, family="any", ca_file=None)


class Says:
    """A host that answers with one text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def run(self, host: Host, command: Sequence[str], stdin: str, *, timeout_s: float) -> Output:  # noqa: ARG002
        return Output(status=0, stdout=self.text, stderr="")


@fuzz(100)
@given(changed(TRIES))
def test_whatever_a_probe_on_a_host_answers_it_is_tries_or_a_reason(said: bytes) -> None:
    with only(HostError, "web1"):
        found = try_from_host(Says(said.decode("utf-8", "replace")), host("web1"), [target("10.0.0.1:80")], PROBING)
        assert all(isinstance(one, Try) for one in found)


@cache
def _facts() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(sampled().first.model_dump_json())
    return found


@fuzz(60)
@given(EDITS, st.sampled_from(["runner_on_ok", "runner_on_failed", "runner_on_unreachable"]))
def test_whatever_ansible_says_of_a_host_it_is_facts_or_a_reason(edits: Any, event: str) -> None:
    text = edited(json.dumps(_facts()).encode(), edits).decode("utf-8", "replace")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = text
    result = {"ansible_facts": {"tcptune": said}, "msg": said, "failure": {"message": said}}
    data = {"host": "web1", "res": result, "resolved_action": "tcptune.linux.tcp_facts"}

    assert isinstance(_collected({"event": event, "event_data": data}), HostFacts | Unread)
