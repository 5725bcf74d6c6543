"""What may be asked for: HOST:PORT and URLs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.service import target


@pytest.mark.parametrize(
    ("text", "host", "port", "tls", "path"),
    [
        ("web1:80", "web1", 80, False, None),
        ("tcp://web1:5432", "web1", 5432, False, None),
        ("192.0.2.1:443", "192.0.2.1", 443, False, None),
        ("[2001:db8::1]:443", "2001:db8::1", 443, False, None),
        ("http://shop.example", "shop.example", 80, False, "/"),
        ("https://shop.example/a?b=c#d", "shop.example", 443, True, "/a?b=c"),
        ("https://[2001:db8::1]:8443/x", "2001:db8::1", 8443, True, "/x"),
        ("tls://db.example:5433", "db.example", 5433, True, None),
    ],
)
def test_what_a_service_means(text: str, host: str, port: int, tls: bool, path: str | None) -> None:
    found = target(text)

    assert (found.host, found.port, found.tls, found.path, found.name) == (host, port, tls, path, text)


def test_options_are_for_services_that_do_not_say_it_themselves() -> None:
    assert target("web1:443", tls=True, path="/x", server_name="shop.example").server_name == "shop.example"
    plain = target("http://web1/own", tls=True, path="/x", server_name="shop.example")
    assert (plain.tls, plain.path, plain.server_name) == (False, "/own", None)


@pytest.mark.parametrize(
    "text",
    ["", "web1", "web1:", "web1:0", "web1:99999", "web1:x", ":80", "ftp://x:1", "[::1:80", "web1:80/path", "a b:80",
     "http://", "http://x/\x01", "https://user:secret@x/", "https://x/é", "//x:1", "web1:80?x"],
)  # fmt: skip
def test_what_makes_no_sense_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as told:
        target(text)

    assert "secret" not in str(told.value)


def test_a_path_begins_with_a_slash() -> None:
    with pytest.raises(ValueError, match="is no path"):
        target("web1:80", path="health")


@given(st.text(max_size=60))
def test_any_text_is_a_service_or_a_mistake(text: str) -> None:
    try:
        found = target(text)
    except ValueError:
        return

    assert 1 <= found.port <= 65535
    assert found.path is None or "\n" not in found.path
    assert not set(found.host) & set(" \r\n/@")
