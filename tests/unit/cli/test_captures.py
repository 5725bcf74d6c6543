"""tcptune pcap and tcptune capture-plan as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.adapters.test_captures import write
from tests.unit.captures.talk import Talk

from .conftest import Command


@pytest.fixture
def aborted(tmp_path: Path) -> Path:
    talk = Talk().handshake().ask()
    return write(tmp_path / "aborted.pcap", talk.abort(talk.server))


@pytest.fixture
def fine(tmp_path: Path) -> Path:
    talk = Talk().handshake().ask().answer()
    talk.fin(talk.client).fin(talk.server)
    return write(tmp_path / "fine.pcap", talk)


def test_a_finding_is_exit_code_10(tcptune: Command, aborted: Path) -> None:
    found = tcptune("pcap", aborted)

    assert (found.code, found.err) == (10, "")
    assert "! reset.unread_data_on_close" in found.out
    assert "try (none): no setting of the kernel changes it" in found.out
    assert found.out.splitlines()[-1].startswith("Capture: 1 finding. 5 packets, 5 TCP segments, 1 flow")


@pytest.mark.parametrize("options", [[], ["--both"]], ids=["one capture", "both ends"])
def test_a_file_that_is_named_twice_is_no_second_capture(tcptune: Command, aborted: Path, options: list[str]) -> None:
    (aborted.parent / "link.pcap").symlink_to(aborted)

    found = tcptune("pcap", *options, aborted, "link.pcap")

    assert (found.code, found.out) == (3, "")
    assert f"link.pcap: this is the file {aborted} once more" in found.err


def test_nothing_to_find_is_exit_code_0(tcptune: Command, fine: Path) -> None:
    found = tcptune("pcap", fine)

    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("Capture: nothing found.")


def test_what_is_harmless_is_shown_and_no_finding(tcptune: Command, tmp_path: Path) -> None:
    talk = Talk().handshake()
    found = tcptune("pcap", write(tmp_path / "checked.pcap", talk.abort(talk.client)))

    assert found.code == 0
    assert found.out.startswith("i connect.tried_only")


def test_a_capture_with_nothing_to_judge_is_never_fine(tcptune: Command, tmp_path: Path) -> None:
    found = tcptune("pcap", write(tmp_path / "none.pcap", Talk()))

    assert found.code == 3
    assert found.out.startswith("Capture: nothing to judge.")


def test_a_capture_that_broke_off_is_never_fine(tcptune: Command, fine: Path) -> None:
    fine.write_bytes(fine.read_bytes()[:-5])
    found = tcptune("pcap", fine)

    assert found.code == 3
    assert found.out.startswith(f"? {fine}: ends in the middle of packet 7")
    assert "nothing found in the part that could be judged" in found.out


def test_a_file_that_is_no_capture_is_one_message(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "junk").write_text("hello")
    found = tcptune("pcap", "junk")

    assert (found.code, found.out) == (3, "")
    assert found.err.startswith("error: junk: neither pcap nor pcapng: it begins with 68 65 6c 6c")
    assert "Traceback" not in found.err


def test_both_takes_two(tcptune: Command, fine: Path) -> None:
    found = tcptune("pcap", "--both", fine)

    assert found.code == 2
    assert "--both takes two" in found.err


def test_both_ends_that_agree(tcptune: Command, fine: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pcap"
    other.write_bytes(fine.read_bytes())

    assert tcptune("pcap", "--both", fine, other).code == 0


def test_the_document_says_what_it_is(tcptune: Command, aborted: Path) -> None:
    found = json.loads(tcptune("pcap", aborted, "--format", "json").out)

    assert (found["tcptune"], found["format_version"]) == ("capture", 1)
    assert found["findings"][0]["seen"][-1]["packet"] == "#5"


def test_a_plan_is_printed_and_nothing_is_run(tcptune: Command) -> None:
    found = tcptune("capture-plan", "10.0.0.2", "--port", 443, "--on", "web1")

    assert (found.code, found.err) == (0, "")
    assert "sudo timeout --signal=INT 300 tcpdump" in found.out
    assert found.out.endswith("500 MB on disk at most. Nothing has been run.\n")


def test_a_plan_for_everything_is_refused(tcptune: Command) -> None:
    found = tcptune("capture-plan")

    assert found.code == 2
    assert "name a host or --port" in found.err
