from __future__ import annotations

from collections.abc import Mapping

import pytest

from tcptune.dialects import READERS, recognised
from tcptune.dialects.profile_text import checked
from tcptune.domain.exchange import Imported, Operator
from tcptune.domain.releases import Release
from tcptune.errors import InputError
from tcptune.knowledge.catalogue import catalogue

SOMAXCONN = "net.core.somaxconn"
RMEM = "net.ipv4.tcp_rmem"
COOKIES = "net.ipv4.tcp_syncookies"
KNOWN = {SOMAXCONN, RMEM, COOKIES, "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_wmem"}


def read(dialect: str, files: str | Mapping[str, str], known: set[str] = KNOWN) -> Imported:
    return READERS[dialect].read({"file": files} if isinstance(files, str) else files, known)


def asked(imported: Imported) -> dict[str, str]:
    return {s.key: f"{s.operator} {s.value}".strip() for s in imported.settings}


def why(imported: Imported, text: str) -> str:
    [found] = [one.why for one in imported.left_out if text in one.text]
    return found


def tuned(*lines: str, **others: str) -> Imported:
    files = {"profiles/main/tuned.conf": "\n".join(lines)}
    files |= {f"profiles/{name}/tuned.conf": text for name, text in others.items()}
    return read("tuned", files)


# sysctl.conf and sysctl.d


def test_the_line_that_systemd_writes_is_the_setting_and_the_others_say_what_overrides_them() -> None:
    found = read("sysctl", {"d/20-b.conf": f"{SOMAXCONN} = 2\n", "d/10-a.conf": f"{SOMAXCONN} = 1\n"})

    assert asked(found) == {SOMAXCONN: "exactly 2"}
    assert why(found, SOMAXCONN) == "overridden by d/20-b.conf:1"


def test_a_file_of_the_same_name_in_a_stronger_folder_is_the_one_that_counts() -> None:
    found = read(
        "sysctl",
        {
            "root/usr/lib/sysctl.d/50.conf": f"{SOMAXCONN} = 1\n{COOKIES} = 1\n",
            "root/etc/sysctl.d/50.conf": f"{SOMAXCONN} = 2\n",
        },
    )

    assert asked(found) == {SOMAXCONN: "exactly 2"}
    [file] = found.left_out
    assert (file.lines, file.why) == (2, "not read: root/etc/sysctl.d/50.conf has the same name in a stronger folder")


def test_sysctl_conf_beside_a_folder_is_not_what_systemd_reads() -> None:
    found = read("sysctl", {"etc/sysctl.conf": f"{SOMAXCONN} = 1\n", "etc/sysctl.d/a.conf": f"{COOKIES} = 1\n"})

    assert asked(found) == {COOKIES: "exactly 1"}
    assert "only through a link" in why(found, "sysctl.conf")


def test_a_file_in_a_folder_without_the_ending_conf_is_listed() -> None:
    found = read("sysctl", {"d/a.conf": f"{SOMAXCONN} = 1", "d/README": f"{COOKIES} = 0\n"})

    assert asked(found) == {SOMAXCONN: "exactly 1"}
    assert "does not end in .conf" in why(found, "README")


def test_a_dash_takes_an_assignment_back_under_systemd() -> None:
    found = read("sysctl", f"{SOMAXCONN} = 1\n-{SOMAXCONN}\n")

    assert asked(found) == {}
    assert [one.why for one in found.left_out] == [
        "overridden by file:2",
        "takes the key out of patterns and sets nothing",
    ]


def test_a_dash_before_an_assignment_is_noted() -> None:
    [setting] = read("sysctl", f"-{SOMAXCONN} = 1\n").settings

    assert setting.note == "the leading - lets the loader pass over a refusal"


def test_a_slash_key_and_a_dotted_key_are_one() -> None:
    assert asked(read("sysctl", f"{SOMAXCONN} = 1\nnet/core/somaxconn = 2\n")) == {SOMAXCONN: "exactly 2"}


def test_a_secret_is_named_without_its_value() -> None:
    found = read("sysctl", "net.ipv4.tcp_fastopen_key = 0-0-0-5ec2e7\n")

    assert "5ec2e7" not in found.model_dump_json()
    assert found.left_out[0].text == "net.ipv4.tcp_fastopen_key (value not shown)"


