from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tcptune.adapters import ssh_config
from tcptune.adapters.ssh_config import Target, jump_target, target
from tcptune.errors import HostUnreachable
from tests.unit.builders import host

Settle = Callable[..., Target]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a home folder with an empty ~/.ssh, and no configuration of the system."""
    (tmp_path / "home/.ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(ssh_config, "_SYSTEM_CONFIG", tmp_path / "etc_ssh_config")
    return tmp_path / "home"


@pytest.fixture
def settle(home: Path, tmp_path: Path) -> Settle:
    """Settle host web1 at web1.example, with these texts as the configuration of user and system."""

    def settled(user: str = "", system: str = "", /, **connection: Any) -> Target:
        (home / ".ssh/config").write_text(user)
        (tmp_path / "etc_ssh_config").write_text(system)
        ssh_config._config.cache_clear()
        return target(host(**connection))

    return settled


def args(*words: str) -> dict[str, Any]:
    return {"ssh_args": words}


def test_without_any_settings_the_usual_ones_hold(settle: Settle, home: Path) -> None:
    found = settle()

    assert (found.host, found.hostname, found.port, found.user) == ("web1", "web1.example", 22, getpass.getuser())
    assert (found.key_files, found.identities_only, found.key_alias) == ((), False, None)
    assert (found.jumps, found.proxy_command, found.timeout_s) == ((), None, 10.0)
    assert found.known_hosts == (
        home / ".ssh/known_hosts",
        home / ".ssh/known_hosts2",
        Path("/etc/ssh/ssh_known_hosts"),
        Path("/etc/ssh/ssh_known_hosts2"),
    )


# Who wins


def test_a_variable_wins_over_an_argument_over_the_user_over_the_system(settle: Settle) -> None:
    user, system = "Host *\n User bob\n Port 3\n", "Host *\n User carl\n Port 4\n"
    chain: list[dict[str, Any]] = [
        {"user": "var", "port": 1, **args("-o", "User=arg", "-o", "Port=2")},
        args("-o", "User=arg", "-o", "Port=2"),
        {},
    ]

    assert [(t.user, t.port) for t in (settle(user, system, **c) for c in chain)] == [
        ("var", 1),
        ("arg", 2),
        ("bob", 3),
    ]
    assert (settle("", system).user, settle("", system).port) == ("carl", 4)


def test_the_first_of_two_answers_of_one_file_wins(settle: Settle) -> None:
    assert settle("Host web1.example\n User one\nHost *\n User two\n").user == "one"


def test_a_line_above_the_first_host_holds_for_all_hosts_in_each_file(settle: Settle) -> None:
    found = settle("User top\nHost other\n User nope\n", "Port 2222\n")

    assert (found.user, found.port) == ("top", 2222)


def test_a_section_for_another_host_does_not_matter(settle: Settle) -> None:
    assert settle("Host web2* !web1*\n Port 2222\n").port == 22


def test_the_name_that_is_connected_to_comes_from_the_configuration(settle: Settle) -> None:
    assert settle("Host web1.example\n HostName 192.0.2.7\n").hostname == "192.0.2.7"


def test_a_file_named_with_f_is_read_instead_of_both_others(settle: Settle, tmp_path: Path) -> None:
    (tmp_path / "own").write_text("Host *\n User own\n")
    found = settle("User bob\nPort 3\n", "User carl\n", **args("-F", str(tmp_path / "own")))

    assert (found.user, found.port, found.config) == ("own", 22, tmp_path / "own")


# Arguments of ssh


@pytest.mark.parametrize(
    "words",
    [
        ("-p", "2222"),
        ("-p2222",),
        ("-o", "Port=2222"),
        ("-oPort=2222",),
        ("-o", "port 2222"),
        ("-o", "Port = 2222"),
        ("-q", "-C", "-4", "-p", "2222"),
        ("-o", "Port=2222", "-o", "Port=3333"),
    ],
)
def test_a_port_can_be_written_in_many_ways(settle: Settle, words: tuple[str, ...]) -> None:
    assert settle("Port 9\n", **args(*words)).port == 2222


@pytest.mark.parametrize(
    ("words", "jumps"),
    [
        (("-J", "bastion"), ("bastion",)),
        (("-Jada@bastion:2222",), ("ada@bastion:2222",)),
        (("-J", "one,ada@two:2"), ("one", "ada@two:2")),
        (("-o", "ProxyJump=one, two"), ("one", "two")),
        (("-o", "ProxyJump=none"), ()),
    ],
)
def test_jumps_come_from_arguments(settle: Settle, words: tuple[str, ...], jumps: tuple[str, ...]) -> None:
    assert settle("ProxyJump other\n", **args(*words)).jumps == jumps


def test_jumps_come_from_the_configuration(settle: Settle) -> None:
    assert settle("Host web*\n ProxyJump bastion\n").jumps == ("bastion",)


def test_an_identity_can_be_named_in_every_layer_and_all_are_tried_in_order(settle: Settle, home: Path) -> None:
    found = settle("IdentityFile ~/.ssh/three\n", key_file="/k/one", **args("-i", "/k/two"))

    assert found.key_files == (Path("/k/one"), Path("/k/two"), home / ".ssh/three")


@pytest.mark.parametrize(
    ("text", "only"), [("IdentitiesOnly yes\n", True), ("IdentitiesOnly no\n", False), ("", False)]
)
def test_only_the_named_identities_may_be_asked_for(settle: Settle, text: str, only: bool) -> None:
    assert settle(text).identities_only is only
    assert settle(text, **args("-o", "IdentitiesOnly=yes")).identities_only


def test_the_files_of_host_keys_can_be_named(settle: Settle, home: Path) -> None:
    found = settle("UserKnownHostsFile ~/one %d/two\nGlobalKnownHostsFile none\n")

    assert found.known_hosts == (home / "one", home / "two")
    assert settle(**args("-o", "UserKnownHostsFile=/x")).known_hosts[0] == Path("/x")


def test_a_host_key_can_be_looked_up_under_another_name(settle: Settle) -> None:
    assert settle("HostKeyAlias fleet\n").key_alias == "fleet"
    assert settle(**args("-o", "HostKeyAlias=other")).key_alias == "other"


# ProxyCommand


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "ProxyCommand=ssh -W %h:%p -o A=b bastion"),
        ("-oProxyCommand=ssh -W %h:%p -o A=b bastion",),
        ("-o", 'ProxyCommand="ssh -W %h:%p -o A=b bastion"'),
        ("-o", "ProxyCommand ssh -W %h:%p -o A=b bastion"),
    ],
)
def test_a_proxy_command_in_the_arguments_gets_host_and_port(settle: Settle, words: tuple[str, ...]) -> None:
    assert settle(port=2222, **args(*words)).proxy_command == "ssh -W web1.example:2222 -o A=b bastion"


def test_a_proxy_command_in_the_configuration_gets_host_and_port(settle: Settle) -> None:
    text = "Host web1.example\n HostName 192.0.2.7\n Port 2222\n ProxyCommand ssh -W %h:%p bastion\n"

    assert settle(text).proxy_command == "ssh -W 192.0.2.7:2222 bastion"


def test_a_proxy_command_gets_the_port_and_user_that_the_inventory_names(settle: Settle) -> None:
    found = settle("ProxyCommand ssh -W %h:%p %r@bastion\n", port=2222, user="deploy")

    assert found.proxy_command == "ssh -W web1.example:2222 deploy@bastion"


def test_a_percent_sign_in_a_proxy_command_is_written_twice(settle: Settle) -> None:
    assert settle("ProxyCommand nc %%h %h\n").proxy_command == "nc %h web1.example"
    assert settle(**args("-o", "ProxyCommand=nc %%h %h")).proxy_command == "nc %h web1.example"


def test_a_section_may_ask_for_the_user_that_the_inventory_names(settle: Settle) -> None:
    assert settle("Match user deploy\n Port 2222\n", user="deploy").port == 2222


def test_a_proxy_command_can_be_switched_off(settle: Settle) -> None:
    assert settle("ProxyCommand nc %h %p\n", **args("-o", "ProxyCommand=none")).proxy_command is None


# Include


def test_an_included_file_is_read_in_its_place(settle: Settle, home: Path) -> None:
    (home / ".ssh/conf.d").mkdir()
    (home / ".ssh/conf.d/a").write_text("Host web*\n Port 2222\n")
    (home / ".ssh/conf.d/b").write_text("Host web*\n Port 3333\n User b\n")
    found = settle("Include conf.d/*\nHost *\n Port 4444\n")

    assert (found.port, found.user) == (2222, "b")


@pytest.mark.parametrize("line", ["Include {}", "include {}", "Include={}", "Include nowhere {}", 'Include "{}"'])
def test_include_is_understood_as_ssh_does(settle: Settle, tmp_path: Path, line: str) -> None:
    (tmp_path / "extra").write_text("Port 2222\n")

    assert settle(line.format(tmp_path / "extra") + "\n").port == 2222


def test_an_include_that_finds_nothing_or_itself_does_no_harm(settle: Settle) -> None:
    assert settle("Include config\nInclude nothing/*\nPort 2222\n").port == 2222


def test_what_follows_an_include_holds_as_if_the_include_were_not_there(settle: Settle, home: Path) -> None:
    """ssh_config(5): an included file's Host lines end with the file."""
    (home / ".ssh/other").write_text("Host other\n Port 1\n")

    assert settle("Include other\nPort 2222\n").port == 2222
    assert settle("Host web1.example\n Include other\n Port 2222\n").port == 2222


