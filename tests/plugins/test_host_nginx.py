"""One file of nginx's configuration, with a program in the place of nginx that says what a test wants."""

from __future__ import annotations

import signal

import pytest
from module_utils import nginx, storage
from module_utils.errors import Failed, Refused

PATH = "/etc/nginx/conf.d/99-tcptune.conf"


class FakeNginx(nginx.Nginx):
    """Takes a configuration unless its file holds the word `wrong`. Told to reload, it does what `reload` says."""

    def __init__(self, path, reload=0, default="listen 80 default_server;", pid=None):
        super().__init__(["nginx"])
        self.path, self.reload, self.default, self.pid = path, reload, default, pid
        self.ran = []

    def run(self, *options):
        self.ran.append(options)
        text = self.path.read_text() if self.path.exists() else ""
        if options == ("-s", "reload"):
            return self.reload, "", "nginx: [error] no" if self.reload else ""
        if "wrong" in text:
            return 1, "", f"nginx: [emerg] wrong in {self.path}:1\nnginx: configuration file test failed"
        own = f"# configuration file {self.path}:\n{text}\n" if text else ""
        pid = f"pid {self.pid};\n" if self.pid else ""
        return 0, f"# configuration file /etc/nginx/nginx.conf:\n{pid}{self.default}\n{own}", ""

    def master(self, configuration):  # noqa: ARG002  what the real one looks in
        return 1 if self.pid else None


@pytest.fixture
def path(tmp_path):
    return tmp_path / "99-tcptune.conf"


def bring(fake, wanted, **more):
    return nginx.bring(fake, str(fake.path), wanted, check=False, **more)


def test_what_nginx_takes_is_there_and_nginx_is_told(path):
    fake = FakeNginx(path, pid="/run/nginx.pid")

    assert bring(fake, b"keepalive_timeout 75s;\n") == (True, None, b"keepalive_timeout 75s;\n", True)
    assert fake.ran[-1] == ("-s", "reload")
    assert bring(fake, b"keepalive_timeout 75s;\n") == (
        False,
        b"keepalive_timeout 75s;\n",
        b"keepalive_timeout 75s;\n",
        False,
    )
    assert fake.ran[-1] != ("-s", "reload")
    assert bring(fake, None).changed
    assert not path.exists()


def test_what_nginx_does_not_take_is_gone_again_with_mode_and_owner_as_they_were(path):
    path.write_text("mine\n")
    path.chmod(0o600)
    before = storage.look(str(path))

    with pytest.raises(Failed, match=r"wrong in .*; the previous file is back") as caught:
        bring(FakeNginx(path, pid="x"), b"wrong\n")

    assert storage.look(str(path)) == before
    assert caught.value.facts == {"key": str(path)}
    path.unlink()
    with pytest.raises(Failed, match="the file is gone again"):
        bring(FakeNginx(path), b"wrong\n")
    assert not path.exists()


def test_a_reload_that_fails_puts_back(path):
    with pytest.raises(Failed, match="nginx was not reloaded: no; the file is gone again"):
        bring(FakeNginx(path, reload=1, pid="x"), b"right\n")

    assert not path.exists()


def test_a_configuration_that_is_wrong_already_is_not_touched_but_our_own_can_be_repaired(path):
    other = FakeNginx(path)
    other.run = lambda *_: (1, "", "nginx: [emerg] unknown directive")
    with pytest.raises(Refused, match="does not take its configuration as it is: unknown directive"):
        bring(other, b"right\n")
    assert not path.exists()

    path.write_text("wrong\n")
    with pytest.raises(Refused, match="as it is"):
        bring(FakeNginx(path), b"wrong\n")
    assert bring(FakeNginx(path), b"right\n").changed


@pytest.mark.parametrize(
    ("address", "said", "fine"),
    [
        ("80", "listen 80 default_server;", True),
        ("80", "listen *:80 default_server backlog=511;", True),
        ("0.0.0.0:80", "listen 80 ssl default_server;", True),
        ("[::]:80", "server { listen [::]:80 default_server; }", True),
        ("80", "listen 80;", False),
        ("80", "listen 8080 default_server;", False),
        ("80", "# listen 80 default_server;", False),
        ("80", "listen [::]:80 default_server;", False),
    ],
)
def test_only_an_address_with_another_default_gets_a_server_of_ours(path, address, said, fine):
    assert nginx.has_other_default(said, address) is fine
    if not fine:
        with pytest.raises(Failed, match="ours could answer for yours"):
            bring(FakeNginx(path, default=said), b"server {}\n", listens=[address])
        assert not path.exists()


@pytest.mark.parametrize(
    "name", ["/etc/nginx/nginx.conf", "/etc/nginx/conf.d/default.conf", "/etc/nginx/../99-tcptune.conf"]
)
def test_a_file_that_is_not_ours_is_refused(name, path):
    with pytest.raises(Refused, match="is not ours to write"):
        nginx.bring(FakeNginx(path), name, b"x", check=True)


def test_check_mode_asks_nginx_nothing_and_writes_nothing(path):
    fake = FakeNginx(path)

    assert nginx.bring(fake, str(path), b"wrong\n", check=True).changed
    assert (fake.ran, path.exists()) == ([], False)


def test_a_lost_connection_does_not_end_it_in_the_middle(path):
    fake = FakeNginx(path)
    kept, run = signal.getsignal(signal.SIGHUP), fake.run

    def hang_up(*options):
        if path.exists():
            signal.raise_signal(signal.SIGHUP)
        return run(*options)

    fake.run = hang_up
    with pytest.raises(Failed):
        bring(fake, b"wrong\n")

    assert not path.exists()
    assert signal.getsignal(signal.SIGHUP) == kept