def test_a_carriage_return_alone_begins_another_line_of_the_same_number() -> None:
    found = read("sysctl", f"{SOMAXCONN} = 1\r{SOMAXCONN} = 2\r{COOKIES} = 1\n")

    assert asked(found) == {SOMAXCONN: "exactly 2", COOKIES: "exactly 1"}
    assert why(found, "= 1") == "overridden in the same line 1"


# tuned


def test_what_a_profile_says_itself_wins_over_what_it_includes() -> None:
    found = tuned(
        "[main]", "include=base", "[sysctl]", f"{SOMAXCONN}=2",
        base=f"[sysctl]\n{SOMAXCONN}=1\n{COOKIES}=1\n",
    )  # fmt: skip

    assert asked(found) == {COOKIES: "exactly 1", SOMAXCONN: "exactly 2"}
    assert why(found, SOMAXCONN) == "overridden by profiles/main/tuned.conf:4"


def test_of_several_includes_the_later_wins() -> None:
    found = tuned(
        "[main]", "include=one, two ;one", "[sysctl]",
        one=f"[sysctl]\n{SOMAXCONN}=1\n", two=f"[sysctl]\n{SOMAXCONN}=2\n",
    )  # fmt: skip

    assert asked(found) == {SOMAXCONN: "exactly 2"}


def test_profiles_that_include_each_other_are_read_once() -> None:
    found = tuned(
        "[main]", "include=one", "[sysctl]", f"{COOKIES}=1", one=f"[main]\ninclude=main\n[sysctl]\n{SOMAXCONN}=1\n"
    )

    assert asked(found) == {SOMAXCONN: "exactly 1", COOKIES: "exactly 1"}


def test_an_include_that_is_not_there_is_listed_unless_it_need_not_be() -> None:
    assert "the profile gone was not found" in why(tuned("[main]", "include=gone"), "include=gone")
    assert tuned("[main]", "include=-gone").left_out == ()


@pytest.mark.parametrize(
    ("value", "asks"),
    [(">2048", "at_least 2048"), ("> 2048", "at_least 2048"), ("<9", "at_most 9"), ('">5"', "at_least 5")],
)
def test_the_modifiers_of_tuned_are_bounds(value: str, asks: str) -> None:
    assert asked(tuned("[sysctl]", f"{SOMAXCONN}={value}")) == {SOMAXCONN: asks}


def test_a_modifier_before_several_numbers_is_no_comparison_to_tuned() -> None:
    found = tuned("[sysctl]", f"{RMEM}=>4096 87380 6291456")

    assert asked(found) == {}
    assert "single whole numbers only" in why(found, RMEM)


def test_quotes_do_not_reach_the_kernel_from_a_tuned_profile() -> None:
    assert asked(tuned("[sysctl]", f'{RMEM}="4096 87380 16777216"')) == {RMEM: "exactly 4096 87380 16777216"}


def test_a_variable_is_replaced_by_what_the_included_file_says() -> None:
    found = read(
        "tuned",
        {
            "p/main/tuned.conf": "[variables]\ninclude=/etc/tuned/x-variables.conf\nq = ${base}2\n"
            f"[sysctl]\n{SOMAXCONN} = ${{q}}\n{COOKIES} = ${{nothing}}\n",
            "else/x-variables.conf": "base=409\n",
        },
    )

    assert asked(found) == {SOMAXCONN: "exactly 4092"}
    assert why(found, COOKIES) == "nothing defines the variable nothing"


def test_a_function_is_left_out_with_its_name_even_through_a_variable() -> None:
    found = tuned("[variables]", "n=${f:exec:nproc}", "[sysctl]", f"{SOMAXCONN}=${{n}}")

    assert asked(found) == {}
    assert why(found, SOMAXCONN) == "tuned works this out on the host, by its function exec"


def test_a_section_with_a_condition_sets_nothing_and_overrides_nothing() -> None:
    found = tuned("[sysctl]", f"{SOMAXCONN}=1", "[sysctl.arm]", "type=sysctl", "uname_regex=aarch64", f"{SOMAXCONN}=2")

    assert asked(found) == {SOMAXCONN: "exactly 1"}
    assert "uname_regex aarch64" in why(found, f"{SOMAXCONN}=2")


def test_of_two_sysctl_sections_the_later_wins() -> None:
    found = tuned("[sysctl]", f"{SOMAXCONN}=1", "[late]", "type=sysctl", f"{SOMAXCONN}=2")

    assert asked(found) == {SOMAXCONN: "exactly 2"}
    assert why(found, f"{SOMAXCONN}=1") == "overridden by profiles/main/tuned.conf:5"


