"""Commands that capture: bounded, and made of nothing that a shell could misread."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.captures.plan import Bounds, Wanted, filter_text, plan_capture
from tcptune.errors import UsageError

BOUNDS = Bounds(files=10, file_mb=50, seconds=300, snaplen=128)


def wanted(*peers: str, **changed: object) -> Wanted:
    plain = Wanted(peers, (443,), "web1", False, "any", False, "/srv/x", "tcpdump")
    return plain._replace(**changed)


def capture(wanted: Wanted, bounds: Bounds = BOUNDS) -> list[str]:
    [command] = [one.command for one in plan_capture(wanted, bounds).steps if " tcpdump -nn" in one.command]
    return shlex.split(command)


def test_the_command_is_bounded_in_time_disk_and_what_it_sees() -> None:
    words = capture(wanted("10.0.0.2"))

    assert words[:5] == ["sudo", "timeout", "--signal=INT", "300", "tcpdump"]
    for option, value in {"-s": "128", "-C": "50", "-W": "10", "-Z": "tcpdump", "-i": "any"}.items():
        assert words[words.index(option) + 1] == value
    assert words[words.index("-w") + 1] == "/srv/x/tcptune-capture/capture.pcap"
    assert plan_capture(wanted("10.0.0.2"), BOUNDS).disk_bytes == 500_000_000


def test_both_ends_have_each_the_other_in_their_filter() -> None:
    steps = plan_capture(wanted("10.0.0.2", both=True), BOUNDS).steps
    filters = {one.where: shlex.split(one.command)[-1] for one in steps if " tcpdump -nn" in one.command}

    assert "host 10.0.0.2" in filters["web1"]
    assert "host web1" in filters["10.0.0.2"]
    assert [one.command for one in steps if one.command.startswith("tcptune")] == ["tcptune pcap --both client server"]


def test_a_folder_that_is_there_already_is_refused_by_mkdir_and_only_it_is_removed() -> None:
    commands = [one.command for one in plan_capture(wanted("10.0.0.2", below="/srv/x/"), BOUNDS).steps]

    assert "sudo mkdir -m 700 /srv/x/tcptune-capture && sudo chown tcpdump /srv/x/tcptune-capture" in commands
    assert commands[-1] == "sudo rm -r /srv/x/tcptune-capture"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "link type"),
        ({"interface": "eth0"}, "VLAN"),
        ({"ends_only": True}, "SYN, FIN and RST alone"),
        ({"both": True}, "behind NAT"),
    ],
)
def test_what_the_reader_has_to_know_is_said(changed: dict[str, object], said: str) -> None:
    assert any(said in note for note in plan_capture(wanted("10.0.0.2", **changed), BOUNDS).notes)


def test_payload_is_said_to_hold_secrets() -> None:
    notes = plan_capture(wanted("10.0.0.2"), BOUNDS._replace(snaplen=512)).notes

    assert any("secrets" in note for note in notes)


@pytest.mark.parametrize(
    "bad",
    [
        wanted("10.0.0.2; reboot"),
        wanted("$(reboot)"),
        wanted("a b"),
        wanted("-x"),
        wanted("fe80::1%eth0"),
        wanted("10.0.0.2", on="web1 -oProxyCommand=x"),
        wanted("10.0.0.2", on="-oProxyCommand=x"),
        wanted("10.0.0.2", interface="eth0;id"),
        wanted("10.0.0.2", below="relative"),
        wanted("10.0.0.2", below="/var/../etc"),
        wanted("10.0.0.2", below="/srv/x y"),
        wanted("10.0.0.2", user="root -x"),
        wanted("10.0.0.2", ports=(70000,)),
        wanted(ports=()),
        wanted("a", "b", both=True),
        wanted("a", both=True, on=""),
    ],
    ids=str,
)
def test_what_cannot_stand_in_a_command_is_refused(bad: Wanted) -> None:
    with pytest.raises(UsageError):
        plan_capture(bad, BOUNDS)


@given(st.text(max_size=30), st.text(max_size=20), st.text(max_size=30), st.text(max_size=20))
def test_no_text_becomes_more_than_one_word_of_a_command(peer: str, interface: str, below: str, on: str) -> None:
    try:
        plan = plan_capture(wanted(peer, interface=interface, below=f"/{below}", on=on), BOUNDS)
    except UsageError:
        return
    plain = plan_capture(wanted("x", interface="y", below="/z", on="w" if on else ""), BOUNDS)
    commands = [one for one in plan.steps if not one.command.startswith("ip route")]

    assert [len(shlex.split(one.command)) for one in commands] == [len(shlex.split(one.command)) for one in plain.steps]


@pytest.mark.skipif(shutil.which("tcpdump", path="/usr/bin:/usr/sbin") is None, reason="tcpdump is missing")
@pytest.mark.parametrize("ends_only", [False, True])
@pytest.mark.parametrize("link", ["EN10MB", "LINUX_SLL", "LINUX_SLL2", "RAW"])
def test_tcpdump_understands_the_filter(link: str, ends_only: bool) -> None:
    text = filter_text(["10.0.0.2", "fd00::2"], [443, 80], ends_only=ends_only)
    done = subprocess.run(["tcpdump", "-d", "-y", link, text], capture_output=True, text=True, check=False, timeout=30)

    assert "ret      #" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("10.0.0.9:443", "tcptune capture-plan 10.0.0.9 --port 443"),
        ("db1:5432", "tcptune capture-plan db1 --port 5432"),
        ("a b:443", None),
        ("db1:ssh", None),
    ],
)
def test_a_host_with_its_port_is_told_how_to_say_both(said: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as refused:
        plan_capture(wanted(said), BOUNDS)

    assert refused.value.hint == hint
