"""Configurations of nginx and HAProxy, and files of kernel settings in every format that is read."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.adapters.dialects import gather
from tcptune.adapters.haproxy_timeouts import read_haproxy
from tcptune.adapters.lint import lint_texts
from tcptune.adapters.nginx_timeouts import read_nginx
from tcptune.dialects import READERS
from tcptune.dialects.lint import lint
from tcptune.domain.chain import Configuration
from tcptune.domain.lint import LintReport
from tcptune.errors import ChainError, InputError
from tcptune.knowledge.catalogue import catalogue
from tests.fuzz.examples import changed, fuzz, only

GOLDEN = Path(__file__).parents[1] / "golden" / "dialects"

NGINX = rb"""user www-data;
events { worker_connections 768; }
http {
    # of clients
    keepalive_timeout 65s 60s; keepalive_requests 1000;
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    log_format main '$remote_addr - "$request" \'x\'';
    upstream app { server 10.0.0.1:8080 weight=5; server unix:/run/app; keepalive 32; keepalive_timeout 60s; }
    include conf.d/*.conf;
    server {
        listen 443 ssl backlog=4096 so_keepalive=30m::10; server_name "a b" ~^www\.;
        location ~ \.php$ { proxy_pass http://app/$1; proxy_read_timeout 1m30s; }
        location / {
            proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
            if ($request_method = POST) { return 405; }
        }
    }
}
"""
HAPROXY = rb"""global
  maxconn 20000   # of all
defaults named
  mode http
  timeout client 30s
  timeout server 5000
  timeout connect 3s
  timeout http-keep-alive 65s
  option http-server-close
frontend web from named
  bind :443 ssl crt "/etc/ssl/a b.pem"
  acl api path_beg /api
  use_backend api if api
  default_backend app
backend app
  option httpchk GET\ / HTTP/1.1
  server a 10.0.0.1:80 check
listen both
  bind :81
  server b 10.0.0.2:80
"""
DEEP = {
    "blocks in blocks": "http {" + "a {" * 20_000,
    "a quote without an end": "http { server { proxy_pass '" + "x" * 1_000_000,
    "a line of a million words": "http { " + "a " * 500_000 + ";}",
    "backslashes": "http { a " + "\\" * 500_000,
    "braces without an end": "http { a " + "${" * 200_000,
    "many statements": "http {" + "a b;" * 100_000 + "}",
    "one section after another": "defaults\n" * 100_000,
    "quotes": "timeout client " + "'\"" * 200_000,
}


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
@fuzz(60)
@given(data=st.data())
def test_any_configuration_is_read_or_refused_with_its_path(name: str, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "proxy.conf"
    read, seed = (read_nginx, NGINX) if name == "nginx" else (read_haproxy, HAPROXY)
    path.write_bytes(data.draw(changed([seed])))
    with only(ChainError, str(path)):
        assert isinstance(read(path), Configuration)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("deep", DEEP)
@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_no_configuration_keeps_the_reader_busy(name: str, deep: str, tmp_path: Path) -> None:
    path = tmp_path / "proxy.conf"
    path.write_text(DEEP[deep])

    with pytest.raises(ChainError) as told:
        (read_nginx if name == "nginx" else read_haproxy)(path)

    assert str(path) in str(told.value)
    assert len(str(told.value)) < 50_000


SETTINGS = tuple(path.read_bytes() for path in sorted(GOLDEN.glob("*/*.conf")))
PLAYBOOK = b"""- hosts: all
  tasks:
    - ansible.posix.sysctl: {name: net.ipv4.tcp_retries2, value: '10', reload: true}
      when: big
    - shell: sysctl -w net.core.somaxconn=4096 && echo 1 > /proc/sys/net/ipv4/tcp_syncookies
    - lineinfile: {path: /etc/sysctl.conf, line: 'net.ipv4.tcp_rmem = 4096 87380 6291456'}
    - copy:
        dest: /etc/sysctl.d/9.conf
        content: |
          # tcptune: allow net.ipv4.tcp_fin_timeout until 2027-01-01 many half-closed clients
          net.ipv4.tcp_fin_timeout = 30
"""


@pytest.mark.parametrize("name", ["9.conf", "play.yml"])
@fuzz(60)
@given(data=st.data())
def test_any_file_of_settings_is_judged_or_has_its_reason(name: str, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / name
    path.write_bytes(data.draw(changed(SETTINGS if name.endswith(".conf") else (PLAYBOOK,))))

    texts, unread = lint_texts([path])
    report = lint(texts, today=date(2026, 11, 21), kernel="6.12")

    assert not unread
    assert LintReport.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize("dialect", READERS)
@fuzz(40)
@given(data=st.data())
def test_any_file_of_another_tool_is_imported_or_refused(dialect: str, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "theirs.conf"
    path.write_bytes(data.draw(changed((*SETTINGS, PLAYBOOK))))
    with only(InputError, str(path)):
        found, texts = gather(path, dialect)
        READERS[found].read(texts, catalogue())
