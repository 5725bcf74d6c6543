from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tcptune.adapters.files import facts_lines, read_facts, read_plan, write_whole
from tcptune.domain.changes import Plan, Skipped
from tcptune.domain.facts import Collected, Unread
from tcptune.errors import FactsError, PlanError, TcptuneError
from tests.unit.builders import ABSENT, NOW, SOMAXCONN, UNREADABLE, cohort, facts, plan

COLLECTED: list[Collected] = [
    facts("web1", {SOMAXCONN: "4096", "net.a.b": ABSENT, "net.a.c": UNREADABLE}, {"/etc/sysctl.conf": None}),
    Unread(host="web2", error="no SSH session", hint="ssh web2 true"),
    facts("büro", files={"/etc/sysctl.conf": "# grüße \x00\r\n"}),
]


@pytest.fixture
def facts_file(tmp_path: Path) -> Path:
    write_whole(tmp_path / "facts.jsonl", facts_lines(COLLECTED, NOW))
    return tmp_path / "facts.jsonl"


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    made = plan(cohort("web1", "web2"), skipped=(Skipped(host="web3", key=None, why="down"),))
    write_whole(tmp_path / "plan.json", [made.model_dump_json(indent=2), "\n"])
    return tmp_path / "plan.json"


# Facts


def test_facts_come_back_as_they_were_written(facts_file: Path) -> None:
    assert list(read_facts(facts_file)) == COLLECTED


def test_a_facts_file_is_a_header_and_a_line_a_host(facts_file: Path) -> None:
    head, *hosts = facts_file.read_text().splitlines()

    assert json.loads(head)["tcptune"] == "facts"
    assert json.loads(head)["format_version"] == 1
    assert [json.loads(line)["host"] for line in hosts] == ["web1", "web2", "büro"]


def test_hosts_are_read_one_by_one(facts_file: Path) -> None:
    with facts_file.open("a") as file:
        file.write("{broken\n")
    found = read_facts(facts_file)

    assert [next(found).host for _ in COLLECTED] == ["web1", "web2", "büro"]
    with pytest.raises(FactsError, match=r"facts\.jsonl:5: this line holds no host's facts"):
        next(found)


def test_a_facts_file_that_ends_in_the_middle_of_a_host_is_refused(facts_file: Path) -> None:
    facts_file.write_text(facts_file.read_text()[:-40])
    with pytest.raises(FactsError, match=":4: "):
        list(read_facts(facts_file))


def test_a_blank_line_is_no_host(facts_file: Path) -> None:
    facts_file.write_text(facts_file.read_text() + "\n\n")

    assert list(read_facts(facts_file)) == COLLECTED


def test_facts_of_no_host_at_all_are_refused(tmp_path: Path) -> None:
    write_whole(tmp_path / "f", facts_lines([], NOW))
    with pytest.raises(FactsError, match="there is no host in it"):
        list(read_facts(tmp_path / "f"))


@pytest.mark.parametrize("text", ["", "\n", "hello\n", "[]\n", '{"tcptune": "plan"}\n', '{"host": "web1"}\n'])
def test_what_has_no_header_is_no_facts_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "f").write_text(text)
    with pytest.raises(FactsError, match="f:1: this is no facts file") as refused:
        list(read_facts(tmp_path / "f"))
    assert "tcptune facts" in (refused.value.hint or "")


def test_facts_of_another_format_version_are_refused_by_name(facts_file: Path) -> None:
    facts_file.write_text(facts_file.read_text().replace('"format_version":1', '"format_version":2', 1))
    with pytest.raises(FactsError, match="format version 2; this tcptune reads 1"):
        list(read_facts(facts_file))


# Plans


def test_a_plan_comes_back_as_it_was_written(plan_file: Path) -> None:
    assert read_plan(plan_file) == Plan.model_validate_json(plan_file.read_text())


