"""The race for an idle connection behind an HAProxy: the pair is named, and a request is lost for real.

The server ends the connection just when the second request comes, as one does whose idle timeout is over then.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines
from tests.acceptance.haproxy import MEASURING, haproxy, let, log, running
from tests.acceptance.haproxy_scenes import ONCE

pytestmark = pytest.mark.lab

PORT = 8301
CONFIGURATION = f"""\
global
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 60s
  timeout server 20s
  timeout http-keep-alive 65s
frontend web
  bind 127.0.0.1:{PORT}
  default_backend app
backend app
  server s 127.0.0.1:{ONCE}
"""
CLOSING = CONFIGURATION + "  option http-server-close\n"
RETRYING = CONFIGURATION + "  retry-on empty-response\n"
CHAIN = """\
chain: race
hops:
  - {name: browser, sends: {idle_timeout: %s}}
  - {name: proxy, product: haproxy, upstream: app%s}
  - {name: app, receives: {idle_timeout: 2s}}
"""
DECLARED = ", sends: {idle_timeout: 65s}"


def judged(tcptune: Tcptune, text: str, chain: str, expect: int) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Map each pair of hops and rule to what was judged of them."""
    path = tcptune.file("race.yml", chain)
    proxy = tcptune.file("haproxy.cfg", text)
    said = tcptune("timeouts", "check", path, "--haproxy", proxy, "--format", "json", expect=expect)
    [way] = json.loads(said.stdout)["ways"]
    return {(link["requester"], link["receiver"], one["rule"]): one for link in way["links"] for one in link["judged"]}


def answers(machines: Machines, text: str) -> tuple[list[str | None], list[str]]:
    """Give the answers to two requests over one connection to HAProxy, and what it wrote of them."""
    [machine] = machines(1)
    with running(machine, text, [PORT]):
        said = json.loads(let(machine, MEASURING, {"web": (PORT, "twice")}, "0"))["web"]
    return [one and one.split()[1] for one in said], [line for line in log(machine) if "GET / " in line]


def test_the_pair_that_breaks_is_named_and_a_request_is_lost_without_a_line(
    machines: Machines, tcptune: Tcptune
) -> None:
    haproxy()
    found = judged(tcptune, CONFIGURATION, CHAIN % ("30s", DECLARED), expect=10)
    assert {pair for pair, one in found.items() if one["verdict"] == "broken"} == {("proxy", "app", "idle")}
    assert found["proxy", "app", "idle"]["causes"][0] == "reset.keepalive_race"

    said, written = answers(machines, CONFIGURATION)
    assert said == ["200", None]
    assert len(written) == 1, written


def test_it_is_not_called_fine_where_nothing_is_declared(tcptune: Tcptune) -> None:
    found = judged(tcptune, CONFIGURATION, CHAIN % ("30s", ""), expect=4)

    assert found["proxy", "app", "idle"]["verdict"] == "not judged"


def test_the_side_of_the_clients_is_judged_by_what_haproxy_really_keeps(tcptune: Tcptune) -> None:
    # Longer than timeout client, shorter than timeout http-keep-alive.
    found = judged(tcptune, CLOSING, CHAIN % ("62s", ""), expect=10)

    assert {pair for pair, one in found.items() if one["verdict"] == "broken"} == {("browser", "proxy", "idle")}


def test_a_proxy_that_never_reuses_a_connection_loses_nothing(machines: Machines, tcptune: Tcptune) -> None:
    haproxy()
    found = judged(tcptune, CLOSING, CHAIN % ("30s", DECLARED), expect=0)
    assert found["proxy", "app", "idle"]["verdict"] == "fine"

    assert answers(machines, CLOSING)[0] == ["200", "200"]


def test_haproxy_asks_again_where_it_is_told_to(machines: Machines) -> None:
    haproxy()
    said, written = answers(machines, RETRYING)

    assert said == ["200", "200"]
    # Retries stand last in the counts of the second line.
    assert "/1 0/0 " in written[1], written
