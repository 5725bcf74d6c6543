from __future__ import annotations

from collections.abc import Mapping

import pytest

from tcptune.domain.boot import BootValue, Loader
from tcptune.domain.facts import SysctlFile
from tcptune.planning.boot import BootModel
from tcptune.planning.boot_globs import braced

ETC = "/etc/sysctl.d"
RUN = "/run/sysctl.d"
LOCAL = "/usr/local/lib/sysctl.d"
USR = "/usr/lib/sysctl.d"
OURS = f"{ETC}/99-tcptune.conf"

KEY = "net.core.somaxconn"
RMEM = "net.ipv4.tcp_rmem"


def host(files: Mapping[str, str | None], **options: object) -> BootModel:
    found = [SysctlFile(path=path, content=content) for path, content in files.items()]
    return BootModel(found, **options)  # type: ignore[arg-type]


def one(content: str, **options: object) -> BootModel:
    return host({f"{ETC}/50-a.conf": content}, **options)


def both(model: BootModel, key: str = KEY) -> tuple[str | None, str | None]:
    found = model.at_boot(key)
    return found.systemd.value, found.procps.value


def winners(model: BootModel, key: str = KEY) -> tuple[str | None, str | None]:
    found = model.at_boot(key)
    systemd, procps = found.systemd.winner, found.procps.winner
    return systemd.place if systemd else None, procps.place if procps else None


def sets(value: str, key: str = KEY) -> str:
    return f"{key} = {value}\n"


# Which file wins


def test_a_key_that_no_file_sets_keeps_what_the_kernel_gave_it() -> None:
    assert host({}).at_boot(KEY).systemd == BootValue()


def test_the_only_line_wins_and_says_where_it_stands() -> None:
    model = one("# queue\nnet.core.somaxconn = 4096\n")

    assert both(model) == ("4096", "4096")
    assert winners(model) == (f"{ETC}/50-a.conf:2", f"{ETC}/50-a.conf:2")


def test_the_later_name_wins() -> None:
    assert both(host({f"{ETC}/60-b.conf": sets("2"), f"{ETC}/50-a.conf": sets("1")})) == ("2", "2")


def test_a_late_name_of_the_vendor_beats_an_early_one_of_the_administrator() -> None:
    assert both(host({f"{ETC}/50-a.conf": sets("1"), f"{USR}/99-zz.conf": sets("2")})) == ("2", "2")


def test_a_wrong_vendor_file_does_no_harm_below_a_right_one_of_the_administrator() -> None:
    assert both(host({f"{USR}/50-vendor.conf": sets("1"), f"{ETC}/60-admin.conf": sets("2")})) == ("2", "2")


@pytest.mark.parametrize("folders", [(ETC, RUN), (RUN, LOCAL), (LOCAL, USR), (USR, "/lib/sysctl.d")], ids=str)
def test_of_two_files_of_one_name_only_that_of_the_stronger_folder_is_read(folders: tuple[str, str]) -> None:
    stronger, weaker = folders
    model = host({f"{weaker}/50-a.conf": sets("1") + sets("1", RMEM), f"{stronger}/50-a.conf": sets("2")})

    assert both(model) == ("2", "2")
    assert both(model, RMEM) == (None, None)


def test_an_empty_file_or_a_link_to_dev_null_masks_the_vendor_file() -> None:
    model = host({f"{ETC}/50-a.conf": "", f"{USR}/50-a.conf": sets("1")})

    assert both(model) == (None, None)
    assert model.load_order(Loader.SYSTEMD).shadowed[0].masked


def test_a_mask_in_a_weaker_folder_masks_nothing() -> None:
    assert both(host({f"{USR}/50-a.conf": "", f"{ETC}/50-a.conf": sets("1")})) == ("1", "1")


def test_names_are_sorted_as_bytes_so_nine_comes_after_ten() -> None:
    assert both(host({f"{ETC}/9-a.conf": sets("9"), f"{ETC}/10-a.conf": sets("10")})) == ("9", "9")


def test_names_are_sorted_as_bytes_so_capitals_come_first() -> None:
    assert both(host({f"{ETC}/50-B.conf": sets("1"), f"{ETC}/50-a.conf": sets("2")})) == ("2", "2")


@pytest.mark.parametrize("name", ["README", "a.conf.bak", "a.CONF", "a.conf~", "sub/a.conf"])
def test_a_file_that_does_not_end_in_conf_or_lies_deeper_is_not_read(name: str) -> None:
    assert both(host({f"{ETC}/{name}": sets("1")})) == (None, None)