def test_replace_and_drop_take_away_what_was_included() -> None:
    base = f"[sysctl]\n{SOMAXCONN}=1\n{COOKIES}=1\n"

    replaced = tuned("[main]", "include=base", "[sysctl]", "replace=1", f"{RMEM}=1 2 3", base=base)
    dropped = tuned("[main]", "include=base", "[sysctl]", f"drop={SOMAXCONN}", base=base)

    assert set(asked(replaced)) == {RMEM}
    assert set(asked(dropped)) == {COOKIES}


def test_a_section_that_is_switched_off_sets_nothing() -> None:
    assert asked(tuned("[sysctl]", "enabled=false", f"{SOMAXCONN}=1")) == {}


def test_a_value_that_goes_on_in_the_next_line_is_left_out_whole() -> None:
    found = tuned("[sysctl]", f"{RMEM}=4096", "  87380 6291456", f"{COOKIES}=1")

    assert asked(found) == {COOKIES: "exactly 1"}
    assert [one.lines for one in found.left_out] == [2]


def test_other_sections_are_listed_once_with_their_number_of_lines() -> None:
    found = tuned("[cpu]", "governor=performance", "# why", "force_latency=1", "[sysctl]", f"{COOKIES}=1")

    assert [(one.text, one.line, one.lines) for one in found.left_out] == [("[cpu]", 1, 2)]


# saptune

NOTE = f"""[version]
VERSION=4
DESCRIPTION=Network
[sysctl]
# comment = 1
{SOMAXCONN} >= 4096
{COOKIES} =
net.ipv4.tcp_fin_timeout < 61
{RMEM} > 4095 87379 1
vm.swappiness = 10
[sysctl:os=12-SP3]
net.ipv4.tcp_tw_recycle = 1
[grub]
numa_balancing=disable
"""


def test_a_note_reads_with_its_operators_and_leaves_alone_what_is_empty() -> None:
    found = read("saptune", NOTE)

    assert found.summary == "Network"
    assert asked(found) == {
        SOMAXCONN: "at_least 4096",
        COOKIES: "leave",
        "net.ipv4.tcp_fin_timeout": "at_most 60",
        RMEM: "at_least 4096 87380 2",
    }


def test_no_line_of_a_note_is_lost_silently() -> None:
    found = read("saptune", NOTE)

    total = len(found.settings) + len(found.followed) + sum(one.lines for one in found.left_out)
    assert total == sum(1 for line in NOTE.splitlines() if line and line[0] not in "#[")
    assert "os=12-SP3" in why(found, "[sysctl:os=12-SP3]")


# kernel_settings

VARIABLES = f"""
kernel_settings_sysctl:
  - name: {SOMAXCONN}
    value: 4096
  - {{name: {COOKIES}, value: on}}
  - name: {RMEM}
    state: absent
  - previous: replaced
  - name: net.ipv4.tcp_fin_timeout
    value: "{{{{ timeout }}}}"
  - name: net.ipv4.tcp_wmem
    value: 4096 16384 4194304
  - name: net.ipv4.tcp_fastopen_key
    value: 5ec2e7
kernel_settings_purge: true
other: 1
"""


def test_the_variables_of_the_role_read_and_what_they_remove_is_listed() -> None:
    found = read("kernel-settings", VARIABLES)

    assert asked(found) == {SOMAXCONN: "exactly 4096", "net.ipv4.tcp_wmem": "exactly 4096 16384 4194304"}
    assert "booleans" in why(found, COOKIES)
    assert "state absent" in why(found, RMEM)
    assert "template" in why(found, "tcp_fin_timeout")
    assert [one.text for one in found.left_out if "previous" in one.why] == ["an item"]
    assert {"kernel_settings_purge", "other"} <= {one.text for one in found.left_out}
    assert "5ec2e7" not in found.model_dump_json()


def test_no_line_of_the_variables_is_lost_silently() -> None:
    found = read("kernel-settings", VARIABLES)

    spans = {n for one in found.left_out for n in range(one.line, one.line + one.lines)}
    spans |= {n for one in found.settings for n in (one.line, one.line + 1)} | {one.line for one in found.followed}
    assert spans >= {n for n, line in enumerate(VARIABLES.splitlines(), 1) if line}


def test_the_variables_are_found_in_a_play_too() -> None:
    play = f"- hosts: all\n  vars:\n    kernel_settings_sysctl:\n    - {{name: {SOMAXCONN}, value: 1}}\n"

    assert asked(read("kernel-settings", play)) == {SOMAXCONN: "exactly 1"}


