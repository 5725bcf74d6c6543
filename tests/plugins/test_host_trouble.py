"""What goes wrong on real hosts: each leaves the host as it was, with a message that says what to do."""

from __future__ import annotations

import errno
import json
import sys
import textwrap
from pathlib import Path

import pytest
from fake_host import SETTINGS, asking, dropin
from module_utils import changeset, preconditions
from module_utils.errors import ChangeError, Failed, Refused
from namespaces import elsewhere, needs_namespaces

_HERE = Path(__file__).resolve().parent
_FIRST = """
import errno, json, os, subprocess, sys, threading, time
sys.path[:0] = [{plugins!r}]
from module_utils import changeset, preconditions
from module_utils.errors import ChangeError
from module_utils.host import Host
from module_utils.kernel import same
from module_utils.request import make_request
KEYS = ("net.core.somaxconn", "net.ipv4.tcp_rmem", "net.ipv4.tcp_fin_timeout")
DROPIN = "/etc/sysctl.d/99-tcptune.conf"
WANTED = {{KEYS[0]: "1024", KEYS[1]: "4096 131072 16777216"}}
FILES = [{{"path": DROPIN, "content": "x\\n", "before_sha256": "absent"}}]
host = Host()
look = lambda: [*(host.kernel.read(key).text for key in KEYS), os.path.exists(DROPIN)]
before = look()

def sh(*words):
    subprocess.run(words, check=True)

def fill(folder):
    with open(os.path.join(folder, "fill"), "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC

def at(step, act):
    # When it is reached for the first time.
    waiting = [act]
    host.reached = lambda reached: waiting.pop()() if reached == step and waiting else None

def apply(settings=WANTED, files=FILES, **more):
    return changeset.apply(host, make_request(settings, {{}}, files, "run-1", **more))

def said(act):
    try:
        act()
    except ChangeError as error:
        return error.as_dict()
    raise SystemExit("nothing went wrong")

def answer(*more):
    print(json.dumps([before == look(), *more]))
"""


def told(code):
    """Run Python code in namespaces of its own and return what it answers."""
    first = _FIRST.format(plugins=str(_HERE.parents[1] / "plugins"))
    done = elsewhere([sys.executable, "-c", first + textwrap.dedent(code)])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


real = [pytest.mark.lab, needs_namespaces]


def on_a_real_kernel(function):
    for mark in real:
        function = mark(function)
    return function


@on_a_real_kernel
def test_einval_in_the_third_number_of_a_vector():
    as_before, said = told(
        """
        wanted = {KEYS[0]: "1024", KEYS[1]: "5000 131072 2147483648"}
        answer(said(lambda: apply(wanted)))
        """
    )

    assert as_before
    assert said["message"] == ("the kernel did not take net.ipv4.tcp_rmem = 5000 131072 2147483648: Invalid argument")
    assert (said["hint"], said["errno"], said["host_state"]) == (
        *("the value is outside what this kernel accepts", errno.EINVAL),
        "rolled_back",
    )


@on_a_real_kernel
def test_erofs_because_proc_sys_became_read_only_in_the_middle():
    as_before, said = told(
        """
        def read_only():
            sh("mount", "--bind", "/proc/sys", "/proc/sys")
            sh("mount", "-o", "remount,bind,ro", "/proc/sys")
        at("running", read_only)
        told = said(apply)
        sh("umount", "/proc/sys")
        answer(told)
        """
    )

    assert as_before
    assert (said["errno"], said["hint"]) == (
        errno.EROFS,
        "/proc/sys is mounted read-only here, as in most containers",
    )
    assert said["host_state"] == "rolled_back"


@on_a_real_kernel
def test_enoent_from_a_name_the_kernel_does_not_know():
    as_before, said = told(
        """
        answer(said(lambda: apply({KEYS[0]: "1024", "net.ipv4.tcp_congestion_control": "nosuch"})))
        """
    )

    assert as_before
    assert (said["errno"], said["hint"]) == (
        errno.ENOENT,
        "this kernel knows no such name; a module may have to be loaded first",
    )