def test_only_procps_reads_hidden_files() -> None:
    assert both(host({f"{ETC}/.a.conf": sets("1")})) == (None, "1")


def test_sysctl_conf_is_last_for_procps_and_nothing_for_systemd() -> None:
    assert both(host({f"{ETC}/zz.conf": sets("1"), "/etc/sysctl.conf": sets("2")})) == ("1", "2")


def test_sysctl_conf_linked_into_sysctl_d_has_its_turn_by_name_and_for_procps_another_at_the_end() -> None:
    conf = sets("2")
    link = SysctlFile(path=f"{ETC}/99-sysctl.conf", content=conf, link=True)
    later = SysctlFile(path=f"{ETC}/99-zz.conf", content=sets("3"))
    model = BootModel([link, later, SysctlFile(path="/etc/sysctl.conf", content=conf)])

    assert both(model) == ("3", "2")
    assert winners(model) == (f"{ETC}/99-zz.conf:1", "/etc/sysctl.conf:1")


def test_files_that_appear_twice_on_a_merged_system_are_one_file() -> None:
    model = host({f"{USR}/50-a.conf": sets("1"), "/lib/sysctl.d/50-a.conf": sets("1")})

    assert model.load_order(Loader.PROCPS).read == (f"{USR}/50-a.conf",)
    assert model.load_order(Loader.PROCPS).shadowed == ()


def test_the_load_order_names_what_is_read_and_what_is_passed_over() -> None:
    model = host({f"{USR}/50-a.conf": sets("1"), f"{ETC}/50-a.conf": sets("2"), f"{RUN}/10-b.conf": "", "/etc/x": ""})
    order = model.load_order(Loader.SYSTEMD)

    assert order.read == (f"{RUN}/10-b.conf", f"{ETC}/50-a.conf")
    assert [(item.path, item.by, item.masked) for item in order.shadowed] == [
        (f"{USR}/50-a.conf", f"{ETC}/50-a.conf", False)
    ]


# Which line wins


def test_the_last_of_two_lines_in_one_file_wins() -> None:
    assert both(one(sets("1") + sets("2"))) == ("2", "2")


def test_every_line_that_speaks_of_a_key_is_listed_in_the_order_read() -> None:
    model = host({f"{ETC}/60-b.conf": "-net.core.somaxconn\n", f"{USR}/50-a.conf": "net.core.* = 1\n" + sets("2")})

    assert [(found.place, found.value) for found in model.definitions(KEY)] == [
        (f"{USR}/50-a.conf:1", "1"),
        (f"{USR}/50-a.conf:2", "2"),
        (f"{ETC}/60-b.conf:1", None),
    ]


@pytest.mark.parametrize("line", ["# net.core.somaxconn = 2", "  ; net.core.somaxconn = 2", "words", "", " ", "-", "="])
def test_comments_and_lines_without_meaning_change_nothing(line: str) -> None:
    assert both(one(f"{sets('1')}{line}\n")) == ("1", "1")


@pytest.mark.parametrize(
    "spelling",
    [
        "net.core.somaxconn",
        "net/core/somaxconn",
        "/net/core/somaxconn",
        ".net.core.somaxconn",
        "net//core/./somaxconn",
        "-net.core.somaxconn",
        "\t net.core.somaxconn\t",
    ],
)
def test_a_key_has_many_spellings(spelling: str) -> None:
    assert both(one(f"{spelling} = 1")) == ("1", "1")


@pytest.mark.parametrize("spelling", ["/proc/sys/net/core/somaxconn", "net.core. somaxconn", "NET.core.somaxconn"])
def test_other_spellings_name_no_key(spelling: str) -> None:
    assert both(one(f"{spelling} = 1")) == (None, None)


@pytest.mark.parametrize("spelling", ["net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"])
def test_the_first_separator_decides_what_the_dots_of_an_interface_mean(spelling: str) -> None:
    assert both(one(f"{spelling} = 2"), "net.ipv4.conf.eth0/100.rp_filter") == ("2", "2")


def test_an_interface_with_dots_between_dots_is_another_key() -> None:
    assert both(one("net.ipv4.conf.eth0.100.rp_filter = 2"), "net.ipv4.conf.eth0/100.rp_filter") == (None, None)


