from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tcptune.adapters.dialects import gather
from tcptune.dialects import READERS, recognised
from tcptune.dialects.profile_text import checked
from tcptune.domain.exchange import Imported
from tcptune.knowledge.catalogue import catalogue

GOLDEN = Path(__file__).parents[2] / "golden" / "dialects"
TUNED = GOLDEN / "tuned"
SYSCTL = GOLDEN / "sysctl"
PROFILES = sorted(path.parent.name for path in TUNED.glob("usr/lib/tuned/*/tuned.conf"))
CONFS = sorted(path.stem for path in SYSCTL.glob("*.conf"))

# Fixed, so that a new parameter in the catalogue changes no golden file.
KNOWN = {
    "net.core.somaxconn",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_mtu_probing",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_wmem",
}

Kept = Callable[[Path, str], None]


class Everything:
    def __contains__(self, key: object) -> bool:
        return True


def said_by(imported: Imported) -> str:
    return imported.model_dump_json(indent=1) + "\n"


def accounted(imported: Imported) -> int:
    return len(imported.settings) + len(imported.followed) + sum(one.lines for one in imported.left_out)


def ini_lines(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip() and line.strip()[0] not in "#;[")


@pytest.fixture
def tuned_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TUNED)


def gathered(name: str) -> tuple[str, dict[str, str]]:
    return gather(Path("usr/lib/tuned") / name, None, tuned_folders=[Path("etc/tuned"), Path("usr/lib/tuned")])


def test_debian_ships_the_profiles_that_are_tested_here() -> None:
    assert len(PROFILES) == 37
    assert {"network-latency", "network-throughput", "openshift", "realtime-virtual-host"} <= set(PROFILES)


@pytest.mark.usefixtures("tuned_tree")
@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_of_tuned_reads_as_it_did(name: str, kept: Kept) -> None:
    dialect, files = gathered(name)

    assert dialect == "tuned"
    kept(TUNED / f"{name}.json", said_by(READERS["tuned"].read(files, Everything())))


@pytest.mark.usefixtures("tuned_tree")
@pytest.mark.parametrize("name", PROFILES)
def test_no_line_of_a_tuned_profile_is_lost_silently(name: str) -> None:
    _, files = gathered(name)

    assert accounted(READERS["tuned"].read(files, Everything())) == sum(map(ini_lines, files.values()))


@pytest.mark.parametrize("name", CONFS)
def test_a_sysctl_conf_of_the_real_world_reads_as_it_did(name: str, kept: Kept) -> None:
    text = (SYSCTL / f"{name}.conf").read_bytes().decode()

    imported = checked(READERS["sysctl"].read({f"{name}.conf": text}, KNOWN), catalogue())

    kept(SYSCTL / f"{name}.json", said_by(imported))


@pytest.mark.parametrize("name", CONFS)
def test_no_line_of_a_sysctl_conf_is_lost_silently(name: str) -> None:
    text = (SYSCTL / f"{name}.conf").read_bytes().decode()

    imported = checked(READERS["sysctl"].read({f"{name}.conf": text}, KNOWN), catalogue())

    lines = [line for line in text.split("\n") if line.strip() and line.strip()[0] not in "#;"]
    assert accounted(imported) == len(lines)
    assert {one.line for one in (*imported.settings, *imported.left_out)} == {
        number for number, line in enumerate(text.split("\n"), 1) if line.strip() and line.strip()[0] not in "#;"
    }


@pytest.mark.parametrize("name", CONFS)
def test_a_sysctl_conf_is_recognised(name: str) -> None:
    assert recognised(f"{name}.conf", (SYSCTL / f"{name}.conf").read_bytes().decode()) == "sysctl"


def test_ten_files_of_the_real_world_are_kept() -> None:
    assert len(CONFS) == 10


def test_no_golden_file_holds_a_secret() -> None:
    for path in SYSCTL.glob("*.json"):
        assert "89abcdef" not in path.read_text(), path
        assert "2001:db8" not in path.read_text(), path
