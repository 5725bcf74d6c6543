"""One file of nginx's configuration, with a program in the place of nginx that says what a test wants."""

from __future__ import annotations

import contextlib
import signal

import pytest
from fake_host import Crash
from module_utils import nginx, storage
from module_utils.errors import Failed, Refused

PATH = "/etc/nginx/conf.d/99-tcptune.conf"


class FakeNginx(nginx.Nginx):
    """Takes a configuration unless its file holds the word `wrong`. Told to reload, it does what `reload` says.

    `aside` is whether this host has a place to try a file before it is there, `live` what a running one has read.
    """

    def __init__(self, path, reload=0, default="listen 80 default_server;", pid=None, aside=False):
        super().__init__(["nginx"])
        self.path, self.reload, self.default, self.pid, self.aside = path, reload, default, pid, aside
        self.ran = []
        self.live = self.shown()

    def shown(self):
        return self.path.read_bytes() if self.path.exists() else None

    def can_see(self, path, data):
        assert (path, data) == (str(self.path), self.shown())
        return self.aside

    def seeing(self, path, data):
        assert path == str(self.path)
        other = FakeNginx(self.path, default=self.default)
        other.shown = lambda: data
        other.ran = self.ran
        return other

    def run(self, *options):
        self.ran.append(options)
        text = (self.shown() or b"").decode()
        if options == ("-s", "reload"):
            self.live = self.live if self.reload else self.shown()
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

    assert bring(fake, b"keepalive_timeout 75s;\n") == (True, None, b"keepalive_timeout 75s;\n", True, False)
    assert fake.ran[-1] == ("-s", "reload")
    assert bring(fake, b"keepalive_timeout 75s;\n") == (
        False,
        b"keepalive_timeout 75s;\n",
        b"keepalive_timeout 75s;\n",
        False,
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


def alone(path):
    """Return whether nothing is in the folder but, perhaps, the file."""
    return [*path.parent.iterdir()] in ([], [path])


@pytest.mark.parametrize("before", [None, b"mine\n"])
def test_what_nginx_would_not_take_is_never_there_where_it_can_be_tried(path, before, monkeypatch):
    if before is not None:
        path.write_bytes(before)
    for name in ("write", "remove"):
        monkeypatch.setattr(storage, name, lambda *_: pytest.fail("something was written"))

    with pytest.raises(Failed, match=r"nginx does not take .*: wrong in .*; the file was not touched"):
        bring(FakeNginx(path, pid="x", aside=True), b"wrong\n")
    with pytest.raises(Failed, match="ours could answer for yours; the file was not touched"):
        bring(FakeNginx(path, pid="x", aside=True), b"right\n", listens=["8080"])


def dies_at(monkeypatch, fake, step, before_it):
    """Have the power go before or after the step of that number. Return the list of the steps that were reached."""
    steps = []

    def counted(name, act):
        def acted(*given):
            steps.append(name)
            if len(steps) == step and before_it:
                raise Crash(name)
            done = act(*given)
            if len(steps) == step:
                raise Crash(name)
            return done

        return acted

    monkeypatch.setattr(storage, "write", counted("write", storage.write))
    monkeypatch.setattr(storage, "remove", counted("remove", storage.remove))
    monkeypatch.setattr(fake, "run", counted("nginx", fake.run))
    return steps


@pytest.mark.parametrize("then", [b"next\n", b"mine\n", b"right\n", None])
@pytest.mark.parametrize("dying", [b"right\n", b"wrong\n", None])
@pytest.mark.parametrize("before", [b"mine\n", None])
@pytest.mark.parametrize("aside", [False, True])
@pytest.mark.parametrize("before_it", [False, True])
def test_who_dies_at_any_step_leaves_what_the_next_call_ends(path, monkeypatch, before, dying, then, aside, before_it):
    fakes = []
    for step in range(1, 40):
        path.unlink(missing_ok=True)
        if before is not None:
            path.write_bytes(before)
        fake = FakeNginx(path, pid="x", aside=aside)
        with monkeypatch.context() as patch:
            steps = dies_at(patch, fake, step, before_it)
            with contextlib.suppress(Crash, Failed):
                bring(fake, dying)
        died = len(steps) == step
        shown = fake.shown()
        assert shown in (before, dying)
        assert shown == before or not (aside and dying == b"wrong\n")

        left = not alone(path)
        told = nginx.bring(fake, str(path), then, check=True)
        done = bring(fake, then)
        assert (told.changed, told.before, told.after) == (done.changed, done.before, done.after)
        assert (fake.shown(), fake.live) == (then, then)
        assert alone(path)
        # Without anything left there, nothing is put back.
        assert left or not done.recovered
        fakes.append(done.recovered)
        if not died:
            break
    assert not died
    assert any(fakes) or dying == before or (aside and dying == b"wrong\n")


def test_what_somebody_wrote_after_it_had_died_is_not_put_back(path, monkeypatch):
    path.write_bytes(b"mine\n")
    fake = FakeNginx(path, pid="x")
    with monkeypatch.context() as patch:
        dies_at(patch, fake, 4, before_it=True)
        with pytest.raises(Crash):
            bring(fake, b"wrong\n")
    assert fake.shown() == b"wrong\n"
    (kept,) = [found for found in path.parent.iterdir() if found != path]
    assert (kept.name[0], kept.suffix, kept.read_bytes()) == (".", ".before", b"mine\n")

    path.write_bytes(b"by hand\n")
    done = bring(fake, b"by hand\n")
    assert (done.changed, done.recovered, fake.shown()) == (False, False, b"by hand\n")
    assert alone(path)


def test_the_wrong_file_of_one_that_died_is_refused_again_with_the_first_one_back(path, monkeypatch):
    path.write_bytes(b"mine\n")
    path.chmod(0o600)
    first = storage.look(str(path))
    fake = FakeNginx(path, pid="x")
    with monkeypatch.context() as patch:
        dies_at(patch, fake, 4, before_it=True)
        with pytest.raises(Crash):
            bring(fake, b"wrong\n")

    with pytest.raises(Failed, match="the previous file is back"):
        bring(fake, b"wrong\n")
    assert storage.look(str(path)) == first
    assert alone(path)