def test_eperm_from_a_value_this_namespace_may_not_have(fake):
    before = fake.tree()
    fake.kernel.refused["net.ipv4.tcp_congestion_control", "bbr"] = (errno.EPERM, None)

    with pytest.raises(Failed, match=r"did not take net\.ipv4\.tcp_congestion_control = bbr: Operation not") as caught:
        changeset.apply(fake, asking({**asking().settings, "net.ipv4.tcp_congestion_control": "bbr"}))

    assert caught.value.hint == "this network namespace, or a security module, does not allow this value"
    assert fake.tree() == before


@on_a_real_kernel
def test_enospc_while_the_record_is_written():
    as_before, said, left = told(
        """
        sh("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", "/var/lib")
        # As if the room had gone between the look and the write.
        preconditions.ROOM_BYTES = -(1 << 30)
        told = said(lambda: apply(files=[dict(FILES[0], content="x" * 20000)]))
        answer(told, os.listdir("/var/lib/tcptune/runs"))
        """
    )

    assert (as_before, left) == (True, [])
    assert (said["errno"], said["hint"]) == (errno.ENOSPC, "make room on that file system, then try again")


@on_a_real_kernel
def test_a_full_disk_is_refused_before_anything_is_written():
    as_before, said, left = told(
        """
        sh("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/var/lib")
        answer(said(apply), os.listdir("/var/lib"))
        """
    )

    assert (as_before, left) == (True, [])
    assert said["message"].startswith("/var/lib has room for 64 kB and")
    assert (said["kind"], said["hint"]) == ("refused", "make room on that file system")


@on_a_real_kernel
def test_a_disk_that_fills_up_in_the_middle_takes_the_values_back_and_the_next_call_records_it():
    as_before, said, state, again = told(
        """
        sh("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/var/lib")
        at("running", lambda: fill("/var/lib"))
        told = said(apply)
        stopped, as_before = host.runs.load("run-1").state, before == look()
        os.unlink("/var/lib/fill")
        host.reached = lambda step: None
        again = changeset.apply(host, make_request({KEYS[2]: "31"}, {}, [], "run-2"))
        changeset.rollback(host, "run-2")
        answer(told, [as_before, stopped, host.runs.load("run-1").state], again.state)
        """
    )

    assert as_before
    assert said["message"].startswith("/var/lib/tcptune/runs/run-1")
    assert "the end of run run-1 could not be recorded: No space left on device" in said["message"]
    assert said["hint"] == "roll back run-1 once the disk can be written"
    assert (state, again) == ([True, "running", "rolled_back"], "held")


@on_a_real_kernel
def test_a_full_disk_does_not_keep_the_timer_from_restoring_the_values():
    (as_before,) = told(
        """
        sh("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/var/lib")
        apply(revert_after_s=1)
        fill("/var/lib")
        end = time.monotonic() + 15
        while before != look() and time.monotonic() < end:
            time.sleep(0.1)
        answer()
        """
    )

    assert as_before


@on_a_real_kernel
def test_a_read_only_etc_is_refused_before_anything_is_written():
    as_before, said, left = told(
        """
        sh("mount", "-o", "remount,ro", "/etc/sysctl.d")
        answer(said(apply), os.path.exists("/var/lib/tcptune/runs/run-1"))
        """
    )

    assert (as_before, left) == (True, False)
    assert (said["message"], said["hint"]) == (
        "/etc/sysctl.d/99-tcptune.conf cannot be written",
        "the file system is read-only",
    )


@on_a_real_kernel
def test_an_etc_that_became_read_only_since_leaves_the_run_held():
    as_before, said, state, end = told(
        """
        apply()
        held = look()
        sh("mount", "-o", "remount,ro", "/etc/sysctl.d")
        told = said(lambda: changeset.confirm(host, "run-1"))
        state = [held == look(), host.runs.load("run-1").state]
        sh("mount", "-o", "remount,rw", "/etc/sysctl.d")
        confirmed = changeset.confirm(host, "run-1").state
        changeset.rollback(host, "run-1")
        answer(told, state, confirmed)
        """
    )

    assert (as_before, state, end) == (True, [True, "held"], "confirmed")
    assert (said["errno"], said["hint"]) == (errno.EROFS, "mount that file system read-write, then try again")
    assert said["host_state"] == "held"


