"""Resets that a real kernel sent, captured by a real tcpdump with the command that capture-plan prints."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import real_resets as made
from tests.acceptance.command import Tcptune
from tests.lab import Lab, LabHost
from tests.lab.pytest_plugin import Hosts

pytestmark = pytest.mark.lab

PYTHON = "/usr/bin/python3"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
FOLDER = "/var/lib/tcptune-capture"


@pytest.fixture(autouse=True)
def _programs() -> None:
    for program, package in (("tcpdump", "tcpdump"), ("nft", "nftables")):
        if shutil.which(program, path=PATH) is None:
            pytest.skip(f"{program} is missing (Debian package {package})")


def planned(tcptune: Tcptune, peer: str, *, seconds: int) -> tuple[list[str], list[str]]:
    """Give the commands that make a folder and capture there, as they are printed, and without sudo."""
    options = ("--interface", "eth0", "--seconds", str(seconds), "--below", "/var/lib", "--snaplen", "512")
    options += ("--file-size", "1", "--files", "50")
    said = json.loads(tcptune("capture-plan", peer, *options, "--format", "json").stdout)
    commands = [step["command"].replace("sudo ", "") for step in said["steps"]]
    [make] = [command for command in commands if command.startswith("mkdir -m 700 /")]
    [capture] = [command for command in commands if "tcpdump" in command and "-w" in command]
    return ["sh", "-c", make], shlex.split(capture)


@contextmanager
def capturing(lab: Lab, host: LabHost, commands: tuple[list[str], list[str]], into: Path) -> Iterator[None]:
    """Capture on a host while the block runs, and until the time of the command is over; fetch what it wrote."""
    make, capture = commands
    lab.run(host, make)
    with subprocess.Popen(
        lab.command(host, capture), env=lab.environment, stderr=subprocess.PIPE, text=True
    ) as tcpdump:
        assert tcpdump.stderr is not None
        while "listening on" not in (line := tcpdump.stderr.readline()):
            assert line, "tcpdump did not begin"
        yield
        said = tcpdump.stderr.read()
    assert "0 packets dropped by kernel" in said
    into.mkdir()
    for name in lab.run(host, ["ls", FOLDER]).stdout.split():
        packed = subprocess.run(
            lab.command(host, ["cat", f"{FOLDER}/{name}"]), env=lab.environment, capture_output=True, check=True
        )
        (into / name).write_bytes(packed.stdout)


def causes(report: dict[str, Any]) -> dict[int, dict[str, tuple[str, str]]]:
    """Give server port -> cause -> confidence and who."""
    found: dict[int, dict[str, tuple[str, str]]] = {}
    for one in report["findings"]:
        port = int(one["flow"].rpartition(":")[2])
        found.setdefault(port, {})[one["cause"]] = (one["confidence"], one["by"])
    return found


def test_what_a_real_kernel_sends_is_named(lab: Lab, hosts: Hosts, tcptune: Tcptune, tmp_path: Path) -> None:
    client, server = hosts(2)
    with capturing(lab, client, planned(tcptune, server.address, seconds=9), tmp_path / "client"):
        serving = subprocess.Popen(
            lab.command(server, [PYTHON, "-c", made.SERVER]), env=lab.environment, stdout=subprocess.PIPE, text=True
        )
        assert serving.stdout is not None
        assert serving.stdout.readline() == "ready\n"
        felt = json.loads(lab.run(client, [PYTHON, "-c", made.CLIENT, server.address]).stdout)
        serving.communicate(timeout=30)

    found = causes(json.loads(tcptune("pcap", tmp_path / "client", "--format", "json", expect=10).stdout))

    # What applications see is told apart by far fewer words than what the packets show.
    assert felt[str(made.CLOSED)] == felt[str(made.REJECTED)] == felt[str(made.ELSEWHERE)] == "ECONNREFUSED"
    assert felt[str(made.DROPPED)] == "timeout"
    assert felt[str(made.VANISHED)] == "ETIMEDOUT"
    at = server.address
    felt_by = {port: by for port, some in found.items() for _, by in some.values() if by.startswith(client.address)}
    expected = {
        made.CLOSED: {"refused.closed_port": ("high", f"{at}:{made.CLOSED}")},
        # On the host itself a firewall answers with the very same bytes: that is said, and no more can be.
        made.REJECTED: {"refused.closed_port": ("high", f"{at}:{made.REJECTED}")},
        made.ELSEWHERE: {"refused.firewall_reject": ("likely", "a middlebox")},
        made.UNREAD: {"reset.unread_data_on_close": ("likely", f"{at}:{made.UNREAD}")},
        made.KILLED_UNREAD: {"reset.unread_data_on_close": ("likely", f"{at}:{made.KILLED_UNREAD}")},
        made.LINGER: {"reset.so_linger_zero": ("likely", f"{at}:{made.LINGER}")},
        made.FORGOTTEN: {"reset.half_open_peer_reboot": ("likely", f"{at}:{made.FORGOTTEN}")},
        made.QUEUED: {"listen.closed_with_queue": ("likely", f"{at}:{made.QUEUED}")},
        made.TRUNCATED: {"eof.truncated_response": ("high", f"{at}:{made.TRUNCATED}")},
        made.SLOW: {"perf.slow_reader": ("high", f"{at}:{made.SLOW}")},
        made.LATE: {"connect.cancelled_by_client": ("high", felt_by[made.LATE])},
        made.VANISHED: {"timeout.peer_vanished": ("high", f"{at}:{made.VANISHED}")},
    }
    assert {port: found.get(port) for port in expected} == expected
    for port in (made.AFTER_CLOSE, made.KILLED):
        [(cause, (confidence, by))] = found[port].items()
        assert (cause, confidence) == ("reset.write_after_peer_close", "high")
        assert by.startswith(client.address)
    assert found[made.DROPPED].keys() == {"connect_timeout.drop"}
    assert felt[str(made.OVERFLOW)] == "ECONNRESET"
    assert found[made.OVERFLOW]["listen.abort_on_overflow"] == ("likely", f"{at}:{made.OVERFLOW}")
    assert made.FINE not in found


def test_healthy_connections_under_load_are_no_finding(
    lab: Lab, hosts: Hosts, tcptune: Tcptune, tmp_path: Path
) -> None:
    client, server = hosts(2)
    with (
        capturing(lab, client, planned(tcptune, server.address, seconds=8), tmp_path / "client"),
        subprocess.Popen(
            lab.command(server, [PYTHON, "-c", made.HEALTHY_SERVER]),
            env=lab.environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as serving,
    ):
        assert serving.stdout is not None
        assert serving.stdout.readline() == "ready\n"
        assert lab.run(client, [PYTHON, "-c", made.HEALTHY_CLIENT, server.address]).stdout == "done\n"

    found = json.loads(tcptune("pcap", tmp_path / "client", "--format", "json").stdout)

    assert found["findings"] == []
    assert found["flows"]["total"] == 4 + 4 * 15
    assert found["segments"] > 1000


@pytest.mark.parametrize(
    ("ahead", "felt", "cause", "expect"),
    [(0, "reset", "reset.security_device", 10), (1000, "more", "reset.challenged", 0)],
    ids=["exact", "in the window"],
)
def test_a_reset_that_a_third_machine_forged_is_proven_by_both_ends(
    ahead: int, felt: str, cause: str, expect: int, lab: Lab, hosts: Hosts, tcptune: Tcptune, tmp_path: Path
) -> None:
    client, server, box = hosts(3)
    lab.run(client, ["sh", "-c", f"rm -rf {FOLDER}"])
    near = planned(tcptune, server.address, seconds=6)
    far = planned(tcptune, client.address, seconds=6)
    serve = (
        "import socket, time; s = socket.create_server(('', 9100)); print('ready', flush=True); "
        "c, _ = s.accept(); c.recv(99); c.sendall(b'answer'); time.sleep(2); "
        "c.sendall(b'more'); c.recv(99); c.close()"
    )
    with (
        capturing(lab, client, near, tmp_path / "client"),
        capturing(lab, server, far, tmp_path / "server"),
        subprocess.Popen(
            lab.command(server, [PYTHON, "-c", serve]), env=lab.environment, stdout=subprocess.PIPE, text=True
        ) as serving,
    ):
        assert serving.stdout is not None
        assert serving.stdout.readline() == "ready\n"
        with subprocess.Popen(
            lab.command(client, [PYTHON, "-c", made.VICTIM, server.address, "9100"]),
            env=lab.environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as victim:
            assert victim.stdout is not None
            known = json.loads(victim.stdout.readline())
            forged = [server.address, client.address, "9100", str(known["port"]), str((known["seq"] + ahead) % 2**32)]
            time.sleep(0.3)
            lab.run(box, [PYTHON, "-c", made.INJECTOR, *forged])
            assert victim.stdout.readline() == f"{felt}\n"

    alone = json.loads(tcptune("pcap", tmp_path / "client", "--format", "json", expect=expect).stdout)
    both = json.loads(
        tcptune("pcap", "--both", tmp_path / "client", tmp_path / "server", "--format", "json", expect=10).stdout
    )

    assert "TTL 200, and 64 in its host's other packets" in alone["findings"][0]["signs"]
    assert [(one["cause"], one["by"]) for one in alone["findings"]] == [(cause, "a middlebox")]
    proven = [(one["cause"], one["confidence"], one["by"]) for one in both["proven"]]
    assert ("reset.security_device", "high", "a middlebox") in proven
