"""Chain files: every mistake at once with its place and a hint; the schema takes and refuses what the language does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tcptune.adapters.chains import HINTS, chain_schema, load_chain
from tcptune.adapters.model_mistakes import keys
from tcptune.domain.chain import Aspect, ChainFile, Origin
from tcptune.errors import ChainError

SCHEMA = Path("docs/schemas/chain.schema.json")
RIGHT = """\
chain: shop
hops:
  - name: client
    sends: {idle_timeout: 1.5m, tcp_keepalive: off, requests: 100, response_timeout: never}
  - name: nat
    layer: 4
    idle_timeout: 250ms
  - name: app
    product: node
    receives:
      idle_timeout: 0
      answer_within: 90
"""
WRONG = """\
chian: shop
format_version: 2
hops:
  - name: ''
    product: ngnix
    idle_timeout: soon
  - name: nat
    product: aws-nlb
    sends: {idle_timeout: 1s}
  - name: app
    layer: 5
    receives: {idle_timeout: -1, requests: many, tcp_keepalive: 0, answer_within: , idle: 3}
    sends: {reuse: perhaps, tcp_keepalive: 400d}
"""
TELLS = {
    "1:1": "unknown key 'chian'",
    "2:1": "format version 1, not 2",
    "4:5": "a name belongs here",
    "6:5": "'soon' is no time",
    "11:5": "layer is 4",
    "12:16": "'-1' is no time",
    "12:34": "'many' is no number of requests",
    "12:50": "more than 0 s",
    "12:68": "a time is missing here",
    "12:85": "unknown key 'idle'",
    "13:13": "reuse is true or false",
    "13:29": "'400d' is no time up to a year",
}


def wrote(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "chain.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_file_says_and_where(tmp_path: Path) -> None:
    client, nat, app = load_chain(wrote(tmp_path, RIGHT)).hops

    assert {aspect: one.value for aspect, one in client.settings.items()} == {
        Aspect.SENDS_IDLE: 90,
        Aspect.SENDS_KEEPALIVE: None,
        Aspect.SENDS_REQUESTS: 100,
        Aspect.RESPONSE: None,
    }
    assert (nat.layer, nat.settings[Aspect.FLOW].value) == (4, 0.25)
    assert app.settings[Aspect.ANSWER].value == 90
    assert app.settings[Aspect.ANSWER].origin is Origin.DECLARED
    assert app.settings[Aspect.ANSWER].said.endswith("chain.yml:12")


def test_http2_is_read_and_the_other_side_knows_it(tmp_path: Path) -> None:
    hops = ("{name: a, sends: {http2: true, ping: 30s, idle_ping: never}}", "{name: b, receives: {pings_apart: 5m}}")
    text = "chain: x\nhops:\n" + "".join(f"  - {one}\n" for one in hops)

    one, other = load_chain(wrote(tmp_path, text)).hops

    assert (one.sends_http2, other.receives_http2) == (True, None)
    assert {aspect: found.value for aspect, found in one.settings.items()} == {Aspect.PING: 30, Aspect.IDLE_PING: None}
    assert other.settings[Aspect.PINGS_APART].said.endswith("chain.yml:4")


def test_two_hops_that_disagree_on_http2_are_told_where(tmp_path: Path) -> None:
    text = "chain: x\nhops:\n  - {name: a, sends: {http2: true}}\n  - {name: b, receives: {http2: false}}\n"

    with pytest.raises(ChainError, match=r"chain\.yml:3:\d+: a speaks HTTP/2 to b, which takes HTTP/1\.1"):
        load_chain(wrote(tmp_path, text))


def test_every_mistake_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ChainError) as told:
        load_chain(wrote(tmp_path, WRONG))

    found = dict(re.findall(r"chain\.yml:(\d+:\d+): (.+)", str(told.value)))
    assert {place: text for place, text in TELLS.items() if text not in found.get(place, "")} == {}
    assert "'chain' is missing" in str(told.value)


@pytest.mark.parametrize(
    ("hop", "tells"),
    [
        ("{name: b, product: ngnix}", "there is no product 'ngnix'"),
        ("{name: b, product: aws-nlb, layer: 7}", "aws-nlb is of layer 4, not 7"),
        ("{name: b, product: aws-nlb, sends: {idle_timeout: 3}}", "aws-nlb is of layer 4"),
        ("{name: b, layer: 4, upstream: x}", "a hop of layer 4 has an idle_timeout alone"),
        ("{name: b, layer: 4}", "a chain ends with a hop of layer 7"),
        ("{name: b, product: aws-nlb}", "a chain ends with a hop of layer 7"),
        ("{name: a}", "a name stands for one hop: a for several"),
        ("{name: b, receives: {pings_apart: 5m}}", "receives.pings_apart is of HTTP/2, which b does not speak there"),
        ("{name: b, receives: {http2: yes please}}", "http2 is true or false"),
        ("{name: b, product: grpc, receives: {http2: false}}", "grpc speaks HTTP/2 alone there"),
        ("{name: b, receives: {max_age: 0}}", "more than 0 s"),
        ("[]", "hops"),
    ],
)
def test_one_mistake_is_one_line_with_a_hint(hop: str, tells: str, tmp_path: Path) -> None:
    with pytest.raises(ChainError) as told:
        load_chain(wrote(tmp_path, f"chain: x\nhops: [{{name: a}}, {hop}]\n"))

    assert tells in str(told.value)


@pytest.mark.parametrize("text", ["", "[]", "a: [", "chain: x\nhops: []\n", "chain: x\nhops: [{name: a}]\n", "\0"])
def test_what_is_no_chain_is_told_in_one_message(text: str, tmp_path: Path) -> None:
    with pytest.raises(ChainError):
        load_chain(wrote(tmp_path, text))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="No such file"):
        load_chain(tmp_path / "none.yml")
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(ChainError, match="no text in UTF-8"):
        load_chain(tmp_path / "binary.yml")


PIECES = [
    "chain: x\n", "hops:\n", "  - name: a\n", "  - name: b\n", "    product: nginx\n", "    layer: 4\n", "\n", " ",
    "    receives: {idle_timeout: 5}\n", "    sends:\n", "      reuse: no\n", "{", "}", "[", "]", ": ", "&a ",
    "*a", "!!x ", "\t", "1e9", "never", "'", '"', "é", "- ", "? ", "# ",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(max_size=200))
def test_any_text_is_a_chain_or_one_message(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any-chain.yml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        said = load_chain(path).origin
    except ChainError as told:
        said = str(told)

    assert str(path) in said


def test_every_key_has_a_hint() -> None:
    assert {name.replace("..", ".") for name in keys(ChainFile)} <= set(HINTS)


def test_the_published_schema_is_the_generated_one() -> None:
    assert json.loads(SCHEMA.read_text()) == chain_schema(), f"run: tcptune timeouts schema -o {SCHEMA}"


def test_the_schema_takes_what_the_language_does_and_refuses_what_it_refuses() -> None:
    jsonschema.Draft202012Validator.check_schema(chain_schema())
    validator = jsonschema.Draft202012Validator(chain_schema())

    assert validator.is_valid(yaml.safe_load(RIGHT))
    assert not validator.is_valid(yaml.safe_load(WRONG.replace("answer_within: ,", "")))
    assert not validator.is_valid({"chain": "x", "hops": [{"name": "a"}]})
    assert not validator.is_valid({"chain": "x", "hops": [{"name": "a"}, {"name": "b", "layer": 5}]})
