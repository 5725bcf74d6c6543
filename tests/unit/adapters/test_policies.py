"""Policy files: every mistake at once with its place and a hint, the built-in ones, the schema."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from tcptune.adapters.model_mistakes import keys
from tcptune.adapters.policies import HINTS, list_built_in_policies, load_policy, load_policy_file, policy_schema
from tcptune.domain.changes import sha256
from tcptune.domain.gates import HttpGate, TcpGate
from tcptune.domain.rollout import OrderBy, PolicyFile
from tcptune.errors import PolicyError
from tcptune.knowledge.catalogue import built_in_policies

SCHEMA = Path("docs/schemas/policy.schema.json")

WRONG = """\
policy: ''
format_version: 2
sumary: a typo
waves: [0, 5%%, 100%]
failure_domain: {lable: rack}
cohorts: al
order: nmae
concurrency: 0
soak: soon
gates:
  - gate: tpc
  - gate: tcp
    ports: [0, x]
  - gate: http
    patch: /health
  - {within_s: 5}
  - gate: command
    name: smoke
    command: [check, no]
  - gate: counters
    rules:
      - {name: r, measure: rate, counters: [x], tolerated_per_s: -1, why: w}
failures: {per_wave: -1, totl: 3}
on_failure: rollback
confirm: maybe
window:
  days: [mo]
  opens: 25:00
  closes: 4:00
  zone: Europe/Berlni
notify:
  - {url_env: 'https://chat.example/secret', format: xml}
  - {url_file: 'https://chat.example/secret', events: [rollout_end, wave_ended]}
  - {url: 'https://chat.example/secret'}
  - {format: chat}
"""
PLACES = {
    (1, 1): "a policy has a name",
    (2, 1): "reads format version 1, not 2",
    (3, 1): "unknown key 'sumary'",
    (4, 9): "a wave has at least one host",
    (4, 12): "'5%%' is no number of hosts",
    (5, 18): "unknown key 'lable'",
    (6, 1): "cohorts is one of each, spread or any",
    (7, 1): "order is one of name, plan or shuffled",
    (8, 1): "concurrency is at least 1",
    (9, 1): "'soon' is no time",
    (11, 5): "there is no gate 'tpc'",
    (13, 13): "each of ports is at least 1",
    (13, 16): "each of ports is a whole number",
    (15, 5): "unknown key 'patch'",
    (16, 5): "'gate' is missing",
    (19, 22): "each of command is a text",
    (22, 9): "'source' is missing",
    (22, 45): "'x' is no counter",
    (22, 49): "tolerated_per_s is more than 0",
    (23, 12): "'-1' is no number of hosts",
    (23, 26): "unknown key 'totl'",
    (24, 1): "on_failure is one of hold, roll_back_wave or roll_back_all",
    (25, 1): "confirm is one of after_gates or by_person",
    (27, 3): "'mo' is no day",
    (28, 3): "'25:00' is no time of day",
    (29, 3): "'4:00' is no time of day",
    (30, 3): "'Europe/Berlni' is no time zone",
    (32, 6): "url_env is the name of an environment variable",
    (32, 46): "format is one of json or chat",
    (33, 6): "url_file is the path of a file",
    (33, 56): "each of events is one of rollout_began",
    (34, 6): "unknown key 'url'",
    (35, 5): "name `url_env` or `url_file`",
}

WHOLE = """\
policy: whole
format_version: 1
summary: Everything a policy can say.
waves: [2, 10%, 100%]
failure_domain: {groups: [rack_*]}
cohorts: each
order:
  by: shuffled
  seed: 7
  first: [{labels: {stage: canary}}, {group: staging}]
concurrency: 10
soak: 5m
gates:
  - gate: ssh
    undecided: {unread: hold}
  - {gate: tcp, ports: [80, 443], within_s: 2.5}
  - gate: http
    scheme: http
    path: /health
    status: [200, 204]
    latency_times_before: 2
  - gate: command
    name: smoke
    command: [/usr/local/bin/smoke, "{host}"]
  - gate: counters
    leave_out: [sent-resets]
    rules:
      - {name: r, measure: rate, counters: [Tcp.OutRsts], tolerated_per_s: 1, why: w, source: s}
failures: {per_wave: 1, total: 5%}
on_failure: roll_back_all
confirm: by_person
window:
  - {days: [mon, tue], opens: "22:00", closes: "04:00", zone: Europe/Berlin}
  - {days: sat, opens: "00:00", closes: "24:00", zone: UTC}