@pytest.mark.parametrize("value", ['"4096"', "4096 # bytes", "4096,", "4096 \\"])
def test_quotes_comments_and_commas_are_part_of_the_value(value: str) -> None:
    assert both(one(sets(value))) == (value, value)


def test_blanks_inside_a_value_become_single_spaces() -> None:
    assert both(one(sets("4096\t131072   6291456  ", RMEM)), RMEM) == ("4096 131072 6291456",) * 2


def test_the_line_as_written_is_kept_beside_the_value() -> None:
    winner = one(sets("4096\t131072   6291456", RMEM)).at_boot(RMEM).systemd.winner

    assert winner is not None
    assert winner.value == "4096\t131072   6291456"


def test_lines_of_another_system_are_read_and_counted_too() -> None:
    assert winners(one("# dos\r\nnet.core.somaxconn = 1\r\n")) == (f"{ETC}/50-a.conf:2",) * 2


def test_a_file_may_end_without_a_newline() -> None:
    assert both(one(sets("1").rstrip())) == ("1", "1")


def test_a_backslash_does_not_continue_a_line() -> None:
    assert both(one("net.core.somaxconn = \\\n4096\n")) == ("\\", "\\")


def test_an_empty_value_is_written_but_is_no_number() -> None:
    assert both(one("net.core.somaxconn =\n")) == ("", "")
    assert both(one("net.core.somaxconn =\n", widths={KEY: 1})) == (None, None)


def test_bytes_that_are_no_text_do_not_disturb() -> None:
    assert both(one("# caf\udce9\n" + sets("1"))) == ("1", "1")


def test_a_byte_order_mark_spoils_the_first_line() -> None:
    assert both(one("\ufeff" + sets("1") + sets("2", RMEM))) == (None, None)


# Globs


def test_an_explicit_key_beats_a_glob_wherever_it_stands() -> None:
    model = host({f"{ETC}/10-a.conf": sets("1"), f"{ETC}/90-b.conf": "net.core.so* = 2"})

    assert both(model) == ("1", "1")


def test_of_two_globs_the_later_wins() -> None:
    assert both(one("net.core.so* = 1\nnet.*.somaxconn = 2\n")) == ("2", "2")


def test_a_glob_stays_within_one_part_of_the_path() -> None:
    assert both(one("net.*.rp_filter = 2"), "net.ipv4.conf.lo.rp_filter") == (None, None)


def test_a_key_can_be_taken_out_of_the_globs() -> None:
    model = one("net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter\n")
    found = model.all_keys(["net.ipv4.conf.all.rp_filter", "net.ipv4.conf.lo.rp_filter", KEY])

    assert [value.systemd.value for value in found.values()] == [None, "2", None]
    assert [value.procps.value for value in found.values()] == [None, "2", None]
    assert winners(model, "net.ipv4.conf.all.rp_filter") == (f"{ETC}/50-a.conf:2",) * 2


def test_taking_a_key_out_takes_back_its_own_line_under_systemd_only() -> None:
    model = one(sets("1") + "-net.core.somaxconn\n")

    assert both(model) == (None, "1")
    assert winners(model) == (f"{ETC}/50-a.conf:2", f"{ETC}/50-a.conf:1")


def test_taking_out_by_a_glob_that_nothing_assigned_does_nothing_but_in_newer_releases_of_procps() -> None:
    found = one("net.core.so* = 1\n-net.core.*\n").at_boot(KEY)

    assert (found.systemd.value, found.systemd.certain) == ("1", True)
    assert (found.procps.value, found.procps.certain) == ("1", False)


def test_under_systemd_a_glob_repeated_with_its_old_value_keeps_its_old_place() -> None:
    assert both(one("net.core.so* = 1\nnet.*.somaxconn = 2\nnet.core.so* = 1\n")) == ("2", "1")


def test_only_systemd_expands_braces_and_only_in_a_pattern() -> None:
    assert both(one("net.{core,ipv4}.somaxcon? = 1")) == ("1", None)
    assert both(one("net.{core,ipv4}.somaxconn = 1")) == (None, None)


def test_braces_nest() -> None:
    assert list(braced("a{b,{c,d}e}f")) == ["abf", "acef", "adef"]
    assert list(braced("a{b,c")) == ["a{b,c"]


# What the kernel makes of it


def test_procps_leaves_the_rest_of_an_earlier_list_in_place_and_systemd_never_writes_it() -> None:
    model = host({f"{ETC}/10-a.conf": sets("4096 131072 6291456", RMEM), f"{ETC}/20-b.conf": sets("8192", RMEM)})

    assert both(model, RMEM) == ("8192", "8192 131072 6291456")
    assert not model.at_boot(RMEM).agree


