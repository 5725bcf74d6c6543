"""HAProxy's configuration: what sections inherit, what falls back to what, and which ways lead where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.adapters.haproxy_timeouts import read_haproxy
from tcptune.domain.chain import Aspect, Configuration
from tcptune.errors import ChainError

DEFAULTS = "global\n  maxconn 5\ndefaults\n  mode http\n  timeout client 30s  # of clients\n  timeout server 5000\n"
ENDS = "frontend web\n  bind :80\n  default_backend app\nbackend app\n  server a 127.0.0.1:1\n"


def read(tmp_path: Path, text: str) -> Configuration:
    path = tmp_path / "haproxy.cfg"
    path.write_text(text)
    return read_haproxy(path)


def test_sections_begin_with_what_the_defaults_before_them_say(tmp_path: Path) -> None:
    [found] = read(tmp_path, DEFAULTS + ENDS).routes

    assert (found.name, found.upstream, found.reuse) == ("web -> app", "app", True)
    assert found.settings[Aspect.RECEIVES_IDLE].value == 30
    assert found.settings[Aspect.RECEIVES_IDLE].said.endswith("haproxy.cfg:5")
    # Without a unit it is milliseconds.
    assert found.settings[Aspect.RESPONSE].value == 5
    assert Aspect.SENDS_IDLE not in found.settings


@pytest.mark.parametrize(
    ("more", "idle"),
    [
        ("", 30),
        ("timeout http-request 10s\n", 10),
        ("timeout http-request 10s\n timeout http-keep-alive 20s\n", 20),
        # HAProxy 2.6.12 closes after the shorter of the two.
        ("timeout http-request 10s\n timeout http-keep-alive 65s\n", 30),
        ("timeout http-request 65s\n", 30),
        # 0 counts as not set, and without any there is no end.
        ("timeout http-keep-alive 0\n timeout http-request 10s\n", 10),
        ("timeout http-keep-alive 10s\n timeout client 0\n", 10),
        ("timeout client 0\n", None),
        ("timeout client 500ms9h\n", 0.5),
        ("timeout client 500ms\\\n", 0.5),
        ("timeout client \\x35\\x30\\x30\n", 0.5),
        ("clitimeout 7000\n", 7),
        ("option httpclose\n", 0),
        ("option httpclose\n no option httpclose\n", 30),
        ("option httpclose\n option http-keep-alive\n", 30),
        ("option httpclose\n no option http-server-close\n", 0),
    ],
)
def test_an_idle_connection_of_a_client_is_closed_as_haproxy_falls_back(
    more: str, idle: float | None, tmp_path: Path
) -> None:
    [found] = read(tmp_path, DEFAULTS + more + ENDS).routes

    assert found.settings[Aspect.RECEIVES_IDLE].value == idle


def test_named_defaults_and_what_a_section_says_itself(tmp_path: Path) -> None:
    text = (
        "defaults slow\n mode http\n timeout client 1h\n timeout server 1h\n"
        "defaults fast from slow\n timeout server 2s\n"
        "frontend web from slow\n use_backend app if x\n default_backend other\n"
        "backend app from fast\n timeout server 3s\nbackend other\n option http-server-close\n"
    )
    found = {one.upstream: one for one in read(tmp_path, text).routes}

    assert {name: one.settings[Aspect.RESPONSE].value for name, one in found.items()} == {"app": 3, "other": 2}
    assert [found[name].reuse for name in ("app", "other")] == [True, False]
    assert "option http-server-close" in found["other"].reuse_why


def test_probes_of_tcp_and_a_section_that_is_both_ends(tmp_path: Path) -> None:
    text = f"{DEFAULTS}listen all\n option clitcpka\n server a 127.0.0.1:1\n"
    [found] = read(tmp_path, text).routes

    assert found.name == "all"
    assert found.settings[Aspect.RECEIVES_KEEPALIVE].value == 7200
    assert found.settings[Aspect.SENDS_KEEPALIVE].value is None


@pytest.mark.parametrize(
    ("line", "idle"),
    [
        ("# option httpclose   # don't use it", 30),
        ('#timeout client "5s"', 30),
        ("timeout http-keep-alive 10s # isn't long, option httpclose", 10),
        ('timeout http-keep-alive "10s"', 10),
        ("timeout 'http-keep-alive' 10s#short", 10),
        ("# one line to HAProxy\u2028option httpclose", 30),
        ('acl x path_reg "a#b" # "option httpclose"', 30),
    ],
)
def test_words_end_where_haproxy_ends_them(line: str, idle: float, tmp_path: Path) -> None:
    [found] = read(tmp_path, f"{DEFAULTS}  {line}\n{ENDS}").routes

    assert (found.settings[Aspect.RECEIVES_IDLE].value, found.reuse) == (idle, True)


@pytest.mark.parametrize(
    ("line", "aspect"),
    [
        ('timeout http-keep-alive "${KEEP}"', Aspect.RECEIVES_IDLE),
        ('timeout client "$CLIENT"', Aspect.RECEIVES_IDLE),
        ('timeout server "${SERVER}s"', Aspect.RESPONSE),
    ],
)
def test_a_time_of_the_environment_is_not_known(line: str, aspect: Aspect, tmp_path: Path) -> None:
    [found] = read(tmp_path, f"{DEFAULTS}  {line}\n{ENDS}").routes

    assert aspect not in found.settings
    assert "haproxy.cfg:7" in found.unknown[aspect]


@pytest.mark.parametrize(("keeps", "notes"), [("65s", 1), ("20s", 0)])
def test_a_time_that_older_releases_cut_short_is_told(keeps: str, notes: int, tmp_path: Path) -> None:
    found = read(tmp_path, f"{DEFAULTS}  timeout http-keep-alive {keeps}\n{ENDS}")

    assert sum("releases up to 2023" in note for note in found.notes) == notes


def test_a_comment_in_an_older_encoding_is_no_reason_to_refuse_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_bytes(b"# r\xe9seau\n" + (DEFAULTS + ENDS).encode())

    assert read_haproxy(path).routes[0].settings[Aspect.RECEIVES_IDLE].value == 30


@pytest.mark.parametrize("path", ["/dev/zero", "/", "/nowhere/haproxy.cfg"])
def test_what_is_no_file_of_a_bounded_length_is_told(path: str) -> None:
    with pytest.raises(ChainError, match=path):
        read_haproxy(Path(path))


def test_of_several_default_backends_the_last_is_the_one(tmp_path: Path) -> None:
    text = f"{DEFAULTS}  default_backend other\n{ENDS}  timeout server 9s\nbackend other\n"
    found = read(tmp_path, f"{text}frontend late\n use_backend other if x\nfrontend last\n default_backend app\n")

    assert [one.name for one in found.routes] == ["web -> app", "late -> other", "last -> app"]


def test_a_backend_that_is_the_default_and_chosen_too_stays(tmp_path: Path) -> None:
    text = f"{DEFAULTS}frontend web\n default_backend app\n use_backend app if x\n default_backend other\n"
    found = read(tmp_path, f"{text}backend app\nbackend other\n")

    assert [one.upstream for one in found.routes] == ["app", "other"]


@pytest.mark.parametrize(
    ("said", "reuse"),
    [
        ("option http-server-close", False),
        ("option http-server-close\n option http-keep-alive", True),
        ("option http-keep-alive\n option http-server-close", False),
        ("option http-server-close\n no option http-keep-alive", False),
        ("option http-server-close\n no option http-server-close", True),
    ],
)
@pytest.mark.parametrize("where", ["before", "inherited"])
def test_of_several_options_that_close_the_last_holds(said: str, reuse: bool, where: str, tmp_path: Path) -> None:
    first, _, rest = said.partition("\n")
    text = f"{DEFAULTS} {said}\n{ENDS}" if where == "before" else f"{DEFAULTS} {first}\nlisten all\n{rest}\n"
    [found] = read(tmp_path, text).routes

    assert found.reuse is reuse


def test_a_backend_may_be_a_section_that_listens_itself(tmp_path: Path) -> None:
    found = read(tmp_path, f"{DEFAULTS}frontend web\n default_backend all\nlisten all\n timeout server 9s\n")

    assert {one.name: one.settings[Aspect.RESPONSE].value for one in found.routes} == {"web -> all": 9, "all": 9}


def test_sections_that_carry_no_requests_change_none(tmp_path: Path) -> None:
    found = read(tmp_path, f"{DEFAULTS}listen all\nlog-forward logs\n timeout client 77s\nfcgi-app f\n option tcpka\n")

    assert found.routes[0].settings[Aspect.RECEIVES_IDLE].value == 30
    assert found.routes[0].settings[Aspect.SENDS_KEEPALIVE].value is None


def test_what_is_disabled_is_not_judged_and_that_is_said(tmp_path: Path) -> None:
    found = read(tmp_path, f"{DEFAULTS}{ENDS}listen off\n disabled\nlisten on\n disabled\n enabled\n")

    assert [one.name for one in found.routes] == ["web -> app", "on"]
    assert any("listen off is not judged: it is disabled" in note for note in found.notes)


def test_a_backend_of_the_environment_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, f'{DEFAULTS}{ENDS}frontend any\n default_backend "app-${{COLOUR}}"\n')

    assert any("the backend is app-${COLOUR}, of the environment" in note for note in found.notes)


def test_lines_below_a_condition_are_read_and_that_is_said(tmp_path: Path) -> None:
    text = f"{DEFAULTS}.if feature(OPENSSL)\n  timeout http-keep-alive 10s\n.endif\n{ENDS}"
    found = read(tmp_path, text)

    assert found.routes[0].settings[Aspect.RECEIVES_IDLE].value == 10
    assert any("haproxy.cfg:7: .if is not followed" in note for note in found.notes)


def test_an_old_name_of_closing_is_known(tmp_path: Path) -> None:
    [found] = read(tmp_path, f"{DEFAULTS}  option forceclose\n{ENDS}").routes

    assert (found.settings[Aspect.RECEIVES_IDLE].value, found.reuse) == (0, False)


def test_what_is_not_judged_is_said(tmp_path: Path) -> None:
    text = f"{DEFAULTS}{ENDS}frontend raw\n mode tcp\n default_backend app\nfrontend any\n use_backend %[req.hdr(x)]\n"

    assert len(read(tmp_path, text).notes) == 2


def test_nolinger_is_said_once_with_its_place_and_not_where_it_is_taken_back(tmp_path: Path) -> None:
    switched = DEFAULTS + " option nolinger\n" + ENDS
    [note] = read(tmp_path, switched).notes

    assert note.startswith(f"{tmp_path}/haproxy.cfg:7: option nolinger")
    assert "reset.so_linger_zero" in note
    taken_back = switched.replace("bind :80", "no option nolinger").replace("server a", "no option nolinger\n server a")
    assert read(tmp_path, taken_back).notes == ()


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        ("", "no frontend here speaks HTTP"),
        (DEFAULTS.replace("5000", "soon") + ENDS, "haproxy.cfg:6: 'soon' is no time"),
        (DEFAULTS + "timeout client\n" + ENDS, "haproxy.cfg:7: timeout has no time"),
        (DEFAULTS + "timeout client '5s\n" + ENDS, "haproxy.cfg:7: a quote"),
        (DEFAULTS + 'timeout client "5s\n' + ENDS, "haproxy.cfg:7: a quote"),
        (DEFAULTS + "timeout client \\xz5\n" + ENDS, "haproxy.cfg:7: two hexadecimal digits"),
        (DEFAULTS + "timeout client $CLIENT\n" + ENDS, "haproxy.cfg:7: '$CLIENT' is no time"),
        (DEFAULTS + "timeout client '$CLIENT'\n" + ENDS, "haproxy.cfg:7: '$CLIENT' is no time"),
        (DEFAULTS + "timeout client 30 s\n" + ENDS, "haproxy.cfg:7: timeout client has more than a time: 30 s"),
        (DEFAULTS + "timeout client 25d\n" + ENDS, "haproxy.cfg:7: '25d' is longer than HAProxy can wait"),
        (DEFAULTS + ENDS.replace("_backend app", "_backend ap"), "there is no backend 'ap'"),
        (DEFAULTS + "frontend x from none\n default_backend app\nbackend app\n", "no defaults section 'none'"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_the_place(text: str, tells: str, tmp_path: Path) -> None:
    with pytest.raises(ChainError) as told:
        read(tmp_path, text)

    assert tells in str(told.value)


PIECES = [
    "defaults", "frontend", "backend", "listen", "global", " a", " b", "\n", "\n ", "timeout", " client", " server",
    " 5",
    " 5s", "x", "mode http", "default_backend a", "use_backend b if", " from", "option", " httpclose", "no option", '"',
    "'", "\\", "#", "é", "\0", "%[", "\t", "\\x41", '"${A-5s}', "$B", "option http-keep-alive", "disabled", " 5s6",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=300))
def test_any_text_is_a_configuration_or_a_message(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any-haproxy.cfg"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        said = read_haproxy(path).origin
    except ChainError as told:
        said = str(told)

    assert str(path) in said
