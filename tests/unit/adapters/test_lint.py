"""Files to be judged: which are taken, and that none of them keeps the reader waiting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tcptune.adapters import dialects
from tcptune.adapters.lint import lint_texts
from tcptune.errors import InputError


@pytest.mark.timeout(20)
def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "sysctl.d"
    folder.mkdir()
    os.mkfifo(folder / "10-pipe.conf")
    (folder / "20-masked.conf").symlink_to(os.devnull)
    (folder / "30-endless.conf").symlink_to("/dev/zero")
    (folder / "40-good.conf").write_text("net.ipv4.tcp_sack = 1\n")
    texts, unread = lint_texts([tmp_path])

    assert {Path(path).name: text for path, text in texts.items()} == {
        "20-masked.conf": "",
        "40-good.conf": "net.ipv4.tcp_sack = 1\n",
    }
    assert [(Path(one.path).name, one.why) for one in unread] == [
        ("10-pipe.conf", "this is no regular file"),
        ("30-endless.conf", "this is no regular file"),
    ]


@pytest.mark.timeout(20)
def test_a_folder_that_is_imported_is_read_in_the_same_way(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "10-pipe.conf")
    with pytest.raises(InputError, match="no regular file"):
        dialects.gather(tmp_path, None)


@pytest.mark.timeout(20)
def test_a_pipe_that_is_named_is_read_and_what_never_ends_is_not() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"net.ipv4.tcp_sack = 1\n")
    os.close(writing)
    texts, unread = lint_texts([Path(f"/dev/fd/{reading}"), Path("/dev/zero")])
    os.close(reading)

    assert list(texts.values()) == ["net.ipv4.tcp_sack = 1\n"]
    assert "larger than any" in unread[0].why
