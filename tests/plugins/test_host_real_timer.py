"""rollback.sh, the revert timer and crashes against the kernel itself, in namespaces of their own."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from pathlib import Path

import pytest
from namespaces import elsewhere, needs_namespaces

pytestmark = [pytest.mark.lab, needs_namespaces]

_HERE = Path(__file__).resolve().parent
_FIRST = """
import glob, json, os, signal, subprocess, sys, tempfile, time
sys.path[:0] = [{plugins!r}, {here!r}]
from fake_host import EVERY_KIND, MISSING
from module_utils import changeset, status, timer
from module_utils.errors import ChangeError
from module_utils.host import Host
from module_utils.kernel import same
from module_utils.request import make_request
from module_utils.steps import STEPS, steps_of
FILES = [dict(path=path, content=text) for path, text in EVERY_KIND.items()]
FOLDERS = {{os.path.dirname(path) for path in EVERY_KIND}}
PORTS = "99," + ",".join(str(port) for port in range(10000, 11364, 2))
WANTED = {{
    "net.core.somaxconn": "1024",
    # Takes every interface along, there and back.
    "net.ipv4.ip_forward": "1",
    "net.ipv4.tcp_rmem": "4096 131072 16777216",
    "net.ipv4.ip_local_reserved_ports": PORTS,
    # In this order there, and in the other order back; the kernel refuses it otherwise.
    "net.ipv4.ip_unprivileged_port_start": "400",
    "net.ipv4.ip_local_port_range": "500 60000",
}}
host = Host()

def look():
    found = {{key: host.kernel.read(key).text for key in WANTED}}
    for path in glob.glob("/proc/sys/net/ipv4/conf/*/forwarding"):
        found[path] = open(path).read()
    # None where the folder is not there.
    found["files"] = {{folder: names(folder) for folder in sorted(FOLDERS)}}
    return found

def names(folder):
    if not os.path.isdir(folder):
        return None
    found = {{name: open(os.path.join(folder, name)).read() for name in sorted(os.listdir(folder))
             if os.path.isfile(os.path.join(folder, name))}}
    return [oct(os.stat(folder).st_mode), found]

def there():
    # Whether each file is there, whole.
    return all(os.path.exists(path) and open(path).read() == text for path, text in EVERY_KIND.items())

def apply(run="run-1", host=host, **more):
    return changeset.apply(host, make_request(WANTED, {{}}, FILES, run, **more))

def state(run="run-1"):
    return host.runs.load(run).state

def until(condition, seconds):
    start = time.monotonic()
    while not condition() and time.monotonic() - start < seconds:
        time.sleep(0.05)
    return time.monotonic() - start

