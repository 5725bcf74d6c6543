"""What the roles hand to the module, made of what a person writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from filter.owned_files import FilterModule, changed_units, conntrack_settings, files_alone, nofile_files
from module_utils.request import make_request

WEB = {"unit": "web", "soft": 4096}
FOLDER = Path(__file__).resolve().parents[2] / "plugins/filter"


def text(file):
    return [line for line in file["content"].splitlines() if not line.startswith("#")]


def test_every_filter_has_its_documentation_and_nothing_else_has():
    assert {path.stem for path in FOLDER.glob("*.yml")} == set(FilterModule().filters())
    for path in FOLDER.glob("*.yml"):
        assert yaml.safe_load(path.read_text())["DOCUMENTATION"]["name"] == path.stem


def test_limits_become_files_that_the_host_takes():
    logins = [{"domain": "@deploy", "soft": 2048, "hard": 4096}, {"domain": "*", "soft": 1024}]
    files = nofile_files([WEB, {"unit": "db@1", "soft": "1024", "hard": "2048"}], logins)

    assert [(file["path"], text(file)) for file in files] == [
        ("/etc/systemd/system/web.service.d/99-tcptune.conf", ["[Service]", "LimitNOFILE=4096"]),
        ("/etc/systemd/system/db@1.service.d/99-tcptune.conf", ["[Service]", "LimitNOFILE=1024:2048"]),
        (
            "/etc/security/limits.d/99-tcptune.conf",
            ["@deploy hard nofile 4096", "@deploy soft nofile 2048", "* hard nofile 1024", "* soft nofile 1024"],
        ),
    ]
    assert len(make_request({}, files=files).files) == 3
    assert nofile_files([], []) == []


@pytest.mark.parametrize(
    ("units", "logins", "why"),
    [
        (
            [{"unit": "web", "soft": 4096, "hard": 1024}],
            [],
            "unit web: the soft limit 4096 is above the hard one, 1024",
        ),
        ([{"unit": "web", "soft": "many"}], [], "unit web: soft and hard are numbers of open files"),
        ([{"unit": "web.service", "soft": 4096}], [], "unit web.service: leave .service out"),
        ([WEB, WEB], [], "given twice: /etc/systemd/system/web.service.d/99-tcptune.conf"),
        ([], [{"domain": "*", "soft": 1024}] * 2, r"given twice: \* hard, \* soft"),
    ],
)
def test_a_limit_that_is_none_is_one_message(units, logins, why):
    with pytest.raises(ValueError, match=why):
        nofile_files(units, logins)


def test_the_table_is_sized_before_it_is_filled():
    found = conntrack_settings({"nf_conntrack_tcp_timeout_established": 86400}, 262144, 65536)

    assert list(found.items()) == [
        ("net.netfilter.nf_conntrack_buckets", "65536"),
        ("net.netfilter.nf_conntrack_max", "262144"),
        ("net.netfilter.nf_conntrack_tcp_timeout_established", "86400"),
    ]
    assert conntrack_settings({}) == {}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"nf_conntrack_max": 1}, "given twice"),
        ({"net.core.somaxconn": 1}, "no setting of the connection tracker"),
        ({"nf_conntrack_x.y": 1}, "no setting of the connection tracker"),
        ({"nf_conntrack_acct": True}, "quote it as sysctl prints it"),
    ],
)
def test_what_is_no_setting_of_the_tracker_is_refused(values, why):
    with pytest.raises(ValueError, match=why):
        conntrack_settings(values, most=4096)


def test_only_a_service_whose_file_changes_has_to_be_restarted():
    def file(path, after="b"):
        return {"path": path, "before_sha256": "a", "after_sha256": after}

    folder = "/etc/systemd/system"
    files = [file(f"{folder}/web.service.d/99-tcptune.conf"), file(f"{folder}/db.service.d/99-tcptune.conf", "a")]

    assert changed_units([*files, file("/etc/security/limits.d/99-tcptune.conf")]) == ["web.service"]


def test_a_file_alone_has_nothing_that_must_be_there_before():
    assert files_alone([{"path": "p", "content": "c", "before_sha256": "absent"}]) == [{"path": "p", "content": "c"}]