def test_removing_everything_is_not_something_a_profile_asks() -> None:
    found = read("kernel-settings", "kernel_settings_sysctl:\n  state: empty\n")

    assert (found.settings, len(found.left_out)) == ((), 1)


def test_what_is_no_yaml_names_the_line() -> None:
    with pytest.raises(InputError, match="file:2: this is no YAML"):
        read("kernel-settings", "kernel_settings_sysctl: [\n}")


@pytest.mark.parametrize("text", ["kernel_settings_x: 1\na: &a [*a]\n", "kernel_settings_x: " + "[" * 2000])
def test_yaml_without_an_end_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        read("kernel-settings", text)


# sysctl -a

CAPTURED = f"""abi.vsyscall32 = 1
kernel.ostype = Linux
kernel.osrelease = 6.1.0
net.core.bpf_jit_enable = 1
{SOMAXCONN} = 4096
net.ipv4.conf.all.rp_filter = 0
net.ipv4.conf.eth0.rp_filter = 0
sysctl: permission denied on key 'net.ipv4.tcp_fastopen_key'
net.ipv4.tcp_fastopen_key = 0-0-0-5ec2e7
{RMEM} = 4096\t131072\t6291456
net.ipv4.ip_local_reserved_ports =
sysctl: reading key "net.ipv6.conf.all.stable_secret"
something else
"""


def test_captured_values_read_and_the_rest_is_counted_by_family() -> None:
    found = read("sysctl-a", CAPTURED)

    assert asked(found) == {SOMAXCONN: "exactly 4096", RMEM: "exactly 4096 131072 6291456"}
    assert {(one.text, one.lines) for one in found.left_out if one.text.endswith("*")} == {
        ("abi.*", 1),
        ("kernel.*", 2),
        ("net.core.*", 1),
        ("net.ipv4.*", 1),
        ("net.ipv4.conf.*", 2),
    }
    assert "5ec2e7" not in found.model_dump_json()


def test_no_line_of_a_capture_is_lost_silently() -> None:
    found = read("sysctl-a", CAPTURED)

    assert len(found.settings) + sum(one.lines for one in found.left_out) == len(CAPTURED.splitlines())


# All of them


@pytest.mark.parametrize(
    ("path", "text", "dialect"),
    [
        ("vars.yml", VARIABLES, "kernel-settings"),
        ("x/tuned.conf", f"[sysctl]\n{SOMAXCONN}=1\n", "tuned"),
        ("p.conf", f"[main]\nsummary=x\n[sysctl]\n{SOMAXCONN}=1\n", "tuned"),
        ("2382421", NOTE, "saptune"),
        ("captured.txt", CAPTURED, "sysctl-a"),
        ("sysctl.conf", f"{SOMAXCONN}=1\n", "sysctl"),
        ("notes.txt", "Dear diary,\n", None),
    ],
)
def test_a_format_is_recognised(path: str, text: str, dialect: str | None) -> None:
    assert recognised(path, text) == dialect


@pytest.mark.parametrize("dialect", READERS)
def test_an_empty_file_is_read_by_all(dialect: str) -> None:
    assert read(dialect, "") == Imported()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("010", "octal"),
        ("4096 5", "takes one number"),
        ("4096 # queue", "a comment has its own line here"),
        ("-1", "negative"),
    ],
)
def test_what_the_catalogue_calls_a_mistake_is_no_setting(value: str, said: str) -> None:
    found = checked(read("sysctl", f"{SOMAXCONN} = {value}\n"), catalogue())

    assert found.settings == ()
    assert said in found.left_out[0].why


def test_a_bound_that_is_a_mistake_is_no_setting() -> None:
    found = checked(read("saptune", f"[sysctl]\n{RMEM} >= 9 8 7\n"), catalogue())

    assert found.settings == ()


def test_a_key_that_kernels_no_longer_have_is_left_out() -> None:
    gone = catalogue()[SOMAXCONN].model_copy(update={"removed_in": Release.model_validate("4.12")})

    found = checked(read("sysctl", f"{SOMAXCONN} = 1\n"), {SOMAXCONN: gone})

    assert found.left_out[0].why == f"{SOMAXCONN} was removed in Linux 4.12"


def test_leave_is_what_saptune_means_by_nothing() -> None:
    assert [s.operator for s in read("saptune", f"[sysctl]\n{SOMAXCONN} =\n").settings] == [Operator.LEAVE]