def test_the_layout_of_a_plan_file_does_not_matter(plan_file: Path) -> None:
    before = read_plan(plan_file)
    plan_file.write_text(json.dumps(json.loads(plan_file.read_text()), sort_keys=True))

    assert read_plan(plan_file) == before


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('"after": "4096"', '"after": "65535"'),
        ('"before": "128"', '"before": "4096"'),
        ('"web1.example"', '"evil.example"'),
        ('"why": "down"', '"why": "fine"'),
        ("net.core.somaxconn = 4096", "net.core.somaxconn = 1"),
        ('"plan_id": "', '"plan_id": "0'),
    ],
)
def test_an_edited_plan_is_refused(plan_file: Path, good: str, bad: str) -> None:
    text = plan_file.read_text()
    assert good in text
    plan_file.write_text(text.replace(good, bad))
    with pytest.raises(PlanError, match="was changed after it was made"):
        read_plan(plan_file)


def test_a_new_date_is_no_edit(plan_file: Path) -> None:
    plan_file.write_text(plan_file.read_text().replace("2026-03-14", "2027-03-14"))

    assert read_plan(plan_file).made_at.year == 2027


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "this is no plan"),
        ("hello", "this is no plan"),
        ("[]", "this is no plan"),
        ('{"tcptune": "facts", "format_version": 1}', "this is no plan"),
        ('{"tcptune": "plan"}', "format version None; this tcptune reads 1"),
        ('{"tcptune": "plan", "format_version": 2}', "format version 2; this tcptune reads 1"),
        ('{"tcptune": "plan", "format_version": 1}', "the plan is damaged: plan_id: Field required"),
        ("[" * 100_000, "this is no plan"),
    ],
)
def test_what_is_no_plan_is_refused_with_the_reason(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "p").write_text(text)
    with pytest.raises(PlanError) as refused:
        read_plan(tmp_path / "p")
    assert said in str(refused.value)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_plan_that_was_cut_is_refused(plan_file: Path, part: float) -> None:
    text = plan_file.read_text()
    plan_file.write_text(text[: int(len(text) * part)])
    with pytest.raises(PlanError):
        read_plan(plan_file)


def test_a_plan_with_something_added_is_refused(plan_file: Path) -> None:
    plan_file.write_text(plan_file.read_text().replace("{", '{"note": "hello",', 1))
    with pytest.raises(PlanError, match="damaged: note"):
        read_plan(plan_file)


# Both


@pytest.mark.parametrize(
    ("read", "error"),
    [(read_plan, PlanError), (lambda path: list(read_facts(path)), FactsError)],
    ids=["plan", "facts"],
)
def test_a_path_that_cannot_be_read_is_refused_with_the_reason(
    tmp_path: Path, read: object, error: type[TcptuneError]
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\n")
    for name, said in (("", "Is a directory"), ("gone", "No such file"), ("binary", "no text in UTF-8")):
        with pytest.raises(error) as refused:
            read(tmp_path / name)  # type: ignore[operator]
        assert said in str(refused.value)
        assert refused.value.exit_code == 3


# Writing


def test_a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("before")
    write_whole(tmp_path / "f", ["a", "b\n"])

    assert (tmp_path / "f").read_text() == "ab\n"
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("problem", [TcptuneError("host gone"), KeyboardInterrupt(), ValueError("bug")])
def test_a_writer_that_fails_half_way_leaves_the_file_that_was_there(tmp_path: Path, problem: BaseException) -> None:
    def chunks() -> Iterator[str]:
        yield "half"
        raise problem

    (tmp_path / "f").write_text("before")
    with pytest.raises(type(problem)):
        write_whole(tmp_path / "f", chunks())

    assert (tmp_path / "f").read_text() == "before"
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("name", ["no/such/folder/f", "folder", "f/below-a-file"])
def test_a_target_that_cannot_be_written_is_an_error_with_a_way_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "f").write_text("before")
    with pytest.raises(TcptuneError, match=name) as refused:
        write_whole(tmp_path / name, ["x"])

    assert "--output" in (refused.value.hint or "")
    assert (tmp_path / "f").read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["f", "folder"]


def test_a_new_file_has_the_mode_that_the_mask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "f", ["x"])
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


def test_a_link_that_leads_to_itself_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(TcptuneError, match="loop") as refused:
        write_whole(tmp_path / "loop", ["x"])
    assert "--output" in (refused.value.hint or "")


def test_a_link_keeps_pointing_at_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", ["after"])

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "after"


def test_what_is_no_plain_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """Else `-o /dev/null`, as root, would put a plain file there."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(tmp_path / "pipe", ["x"])
        assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    finally:
        os.close(reader)
