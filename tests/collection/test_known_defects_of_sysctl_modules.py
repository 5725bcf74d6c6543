"""The measured defects of `ansible.posix.sysctl`, each as a test that tcp_settings passes on a real kernel.

They were measured with ansible.posix 2.1.0 on Linux 6.18. The name of a test says what goes right here, its comment
what went wrong there. The last two go beyond a single wrong answer: words that become numbers, and a process per key.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.collection.play import answers, project, shell
from tests.plugins.namespaces import needs_namespaces

pytestmark = [pytest.mark.lab, needs_namespaces]

OURS = "/etc/sysctl.d/99-tcptune.conf"
SOMAXCONN, TW_REUSE = "net.core.somaxconn", "net.ipv4.tcp_tw_reuse"
PORTS, RMEM, FIN = "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_rmem", "net.ipv4.tcp_fin_timeout"


def kept(settings: Mapping[str, Any], mode: str = "", **more: Any) -> dict[str, Any]:
    """The one task: runtime and boot."""
    task: dict[str, Any] = {
        "tcptune.linux.tcp_settings": {"settings": settings, "persist": True, "confirm": True, **more}
    }
    if mode:
        task |= {"check_mode": True, "diff": True}
    return task


def written(text: str, path: str = OURS) -> dict[str, Any]:
    return {"ansible.builtin.copy": {"dest": path, "content": text, "mode": "0644"}}


def shown(key: str) -> dict[str, Any]:
    return shell(f"cat /proc/sys/{key.replace('.', '/')}")


def settings_in(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project(tmp_path)


def test_check_mode_shows_each_key_and_the_file_before_and_after(folder: Path) -> None:
    # There: no diff at all, only changed=true (ansible.posix#90).
    (told, runtime, files, done) = answers(
        folder,
        kept({SOMAXCONN: "1025", TW_REUSE: "1"}, "check"),
        shown(SOMAXCONN),
        shell("ls /etc/sysctl.d"),
        kept({SOMAXCONN: "1025", TW_REUSE: "1"}),
    )
    before, after = ({part[side] for part in told["diff"]} for side in ("before", "after"))

    assert told["changed"]
    assert {f"{SOMAXCONN} = 4096\n{TW_REUSE} = 2\n"} <= before
    assert {f"{SOMAXCONN} = 1025\n{TW_REUSE} = 1\n"} <= after
    assert [part["after_header"] for part in told["diff"]] == ["runtime", OURS]
    assert settings_in(told["diff"][1]["after"]) == [f"{SOMAXCONN} = 1025", f"{TW_REUSE} = 1"]
    assert (runtime["stdout"], files["stdout"]) == ("4096", "")
    assert done["previous"] == told["previous"] == {SOMAXCONN: "4096", TW_REUSE: "2"}


def test_a_setting_that_this_kernel_lacks_fails_with_its_name_and_changes_nothing(folder: Path) -> None:
    # There: changed on every run, with ignoreerrors.
    found = answers(
        folder,
        *[kept({SOMAXCONN: "1025", "net.ipv4.tcp_tw_recycle": "1"})] * 2,
        shown(SOMAXCONN),
        shell("ls /etc/sysctl.d"),
    )

    assert [(one["failed"], one["changed"], one["failure"]["kind"]) for one in found[:2]] == [
        (True, False, "absent")
    ] * 2
    assert "net.ipv4.tcp_tw_recycle" in found[0]["msg"]
    assert (found[2]["stdout"], found[3]["stdout"]) == ("4096", "")


def test_a_list_of_ports_is_compared_as_the_kernel_stores_it(folder: Path) -> None:
    # There: 8080,8081,8082 is changed on every run, as the kernel shows 8080-8082.
    first, second, ranges, runtime = answers(
        folder,
        kept({PORTS: "8082,8080,8081,9000"}),
        kept({PORTS: "8082,8080,8081,9000"}),
        kept({PORTS: "8080-8082,9000"}),
        shown(PORTS),
    )

    assert [one["changed"] for one in (first, second, ranges)] == [True, False, False]
    assert runtime["stdout"] == "8080-8082,9000"


def test_a_number_that_the_kernel_would_read_in_another_base_is_refused(folder: Path) -> None:
    # There: 0100 is stored as 64, and changed for ever.
    octal, sixteen, runtime = answers(folder, kept({SOMAXCONN: "0100"}), kept({SOMAXCONN: "0x400"}), shown(SOMAXCONN))

    assert octal["failed"]
    assert sixteen["failed"]
    assert "takes plain decimal numbers, not 0100: the kernel would read it as 64" in octal["msg"]
    assert "takes plain decimal numbers, not 0x400: the kernel would read it as 1024" in sixteen["msg"]
    assert runtime["stdout"] == "4096"


def test_a_line_with_tabs_says_the_same_as_one_with_spaces(folder: Path) -> None:
    # There: the first run is changed, and the file written anew.
    _, runtime, same, file = answers(
        folder,
        written("net.ipv4.tcp_rmem\t=\t4096\t131072\t8388608\n"),
        shell("echo '4096 131072 8388608' > /proc/sys/net/ipv4/tcp_rmem; cat /proc/sys/net/ipv4/tcp_rmem"),
        kept({RMEM: "4096 131072 8388608"}),
        shell(f"cat {OURS}"),
    )

    assert "\t" in runtime["stdout"]
    assert not same["changed"]
    assert file["stdout"] == "net.ipv4.tcp_rmem\t=\t4096\t131072\t8388608"


def test_nothing_but_the_named_settings_reaches_the_kernel(folder: Path) -> None:
    # There: the reload of the file applies whatever else stands in it.
    _, _, done, other, theirs = answers(
        folder,
        written("net.core.somaxconn = 999\n"),
        written("net.ipv4.tcp_fin_timeout = 99\n", "/etc/sysctl.d/50-theirs.conf"),
        kept({TW_REUSE: "1"}),
        shown(SOMAXCONN),
        shown(FIN),
    )

    assert done["changed"]
    assert (other["stdout"], theirs["stdout"]) == ("4096", "60")


def test_to_let_go_of_a_setting_takes_it_back_at_runtime_too(folder: Path) -> None:
    # There: state=absent takes the line out, and the kernel keeps the value.
    _, gone, runtime, file, again = answers(
        folder,
        kept({SOMAXCONN: "1025", TW_REUSE: "1"}),
        {"tcptune.linux.tcp_settings": {"state": "absent", "keys": [SOMAXCONN], "confirm": True}},
        shown(SOMAXCONN),
        shell(f"cat {OURS}"),
        {"tcptune.linux.tcp_settings": {"state": "absent", "keys": [SOMAXCONN], "confirm": True}},
    )

    assert (gone["changed"], gone["previous"], runtime["stdout"]) == (True, {SOMAXCONN: "1025"}, "4096")
    assert settings_in(file["stdout"]) == [f"{TW_REUSE} = 1"]
    assert (again["changed"], again["host_state"]) == (False, "unchanged")


def test_a_value_that_is_refused_in_the_middle_leaves_none_of_its_numbers(folder: Path) -> None:
    # There: the task fails, and the first two numbers are set all the same.
    before, refused, after, files = answers(
        folder,
        shown(RMEM),
        kept({SOMAXCONN: "1025", RMEM: "5000 131073 2147483648"}),
        shell("cat /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/tcp_rmem"),
        shell("ls /etc/sysctl.d"),
    )

    assert (refused["failed"], refused["host_state"], refused["failure"]["key"]) == (True, "rolled_back", RMEM)
    assert after["stdout"] == "4096\n" + before["stdout"]
    assert files["stdout"] == ""


def test_a_file_of_somebody_else_keeps_every_byte_and_what_overrules_us_is_told(folder: Path) -> None:
    # There: an unrelated key makes it drop the second of two lines on one key, and so changes what the boot gives.
    theirs = "# ours, not yours\nnet.ipv4.tcp_tw_reuse = 0\nnet.ipv4.tcp_tw_reuse = 1\nnet.core.somaxconn = 77\n"
    _, done, file = answers(
        folder,
        written(theirs, "/etc/sysctl.d/99-zz.conf"),
        kept({SOMAXCONN: "1025", FIN: "30"}),
        shell("cat /etc/sysctl.d/99-zz.conf"),
    )

    assert file["stdout"] + "\n" == theirs
    assert done["changed"]
    assert done["shadowed"] == [
        {
            "key": SOMAXCONN,
            "ours": "1025",
            "value": "77",
            "path": "/etc/sysctl.d/99-zz.conf",
            "line": 4,
            "loader": "procps",
        }
    ]
    assert f"99-zz.conf:4 overrules our file: the next boot gives {SOMAXCONN} = 77" in done["warnings"][0]


def test_a_key_with_slashes_is_the_same_key(folder: Path) -> None:
    # There: a second line is put behind the first.
    _, slashes, dots, file = answers(
        folder,
        written("net/core/somaxconn = 1024\n"),
        kept({"net/core/somaxconn": "1025"}),
        kept({SOMAXCONN: "1025"}),
        shell(f"cat {OURS}"),
    )

    assert (slashes["changed"], dots["changed"]) == (True, False)
    assert settings_in(file["stdout"]) == [f"{SOMAXCONN} = 1025"]


def test_a_word_for_a_boolean_is_refused_and_not_turned_into_a_number(folder: Path) -> None:
    # There: they become 0 and 1 in silence, for settings that have names for values too.
    *refused, runtime = answers(folder, kept({TW_REUSE: True}), kept({TW_REUSE: "yes"}), shown(TW_REUSE))

    assert [one["failed"] for one in refused] == [True, True]
    assert all(TW_REUSE in one["msg"] for one in refused)
    assert runtime["stdout"] == "2"


def test_twenty_five_settings_are_one_task_and_the_second_run_changes_nothing(folder: Path) -> None:
    # There: a loop with a process for each key, 25 times on every run.
    kernel = "/proc/sys/net/ipv4"
    (names,) = answers(
        folder, shell(f"cd {kernel}; for f in tcp_*; do [ -w $f ] && grep -lxE '[0-9]+' $f; done | head -25")
    )
    wanted = {f"net.ipv4.{name}": None for name in names["stdout"].split()}
    assert len(wanted) == 25
    (values,) = answers(folder, shell(f"cd {kernel}; cat {' '.join(names['stdout'].split())}"))
    settings = dict(zip(wanted, values["stdout"].split(), strict=True))
    settings["net.ipv4.tcp_fin_timeout"] = "33"
    first, second = answers(folder, kept(settings), kept(settings))

    assert (first["changed"], first["host_state"]) == (True, "confirmed")
    assert (second["changed"], second["host_state"]) == (False, "unchanged")
