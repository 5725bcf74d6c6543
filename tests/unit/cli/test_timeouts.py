"""`tcptune timeouts …`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Command

FINE = "chain: fine\nhops:\n  - {name: lb, product: aws-alb}\n  - {name: app, receives: {idle_timeout: 75s}}\n"
NGINX = """\
events {}
http {
  upstream app { server 127.0.0.1:8080; keepalive 16; }
  server { listen 80; location / { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://app; } }
}
"""


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    write(
        tmp_path,
        fine_yml=FINE,
        race_yml=FINE.replace("75s", "5s"),
        unknown_yml=FINE.replace("{idle_timeout: 75s}", "{requests: 10}"),
        wrong_yml="chain: x\nhops: [{name: a}, {name: a, idle_timeout: soon}]\n",
        shop_yml="chain: shop\nhops: [{name: proxy, product: nginx}, {name: app, product: node}]\n",
        two_yml="chain: two\nhops: [{name: a, product: nginx}, {name: b, product: nginx}]\n",
        other_yml="chain: o\nhops: [{name: p, product: nginx, upstream: other}, {name: app, product: node}]\n",
        nginx_conf=NGINX,
        bad_conf="events {",
        haproxy_cfg="frontend f\n mode http\n timeout client 90s\n default_backend b\nbackend b\n timeout server 5s\n",
        ha_yml="chain: h\nhops: [{name: lb, product: aws-alb}, {name: ha, product: haproxy}]\n",
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["fine.yml"], 0),
        (["race.yml"], 10),
        (["unknown.yml"], 4),
        (["wrong.yml"], 3),
        (["missing.yml"], 3),
        (["shop.yml"], 0),
        (["shop.yml", "--nginx", "nginx.conf"], 10),
        (["shop.yml", "--nginx", "proxy=nginx.conf"], 10),
        (["shop.yml", "--nginx", "bad.conf"], 3),
        (["shop.yml", "--nginx", "nginx.conf", "--nginx", "proxy=nginx.conf"], 2),
        (["shop.yml", "--haproxy", "haproxy.cfg"], 2),
        (["two.yml", "--nginx", "nginx.conf"], 2),
        (["two.yml", "--nginx", "a=nginx.conf"], 0),
        (["other.yml", "--nginx", "nginx.conf"], 3),
        (["ha.yml"], 4),
        (["ha.yml", "--haproxy", "haproxy.cfg"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_the_exit_code_says_what_was_found(tcptune: Command, words: list[str], code: int) -> None:
    said = tcptune("timeouts", "check", *words)

    assert said.code == code, said
    assert "Traceback" not in said.err
    assert bool(said.out) is (code in {0, 4, 10})


def test_what_is_read_of_nginx_wins_over_its_defaults(tcptune: Command) -> None:
    found = json.loads(tcptune("timeouts", "check", "shop.yml", "--nginx", "nginx.conf", "--format", "json").out)

    assert found["tcptune"] == "timeouts"
    [way] = found["ways"]
    assert way["route"] == "80 /"
    assert way["links"][0]["judged"][0]["causes"][0] == "reset.keepalive_race"


def test_advice_alone_is_no_finding(tcptune: Command, tmp_path: Path) -> None:
    write(tmp_path, advice_yml=FINE.replace("75s", "75s, requests: 100"))
    said = tcptune("timeouts", "check", "advice.yml")

    assert (said.code, "1 piece of advice" in said.out) == (0, True)


def test_the_report_can_be_written_to_a_file(tcptune: Command, tmp_path: Path) -> None:
    tcptune("timeouts", "check", "fine.yml", "--format", "markdown", "-o", "out.md")

    assert (tmp_path / "out.md").read_text().startswith("# Timeouts of fine\n")


def test_the_products_and_the_schema_are_printed(tcptune: Command) -> None:
    assert "aws-alb  AWS Application Load Balancer" in tcptune("timeouts", "products").out
    assert json.loads(tcptune("timeouts", "schema").out)["title"] == "tcptune chain"
