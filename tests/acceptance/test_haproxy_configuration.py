"""HAProxy's configuration is read as HAProxy reads it: what it accepts, and when it ends something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tcptune.adapters.haproxy_timeouts import read_haproxy
from tcptune.domain.chain import Aspect, Route
from tcptune.errors import ChainError
from tests.acceptance.conftest import Machines
from tests.acceptance.haproxy import MEASURING, accepted, let, running
from tests.acceptance.haproxy_scenes import SILENT, WELL

DEFAULTS = "defaults\n  mode http\n  timeout client 20s\n  timeout server 20s\n  timeout connect 5s\n"
ENDS = "frontend web\n  bind 127.0.0.1:8080\n  default_backend app\nbackend app\n  server s 127.0.0.1:9001\n"
NAMED = DEFAULTS.replace("defaults", "defaults slow", 1)
WEB = "frontend web\n  bind 127.0.0.1:8080\n"

UNITS = ("500000us", "500ms", "3s", "2m", "1h", "1d", "700", "007")
TIMEOUTS = (
    *("client", "client-fin", "server", "server-fin", "connect", "http-request", "http-keep-alive"),
    *("queue", "tunnel", "check"),
)
ACCEPTED = {
    "units": "".join(f"  timeout client {one}\n" for one in UNITS),
    "longest": "  timeout client 24d\n  timeout server 2147483647\n",
    "all timeouts": "".join(f"  timeout {one} 3s\n" for one in TIMEOUTS),
    "behind a unit": "  timeout client 1h30m\n",
    "quotes": "  timeout \"client\" '3s'\n  timeout 'server' \"3\"s\n",
    "escapes": "  timeout client \\x33s\n  errorloc 503 http://x/a\\ b\\#c\\'d\\\"e\n",
    "backslash before what it does not escape": "  errorloc 503 http://x/\\.git\n",
    "backslash at the end": "  timeout client 3s\\\n",
    "comments": "  # don't \"quote\n  timeout client 3s#5s\n  timeout server 3s # isn't long\n",
    "environment": '  timeout client "$SHORT"\n  timeout server "${NUMBER}ms"\n  timeout queue "${NONE-9s}"\n',
    "options": "  option httpclose\n  no option httpclose\n  option http-server-close\n  option http-keep-alive\n",
    "tabs": "\ttimeout\tclient\t3s\t\n",
    "carriage returns": "  timeout client 3s\r\n",
}
REFUSED = {
    "capital unit": "  timeout client 3S\n",
    "weeks": "  timeout client 1w\n",
    "fraction": "  timeout client 1.5s\n",
    "sign": "  timeout client -1\n",
    "too long": "  timeout client 25d\n",
    "too many milliseconds": "  timeout client 2147483648\n",
    "a word too much": "  timeout client 30 s\n",
    "no time": "  timeout client\n",
    "variable without quotes": "  timeout client $SHORT\n",
    "variable in single quotes": "  timeout client '$SHORT'\n",
    "escaped variable": '  timeout client "\\$SHORT"\n',
    "open quote": "  timeout client '3s\n",
    "open double quote": '  timeout client "3s\n',
    "half an escape": "  timeout client \\x3\n",
}
SECTIONS = {
    "from": f"{NAMED}defaults fast from slow\n  timeout server 2s\n{ENDS.replace('web', 'web from slow')}",
    "implicit": NAMED + ENDS,
    "two defaults": DEFAULTS + ENDS + "defaults\n  mode tcp\n",
    "listen": f"{DEFAULTS}listen all\n  bind 127.0.0.1:8080\n  server s 127.0.0.1:9001\n",
    "listen as a backend": f"{DEFAULTS}{WEB}  default_backend all\nlisten all\n  bind 127.0.0.1:8081\n",
    "one name for both": f"{DEFAULTS}frontend app\n  bind 127.0.0.1:8080\n  default_backend app\nbackend app\n",
    "rules": f"{DEFAULTS}{WEB}  use_backend app if {{ path_beg /x }}\n  use_backend %[req.hdr(x)]\nbackend app\n",
    "condition": f"{DEFAULTS}.if defined(NONE)\n  timeout client 1s\n.else\n  timeout client 2s\n.endif\n{ENDS}",
    "others": (
        f"{DEFAULTS}{ENDS}resolvers r\n  timeout retry 1s\nlog-forward l\n  bind 127.0.0.1:514\n  timeout client 7s\n"
        "fcgi-app f\n  docroot /\n  option keep-conn\nring q\n  timeout connect 1s\nmailers m\n  timeout mail 1s\n"
    ),
    "disabled": f"{DEFAULTS}{ENDS}frontend off\n  bind 127.0.0.1:8081\n  disabled\n",
}
WRONG = {
    "later defaults": f"frontend web from slow\n  bind 127.0.0.1:8080\n  default_backend app\n{NAMED}backend app\n",
    "no such backend": f"{DEFAULTS}{WEB}  default_backend none\n",
    "a frontend as a backend": f"{DEFAULTS}{WEB}  default_backend two\nfrontend two\n  bind 127.0.0.1:8081\n",
}


@pytest.mark.parametrize("case", [*ACCEPTED, *SECTIONS])
def test_what_haproxy_accepts_is_read(case: str, tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text(SECTIONS.get(case) or DEFAULTS + ACCEPTED[case] + ENDS, newline="")

    assert accepted(path)
    assert read_haproxy(path).routes


@pytest.mark.parametrize("case", [*REFUSED, *WRONG])
def test_what_haproxy_refuses_in_what_is_read_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text(WRONG.get(case) or DEFAULTS + REFUSED[case] + ENDS)

    assert not accepted(path)
    with pytest.raises(ChainError):
        read_haproxy(path)


# Each is a way in of its own. What is not said here is 20 s.
IDLE = {
    "client": "timeout client 1s",
    "request": "timeout http-request 1s",
    "keep": "timeout http-keep-alive 1s",
    "keep-first": "timeout http-keep-alive 1s;timeout http-request 9s",
    "keep-shorter-client": "timeout http-keep-alive 9s;timeout client 1s",
    "request-shorter-client": "timeout http-request 9s;timeout client 1s",
    "keep-zero": "timeout http-keep-alive 0;timeout http-request 1s",
    "all-zero": "timeout http-keep-alive 0;timeout http-request 0;timeout client 0",
    "without-unit": "timeout client 1000",
    "microseconds": "timeout client 1000000us",
    "behind-unit": "timeout client 1s9h",
    "escaped": "timeout client \\x31s",
    "closing": "option httpclose",
    "server-closing": "timeout client 1s;option http-server-close",
    "last-keeps": "timeout client 1s;option httpclose;option http-keep-alive",
    "last-closes": "timeout client 1s;option http-keep-alive;option http-server-close",
    "last-of-three": "timeout client 1s;option httpclose;option http-server-close;no option http-keep-alive",
    "taken-back": "timeout client 1s;option httpclose;no option httpclose",
    "not-taken-back": "timeout client 1s;option httpclose;no option http-server-close",
}
ANSWER = {
    "answer-seconds": "timeout server 1s",
    "answer-without-unit": "timeout server 1500",
    "answer-microseconds": "timeout server 1500000us",
    "answer-quoted": "timeout 'server' \"1500\"ms",
}
MODES = ("http-keep-alive", "http-server-close", "httpclose")
PATIENCE_S = 6.0


def configuration(ports: dict[str, int]) -> str:
    """Give a configuration with a way in for each name."""
    text = "global\n  nbthread 1\n" + DEFAULTS
    for name, port in ports.items():
        front, _, back = name.partition(":")
        if back:
            text += f"frontend {name}\n  bind 127.0.0.1:{port}\n  timeout client 1s\n  option {front}\n"
            text += f"  default_backend of-{port}\nbackend of-{port}\n  option {back}\n  server s 127.0.0.1:{WELL}\n"
        else:
            said = (IDLE | ANSWER)[name].replace(";", "\n  ")
            server = SILENT if name in ANSWER else WELL
            text += f"listen {name}\n  bind 127.0.0.1:{port}\n  {said}\n  server s 127.0.0.1:{server}\n"
    return text


@pytest.mark.lab
def test_times_are_read_as_haproxy_keeps_them(machines: Machines, tmp_path: Path) -> None:
    both = [f"{front}:{back}" for front in MODES for back in MODES]
    ports = {name: port for port, name in enumerate((*IDLE, *ANSWER, *both), start=8101)}
    text = configuration(ports)
    path = tmp_path / "haproxy.cfg"
    path.write_text(text)
    routes = {one.name.partition(" ")[0]: one for one in read_haproxy(path).routes}
    assert routes.keys() == ports.keys()

    [machine] = machines(1)
    sees = {name: (port, "answer" if name in ANSWER else "closed") for name, port in ports.items()}
    twice = {name: (port, "twice") for name, port in ports.items() if name not in ANSWER}
    with running(machine, text, [max(ports.values())]):
        measured = json.loads(let(machine, MEASURING, sees, str(PATIENCE_S)))
        answers = json.loads(let(machine, MEASURING, twice, "0"))

    found = {name: fits(name, routes[name], measured[name]) for name in ports}
    assert {name: told for name, told in found.items() if told} == {}
    assert {name: kept(*both) for name, both in answers.items()} == {name: routes[name].reuse for name in answers}
    assert {name for name, (first, _) in answers.items() if "connection: close" in first.lower()} == {
        name for name, route in routes.items() if route.settings[Aspect.RECEIVES_IDLE].value == 0
    }


def fits(name: str, route: Route, measured_s: float | None) -> str:
    """Say how a measured time contradicts what was read; nothing where it does not. None: not within the patience."""
    read_s = route.settings[Aspect.RESPONSE if name in ANSWER else Aspect.RECEIVES_IDLE].value
    if read_s is None:
        return "" if measured_s is None else f"read as never, ended after {measured_s} s"
    # HAProxy looks at its clock once in each round of its loop; how much later it ends depends on what else is running.
    if measured_s is not None and read_s * 0.8 <= measured_s < min(PATIENCE_S, read_s + 4):
        return ""
    return f"read as {read_s} s, measured {measured_s} s"


def kept(first: str, second: str | None) -> bool:
    """Say whether the second answer came over a connection to the server that was there: bodies are its number.

    It may be one that an earlier client left.
    """
    return second is not None and second.rpartition("\n")[2] <= first.rpartition("\n")[2]
