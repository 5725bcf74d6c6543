"""A real nginx, and a process that is really killed while it changes a file of its configuration."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from namespaces import elsewhere, needs_namespaces

pytestmark = [
    pytest.mark.lab,
    needs_namespaces,
    pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="needs nginx-light"),
]

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
CONF = "/etc/nginx/conf.d/99-tcptune.conf"
NGINX = """\
user root;
pid /var/lib/nginx/killed.pid;
error_log /dev/null;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path /var/lib/nginx/body;
  include /etc/nginx/conf.d/*;
  server { listen 127.0.0.1:8080 default_server; return 204; }
}
"""
# Kills itself before the step of that number: a write, a removal, or a call of nginx. Without a place to try a file,
# nginx that would be shown one cannot be started.
_SCRIPT = f"""
import json, os, signal, subprocess, sys
sys.path.insert(0, {str(PLUGINS)!r})
from module_utils import nginx, storage, trial
from module_utils.errors import ChangeError

PATH = {CONF!r}
FOLDER = os.path.dirname(PATH)
os.makedirs(FOLDER, exist_ok=True)
os.makedirs("/var/lib/nginx", exist_ok=True)
open("/etc/nginx/nginx.conf", "w").write({NGINX!r})
real = trial.seeing


def bring(wanted, at=0):
    steps = 0
    def counted(act):
        def acted(*given):
            nonlocal steps
            steps += 1
            if steps == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return act(*given)
        return acted
    storage.write, storage.remove = counted(storage.write), counted(storage.remove)
    nginx.Nginx.run = counted(nginx.Nginx.run)
    try:
        done = nginx.bring(nginx.Nginx(["nginx"]), PATH, wanted, check=False)
        return "recovered" if done.recovered else "changed" if done.changed else "unchanged"
    except ChangeError as error:
        return str(error)


def apart(wanted, at=0):
    # Return what it said, None where it was killed.
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, json.dumps(bring(wanted, at)).encode())
        os._exit(0)
    os.close(write)
    said = os.fdopen(read, "rb").read()
    status = os.waitpid(child, 0)[1]
    assert (status, bool(said)) in ((0, True), (signal.SIGKILL, False)), (status, said)
    return json.loads(said) if said else None


def story(dying, then, aside):
    trial.seeing = real if aside else lambda *_: ["false"]
    told = []
    for at in range(1, 30):
        for name in os.listdir(FOLDER):
            os.unlink(os.path.join(FOLDER, name))
        open(PATH, "w").write("keepalive_timeout 11s;\\n")
        said = apart(dying, at)
        starts = subprocess.run(["nginx", "-t", "-q"], capture_output=True).returncode == 0
        left = sorted(os.listdir(FOLDER))
        after = apart(then)
        shown = open(PATH, "rb").read() if os.path.exists(PATH) else None
        told.append([said, starts, len(left), after, shown == then, sorted(os.listdir(FOLDER))])
        if said is not None:
            return told
    raise AssertionError("it never came to an end")


print(json.dumps({{
    f"{{name}} {{aside}}": story(dying, then, aside)
    for aside in (True, False)
    for name, dying, then in (
        ("right", b"keepalive_timeout 22s;\\n", b"keepalive_timeout 33s;\\n"),
        ("wrong", b"keepalive_timeout 22 parsecs;\\n", b"keepalive_timeout 22s;\\n"),
        ("gone", None, b"keepalive_timeout 11s;\\n"),
    )
}}))
"""


@pytest.fixture(scope="module")
def stories():
    done = elsewhere([sys.executable, "-c", _SCRIPT], env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("aside", [True, False])
@pytest.mark.parametrize("name", ["right", "wrong", "gone"])
def test_wherever_it_is_killed_the_next_call_has_its_way_and_nothing_is_left(stories, name, aside):
    told = stories[f"{name} {aside}"]

    assert [said for said, *_ in told[:-1]] == [None] * (len(told) - 1)
    for _, _, _, after, as_wanted, left in told:
        assert after in ("changed", "recovered", "unchanged")
        assert (as_wanted, left) == (True, [Path(CONF).name])


@pytest.mark.parametrize("name", ["right", "wrong", "gone"])
def test_where_the_file_can_be_tried_first_nginx_starts_wherever_it_is_killed(stories, name):
    told = stories[f"{name} True"]

    assert {starts for _, starts, *_ in told} == {True}
    assert ("file was not touched" in told[-1][0]) == (name == "wrong")
    # Tried, and found wrong, it has written nothing.
    assert (max(left for _, _, left, *_ in told) > 1) == (name != "wrong")


def test_where_it_cannot_the_next_call_puts_the_unchecked_file_back(stories):
    told = stories["wrong False"]

    # Before it was checked, and before it was put back.
    assert [after for _, starts, _, after, *_ in told if not starts] == ["recovered"] * 2
    assert "the previous file is back" in told[-1][0]
