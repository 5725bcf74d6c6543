"""Services of a real host tried from here and from another host: nginx with TLS, and what a firewall does to a SYN."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import Machine
from tests.unit.adapters.gates.certificates import Authority

pytestmark = pytest.mark.lab

FOLDER = "/run/nginx-probe"
CONFIG = """\
user root;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  server {{ listen 8080; listen 8084; location / {{ return 204; }}
    location /dead {{ proxy_pass http://127.0.0.1:9; }} }}
  server {{ listen 8443 ssl;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem; return 204; }}
}}
"""
# The rule for 8084 drops one packet a day: the first SYN alone.
RULES = """
table inet faults {
  chain input {
    type filter hook input priority 0;
    tcp dport 8081 drop
    tcp dport 8082 reject with tcp reset
    tcp dport 8083 reject with icmpx type host-unreachable
    tcp dport 8084 limit rate 1/day burst 1 packets drop
  }
}
"""


@pytest.fixture(autouse=True)
def _programs() -> None:
    for name, package in (("nginx", "nginx-light"), ("nft", "nftables")):
        if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            say(f"{name} is missing (Debian package {package})")


@pytest.fixture
def service(machines: Machines, tmp_path: Path) -> Iterator[tuple[Machine, Machine, Path]]:
    """Give a host with services, another that looks at them, and the file of who signed its certificate."""
    web, other = machines(2)
    authority = Authority(tmp_path)
    authority.server(web.address)
    web.run("mkdir", "-p", FOLDER)
    web.write(f"{FOLDER}/server.pem", (tmp_path / "server.pem").read_text())
    web.write(f"{FOLDER}/nginx.conf", CONFIG.format(folder=FOLDER))
    web.run("nginx", "-c", f"{FOLDER}/nginx.conf", "-e", f"{FOLDER}/error.log")
    try:
        yield web, other, authority.file
    finally:
        web.run("nginx", "-c", f"{FOLDER}/nginx.conf", "-s", "stop")


def told(said: str) -> dict[str, Any]:
    """Give stage and error of the last stage of each service, or None where all was well."""
    found = {}
    for service in json.loads(said)["services"]:
        [address] = service["addresses"]
        failures = address["failures"]
        found[service["target"]["name"]] = (failures[0]["stage"], failures[0]["error"]) if failures else None
    return found


def test_what_a_host_does_to_those_who_connect_is_told_apart(
    service: tuple[Machine, Machine, Path], tcptune: Tcptune, on: On
) -> None:
    web, other, ca_file = service
    web.run("nft", "-f", "-", text=RULES)
    at = web.address
    expected = {
        f"http://{at}:8080/": None,
        f"https://{at}:8443/": None,
        f"http://{at}:8080/dead": ("http", "status"),
        f"https://{at}:8080/": ("tls", "protocol"),
        f"http://{at}:8443/": ("http", "status"),
        f"{at}:8081": ("connect", "timeout"),
        f"{at}:8082": ("connect", "refused"),
        f"{at}:8083": ("connect", "no-route"),
        f"{at}:8099": ("connect", "refused"),
    }
    options = ("--count", "1", "--timeout", "3", "--format", "json")
    here = tcptune("probe", *expected, *options, "--ca-file", ca_file, expect=10)

    assert told(here.stdout) == expected

    other.write("/etc/ca.pem", ca_file.read_text())
    inventory = on(other)[:2]
    there = tcptune(
        "probe", *expected, *options, "--ca-file", "/etc/ca.pem", "--from", other.name, *inventory, expect=10
    )

    assert told(there.stdout) == expected
    assert json.loads(there.stdout)["origin"] == other.name


def test_a_first_syn_that_is_lost_is_told_though_the_service_answers(
    service: tuple[Machine, Machine, Path], tcptune: Tcptune
) -> None:
    web, _, _ = service
    web.run("nft", "-f", "-", text=RULES)
    options = ("--count", "3", "--interval", "0.1", "--format", "json")
    done = tcptune("probe", f"http://{web.address}:8084/", *options, expect=10)

    [found] = json.loads(done.stdout)["services"]
    [address] = found["addresses"]
    assert address["failures"] == []
    assert address["retried"]["syns"] == 1
    assert "about 1 s later" in address["retried"]["evidence"]
    assert address["stages"][-1]["worked"]["count"] == 3