def test_a_list_that_is_not_set_to_its_end_is_marked_where_the_width_is_known() -> None:
    found = one(sets("8192", RMEM), widths={RMEM: 3}).at_boot(RMEM)

    assert (found.systemd.value, found.systemd.partial) == ("8192", True)


def test_numbers_beyond_the_last_place_are_dropped() -> None:
    assert both(one(sets("4096 5"), widths={KEY: 1})) == ("4096", "4096")


def test_when_the_kernel_refuses_the_last_value_procps_has_written_the_one_before() -> None:
    model = one(sets("128") + sets("many"), accepts=lambda _, value: value.isdecimal())

    assert both(model) == (None, "128")
    assert winners(model) == (None, f"{ETC}/50-a.conf:1")


def test_the_kernel_keeps_the_numbers_before_the_one_it_refuses() -> None:
    model = one(
        sets("4096 131072 6291456", RMEM) + sets("8192 none 5", RMEM),
        accepts=lambda _, value: "none" not in value,
        widths={RMEM: 3},
    )

    assert both(model, RMEM) == ("8192", "8192 131072 6291456")


def test_a_range_is_refused_as_a_whole_and_by_what_it_would_become() -> None:
    key = "net.ipv4.ip_local_port_range"

    def accepts(_: str, value: str) -> bool:
        low, high = (*map(int, value.split()), 60999)[:2]
        return low <= high

    model = one(sets("1024 2000", key) + sets("40000", key), accepts=accepts, widths={key: 2})

    assert both(model, key) == ("40000", "1024 2000")


# What is not known


def test_a_file_that_cannot_be_read_leaves_no_doubt_about_a_line_after_it() -> None:
    model = host({f"{ETC}/10-secret.conf": None, f"{ETC}/50-a.conf": sets("1")})

    assert model.unreadable == (f"{ETC}/10-secret.conf",)
    assert model.at_boot(KEY).certain
    assert not model.at_boot(RMEM).certain


def test_a_file_that_cannot_be_read_puts_a_line_before_it_in_doubt() -> None:
    assert not host({f"{ETC}/60-secret.conf": None, f"{ETC}/50-a.conf": sets("1")}).at_boot(KEY).certain


def test_a_file_that_cannot_be_read_puts_every_glob_in_doubt() -> None:
    assert not host({f"{ETC}/10-secret.conf": None, f"{ETC}/50-a.conf": "net.core.* = 1"}).at_boot(KEY).certain


def test_sysctl_conf_that_cannot_be_read_is_in_doubt_for_procps_alone() -> None:
    found = host({"/etc/sysctl.conf": None, f"{ETC}/50-a.conf": sets("1")}).at_boot(KEY)

    assert (found.systemd.certain, found.procps.certain) == (True, False)


def test_a_masked_file_need_not_be_readable() -> None:
    assert host({f"{ETC}/50-a.conf": "", f"{USR}/50-a.conf": None}).unreadable == ()


def test_a_folder_that_cannot_be_listed_puts_everything_in_doubt() -> None:
    model = host({f"{RUN}/*.conf": None, f"{ETC}/99-a.conf": sets("1")})

    assert model.unreadable == (f"{RUN}/*.conf",)
    assert not model.at_boot(KEY).certain


# What if


def test_our_own_file_can_be_tried_before_it_is_written() -> None:
    model = host({f"{ETC}/50-a.conf": sets("1")})

    assert model.replacing(OURS, sets("2")).at_boot(KEY).won_by(OURS)
    assert both(model.replacing(OURS, sets("2")).replacing(OURS, None)) == ("1", "1")
    assert both(model) == ("1", "1")


def test_our_own_file_does_not_win_where_a_later_one_or_sysctl_conf_speaks() -> None:
    model = host({"/etc/sysctl.conf": sets("1")}).replacing(OURS, sets("2"))

    assert not model.at_boot(KEY).won_by(OURS)
    assert winners(model) == (f"{OURS}:1", "/etc/sysctl.conf:1")


def test_a_secret_is_never_looked_up() -> None:
    with pytest.raises(ValueError, match="secret"):
        one("net.ipv4.tcp_fastopen_key = 0-0-0-0").at_boot("net.ipv4.tcp_fastopen_key")