# What cannot be used


@pytest.mark.parametrize(
    ("user", "connection"),
    [
        ("Port many\n", {}),
        ("Port 0\n", {}),
        ("", args("-p", "65536")),
        ("", args("-p", "many")),
        ("Match nonsense\n Port 1\n", {}),
        ("Include 'open\n", {}),
    ],
)
def test_a_setting_that_makes_no_sense_is_the_hosts_own_problem(
    settle: Settle, user: str, connection: dict[str, Any]
) -> None:
    with pytest.raises(HostUnreachable, match="web1: "):
        settle(user, **connection)


# Jump hosts


@pytest.mark.parametrize(
    ("spec", "hostname", "port", "user"),
    [
        ("bastion", "bastion", 22, "me"),
        ("ada@bastion", "bastion", 22, "ada"),
        ("ada@bastion:2222", "bastion", 2222, "ada"),
        ("ssh://ada@bastion:2222", "bastion", 2222, "ada"),
        ("[2001:db8::1]:2222", "2001:db8::1", 2222, "me"),
        ("ada@[2001:db8::1]", "2001:db8::1", 22, "ada"),
        ("2001:db8::1", "2001:db8::1", 22, "me"),
        ("ada@corp@bastion", "bastion", 22, "ada@corp"),
    ],
)
def test_a_jump_host_is_named_as_ssh_names_it(settle: Settle, spec: str, hostname: str, port: int, user: str) -> None:
    found = jump_target(spec, settle("Host *\n User me\n", port=99, user="deploy"))

    assert (found.hostname, found.port, found.user) == (hostname, port, user)
    assert found.host == f"web1 (by way of {hostname})"


def test_a_jump_host_has_its_own_section_in_the_configuration(settle: Settle) -> None:
    behind = settle("Host bastion\n HostName 192.0.2.9\n User gate\n ProxyJump outer\n")
    found = jump_target("bastion", behind)

    assert (found.hostname, found.user, found.jumps) == ("192.0.2.9", "gate", ("outer",))


def test_a_jump_host_with_a_port_that_is_none_is_the_hosts_own_problem(settle: Settle) -> None:
    with pytest.raises(HostUnreachable, match="web1"):
        jump_target("bastion:many", settle())