@on_a_real_kernel
def test_of_two_applies_at_once_one_is_told_to_wait():
    as_before, said, held = told(
        """
        told = []
        def second():
            pid = os.fork()
            if pid == 0:
                found = said(lambda: changeset.apply(Host(), make_request({KEYS[2]: "31"}, {}, [], "run-2")))
                with open("/var/lib/second", "w") as file:
                    json.dump([found, os.getppid()], file)
                os._exit(0)
            os.waitpid(pid, 0)
        at(KEYS[0], second)
        done = apply()
        with open("/var/lib/second") as file:
            found, first = json.load(file)
        runs = sorted(os.listdir("/var/lib/tcptune/runs"))
        changeset.rollback(host, "run-1")
        answer([found, first], [done.state, runs])
        """
    )
    refused, first = said

    assert (as_before, held) == (True, ["held", ["run-1"]])
    assert refused["kind"] == "locked"
    assert refused["message"] == f"this host is being changed by pid {first}, run run-1"
    assert refused["hint"] == "wait for it to end"


@on_a_real_kernel
@pytest.mark.parametrize("writer", ["tuned", None])
def test_a_rival_that_writes_a_key_each_second(writer):
    as_before, said, state = told(
        f"""
        stop = threading.Event()
        def rival():
            values = ["77", "4096"]
            while not stop.wait(1):
                host.kernel.write(KEYS[0], values[0])
                values.reverse()
        thread = threading.Thread(target=rival, daemon=True)
        # Long enough for the rival to come.
        at(KEYS[1], lambda: (thread.start(), time.sleep(1.3)))
        told = said(lambda: apply(writers={{KEYS[0]: {writer!r}}} if {writer!r} else None))
        stop.set()
        thread.join()
        answer(told, host.runs.load("run-1").state)
        """
    )

    assert as_before
    assert state == said["host_state"] == "rolled_back"
    message = "the kernel did not keep net.core.somaxconn = 1024: it shows 77"
    assert said["message"] == message + (f"; {writer} is known to write it" if writer else "")
    assert said.get("writer") == writer
    assert (writer or "another program") in said["hint"]


def test_a_rival_that_writes_again_while_its_key_is_taken_back_is_left_alone(fake):
    def rival(_step):
        fake.set("net.core.somaxconn", "7")

    fake.reached = rival
    with pytest.raises(Failed, match=r"changed by somebody else meanwhile, and left: net\.core\.somaxconn") as caught:
        changeset.apply(fake, asking())

    assert caught.value.facts["host_state"] == "rolled_back"
    assert fake.runs.load("run-1").left == ("net.core.somaxconn",)
    assert fake.get("net.ipv4.tcp_rmem") == " ".join(SETTINGS["net.ipv4.tcp_rmem"].split())


def test_a_rival_that_writes_again_while_its_key_is_rolled_back_is_left_alone(fake):
    changeset.apply(fake, asking())

    def rival(_step):
        fake.set("net.core.somaxconn", "7")

    fake.reached = rival
    done = changeset.rollback(fake, "run-1")

    assert [(one.name, one.expected, one.found, one.before) for one in done.changed_since] == [
        ("net.core.somaxconn", "1024", "7", "4096")
    ]
    record = fake.runs.load("run-1")
    assert (record.state, record.left) == ("rolled_back", ("net.core.somaxconn",))
    assert fake.get("net.ipv4.tcp_rmem") == " ".join(SETTINGS["net.ipv4.tcp_rmem"].split())


def test_a_file_system_without_room_is_told_in_a_forecast_too(fake, monkeypatch):
    monkeypatch.setattr(preconditions, "ROOM_FILES", 1 << 62)
    before = fake.everything()

    with pytest.raises(Refused, match="has room for"):
        changeset.predict(fake, asking(files=[dropin()]))
    with pytest.raises(ChangeError, match="has room for"):
        changeset.apply(fake, asking(files=[dropin()]))
    assert fake.everything() == before
