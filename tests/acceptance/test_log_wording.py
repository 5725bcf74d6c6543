"""The wording of real programs: each is made to fail for real, and its own words go through `tcptune logs`."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NODE = "require('http').get({host:'127.0.0.1',port:%d}).on('error',e=>console.log(String(e)))"
PYTHON = "import http.client as h; c=h.HTTPConnection('127.0.0.1',%d,timeout=1); c.request('GET','/'); c.getresponse()"
JAVA = """
import java.net.*;
public class Ask { public static void main(String[] ports) throws Exception { for (String port : ports) try {
  HttpURLConnection c = (HttpURLConnection) new URL("http://127.0.0.1:" + port + "/").openConnection();
  c.setReadTimeout(1000); c.getResponseCode();
} catch (Exception e) { System.out.println(e); } } }
"""
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log info;
events {{}}
http {{
  access_log {folder}/access.log combined;
  client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t;
  uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
  server {{
    listen 127.0.0.1:{port}; proxy_read_timeout 1s;
    location /closes {{ proxy_pass http://127.0.0.1:{closes}; }}
    location /resets {{ proxy_pass http://127.0.0.1:{resets}; }}
    location /silent {{ proxy_pass http://127.0.0.1:{silent}; }}
    location /nobody {{ proxy_pass http://127.0.0.1:{nobody}; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    """Servers that close, reset or stay silent once they were asked; and a port where nobody listens."""
    listeners: list[socket.socket] = []
    held: list[socket.socket] = []

    def serve(listener: socket.socket, end: Callable[[socket.socket], None]) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.recv(65536)
            end(client)

    def reset(client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    found = {}
    for name, end in {"closes": socket.socket.close, "resets": reset, "silent": held.append}.items():
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        found[name] = listener.getsockname()[1]
        threading.Thread(target=serve, args=(listener, end), daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        found["nobody"] = free.getsockname()[1]
    yield found
    for one in (*listeners, *held):
        one.close()


def said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def phrases(text: str) -> dict[str, int]:
    """Return the ids of the phrases that `tcptune logs` finds in a text, with their lines."""
    done = subprocess.run(
        [sys.executable, "-m", "tcptune", "logs", "-", "--format", "json"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in {0, 10}, done.stderr
    return {p["id"]: p["lines"] for error in json.loads(done.stdout)["errors"] for p in error["phrases"]}


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}")


@pytest.mark.parametrize(
    ("server", "phrase"), [("closes", "node.hang_up"), ("resets", "node.reset"), ("nobody", "node.refused")]
)
def test_node(ports: dict[str, int], server: str, phrase: str) -> None:
    needs("node")

    assert phrases(said(["node", "-e", NODE % ports[server]])) == {phrase: 1}


@pytest.mark.parametrize(
    ("server", "phrase"),
    [
        ("closes", "python.remote_closed"),
        ("resets", "python.reset"),
        ("nobody", "python.refused"),
        ("silent", "python.deadline"),
    ],
)
def test_python(ports: dict[str, int], server: str, phrase: str) -> None:
    assert phrases(said([sys.executable, "-c", PYTHON % ports[server]])) == {phrase: 1}


def test_java(ports: dict[str, int], tmp_path: Path) -> None:
    needs("java")
    source = tmp_path / "Ask.java"
    source.write_text(JAVA)
    asked = [str(ports[name]) for name in ("closes", "resets", "silent", "nobody")]

    text = said(["java", str(source), *asked])

    assert phrases(text) == {"java.eof": 1, "java.reset": 1, "java.read_timed_out": 1, "java.refused": 1}, text


def test_nginx(ports: dict[str, int], tmp_path: Path) -> None:
    needs("nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, port=port, **ports))
    nginx = subprocess.Popen(["nginx", "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)])
    try:
        for name in ports:
            asked = ["curl", "-s", "--retry", "3", "--retry-connrefused", f"http://127.0.0.1:{port}/{name}"]
            subprocess.run([*asked, "-o", "/dev/null", "--retry-delay", "1"], timeout=90, check=False)
    finally:
        nginx.terminate()
        nginx.wait(timeout=30)

    # Only 5xx answers that curl takes for transient are asked again, so each stands there at least once.
    assert set(phrases((tmp_path / "error.log").read_text())) == {
        "nginx.premature_upstream",
        "nginx.upstream_reset",
        "nginx.read_timed_out",
        "nginx.connect_refused",
    }
    assert set(phrases((tmp_path / "access.log").read_text())) == {"access.502", "access.504"}