# So that the way back moves it, and the way there does not.
host.kernel.write("net.ipv4.conf.lo.forwarding", "1")
subprocess.run(["rm", "-rf", *MISSING], check=True)
before = look()
"""


def told(code):
    """Run Python code in namespaces of its own and return what it prints, as JSON."""
    first = _FIRST.format(plugins=str(_HERE.parents[1] / "plugins"), here=str(_HERE))
    done = elsewhere([sys.executable, "-c", first + textwrap.dedent(code)])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("shell", ["dash", "busybox", "bash"])
@pytest.mark.parametrize("confirmed", [False, True])
def test_the_script_restores_what_a_real_kernel_shows(shell, confirmed):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    as_before, applied, code, said, end, again = told(
        f"""
        shell, path = {shell!r}, "/usr/bin:/bin"
        command = [shell]
        if shell == "busybox":
            path = tempfile.mkdtemp()
            subprocess.run(["/usr/bin/busybox", "--install", "-s", path], check=True)
            command = ["/usr/bin/busybox", "ash"]
        apply()
        {"changeset.confirm(host, 'run-1')" if confirmed else ""}
        applied = all(same(key, host.kernel.read(key).text, value) for key, value in WANTED.items())
        done = subprocess.run([*command, host.runs.file("run-1", "rollback.sh")], env={{"PATH": path}},
                              capture_output=True, text=True)
        again = changeset.rollback(host, "run-1").changed
        print(json.dumps([before == look(), applied, done.returncode, done.stderr, state(), again]))
        """
    )

    assert (as_before, applied, code, end, again) == (True, True, 0, "rolled_back", False), said


def test_the_script_leaves_alone_what_somebody_else_set_on_a_real_kernel():
    found = told(
        """
        apply()
        host.kernel.write("net.core.somaxconn", "77")
        done = subprocess.run(["sh", host.runs.file("run-1", "rollback.sh")])
        print(json.dumps([done.returncode, host.kernel.read("net.core.somaxconn").text, host.runs.load("run-1").left,
                          look()["net.ipv4.tcp_rmem"] == before["net.ipv4.tcp_rmem"]]))
        """
    )

    assert found == [0, "77", ["net.core.somaxconn"], True]


def test_the_timer_restores_real_settings_after_whoever_armed_it_was_killed():
    as_before, state, seconds, killed = told(
        """
        child = os.fork()
        if child == 0:
            os.setsid()
            apply(revert_after_s=2)
            os.kill(os.getpid(), signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        seconds = until(lambda: state() == "reverted", 20)
        print(json.dumps([before == look(), state(), seconds, os.WTERMSIG(status)]))
        """
    )

    assert (as_before, state, killed) == (True, "reverted", 9)
    assert seconds < 2 + 5


@pytest.mark.parametrize("timed", [True, False], ids=["the timer", "the next call"])
def test_killed_at_any_step_on_a_real_kernel_it_is_all_before_or_all_after(timed):
    found = told(
        f"""
        acts = {{
            "apply": lambda host, run: apply(run, host, revert_after_s=600),
            "confirm": lambda host, run: changeset.confirm(host, run),
            "roll back": lambda host, run: changeset.rollback(host, run),
        }}
        earlier = {{"apply": (), "confirm": ("apply",), "roll back": ("apply", "confirm")}}
        wrong, count = [], 0
        for act in acts:
            number = 0
            while True:
                number, count = number + 1, count + 1
                run = act.replace(" ", "-") + str(number)
                for one in earlier[act]:
                    acts[one](host, run)
                child = os.fork()
                if child == 0:
                    steps = []
                    def reached(step):
                        steps.append(step)
                        if len(steps) == number:
                            os.kill(os.getpid(), signal.SIGKILL)
                    acts[act](Host(reached=reached), run)
                    os._exit(0)
                ended = os.waitpid(child, 0)[1]
                if not os.WIFSIGNALED(ended):
                    if ended:
                        wrong.append([act, number, "refused", ended])
                    changeset.rollback(host, run)
                    break
                folder = host.runs.at(run)
                middle = state(run) in ("prepared", "running", "confirming", "rolling_back")
                if {timed!r} and middle and timer.alive(folder):
                    # The script lets go of the lock last.
                    until(lambda: state(run) == "reverted" and status.busy(host) is None, 10)
                    if state(run) != "reverted":
                        wrong.append([act, number, "no timer", state(run)])
                else:
                    while True:
                        try:
                            changeset.apply(host, make_request({{"net.core.nosuch": "1"}}, run="run-x"))
                        except ChangeError as error:
                            # The timer was there first.
                            if error.kind != "locked":
                                break
                end = state(run)
                if end in ("rolled_back", "reverted"):
                    if look() != before:
                        wrong.append([act, number, end, look()])
                    continue
                values = all(same(key, host.kernel.read(key).text, value) for key, value in WANTED.items())
                files = there() if end == "confirmed" else look()["files"] == before["files"]
                if not (values and files) or end not in ("held", "confirmed"):
                    wrong.append([act, number, end, look()])
                changeset.rollback(host, run)
                if look() != before:
                    wrong.append([act, number, "not back", look()])
        print(json.dumps([count, wrong]))
        """
    )
    count, wrong = found

    assert wrong == []
    # Twelve steps, eleven and nineteen, and each act once to its end.
    assert count == 42 + 3
