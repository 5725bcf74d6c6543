"""The files that are ours, and what may stand in them: nothing that does more than it says."""

from __future__ import annotations

import pytest
from fake_host import EVERY_KIND, LIMITS, MODULES, UNIT, asking, dropin, every_kind
from hypothesis import given
from hypothesis import strategies as st
from module_utils import changeset
from module_utils.errors import Refused
from module_utils.owned import is_unit, kind_of


def unit(name):
    return f"/etc/systemd/system/{name}.service.d/99-tcptune.conf"


@pytest.mark.parametrize(
    "path",
    [
        *EVERY_KIND,
        *("/etc/modules-load.d/00-tcptune.conf", "/etc/security/limits.d/99-tcptune-more.conf"),
        *(unit(name) for name in ("nginx", "a@", "a@b", "a@b@c", "php8.2-fpm", "fsck@dev-sda1", r"a\x2d", "a:b_c")),
        unit("x" * 200),
    ],
)
def test_each_kind_of_file_has_its_place(path):
    assert kind_of(path) is not None
    assert is_unit(path) == (".service.d/" in path)


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/modules-load.d/tcptune.conf", "/etc/modules-load.d/99-tcptune"),
        "/usr/lib/modules-load.d/99-tcptune.conf",
        *("/etc/security/limits.conf", "/etc/security/limits.d/90-nofile.conf", "/etc/security/99-tcptune.conf"),
        *("/etc/systemd/system/nginx.service", "/etc/systemd/system/nginx.service.d/override.conf"),
        # For every service, for those whose name begins so, and for what is no service.
        *("/etc/systemd/system/service.d/99-tcptune.conf", unit("nginx-"), unit("")),
        *("/etc/systemd/system/nginx.socket.d/99-tcptune.conf", "/etc/systemd/system.conf.d/99-tcptune.conf"),
        "/etc/systemd/user/nginx.service.d/99-tcptune.conf",
        *(unit(name) for name in ("@a", "..", "a..b", ".a", "a/b", "../a", "a b", "a\nb", "a\n", "a*", "ä")),
        *(unit(name) for name in (r"a\b", r"a\x2", r"a\x2F")),
        *(unit("x" * 250), unit("nginx") + "\n"),
    ],
)
def test_what_is_not_ours_is_refused(path):
    assert kind_of(path) is None
    with pytest.raises(Refused, match="not ours"):
        asking(files=[dropin("", path=path)])


@pytest.mark.parametrize(
    ("path", "content"),
    [
        *((MODULES, text) for text in ("", "# late\n\nnf_conntrack\ntcp-bbr\n", "nf_conntrack")),
        (LIMITS, "# all\n*\tsoft  nofile 65536\n@www - nofile 1024\nroot hard nofile 2147483584\n"),
        (LIMITS, "1000:2000 - nofile 4096\n:1000 soft nofile 4096\n@1000: soft nofile 4096\nsvc-a$ soft nofile 4096\n"),
        (UNIT, "# ours\n[Service]\nLimitNOFILE=1024:524288\n"),
        (UNIT, "[Service]\n\nLimitNOFILE=65536"),
    ],
)
def test_what_each_kind_may_hold_is_accepted(path, content):
    assert asking(files=[dropin(content, path=path)]).files[0].data == content.encode()


