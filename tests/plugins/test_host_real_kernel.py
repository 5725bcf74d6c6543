"""The same code against the kernel itself, in a network namespace of its own."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest
from namespaces import elsewhere, needs_namespaces

pytestmark = [pytest.mark.lab, needs_namespaces]

START, RANGE = "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_port_range"
_HERE = Path(__file__).resolve().parent
_FIRST = """
import json, os, subprocess, sys
sys.path[:0] = [{plugins!r}]
from module_utils import changeset
from module_utils.errors import ChangeError
from module_utils.host import Host
from module_utils.kernel import same
from module_utils.request import make_request
host, kernel = Host(), Host().kernel

def apply(settings, before=None, files=(), run="run-1"):
    return changeset.apply(host, make_request(settings, before, files, run))
"""


def told(code):
    """Run Python code in a new namespace and return what it prints, as JSON."""
    first = _FIRST.format(plugins=str(_HERE.parents[1] / "plugins"))
    done = elsewhere([sys.executable, "-c", first + textwrap.dedent(code)])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_refused_write_to_a_vector_stores_a_part_and_all_of_it_is_taken_back():
    found = told(
        """
        before = kernel.read("net.ipv4.tcp_rmem").text
        bare = kernel.write("net.ipv4.tcp_rmem", "5000 131072 2147483648")
        kernel.write("net.ipv4.tcp_rmem", before)
        try:
            apply({"net.core.somaxconn": "77", "net.ipv4.tcp_rmem": "5000 131072 2147483648"})
        except ChangeError as error:
            said = error.as_dict()
        after = [kernel.read(key).text for key in ("net.core.somaxconn", "net.ipv4.tcp_rmem")]
        print(json.dumps([before, bare.found.text, bare.error.errno, said, after]))
        """
    )
    before, partial, number, said, after = found

    assert partial.startswith("5000 131072 ")
    assert (number, said["errno"], said["host_state"]) == (22, 22, "rolled_back")
    assert partial != before
    assert after == ["4096", before]


def test_there_and_back_on_real_settings_and_a_real_file():
    found = told(
        """
        keys = ("net.core.somaxconn", "net.ipv4.tcp_rmem", "net.ipv4.ip_local_reserved_ports")
        look = lambda: [kernel.read(key).text for key in keys]
        path = "/etc/sysctl.d/99-tcptune.conf"
        before = look()
        wanted = dict(zip(keys, ("1024", "4096 131072 16777216", "8081,8080,8082,9000")))
        apply(wanted, dict(zip(keys, before)), [{"path": path, "content": "x\\n", "before_sha256": "absent"}])
        held = look(), os.path.exists(path)
        changeset.confirm(host, "run-1")
        confirmed = look(), open(path).read()
        done = changeset.rollback(host, "run-1")
        print(json.dumps([before, held, confirmed, look(), os.path.exists(path), done.changed_since]))
        """
    )
    before, held, confirmed, after, there, left = found

    assert held == [["1024", "4096 131072 16777216", "8080-8082,9000"], False]
    assert confirmed == [held[0], "x\n"]
    assert after == before
    assert (there, left) == (False, [])


def test_ports_are_equal_to_what_the_kernel_makes_of_them():
    found = told(
        """
        key = "net.ipv4.ip_local_reserved_ports"
        full = "99," + ",".join(str(port) for port in range(10000, 11364, 2))
        out = []
        for text in ("9000,8080-8081,8082", "1", "1-65535", full, "x" * 2, ""):
            written = kernel.write(key, text)
            out.append([written.ok, text == written.found.text])
        print(json.dumps([len(full), out]))
        """
    )
    length, found = found

    assert length == 4094
    # The first one is the same only because both are folded; the list of 4094 characters is the longest we take.
    assert found == [[True, False], [True, True], [True, True], [True, True], [False, False], [True, True]]


def test_what_cannot_be_written_here_is_known_without_writing():
    found = told(
        """
        keys = ("net.core.somaxconn", "net.core.rmem_max", "net.core.netdev_max_backlog")
        out = [[kernel.read(key).state, kernel.writable(key)] for key in keys]
        said = []
        for key in keys[1:]:
            try:
                apply({key: "1000000"})
            except ChangeError as error:
                said.append(error.kind)
        print(json.dumps([out, said, os.path.exists("/var/lib/tcptune")]))
        """
    )

    assert found == [[["value", True], ["value", False], ["absent", False]], ["refused", "absent"], False]


def test_a_read_only_tree_is_told_from_a_writable_one():
    found = told(
        """
        import subprocess
        subprocess.run(["mount", "--bind", "/proc/sys", "/proc/sys"], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", "/proc/sys"], check=True)
        written = kernel.write("net.core.somaxconn", "77")
        print(json.dumps([kernel.writable("net.core.somaxconn"), written.error.errno, written.found.text]))
        """
    )

    assert found == [False, 30, "4096"]


def test_an_unknown_congestion_control_is_taken_back_with_a_hint():
    found = told(
        """
        before = kernel.read("net.ipv4.tcp_congestion_control").text
        try:
            apply({"net.core.somaxconn": "77", "net.ipv4.tcp_congestion_control": "nosuch"})
        except ChangeError as error:
            said = error.as_dict()
        after = kernel.read("net.ipv4.tcp_congestion_control").text
        print(json.dumps([said["errno"], said["hint"], before == after, kernel.read("net.core.somaxconn").text]))
        """
    )

    assert found == [2, "this kernel knows no such name; a module may have to be loaded first", True, "4096"]


@pytest.mark.parametrize(
    ("now", "right"),
    [
        ([], [(START, "400"), (RANGE, "500 60000")]),
        ([(RANGE, "1024 60999")], [(RANGE, "2048 60000"), (START, "2000")]),
    ],
    ids=["lowering", "raising"],
)
def test_coupled_settings_are_written_in_the_given_order_and_restored_backwards(now, right):
    found = told(
        f"""
        for key, value in {now!r}:
            kernel.write(key, value)
        right = {right!r}
        before = [kernel.read(key).text for key, _ in right]
        kinds, writes = [], []
        genuine = kernel.write
        def watched(key, value):
            writes.append(key)
            return genuine(key, value)
        host.kernel.write = watched
        for run, pairs in (("right", right), ("wrong", right[::-1])):
            try:
                apply(dict(pairs), run=run)
                kinds.append("held")
                changeset.rollback(host, run)
                there_and_back = list(writes)
            except ChangeError as error:
                kinds.append(error.facts["host_state"])
        print(json.dumps([kinds, there_and_back, before == [kernel.read(key).text for key, _ in right]]))
        """
    )
    keys = [key for key, _ in right]

    assert found == [["held", "rolled_back"], keys + keys[::-1], True]


@pytest.mark.parametrize(
    ("key", "value", "own"),
    [
        ("net.ipv4.ip_forward", "1", "net.ipv4.conf.lo.forwarding"),
        ("net.ipv4.conf.all.forwarding", "1", "net.ipv4.conf.lo.forwarding"),
        ("net.ipv4.conf.default.rp_filter", "2", "net.ipv4.conf.lo.rp_filter"),
        ("net.ipv6.conf.all.disable_ipv6", "1", "net.ipv6.conf.lo.disable_ipv6"),
    ],
)
@pytest.mark.parametrize("touched", [False, True], ids=["untouched interface", "interface set by hand"])
@pytest.mark.parametrize("back", ["the module", "the script"])
def test_a_setting_that_changes_others_is_taken_back_with_them(key, value, own, touched, back):
    found = told(
        f"""
        import glob
        family = {key!r}.split(".")[1]
        look = lambda: {{p: open(p).read() for p in glob.glob("/proc/sys/net/" + family + "/conf/*/*")
                        if os.access(p, os.R_OK) and not p.endswith("stable_secret")}}
        if {touched!r}:
            kernel.write({own!r}, "1")
        before = look()
        apply({{{key!r}: {value!r}}})
        there = look()
        if {back!r} == "the module":
            changeset.rollback(host, "run-1")
        else:
            subprocess.run(["sh", host.runs.file("run-1", "rollback.sh")], check=True)
        after, record = look(), host.runs.load("run-1")
        changed = sorted(path for path in after if after[path] != before[path])
        print(json.dumps([there != before, changed, record.state, record.left]))
        """
    )

    assert found == [True, [], "rolled_back", []]
