"""`tcptune probe`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.adapters.gates.servers import closed, web

from .conftest import Command

ONCE = ("--count", "1")


def test_a_service_that_answers_is_0(tcptune: Command) -> None:
    with web() as (_, port):
        said = tcptune("probe", f"http://127.0.0.1:{port}/ok", *ONCE)

    assert said.code == 0, said
    assert "http     1 of 1" in said.out
    assert said.out.endswith("0 of 1 service did not answer well every time; 1 round. Nothing has been changed.\n")


def test_a_service_that_does_not_is_10_and_says_why(tcptune: Command) -> None:
    with closed() as port:
        said = tcptune("probe", f"127.0.0.1:{port}", *ONCE, "--http", "/x", "--format", "json")

    assert said.code == 10
    [found] = json.loads(said.out)["services"]
    assert found["addresses"][0]["failures"][0]["causes"] == ["refused.closed_port", "refused.firewall_reject"]


def test_a_family_can_be_asked_for(tcptune: Command) -> None:
    with web() as (_, port):
        said = tcptune("probe", f"http://localhost:{port}/ok", *ONCE, "-4", "--format", "json")

    assert {one["family"] for one in json.loads(said.out)["services"][0]["addresses"]} == {4}


@pytest.mark.parametrize(
    ("words", "tells"),
    [
        (["web1"], "names no port"),
        (["https://me:secret@x/"], "a user or a password"),
        (["x:1", "-4", "-6"], "leave no address"),
        (["x:1", "--ca-file", "none.pem"], "--ca-file none.pem"),
        ([f"x:{at}" for at in range(1, 12)] + ["--count", "1000"], "more than 5000 tries"),
        (["x:1", "--from", "all", "-i", "hosts.yml"], "is 2 hosts"),
        (["x:1", "--from", "all", "-i", "hosts.yml"], "try: one of web1, web2"),
        (["x:1", "--from", "db", "-i", "hosts.yml"], "--from db: nothing is named db"),
        (["x:1", "-i", "hosts.yml"], "-i is for --from"),
        (["x:1", "--count", "0"], "--count"),
        (["x:1", "--http", "health"], "is no path"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_makes_no_sense_is_2(tcptune: Command, words: list[str], tells: str, tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {web1: {}, web2: {}}}\n")
    said = tcptune("probe", *words)

    assert said.code == 2
    assert tells in said.err
    assert "secret" not in said.err
    assert "Traceback" not in said.err


def test_a_host_that_cannot_be_reached_is_4(tcptune: Command, tmp_path: Path) -> None:
    with closed() as port:
        hosts = f"all: {{hosts: {{web1: {{ansible_host: 127.0.0.1, ansible_port: {port}}}}}}}\n"
        (tmp_path / "hosts.yml").write_text(hosts)
        said = tcptune("probe", "x:1", "--from", "web1", "-i", "hosts.yml")

    assert said.code == 4
    assert "web1" in said.err


def test_a_managed_host_can_be_the_one_that_tries(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {here: {ansible_connection: local}}}\n")
    with web() as (_, port):
        said = tcptune("probe", f"http://127.0.0.1:{port}/ok", *ONCE, "--from", "here", "-i", "hosts.yml")

    assert said.code == 0, said
    assert "Probe from here: 0 of 1 service" in said.out