notify:
  - {url_env: TCPTUNE_WEBHOOK, format: chat, events: [wave_held, rollout_ended]}
  - {url_file: /etc/tcptune/webhook, ca_file: /etc/tcptune/ca.pem}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "careful.yml"
    path.write_text(text)
    return path


def refused(folder: Path, text: str) -> str:
    with pytest.raises(PolicyError) as told:
        load_policy_file(written(folder, text))
    assert told.value.exit_code == 3
    return str(told.value)


def test_every_mistake_is_told_at_once_with_line_column_and_hint(tmp_path: Path) -> None:
    said = refused(tmp_path, WRONG).splitlines()

    assert said[0] == f"{tmp_path}/careful.yml: {len(PLACES)} mistakes"
    found = {}
    hintless = 0
    for line in said[1:]:
        if at := re.fullmatch(rf"{re.escape(str(tmp_path))}/careful\.yml:(\d+):(\d+): (.*)", line):
            found[int(at[1]), int(at[2])] = at[3]
        else:
            assert line.startswith("  try: "), line
            hintless -= 1
    assert found.keys() == PLACES.keys()
    for place, words in PLACES.items():
        assert words in found[place]
    # An address may be a secret, wherever it was written by mistake.
    assert not [line for line in said if "chat.example" in line]
    # Only what is wrong within a rule says all there is to say.
    assert len(found) + hintless == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: this file is a mapping"),
        ("- policy: x\n", "1:1: this file is a mapping"),
        ("policy: x\n", "1:1: 'waves' is missing"),
        ("waves: [1]\n", "1:1: 'policy' is missing"),
        ("policy: x\nwaves:\n", "2:1: waves is empty"),
        ("policy: x\nwaves: []\n", "2:1: waves has at least 1 entry"),
        ("policy: x\nwaves: 5\n", "2:1: waves is a list"),
        ("policy: x\nwaves: [yes]\n", "2:9: True is no number of hosts"),
        ("policy: x\nwaves: [1]\nwaves: [2]\n", "3:1: 'waves' stands twice, first in line 2"),
        ("policy: x\nwaves: [100%, 5]\n", "2:1: no host is left for wave 2"),
        ("policy: x\nwaves: [1]\norder:\n", "3:1: order is empty"),
        ("policy: x\nwaves: [1]\norder: {by: name, seed: 3}\n", "3:1: a seed has no meaning"),
        ("policy: x\nwaves: [1]\norder: {first: [{}]}\n", "3:17: name `labels` or a `group`"),
        ("policy: x\nwaves: [1]\norder: {first: [{lables: {a: b}}]}\n", "3:18: unknown key 'lables'"),
        ("policy: x\nwaves: [1]\nfailure_domain: {}\n", "3:1: a failure domain is a label, or groups"),
        ("policy: x\nwaves: [1]\ngates: []\n", "3:1: gates has at least 1 entry"),
        (
            "policy: x\nwaves: [1]\ngates: [{gate: counters, leave_out: [aborts, sent-reset]}]\n",
            "3:46: there is no built-in rule 'sent-reset'",
        ),
        ("policy: x\nwaves: [1]\ngates: ssh\n", "3:1: gates is a list"),
        ("policy: x\nwaves: [1]\ngates: [ssh]\n", "3:9: each of gates is a mapping"),
        (
            "policy: x\nwaves: [1]\nwindow: {opens: '1:00', closes: '02:00', zone: UTC}\n",
            "3:10: '1:00' is no time of day",
        ),
        ("policy: x\nwaves: [1]\nwindow: [{opens: '01:00', closes: '02:00'}]\n", "3:10: 'zone' is missing"),
        ("policy: x\nwaves: [1]\nwindow: always\n", "3:1: window is a mapping"),
        ("policy: x\nwaves: [1\n", "this is no YAML"),
        ("policy: x\nwaves: [1]\nname: x\n", "3:1: unknown key 'name'"),
        ("policy: x\nwaves: [1]\norigin: here\n", "3:1: unknown key 'origin'"),
    ],
)
def test_a_mistake_is_told_where_it_stands(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(tmp_path, text)


def test_a_policy_that_says_everything_is_read(tmp_path: Path) -> None:
    found = load_policy_file(written(tmp_path, WHOLE))

    assert found.waves == ("2", "10%", "100%")
    assert (found.soak_s, found.concurrency) == (300, 10)
    assert [gate.gate for gate in found.gates] == ["ssh", "tcp", "http", "command", "counters"]
    assert isinstance(found.gates[1], TcpGate)
    assert (found.gates[1].ports, found.gates[1].within_s) == ((80, 443), 2.5)
    assert isinstance(found.gates[2], HttpGate)
    assert found.gates[2].status == (200, 204)
    assert (found.order.by, found.order.seed) == (OrderBy.SHUFFLED, 7)
    assert [str(window) for window in found.window] == [
        "mon, tue 22:00 to 04:00 Europe/Berlin",
        "sat 00:00 to 24:00 UTC",
    ]
    assert [(one.called, one.format, len(one.events)) for one in found.notify] == [
        ("TCPTUNE_WEBHOOK", "chat", 2),
        ("/etc/tcptune/webhook", "json", 5),
    ]
    assert (found.origin, found.digest) == (f"{tmp_path}/careful.yml", sha256(WHOLE))


def test_a_single_window_and_short_forms_are_read(tmp_path: Path) -> None:
    text = "policy: x\nwaves: [1]\nfailure_domain: rack\norder: plan\n"
    text += "window: {opens: 22:00, closes: 04:00, zone: UTC}\n"

    found = load_policy_file(written(tmp_path, text))

    # 22:00 without quotes is a number to YAML 1.1, and a time to whoever writes it.
    assert str(found.window[0]) == "every day 22:00 to 04:00 UTC"
    assert str(found.failure_domain) == "rack"
    assert found.order.by is OrderBy.PLAN


def test_a_policy_that_is_not_there_has_the_nearest_name_as_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(PolicyError, match="there is no policy 'standart'") as told:
        load_policy("standart")
    assert told.value.hint == "standard or a path ending in .yml"
    with pytest.raises(PolicyError, match=r"gone\.yml: No such file"):
        load_policy("gone.yml")


def test_a_file_of_any_name_is_a_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("careful").write_text("policy: careful\nwaves: [1]\n")

    assert load_policy("careful").policy == "careful"


def test_the_standard_policy_is_canary_then_growing_waves_and_stops_at_the_first_failed_gate() -> None:
    found = load_policy("standard")

    assert found.waves == ("1", "5%", "25%", "100%")
    assert {gate.gate for gate in found.gates} == {"ssh", "counters"}
    assert found.origin == "standard (built in)"
    # No failure in the canary and in small waves.
    assert found.failures.exceeded(wave=1, of_wave=1, total=1, of_total=1000)
    assert found.failures.exceeded(wave=1, of_wave=9, total=1, of_total=1000)
    assert not found.failures.exceeded(wave=1, of_wave=10, total=1, of_total=1000)


def test_every_built_in_policy_is_listed_and_named_as_its_file() -> None:
    assert [one.name for one in list_built_in_policies().policies] == list(built_in_policies())
    assert all(load_policy(name).policy == name and load_policy(name).summary for name in built_in_policies())


def test_hints_are_about_keys_that_exist() -> None:
    assert set(HINTS) - {""} <= set(keys(PolicyFile))
    assert {key for key in keys(PolicyFile) if "." not in key} <= set(HINTS)


def test_the_published_schema_is_the_generated_one() -> None:
    assert json.loads(SCHEMA.read_text()) == policy_schema(), (
        f"run: tcptune policy schema -o {SCHEMA}, and review the difference"
    )


def valid(text: str) -> bool:
    jsonschema.Draft202012Validator.check_schema(policy_schema())
    return bool(jsonschema.Draft202012Validator(policy_schema()).is_valid(yaml.safe_load(text)))


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        built_in_policies()["standard"],
        "{policy: x, waves: [1], failure_domain: rack, order: plan}",
        "{policy: x, waves: [1], window: {opens: '22:00', closes: '04:00', zone: UTC}}",
    ],
)
def test_the_schema_takes_what_the_language_does(text: str) -> None:
    assert valid(text)


@pytest.mark.parametrize(
    "more",
    [
        "wave: [1]",
        "order: nmae",
        "cohorts: al",
        "concurrency: 0",
        "concurrency: null",
        "gates: []",
        "gates: [{gate: tpc}]",
        "gates: [{gate: tcp}]",
        "gates: [{gate: ssh, ports: [22]}]",
        "window: {opens: '25:00', closes: '04:00', zone: UTC}",
        "window: {opens: '22:00', closes: '04:00'}",
        "on_failure: rollback",
        "failures: {per_wafe: 1}",
        "notify: [{url_env: 'https://chat.example/secret'}]",
        "notify: [{url_file: 'https://chat.example/secret'}]",
        "notify: [{url_env: A, events: [rollout_end]}]",
    ],
)
def test_the_schema_refuses_what_the_language_does(more: str, tmp_path: Path) -> None:
    text = f"{{policy: x, waves: [1], {more}}}"

    assert not valid(text)
    refused(tmp_path, text)
