from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tcptune.adapters.dialects import gather
from tcptune.adapters.files import facts_lines
from tcptune.adapters.profiles import load_profile
from tcptune.cli.app import app
from tcptune.cli.exchange import From, To
from tcptune.dialects import READERS, WRITERS
from tcptune.domain.facts import HostFacts, System, Value
from tcptune.domain.state import NetNamespace
from tcptune.errors import InputError, UsageError
from tests.unit import builders

SOMAXCONN = "net.core.somaxconn"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["profile", *map(str, words)])


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def test_the_options_name_every_format() -> None:
    assert {one.value for one in From} == set(READERS)
    assert {one.value for one in To} == set(WRITERS)


def test_import_writes_a_profile_that_loads_and_lists_the_rest_on_standard_error(tmp_path: Path) -> None:
    conf = written(tmp_path / "sysctl.conf", f"{SOMAXCONN} = 4096\nvm.swappiness = 10\n")

    result = run("import", conf, "-o", tmp_path / "found.yml")

    assert (result.exit_code, result.stdout) == (0, "")
    assert f"{conf}:2  vm.swappiness = 10: vm.swappiness is not in tcptune's catalogue" in result.stderr
    assert "1 setting, 1 line left out" in result.stderr
    assert [entry.key for entry in load_profile(str(tmp_path / "found.yml")).entries] == [SOMAXCONN]


def test_import_of_nothing_that_is_known_fails(tmp_path: Path) -> None:
    conf = written(tmp_path / "sysctl.conf", "vm.swappiness = 10\n")

    assert isinstance(run("import", conf).exception, InputError)


@pytest.mark.parametrize("text", ["Dear diary,\n", ""])
def test_a_file_of_no_format_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="no format"):
        gather(written(tmp_path / "x", text), None)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone: No such file"):
        gather(tmp_path / "gone", None)


def test_what_is_listed_cannot_steer_the_terminal(tmp_path: Path) -> None:
    conf = written(tmp_path / "sysctl.conf", f"{SOMAXCONN} = 1\nkernel.x = \x1b[2J\n")

    assert "\x1b" not in run("import", conf).stderr


def test_a_folder_is_read_as_one_and_a_link_to_dev_null_masks(tmp_path: Path) -> None:
    written(tmp_path / "usr/lib/sysctl.d/50-vendor.conf", f"{SOMAXCONN} = 1\n")
    written(tmp_path / "usr/lib/sysctl.d/60-other.conf", "net.ipv4.tcp_syncookies = 1\n")
    (tmp_path / "etc/sysctl.d").mkdir(parents=True)
    (tmp_path / "etc/sysctl.d/50-vendor.conf").symlink_to("/dev/null")

    dialect, files = gather(tmp_path, None)
    found = READERS[dialect].read(files, {SOMAXCONN, "net.ipv4.tcp_syncookies"})

    assert [setting.key for setting in found.settings] == ["net.ipv4.tcp_syncookies"]
    assert "same name in a stronger folder" in found.left_out[0].why


def test_a_tuned_profile_finds_what_it_includes_beside_it_and_in_the_folders_of_tuned(tmp_path: Path) -> None:
    written(tmp_path / "here/mine/tuned.conf", "[main]\ninclude=near,far\n[sysctl]\n")
    written(tmp_path / "here/near/tuned.conf", "[main]\ninclude=mine\n[variables]\ninclude=/etc/tuned/v.conf\n")
    written(tmp_path / "lib/far/tuned.conf", f"[sysctl]\n{SOMAXCONN}=1\n")
    written(tmp_path / "lib/v.conf", "a=1\n")

    dialect, files = gather(tmp_path / "here/mine", None, tuned_folders=[tmp_path / "lib"])

    assert dialect == "tuned"
    assert [str(Path(path).relative_to(tmp_path)) for path in files] == [
        "here/mine/tuned.conf",
        "here/near/tuned.conf",
        "lib/far/tuned.conf",
        "lib/v.conf",
    ]


def test_export_to_a_folder_makes_the_folder_that_tuned_wants(tmp_path: Path) -> None:
    result = run("export", "baseline", "--to", "tuned", "-o", tmp_path)

    assert result.exit_code == 0
    assert "[sysctl]\n" in (tmp_path / "baseline/tuned.conf").read_text()


def test_export_prints_where_no_place_is_named() -> None:
    result = run("export", "web-frontend", "--to", "sysctl.d")

    assert "net.ipv4.tcp_slow_start_after_idle = 0\n" in result.stdout
    assert SOMAXCONN not in result.stdout
    assert f"{SOMAXCONN}: at least 8192" in result.stderr


def test_export_settles_bounds_with_the_facts_of_a_host(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    system = System(
        kernel="6.1.0", distribution="debian", version="12", memory_bytes=1, cpus=1, page_size_bytes=4096,
        boot_id="b", hostname="web1", systemd=True, user="0",
    )  # fmt: skip
    values = {SOMAXCONN: Value(text="16384", writable=True)}
    host = HostFacts(host="web1", collected_at=now, system=system, sysctl=values, sysctl_files=())
    facts = written(tmp_path / "facts.jsonl", "".join(facts_lines([host], now)))

    result = run("export", "web-frontend", "--to", "sysctl.d", "--facts", facts, "--host", "web1")

    assert f"{SOMAXCONN} = 16384\n" in result.stdout
    assert "what web1 needs, which has 16384" in result.stderr
    refused = run("export", "web-frontend", "--to", "sysctl.d", "--facts", facts, "--host", "web2")
    assert isinstance(refused.exception, InputError)


def test_no_formula_reaches_a_foreign_file() -> None:
    for to in ("sysctl.d", "tuned", "kernel-settings", "kubernetes"):
        assert "{{" not in run("export", "web-frontend", "--to", to, "--bounds").stdout


def test_what_holds_on_the_host_itself_is_not_written_for_a_pod() -> None:
    result = run("export", "k8s-node", "--to", "kubernetes", "--bounds")

    assert "net.ipv4.tcp_keepalive_time" in result.stdout
    assert result.stdout.count(f"name: {SOMAXCONN}\n") == 1
    assert "net.ipv4.ip_forward" not in result.stdout
    assert "net.ipv4.ip_forward: 1: it is asked on the host itself" in result.stderr


def test_facts_without_a_host_make_no_sense(tmp_path: Path) -> None:
    result = run("export", "baseline", "--to", "sysctl.d", "--facts", tmp_path / "facts.jsonl")

    assert isinstance(result.exception, UsageError)


def test_the_values_of_a_node_are_not_those_of_its_pods(tmp_path: Path) -> None:
    host = builders.facts(namespace=NetNamespace(child=False, sign="ns"))
    facts = written(tmp_path / "facts.jsonl", "".join(facts_lines([host], builders.NOW)))

    result = run("export", "k8s-node", "--to", "kubernetes", "--facts", facts, "--host", host.host)

    assert isinstance(result.exception, InputError)
    assert "web1, which is no pod" in str(result.exception)


def test_a_key_that_was_removed_is_left_out_with_the_release(tmp_path: Path) -> None:
    conf = written(tmp_path / "old.conf", "net.ipv4.tcp_tw_recycle = 1\nnet.core.somaxconn = 4096\n")

    assert "was removed in Linux 4.12" in run("import", conf).stderr
