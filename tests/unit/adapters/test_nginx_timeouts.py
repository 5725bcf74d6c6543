"""nginx's configuration as nginx understands it: includes, inheritance, what makes upstream connections reusable."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcptune.adapters import nginx_config
from tcptune.adapters.nginx_timeouts import read_nginx
from tcptune.domain.chain import Aspect, Configuration, Origin, Route
from tcptune.errors import ChainError

UPSTREAM = "upstream app { server 127.0.0.1:8080; keepalive 16; keepalive_timeout 1m30s; keepalive_requests 50; }\n"
REUSE = 'proxy_http_version 1.1; proxy_set_header Connection "";\n'


def read(tmp_path: Path, text: str) -> Configuration:
    main = tmp_path / "nginx.conf"
    main.write_text(text)
    return read_nginx(main)


def http(text: str) -> str:
    return f"events {{}}\nhttp {{\n{text}\n}}\n"


def route(tmp_path: Path, text: str) -> Route:
    [found] = read(tmp_path, http(text)).routes
    return found


def value(found: Route, aspect: Aspect) -> float | None:
    return found.settings[aspect].value


def test_each_value_has_the_place_it_is_from(tmp_path: Path) -> None:
    found = route(tmp_path, f"{UPSTREAM}server {{ listen 80;\nkeepalive_timeout 65s 60s;\nproxy_pass http://app; }}")

    idle = found.settings[Aspect.RECEIVES_IDLE]
    assert (idle.value, idle.origin, idle.said) == (65, Origin.READ, f"{tmp_path}/nginx.conf:5")
    assert (value(found, Aspect.SENDS_IDLE), value(found, Aspect.SENDS_REQUESTS)) == (90, 50)
    assert found.upstream == "app"
    assert Aspect.RESPONSE not in found.settings


@pytest.mark.parametrize(
    ("main", "server", "location", "wanted"),
    [("5s", "", "", 5), ("5s", "6s", "", 6), ("5s", "6s", "7s", 7), ("", "", "7s", 7), ("5s", "", "7s", 7)],
)
def test_the_nearest_block_wins(main: str, server: str, location: str, wanted: float, tmp_path: Path) -> None:
    main, server, location = (f"proxy_read_timeout {one};" if one else "" for one in (main, server, location))
    text = f"{main} server {{ {server} location / {{ {location} proxy_pass http://127.0.0.1:1; }} }}"

    assert value(route(tmp_path, text), Aspect.RESPONSE) == wanted


def test_an_upstream_inherits_nothing_from_http(tmp_path: Path) -> None:
    found = route(
        tmp_path,
        "keepalive_timeout 5s; keepalive_requests 7; upstream app { server 127.0.0.1:1; }"
        " server { proxy_pass http://app; }",
    )

    assert value(found, Aspect.RECEIVES_IDLE) == 5
    assert not {Aspect.SENDS_IDLE, Aspect.SENDS_REQUESTS} & set(found.settings)


@pytest.mark.parametrize(
    ("http_level", "location", "reused"),
    [
        (REUSE, "", True),
        ("", REUSE, True),
        ("proxy_http_version 1.1;", "", False),
        ('proxy_set_header Connection "";', "", False),
        # A block with headers of its own inherits none.
        (REUSE, "proxy_set_header Host $host;", False),
        (REUSE, "proxy_read_timeout 5s;", True),
        (REUSE, "proxy_set_header Connection close;", False),
        ("proxy_http_version 1.1; proxy_set_header connection Keep-Alive;", "", True),
        ("map $http_upgrade $up { default upgrade; '' ''; }", f"{REUSE} proxy_set_header Connection $up;", True),
        ("map $http_upgrade $up { default upgrade; '' close; }", f"{REUSE} proxy_set_header Connection $up;", False),
        ("", f"{REUSE} proxy_set_header Connection $http_connection;", False),
    ],
)
def test_connections_to_an_upstream_are_reused_under_three_conditions(
    http_level: str, location: str, reused: bool, tmp_path: Path
) -> None:
    text = f"{UPSTREAM} {http_level} server {{ location / {{ {location} proxy_pass http://app/x; }} }}"
    found = route(tmp_path, text)

    assert found.reuse is reused
    assert bool(found.remarks) is not reused


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("server { proxy_pass http://127.0.0.1:80; }", "no upstream block"),
        ("upstream app { server 127.0.0.1:1; } server { proxy_pass http://app; }", "has no keepalive"),
        ("server { proxy_pass http://$backend; }", "a variable names the upstream"),
        ("server { proxy_pass $backend; }", "a variable names the upstream"),
    ],
)
def test_without_keepalive_each_request_has_a_connection_and_that_is_no_mistake(
    text: str, why: str, tmp_path: Path
) -> None:
    found = route(tmp_path, text)

    assert (found.reuse, found.remarks) == (False, ())
    assert why in found.reuse_why


def test_includes_are_read_where_they_stand_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "a.conf").write_text(f"{UPSTREAM}proxy_read_timeout 5s;")
    (folder / "b.conf").write_text(
        "server { server_name b; include proxy.inc; }\nserver { server_name c; include proxy.inc; }"
    )
    (tmp_path / "proxy.inc").write_text("location / { proxy_pass http://app; }")
    found = read(tmp_path, "events {}\nhttp { include conf.d/*.conf; include none.d/*; }")

    assert [one.name for one in found.routes] == ["b /", "c /"]
    assert [one.settings[Aspect.RESPONSE].said for one in found.routes] == [f"{folder}/a.conf:2"] * 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("75", 75),
        ("75s", 75),
        ("1m30s", 90),
        ('"1h 30m"', 5400),
        ("500ms", 0.5),
        ("1d", 86400),
        ("1M", 2592000),
        ("0", 0),
    ],
)
def test_a_time_is_read_as_nginx_reads_it(text: str, seconds: float, tmp_path: Path) -> None:
    found = route(tmp_path, f"keepalive_timeout {text}; server {{ proxy_pass http://127.0.0.1:1; }}")

    assert value(found, Aspect.RECEIVES_IDLE) == seconds


@pytest.mark.parametrize("text", ["x", "1x", "s", "1m1x", "1" * 60 + "x", "1s" * 200 + "x", "1 1", "", "-1"])
def test_what_is_no_time_is_told_at_once(text: str, tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="has no time"):
        route(tmp_path, f"keepalive_timeout '{text}'; server {{ proxy_pass http://127.0.0.1:1; }}")


@pytest.mark.parametrize(
    ("listen", "period"),
    [
        ("listen 80;", None),
        ("listen 80 so_keepalive=off;", None),
        ("listen 80 so_keepalive=on;", 7200),
        ("listen 80 so_keepalive=10m::5;", 600),
        ("listen 80 so_keepalive=::5;", 7200),
        ("listen 80 so_keepalive=10m; listen 443 so_keepalive=5m;", 600),
        ("listen 80 so_keepalive=10m; listen 443;", None),
    ],
)
def test_keepalive_of_tcp_towards_clients(listen: str, period: float | None, tmp_path: Path) -> None:
    found = route(tmp_path, f"server {{ {listen} proxy_pass http://127.0.0.1:1; }}")
    known = found.settings.get(Aspect.RECEIVES_KEEPALIVE)

    assert (known and known.value) == period


def test_keepalive_of_tcp_towards_the_upstream(tmp_path: Path) -> None:
    found = route(tmp_path, "proxy_socket_keepalive on; server { proxy_pass http://127.0.0.1:1; }")

    assert value(found, Aspect.SENDS_KEEPALIVE) == 7200


def test_what_is_not_judged_is_said(tmp_path: Path) -> None:
    text = (
        "server { listen 80 backlog=128; location / { proxy_pass http://127.0.0.1:1; }"
        " location /f { fastcgi_pass unix:/run/x; } }"
    )
    found = read(tmp_path, f"{http(text)}stream {{ server {{ listen 1; proxy_pass 127.0.0.1:2; }} }}")

    assert len(found.routes) == 1
    assert any("fastcgi_pass is not judged" in note for note in found.notes)
    assert any("backlog=128 is below nginx's own 511" in note for note in found.notes)
    assert any("stream block" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        (http("server { proxy_pass http://a"), "nginx.conf"),
        (
            http("server { keepalive_timeout soon; proxy_pass http://a; }"),
            "nginx.conf:3: keepalive_timeout has no time",
        ),
        (http("server { keepalive_requests x; proxy_pass http://a; }"), "keepalive_requests has no number: 'x'"),
        (http("include missing.conf;"), "No such file"),
        (http("include nginx.conf;"), "includes itself"),
        (http("include .;"), "no file of at most"),
        (http(""), "no http server here has a proxy_pass"),
        ("}", 'unexpected "}"'),
        (http("server { proxy_pass 'http://a"), "nginx.conf"),
        ("a {" * 200, "nginx.conf"),
        (http("a {" * 200 + "}" * 200), "nested too deep"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_message_with_the_place(text: str, tells: str, tmp_path: Path) -> None:
    with pytest.raises(ChainError) as told:
        read(tmp_path, text)

    assert tells in str(told.value)
    assert "\n\n" not in str(told.value)


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ChainError) as told:
        read(tmp_path, http("include missing.conf;\ninclude also.conf;"))

    assert "2 mistakes" in str(told.value)


def test_no_pipe_and_no_long_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.conf")
    with pytest.raises(ChainError, match="no file of at most"):
        read(tmp_path, http("include pipe.conf;"))
    monkeypatch.setattr(nginx_config, "MOST_BYTES", 20)
    with pytest.raises(ChainError, match="no file of at most"):
        read(tmp_path, http("server { proxy_pass http://127.0.0.1:1; }"))


def test_includes_that_multiply_come_to_an_end(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.inc").write_text(f"include {number + 1}.inc;\n" * 10)
    (tmp_path / "30.inc").write_text("server { proxy_pass http://127.0.0.1:1; }")
    with pytest.raises(ChainError, match="longer than any configuration"):
        read(tmp_path, http("include 0.inc;"))


PIECES = [
    "http", "server", "location", "upstream", "app", " {", "}", ";", " ", "\n", "proxy_pass http://app;",
    "keepalive 3;",
    "keepalive_timeout", " 5s", " x", '"', "'", "\\", "#", "${", "$x", "map $a $b { '' x; }", "include *.none;",
    "é", "\0",
    "listen 80 so_keepalive=x;", "if ($x)", "lua_block {", "proxy_set_header", " Connection", ' ""', "events {}",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=300))
@settings(max_examples=300)
def test_any_text_is_a_configuration_or_a_message(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any-nginx.conf"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        said = read_nginx(path).origin
    except ChainError as told:
        said = str(told)

    assert str(path) in said


REAL = shutil.which("nginx") or "/usr/sbin/nginx"


@pytest.mark.skipif(not Path(REAL).exists(), reason="no nginx here: make packages")
@pytest.mark.parametrize("keepalive", ["keepalive 4;", ""])
def test_what_is_read_here_is_what_nginx_takes(keepalive: str, tmp_path: Path) -> None:
    text = (
        f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n"
        f"upstream app {{ server 127.0.0.1:8080; {keepalive} }}\nproxy_http_version 1.1;\n"
        'proxy_set_header Connection "";\nserver { listen 127.0.0.1:8081 so_keepalive=30m::; '
        "location / { keepalive_timeout 1m15s; proxy_read_timeout 1500ms; proxy_pass http://app; } } }\n"
    )
    found = read(tmp_path, text)
    done = subprocess.run([REAL, "-t", "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert (value(found.routes[0], Aspect.RECEIVES_IDLE), value(found.routes[0], Aspect.RESPONSE)) == (75, 1.5)
    assert found.routes[0].reuse is bool(keepalive)


@pytest.mark.parametrize(
    "target",
    [
        "http://app",
        "http://app/",
        "http://APP/x",
        "http://app?x=1",
        "http://app$request_uri",
        "http://app$uri$is_args$args",
        "https://app$document_uri",
    ],
)
def test_an_upstream_is_known_by_its_name_whatever_stands_behind_it(target: str, tmp_path: Path) -> None:
    found = route(tmp_path, f"{UPSTREAM}{REUSE}server {{ location / {{ proxy_pass {target}; }} }}")

    assert (found.upstream, found.reuse, value(found, Aspect.SENDS_IDLE)) == ("app", True, 90)


@pytest.mark.parametrize("target", ["http://$backend", "$backend", "http://app$region", "https://$host/x"])
def test_an_upstream_that_a_variable_names_may_reuse_connections(target: str, tmp_path: Path) -> None:
    found = route(tmp_path, f"{UPSTREAM}{REUSE}server {{ location / {{ proxy_pass {target}; }} }}")

    assert (found.upstream, found.reuse) == (None, True)
    assert "a variable" in found.unknown[Aspect.SENDS_IDLE]
    assert Aspect.SENDS_IDLE not in found.settings


def test_without_any_upstream_that_keeps_connections_a_variable_names_none(tmp_path: Path) -> None:
    text = f"upstream app {{ server 127.0.0.1:1; keepalive 0; }} {REUSE}server {{ proxy_pass http://$backend; }}"

    assert (route(tmp_path, text).reuse, route(tmp_path, text).unknown) == (False, {})


def test_keepalive_0_keeps_no_connection(tmp_path: Path) -> None:
    text = f"upstream app {{ server 127.0.0.1:1; keepalive 0; }} {REUSE}server {{ proxy_pass http://app; }}"

    assert route(tmp_path, text).reuse is False


def test_where_only_an_older_release_reuses_no_connection_that_is_said(tmp_path: Path) -> None:
    bare = "upstream app { server 127.0.0.1:1; } server { proxy_pass http://app; }"
    kept = "upstream app { server 127.0.0.1:1; keepalive 4; } server { proxy_pass http://app; }"

    for text in (bare, kept):
        assert "1.29.7" in route(tmp_path, text).reuse_why
    stated = f"{kept[:-1]} proxy_http_version 1.0; }}"
    assert "1.29.7" not in route(tmp_path, stated).reuse_why


@pytest.mark.timeout(20)
@pytest.mark.skipif(not os.access("/proc/kmsg", os.R_OK), reason="only root may read /proc/kmsg")
def test_a_file_that_says_it_is_empty_is_not_read(tmp_path: Path) -> None:
    """Reading it takes the kernel's messages away from whoever waits for them, and then waits for more."""
    assert route(tmp_path, "include /proc/kmsg; server { proxy_pass http://127.0.0.1:1; }").name == "server"


@pytest.mark.parametrize(
    ("obsolete", "instead"),
    [
        ("http2_max_requests 100", "keepalive_requests"),
        ("http2_idle_timeout 10s", "keepalive_timeout"),
        ("http2_recv_timeout 5s", "client_header_timeout"),
    ],
)
def test_what_counts_for_http2_no_more_is_told(obsolete: str, instead: str, tmp_path: Path) -> None:
    found = read(
        tmp_path, http(f"{obsolete};\nserver {{ listen 80; location / {{ proxy_pass http://127.0.0.1:1; }} }}")
    )

    [note] = [note for note in found.notes if obsolete.split(maxsplit=1)[0] in note]
    assert note.startswith(f"{tmp_path}/nginx.conf:3: ")
    assert instead in note
    assert Aspect.RECEIVES_REQUESTS not in found.routes[0].settings


def test_the_age_of_a_connection_is_read(tmp_path: Path) -> None:
    found = route(tmp_path, "keepalive_time 30m; server { location / { proxy_pass http://127.0.0.1:1; } }")

    assert value(found, Aspect.AGE) == 1800
