"""Files that were written elsewhere: facts, plans, reports of a probe, `sysctl -a`, YAML of every kind."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.adapters.chains import load_chain
from tcptune.adapters.files import facts_lines, read_captured, read_facts, read_plan, read_probe
from tcptune.adapters.policies import load_policy_file
from tcptune.adapters.profiles import load_file, load_waivers
from tcptune.domain.changes import plan_digest
from tcptune.domain.facts import HostFacts
from tcptune.errors import ChainError, FactsError, InputError, PlanError, PolicyError, ProfileError
from tcptune.knowledge.catalogue import built_in_policies, built_in_profiles
from tcptune.workflows.diagnose import diagnose, paired
from tests.fuzz.examples import EDITS, Edit, changed, edited, fuzz, only
from tests.unit.builders import NOW, SOMAXCONN, change, cohort, plan
from tests.unit.detectors.hosts import sampled

CHAIN = b"""chain: shop
format_version: 1
hops:
  - name: client
    product: go-client
    sends: {idle_timeout: 90s, requests: never, reuse: true}
  - {name: nat, product: linux-nat, idle_timeout: 5m}
  - name: proxy
    product: nginx
    receives: {idle_timeout: 75s, requests: 1000, tcp_keepalive: 60s, answer_within: 500ms}
    sends: {idle_timeout: 60s, response_timeout: 60s}
  - name: app
    product: tomcat
"""
WAIVERS = b"""- key: net.core.somaxconn
  hosts: [web1, "db*"]
  who: ops-web
  until: 2099-12-31
  why: the application's own queue is 100
"""
PROFILE = b"""profile: shop
format_version: 1
extends: [web-frontend]
load: {bursts: {default: 10 + 1e3, unit: connections, why: so many wait}}
settings:
  net.core.somaxconn: {at_least: "min(load.bursts * 2, 65535)", why: waits, source: us}
  net.ipv4.tcp_rmem: {exactly: 4096 131072 6291456, why: paths, source: us, when: {kernel: ">=5.4"}}
limits:
  - unit: nginx.service
    nofile: {at_least: 65536}
    why: two per connection
    source: us
"""
PROBED = b"""{"tcptune": "probe", "format_version": 1, "services": []}"""
"""Files as their users write them."""


@cache
def two_facts() -> tuple[bytes, bytes]:
    """Return a busy host's two samples, as `tcptune facts` writes them."""
    pair = sampled()
    first, second = ("".join(facts_lines([one], NOW)).encode() for one in (pair.first, pair.second))
    return first, second


@fuzz(80)
@given(EDITS, EDITS)
def test_any_two_facts_files_are_diagnosed_or_refused(tmp_path: Path, before: list[Edit], after: list[Edit]) -> None:
    paths = [tmp_path / "before.jsonl", tmp_path / "after.jsonl"]
    for path, whole, edits in zip(paths, two_facts(), (before, after), strict=True):
        path.write_bytes(edited(whole, edits))
    with only(FactsError, *(path.name for path in paths)):
        found = diagnose(paired(*map(read_facts, paths)))
        assert found.model_validate_json(found.model_dump_json()) == found


@fuzz(80)
@given(EDITS)
def test_any_plan_is_one_or_refused_also_where_it_was_signed_again(tmp_path: Path, edits: list[Edit]) -> None:
    path = tmp_path / "plan.json"
    text = edited(plan(cohort("web1", changes=(change(SOMAXCONN, "128", "4096"),))).model_dump_json().encode(), edits)
    try:
        data = json.loads(text)
        data["plan_id"] = plan_digest(data)
        text = json.dumps(data).encode()
    except (ValueError, RecursionError, TypeError, AttributeError):
        pass  # then it goes as it is
    path.write_bytes(text)
    with only(PlanError, path.name):
        found = read_plan(path)
        assert plan_digest(json.loads(found.model_dump_json())) == found.plan_id


@fuzz(40)
@given(changed([PROBED]))
def test_any_report_of_a_probe_is_one_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "probe.json"
    path.write_bytes(data)
    with only(InputError, path.name):
        read_probe(path)


CAPTURED = b"net.core.somaxconn = 4096\nnet.ipv4.tcp_rmem = 4096\t131072\t6291456\nkernel.hostname = web1\n"


@fuzz(60)
@given(changed([CAPTURED * 3]))
def test_any_output_of_sysctl_is_facts_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "web1.txt"
    path.write_bytes(data)
    with only(FactsError, path.name):
        assert isinstance(read_captured(path, NOW, "6.1.0"), HostFacts)


YAML: dict[str, tuple[Callable[[Path], object], type[InputError], tuple[bytes, ...]]] = {
    "chain": (load_chain, ChainError, (CHAIN,)),
    "policy": (load_policy_file, PolicyError, tuple(text.encode() for text in built_in_policies().values())),
    "profile": (load_file, ProfileError, (PROFILE, built_in_profiles()["web-frontend"].encode())),
    "waivers": (load_waivers, ProfileError, (WAIVERS,)),
}


@pytest.mark.parametrize("kind", YAML)
@fuzz(40)
@given(data=st.data())
def test_any_yaml_is_understood_or_refused_with_its_place(kind: str, tmp_path: Path, data: st.DataObject) -> None:
    read, error, seeds = YAML[kind]
    path = tmp_path / "any.yml"
    path.write_bytes(data.draw(changed(seeds)))
    with only(error, path.name):
        read(path)


ANCHORS = "a0: &a0 {x: 10}\n" + "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30))
ANCHORED = "anchors that stand for gigabytes"
BOMBS = {
    ANCHORED: ANCHORS,
    "lists in lists": "a: " + "[" * 100_000,
    "mappings in mappings": "\n".join(" " * depth + "a:" for depth in range(900)),
    "a number of a hundred thousand digits": "format_version: " + "9" * 100_000,
    "a line of megabytes": "a: " + "x" * 20_000_000,
    "many keys": "\n".join(f"k{n}: 1" for n in range(10_000)),
}
COMMANDS = {
    "chain": ["timeouts", "check"],
    "policy": ["policy", "validate"],
    "profile": ["profile", "validate"],
}
MEMORY_BYTES = 1 << 30


@pytest.mark.parametrize(
    ("command", "bomb"), [*(("chain", bomb) for bomb in BOMBS), ("policy", ANCHORED), ("profile", ANCHORED)]
)
def test_a_bomb_is_refused_in_little_memory_and_time(command: str, bomb: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.yml"
    path.write_text(BOMBS[bomb])

    said = subprocess.run(
        [sys.executable, "-m", "tcptune", *COMMANDS[command], str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=_bounded,  # nothing else runs in this process
    )

    assert said.returncode == 3, said.stderr
    assert said.stderr.startswith("error: ")
    assert path.name in said.stderr
    assert len(said.stderr) < 50_000


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
