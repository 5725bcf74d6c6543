from __future__ import annotations

from pathlib import Path

import pytest

from tcptune.adapters.profiles import load_profile
from tcptune.domain.demands import AtLeast, AtMost, Between, Demand, Elements, Exactly, Leave, OneOf
from tcptune.domain.profile import Profile
from tcptune.errors import ProfileError
from tests.unit.builders import FIN_TIMEOUT, PORTS, RMEM, SOMAXCONN, SYNCOOKIES

REASON = "why: because, source: tcp(7)"


def written(folder: Path, text: str, name: str = "web.yml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def entry(key: str, demand: str) -> str:
    return f"  {key}: {{{demand}, {REASON}}}\n"


def with_settings(*entries: str, head: str = "") -> str:
    return "profile: web\n" + head + "settings:\n" + "".join(entries)


def load(folder: Path, text: str) -> Profile:
    return load_profile(str(written(folder, text)))


def mistakes(folder: Path, text: str) -> str:
    with pytest.raises(ProfileError) as refused:
        load(folder, text)
    return str(refused.value)


# What is understood


@pytest.mark.parametrize(
    ("key", "yaml", "demand"),
    [
        (SOMAXCONN, "exactly: 4096", Exactly(value="4096")),
        (SOMAXCONN, "exactly: '4096'", Exactly(value="4096")),
        (RMEM, "exactly: 4096 131072 6291456", Exactly(value="4096 131072 6291456")),
        (RMEM, "exactly: [4096, 131072, 6291456]", Exactly(value="4096 131072 6291456")),
        (SOMAXCONN, "at_least: 4096", AtLeast(value="4096")),
        (SOMAXCONN, "at_most: 4096", AtMost(value="4096")),
        (FIN_TIMEOUT, "between: [15, 60]", Between(low="15", high="60")),
        (PORTS, "between: [1024 60999, 32768 65535]", Between(low="1024 60999", high="32768 65535")),
        (SYNCOOKIES, "one_of: [1, 2]", OneOf(values=("1", "2"))),
        (SYNCOOKIES, "leave: true", Leave()),
        (SYNCOOKIES, "leave: yes", Leave()),
        (PORTS, "elements: [{at_most: 32768}, leave]", Elements(each=(AtMost(value="32768"), Leave()))),
    ],
)
def test_an_operator_becomes_a_demand(tmp_path: Path, key: str, yaml: str, demand: Demand) -> None:
    [one] = load(tmp_path, with_settings(entry(key, yaml))).entries

    assert (one.key, one.demand, one.why, one.source) == (key, demand, "because", "tcp(7)")


def test_a_key_with_slashes_is_the_key_with_dots(tmp_path: Path) -> None:
    assert load(tmp_path, with_settings(entry("net/core/somaxconn", "exactly: 1"))).entries[0].key == SOMAXCONN


def test_entries_are_in_the_order_in_which_they_are_written_to_a_host(tmp_path: Path) -> None:
    text = with_settings(entry(SYNCOOKIES, "exactly: 1"), entry(SOMAXCONN, "exactly: 1"))

    assert [e.key for e in load(tmp_path, text).entries] == [SOMAXCONN, SYNCOOKIES]


def test_a_profile_knows_where_it_comes_from(tmp_path: Path) -> None:
    made = load(tmp_path, with_settings(entry(SOMAXCONN, "exactly: 1"), head="summary: a test\n"))

    assert (made.name, made.summary, made.origin) == ("web", "a test", str(tmp_path / "web.yml"))


# extends


def test_what_a_profile_says_itself_wins_over_what_it_extends(tmp_path: Path) -> None:
    text = with_settings(entry(SOMAXCONN, "exactly: 9"), head="extends: [baseline]\n")
    by_key = {e.key: e for e in load(tmp_path, text).entries}

    assert by_key[SOMAXCONN].demand == Exactly(value="9")
    assert (by_key[SOMAXCONN].profile, by_key[SYNCOOKIES].profile) == ("web", "baseline")


def test_of_two_that_are_extended_both_have_a_say(tmp_path: Path) -> None:
    written(tmp_path, with_settings(entry(SOMAXCONN, "at_least: 1")), "one.yml")
    written(tmp_path, with_settings(entry(SOMAXCONN, "at_most: 2")), "two.yml")
    made = load(tmp_path, with_settings(entry(SYNCOOKIES, "exactly: 1"), head="extends: [one.yml, two.yml]\n"))

    assert [str(e.demand) for e in made.entries if e.key == SOMAXCONN] == ["at least 1", "at most 2"]
    assert made.extends == ("one.yml", "two.yml")


def test_a_path_is_relative_to_the_profile_that_names_it(tmp_path: Path) -> None:
    written(tmp_path, with_settings(entry(SOMAXCONN, "exactly: 1")), "shared/base.yml")
    path = written(
        tmp_path, with_settings(entry(SYNCOOKIES, "exactly: 1"), head="extends: [../shared/base.yml]\n"), "a/web.yml"
    )

    assert len(load_profile(str(path)).entries) == 2


def test_the_digest_changes_with_the_text_of_the_profile_and_of_what_it_extends(tmp_path: Path) -> None:
    text = with_settings(entry(SYNCOOKIES, "exactly: 1"), head="extends: [base.yml]\n")
    digests = set()
    for base, own in (("1", text), ("2", text), ("2", text + "# a remark\n")):
        written(tmp_path, with_settings(entry(SOMAXCONN, f"exactly: {base}")), "base.yml")
        digests.add(load(tmp_path, own).digest)

    assert len(digests) == 3
    assert load(tmp_path, text).digest == load(tmp_path, text).digest


@pytest.mark.parametrize("back", ["web.yml", "./web.yml", "sub/../web.yml"])
def test_profiles_that_extend_each_other_in_a_circle_are_refused(tmp_path: Path, back: str) -> None:
    (tmp_path / "sub").mkdir()
    written(tmp_path, with_settings(entry(SOMAXCONN, "exactly: 1"), head=f"extends: [{back}]\n"), "base.yml")
    said = mistakes(tmp_path, with_settings(entry(SOMAXCONN, "exactly: 1"), head="extends: [base.yml]\n"))

    assert "in a circle" in said
    assert len(said) < 1000


def test_a_mistake_in_what_is_extended_is_told_with_both_places(tmp_path: Path) -> None:
    written(tmp_path, with_settings(entry(SOMAXCONN, "exactly: many")), "base.yml")
    said = mistakes(tmp_path, with_settings(entry(SYNCOOKIES, "exactly: 1"), head="extends: [base.yml]\n"))

    assert said.startswith(f"{tmp_path}/web.yml:2:11: {tmp_path}/base.yml:3:24: ")
    assert "'many' is none" in said


def test_something_extended_that_does_not_exist_is_told_with_its_place(tmp_path: Path) -> None:
    said = mistakes(tmp_path, with_settings(entry(SYNCOOKIES, "exactly: 1"), head="extends: [baseline, gone.yml]\n"))

    assert said == f"{tmp_path}/web.yml:2:21: {tmp_path}/gone.yml: No such file or directory"


# Which file


def test_a_name_that_is_nearly_one_of_ours_is_hinted_at() -> None:
    with pytest.raises(ProfileError, match="there is no profile 'web-fronted'") as refused:
        load_profile("web-fronted")
    assert "web-frontend" in (refused.value.hint or "")


def test_a_name_like_none_of_ours_lists_them() -> None:
    with pytest.raises(ProfileError) as refused:
        load_profile("zzz")
    assert "or baseline or" in (refused.value.hint or "")


def test_a_path_that_does_not_exist_is_named() -> None:
    with pytest.raises(ProfileError, match=r"nowhere/web\.yml: No such file or directory"):
        load_profile("nowhere/web.yml")


def test_a_folder_is_no_profile(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="Is a directory"):
        load_profile(f"{tmp_path}/")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProfileError, match="no text in UTF-8"):
        load_profile(str(tmp_path / "web.yml"))
