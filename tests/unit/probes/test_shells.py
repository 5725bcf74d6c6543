"""The probe, run for real on this machine: reading only, and without root."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tcptune.domain.facts import Absent, HostFacts, Unreadable, Value
from tcptune.domain.values import key_path
from tcptune.errors import ProbeFailed
from tcptune.knowledge.catalogue import catalogue
from tcptune.probes.script import BOOTSTRAP, assemble, parse
from tests.unit.builders import NOW, SOMAXCONN

Shell = tuple[str, ...]

SHELLS: list[Shell] = [("sh",), ("dash",), ("bash",), ("bash", "--posix"), ("busybox", "sh")]
PRESENT = [shell for shell in SHELLS if shutil.which(shell[0])]
_NOBODY = 65534
_HOST_PATH = re.compile(r"(?<![\w/])/(?=(?:etc|run|usr|lib)\b)")


@pytest.fixture(params=PRESENT, ids=" ".join)
def shell(request: pytest.FixtureRequest) -> Shell:
    found: Shell = request.param
    return found


@pytest.fixture
def tree() -> Iterator[Path]:
    """Give the root of a host's files, where a login without root can look."""
    with tempfile.TemporaryDirectory(prefix="tcptune-probe-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / "etc/sysctl.d").mkdir(parents=True)
        (root / "usr/lib/sysctl.d").mkdir(parents=True)
        (root / "lib").symlink_to("usr/lib")
        (root / "run/systemd/system").mkdir(parents=True)
        yield root


def said(shell: Shell, stdin: str) -> str:
    """Run the bootstrap as a login without root."""
    root = os.geteuid() == 0
    done = subprocess.run(
        [*shell, "-c", BOOTSTRAP],
        input=stdin,
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
        cwd="/",
        user=_NOBODY if root else None,
        group=_NOBODY if root else None,
        extra_groups=[] if root else None,
    )
    assert done.stderr == ""
    return done.stdout


def read(shell: Shell, keys: list[str]) -> HostFacts:
    return parse("here", said(shell, assemble(keys)), NOW)


def files(shell: Shell, tree: Path) -> dict[str, tuple[str | None, bool]]:
    """Return path -> (content, link) of the host whose files are in `tree`."""
    script = _HOST_PATH.sub(f"{tree}/", assemble([]))
    found = parse("here", said(shell, script), NOW).sysctl_files
    return {file.path.removeprefix(str(tree)): (file.content, file.link) for file in found}


def test_every_shell_a_host_may_have_is_tried() -> None:
    if missing := [shell[0] for shell in SHELLS if shell not in PRESENT]:
        pytest.skip(f"not tried, as it is not here: {', '.join(missing)}")


def test_every_value_is_what_the_kernel_says(shell: Shell) -> None:
    facts = read(shell, list(catalogue()))

    assert list(facts.sysctl) == list(catalogue())
    for key, reading in facts.sysctl.items():
        path = Path("/proc/sys") / key_path(key)
        if path.exists():
            assert isinstance(reading, Value)
            if catalogue()[key].read_only:
                continue  # what the kernel counts is another number by now
            assert reading.text == " ".join(path.read_text().split())
            assert catalogue()[key].mistake(reading.text) is None
        else:
            assert isinstance(reading, Absent)


def test_the_host_says_what_it_is(shell: Shell) -> None:
    system = read(shell, []).system

    assert system.kernel == os.uname().release
    assert system.hostname == Path("/proc/sys/kernel/hostname").read_text().strip()
    assert system.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert system.memory_bytes // 1024 == int(Path("/proc/meminfo").read_text().split()[1])
    assert system.cpus == sum(1 for line in Path("/proc/stat").read_text().splitlines() if re.match(r"cpu\d", line))
    assert system.page_size_bytes == os.sysconf("SC_PAGE_SIZE")
    assert system.user == str(_NOBODY if os.geteuid() == 0 else os.geteuid())
    assert system.systemd is Path("/run/systemd/system").is_dir()


def test_the_timer_rate_is_the_one_the_kernel_was_built_with(shell: Shell) -> None:
    try:
        built = re.search(
            r"^CONFIG_HZ=(\d+)$", gzip.decompress(Path("/proc/config.gz").read_bytes()).decode(), re.MULTILINE
        )
    except FileNotFoundError:
        pytest.skip("this kernel does not tell how it was built: no /proc/config.gz")
    here = Path("/proc/sys/net/ipv4/route/error_cost").exists()

    assert built
    assert read(shell, []).system.hz == (int(built[1]) if here else None)


def test_a_key_this_kernel_lacks_is_absent(shell: Shell) -> None:
    facts = read(shell, [SOMAXCONN, "net.ipv4.tcp_no_such_key"])

    assert isinstance(facts.sysctl["net.ipv4.tcp_no_such_key"], Absent)
    assert isinstance(facts.sysctl[SOMAXCONN], Value)


def test_a_key_that_only_root_may_read_is_unreadable(shell: Shell) -> None:
    assert isinstance(read(shell, ["net.ipv4.route.flush"]).sysctl["net.ipv4.route.flush"], Unreadable)


def test_a_login_without_root_may_write_nothing(shell: Shell) -> None:
    reading = read(shell, [SOMAXCONN]).sysctl[SOMAXCONN]

    assert isinstance(reading, Value)
    assert not reading.writable


@pytest.mark.parametrize("password", ["hunter2", "$(echo no)", "a'b\"c\\", "esac; done", " -n \\c"])
def test_a_password_that_sudo_did_not_ask_for_is_swallowed(shell: Shell, password: str) -> None:
    answer = said(shell, f"{password}\n{assemble([SOMAXCONN])}")

    assert parse("here", answer, NOW).sysctl.keys() == {SOMAXCONN}
    assert password not in answer


def test_a_script_that_never_arrives_whole_is_no_answer(shell: Shell) -> None:
    whole = assemble([SOMAXCONN])
    with pytest.raises(ProbeFailed):
        parse("here", said(shell, whole[: whole.index("@tcptune sysctl_files")]), NOW)


def test_a_key_is_never_run_as_a_command(shell: Shell, tree: Path) -> None:
    tree.chmod(0o777)
    said(shell, assemble([f"net.$(touch {tree}/made).a", f"`touch {tree}/made`", f"a;touch {tree}/made"]))

    assert not (tree / "made").exists()


def test_a_file_is_read_to_the_last_byte(shell: Shell, tree: Path) -> None:
    (tree / "etc/sysctl.d/50-a.conf").write_text("# a\n\n  net.core.somaxconn = 128 \\\n")
    (tree / "etc/sysctl.d/60-b.conf").write_text("net.ipv4.tcp_fin_timeout = 5\n\tx = 'y'")
    (tree / "etc/sysctl.conf").write_text("\n")

    assert files(shell, tree) == {
        "/etc/sysctl.d/50-a.conf": ("# a\n\n  net.core.somaxconn = 128 \\\n", False),
        "/etc/sysctl.d/60-b.conf": ("net.ipv4.tcp_fin_timeout = 5\n\tx = 'y'", False),
        "/etc/sysctl.conf": ("\n", False),
    }


def test_a_mask_is_an_empty_link_and_an_empty_file_is_none(shell: Shell, tree: Path) -> None:
    (tree / "etc/sysctl.d/50-mask.conf").symlink_to("/dev/null")
    (tree / "etc/sysctl.d/60-empty.conf").touch()

    assert files(shell, tree) == {"/etc/sysctl.d/50-mask.conf": ("", True), "/etc/sysctl.d/60-empty.conf": ("", False)}


def test_what_is_no_file_of_a_boot_is_passed_over(shell: Shell, tree: Path) -> None:
    (tree / "etc/sysctl.d/README").write_text("net.core.somaxconn = 1\n")
    (tree / "etc/sysctl.d/50-folder.conf").mkdir()
    (tree / "usr/lib/sysctl.d/50 with spaces.conf").write_text("a = 1\n")

    assert files(shell, tree) == {"/usr/lib/sysctl.d/50 with spaces.conf": ("a = 1\n", False)}


def test_a_file_this_login_may_not_read_is_named_and_the_rest_is_read(shell: Shell, tree: Path) -> None:
    (tree / "etc/sysctl.d/50-secret.conf").write_text("net.core.somaxconn = 1\n")
    (tree / "etc/sysctl.d/50-secret.conf").chmod(0)
    (tree / "etc/sysctl.d/60-open.conf").write_text("a = 1\n")
    if os.geteuid() != 0 and os.access(tree / "etc/sysctl.d/50-secret.conf", os.R_OK):
        pytest.skip("this login may read everything")

    assert files(shell, tree) == {
        "/etc/sysctl.d/50-secret.conf": (None, False),
        "/etc/sysctl.d/60-open.conf": ("a = 1\n", False),
    }


def test_a_link_to_nowhere_does_not_end_the_reading(shell: Shell, tree: Path) -> None:
    (tree / "etc/sysctl.d/50-gone.conf").symlink_to("/nonexistent/file")
    (tree / "etc/sysctl.d/60-open.conf").write_text("a = 1\n")

    assert files(shell, tree)["/etc/sysctl.d/60-open.conf"] == ("a = 1\n", False)


def test_a_folder_this_login_may_not_list_is_named(shell: Shell, tree: Path) -> None:
    (tree / "etc/sysctl.d").chmod(0)
    try:
        assert files(shell, tree) == {"/etc/sysctl.d/*.conf": (None, False)}
    finally:
        (tree / "etc/sysctl.d").chmod(0o755)
