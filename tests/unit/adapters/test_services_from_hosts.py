"""Services tried from a managed host: the program that goes there, what it answers, and how it ends."""

from __future__ import annotations

import ast
import inspect
import json
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.adapters import prober
from tcptune.adapters.services import COMMAND, try_from_host
from tcptune.domain.hosts import Host
from tcptune.domain.service import Error, Stage, Try, target
from tcptune.errors import HostError, ProbeFailed
from tcptune.ports import Output
from tests.unit.adapters.gates.servers import closed, web
from tests.unit.adapters.tries import last, probing
from tests.unit.builders import host


class Here:
    """A transport that runs commands on this machine."""

    def __init__(self, answer: Output | None = None) -> None:
        self.answer = answer
        self.commands: list[Sequence[str]] = []

    def run(self, _: Host, command: Sequence[str], stdin: str, *, timeout_s: float) -> Output:
        self.commands.append(command)
        if self.answer is not None:
            return self.answer
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)
        return Output(done.returncode, done.stdout, done.stderr)


def test_a_managed_host_tries_with_the_same_program_and_nothing_of_it_in_a_command_line() -> None:
    transport = Here()
    with web() as (_, port):
        found = try_from_host(transport, host("web1"), [target(f"http://127.0.0.1:{port}/ok?'$(id)'")], probing())

    assert [stage.stage for stage in found[1].stages] == [Stage.CONNECT, Stage.HTTP]
    assert found[1].status == 404
    assert transport.commands == [COMMAND]


@pytest.mark.parametrize(
    ("answer", "kind", "tells"),
    [
        (Output(127, "", ""), HostError, "there is no python3"),
        (Output(1, "", "SyntaxError: x\n"), ProbeFailed, "ended before it was done: SyntaxError"),
        (Output(0, "banner\n", ""), ProbeFailed, "makes no sense: banner"),
        (Output(0, "[1]\n", ""), ProbeFailed, "makes no sense"),
        (Output(0, '{"problem": "ca.pem: gone\\u001b[2J"}\n', ""), HostError, "ca.pem: gone"),
        (Output(0, '{"target": -1}\n', ""), ProbeFailed, "makes no sense"),
        (Output(0, "[" * 100_000, ""), ProbeFailed, "makes no sense"),
    ],
)
def test_a_host_that_answers_with_something_else_is_not_fine(answer: Output, kind: type[HostError], tells: str) -> None:
    with pytest.raises(kind) as told:
        try_from_host(Here(answer), host("web1"), [target("x:1")], probing())

    assert str(told.value).startswith("web1: ")
    assert tells in str(told.value)
    assert "\x1b" not in str(told.value)


KEYS = st.sampled_from([*Try.model_fields, "end", "problem"])
FLAT = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
NESTED = FLAT | st.lists(FLAT, max_size=3) | st.dictionaries(KEYS, FLAT, max_size=3)
JSON = NESTED | st.lists(NESTED, max_size=3) | st.dictionaries(KEYS, NESTED, max_size=6)


@given(st.text(max_size=100) | st.lists(JSON, max_size=3).map(lambda rows: "\n".join(map(json.dumps, rows))))
def test_any_answer_of_a_host_is_tries_or_one_error(text: str) -> None:
    said = "web1"
    try:
        found = try_from_host(Here(Output(0, text, "")), host("web1"), [target("x:1")], probing())
    except HostError as problem:
        found, said = [], str(problem)

    assert all(isinstance(one, Try) for one in found)
    assert said.startswith("web1")


def test_an_answer_without_an_end_is_not_fine() -> None:
    with pytest.raises(ProbeFailed, match="ended before it was done"):
        try_from_host(Here(Output(0, "", "")), host("web1"), [target("x:1")], probing())


def test_the_program_runs_on_python_3_8_and_needs_nothing_but_its_library() -> None:
    tree = ast.parse(inspect.getsource(prober), feature_version=(3, 8))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)


def program(targets: Sequence[str], folder: Path, *around: str, **fields: object) -> subprocess.Popen[str]:
    """Start the program as a host does, with `folder` as the home of whoever logs in."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([*around, *COMMAND], cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdin is not None
    request = probing(**fields).request([target(one) for one in targets])
    process.stdin.write(f"{json.dumps(request)}\n{inspect.getsource(prober)}")
    process.stdin.close()
    process.stdin = None
    return process


def test_nothing_that_lies_in_the_home_of_a_login_is_run(tmp_path: Path) -> None:
    for name in ("json", "ssl", "socket", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this is run as whoever the probe becomes')\n")
    with closed() as port:
        said, problem = program([f"127.0.0.1:{port}"], tmp_path).communicate(timeout=30)

    assert (json.loads(said.splitlines()[-1]), problem) == ({"end": True}, "")


def test_the_program_ends_when_nobody_listens_to_it_any_more(tmp_path: Path) -> None:
    with closed() as port:
        process = program([f"127.0.0.1:{port}"], tmp_path, count=1000, interval_s=3)
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 15)[0], "what it finds is not told as it is found"
        assert json.loads(process.stdout.readline())["round"] == 0
        process.stdout.close()
        process.stdout = None

        assert process.wait(timeout=20) != 0
        process.communicate()


_ALONE = ("unshare", "--net", "sh", "-c")
_HAVE_NAMESPACES = subprocess.run([*_ALONE, "ip link set lo up"], capture_output=True, check=False).returncode == 0


def alone(setup: str, targets: Sequence[str], folder: Path) -> list[Try]:
    """Try from a network of its own."""
    process = program(targets, folder, *_ALONE, f'ip link set lo up; {setup}; exec "$@"', "sh", timeout_s=2.0)
    said, _ = process.communicate(timeout=30)
    return [Try.model_validate_json(line) for line in said.splitlines()[:-1]]


@pytest.mark.lab
@pytest.mark.skipif(not _HAVE_NAMESPACES, reason="network namespaces need root")
def test_a_machine_without_such_an_address_has_no_route_and_ports_enough(tmp_path: Path) -> None:
    off = "for one in all lo; do echo 1 > /proc/sys/net/ipv6/conf/$one/disable_ipv6; done"
    found = alone(off, ["[::1]:80", "[2001:db8::1]:80", "192.0.2.1:80"], tmp_path)

    assert [last(one)[:2] for one in found if one.address] == [(Stage.CONNECT, Error.NO_ROUTE)] * 3


@pytest.mark.lab
@pytest.mark.skipif(not _HAVE_NAMESPACES, reason="network namespaces need root")
def test_a_machine_whose_ports_are_used_up_says_so(tmp_path: Path) -> None:
    use_up = (
        "import socket, time\n"
        "taken = [socket.create_server(('127.0.0.1', 80))]\n"
        "try:\n    while True: taken.append(socket.create_connection(('127.0.0.1', 80)))\n"
        "except OSError: print('up', flush=True)\n"
        "time.sleep(5)"
    )
    setup = (
        f"""echo 40000 40003 > /proc/sys/net/ipv4/ip_local_port_range; {{ python3 -c "{use_up}" 2>&1 & }} | read -r _"""
    )
    found = alone(setup, ["127.0.0.1:80"], tmp_path)

    assert [last(one)[:2] for one in found if one.address] == [(Stage.CONNECT, Error.NO_LOCAL_PORT)]