@pytest.mark.parametrize(
    ("path", "content", "why"),
    [
        (MODULES, "nf_conntrack hashsize=1\n", "line 1 is not the name of a module alone"),
        (MODULES, "# fine\n/tmp/evil.ko\n", "line 2 is not the name of a module alone"),
        (MODULES, "-r\n", "line 1 is not the name"),
        (MODULES, "a\rb\n", "character that cannot be printed"),
        (MODULES, "a\0b\n", "character that cannot be printed"),
        (MODULES, "# a\u2028nf_conntrack\n", "character that cannot be printed"),
        (LIMITS, "* soft nofile unlimited\n", "'unlimited' is not a plain number"),
        (LIMITS, "* soft nofile -1\n", "'-1' is not a plain number"),
        (LIMITS, "* soft nofile 010000\n", "'010000' is not a plain number"),
        (LIMITS, "* soft nofile 1023\n", "1023 open files are not within 1024 to 2147483584"),
        (LIMITS, "* soft nofile 2147483585\n", "are not within"),
        (LIMITS, "* hard nproc 65536\n", "line 1 limits nproc; only nofile is ours"),
        (LIMITS, "* both nofile 65536\n", "line 1 is not DOMAIN soft|hard|- nofile NUMBER"),
        (LIMITS, "* soft nofile\n", "line 1 is not DOMAIN"),
        (LIMITS, "* soft nofile 65536 # why\n", "line 1 is not DOMAIN"),
        (LIMITS, "%www - nofile 65536\n", "line 1 is not DOMAIN"),
        (LIMITS, ": - nofile 65536\n", "line 1 is not DOMAIN"),
        # pam_limits takes what is behind byte 1023 for another line.
        (LIMITS, "#" * 1023 + "root - maxlogins 0\n", "line 1 is longer than 1000 bytes"),
        (UNIT, "[Service]\nLimitNOFILE=65536\nExecStart=/bin/sh\n", "line 3 is not LimitNOFILE="),
        (UNIT, "[Service]\nLimitNOFILE=65536\n[Unit]\n", "line 3 is not LimitNOFILE="),
        (UNIT, "[Unit]\nLimitNOFILE=65536\n", "does not begin with [Service]"),
        (UNIT, "LimitNOFILE=65536\n", "does not begin with [Service]"),
        (UNIT, "", "does not begin with [Service]; it has 0 lines LimitNOFILE=, not one"),
        (UNIT, "[Service]\n", "it has 0 lines LimitNOFILE=, not one"),
        (UNIT, "[Service]\nLimitNOFILE=65536\nLimitNOFILE=1024\n", "it has 2 lines LimitNOFILE=, not one"),
        (UNIT, "[Service]\nLimitNOFILE=infinity\n", "'infinity' is not a plain number"),
        (UNIT, "[Service]\nLimitNOFILE=64K\n", "'64K' is not a plain number"),
        (UNIT, "[Service]\nLimitNOFILE=\n", "'' is not a plain number"),
        (UNIT, "[Service]\nLimitNOFILE= 65536\n", "' 65536' is not a plain number"),
        (UNIT, "[Service]\nLimitNOFILE=65536:\n", "'' is not a plain number"),
        (UNIT, "[Service]\nLimitNOFILE=4096:2048\n", "soft limit 4096 is above the hard one, 2048"),
        (UNIT, "[Service]\n# \\\nLimitNOFILE=65536\n", "line 2 ends in a backslash"),
        (UNIT, "[Service]\nLimitNOFILE=65536\n ExecStart=/bin/sh\n", "line 3 is not LimitNOFILE="),
        (UNIT, "[Service]\nLimitNOFILE=65536\n\x0bExecStart=/bin/sh\n", "character that cannot be printed"),
    ],
)
def test_what_could_do_more_is_refused_and_leaves_no_trace(fake, path, content, why):
    before = fake.everything()

    with pytest.raises(Refused) as caught:
        changeset.apply(fake, asking(files=[dropin(content, path=path)]))

    assert caught.value.message.startswith(f"{path}: ")
    assert why in caught.value.message
    assert caught.value.hint.startswith("only comments, ")
    assert fake.everything() == before


@given(text=st.text(st.sampled_from("[Service]\nLimitNOFILE=1024:\\#; \tExecStart/\r\x0b\x85\u2028"), max_size=60))
def test_whatever_stands_in_an_accepted_drop_in_every_reader_finds_one_limit(text):
    try:
        (made,) = asking(files=[dropin("[Service]\nLimitNOFILE=4096\n" + text, path=UNIT)]).files
    except Refused:
        return
    # As systemd splits it, which also takes a carriage return for the end of a line.
    lines = [line.strip() for line in made.data.decode().replace("\r", "\n").split("\n")]

    assert [line for line in lines if line and line[0] not in "#;"] == ["[Service]", "LimitNOFILE=4096"]
    assert not any(line.endswith("\\") for line in lines)


def test_text_that_is_no_text_is_refused_in_each_kind():
    for path in EVERY_KIND:
        with pytest.raises(Refused, match=r"character that (is none|cannot be printed)"):
            asking(files=[dropin(f"# \udcff\n{EVERY_KIND[path]}", path=path)])


def test_a_limit_that_would_keep_everybody_from_logging_in_is_refused(fake):
    fake.set("fs.nr_open", "65535")
    before = fake.everything()

    with pytest.raises(Refused, match=r"65536 open files are above fs\.nr_open = 65535, so nobody could log in"):
        changeset.apply(fake, asking(files=every_kind()))
    assert fake.everything() == before
    # With the run's own value, or for a service, which systemd gives as much as it can.
    assert changeset.apply(fake, asking({"fs.nr_open": "65536"}, files=every_kind())).changed
    changeset.rollback(fake, "run-1")
    files = [dropin(EVERY_KIND[UNIT], path=UNIT)]
    assert changeset.apply(fake, asking(files=files, run="run-2")).changed
