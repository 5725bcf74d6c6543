from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcptune.dialects import READERS, recognised
from tcptune.dialects.profile_text import checked
from tcptune.domain.exchange import Imported
from tcptune.errors import InputError
from tcptune.knowledge.catalogue import catalogue

PIECES = [
    "net.core.somaxconn", "net/ipv4/tcp_rmem", "net.ipv4.tcp_fastopen_key", "kernel.x", "vm.*", "=", " = ", ">", "<",
    "-", "\n", "\n", "\n", "\r\n", " ", "\t", "#", ";", "[sysctl]", "[cpu]", "[main]", "include", "type", "replace",
    "drop", "enabled", "${a}", "${f:b}", "[variables]", "\ufeff", '"', "1", "010", "4096 131072 6291456", ":", "{", "}",
    "kernel_settings_sysctl:", "- name: net.core.somaxconn", "  value: on", "sysctl: ", "é", "\0", "[", "]",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
COMMENTS = {"sysctl": "#;", "tuned": "#;[", "saptune": "#[", "sysctl-a": ""}


def lines_of(text: str, comments: str) -> int:
    parts = [part for line in text.split("\n") for part in re.split(r"[\r\0]", line)]
    return sum(1 for part in parts if part.strip() and part.strip()[0] not in comments)


def accounted(found: Imported) -> int:
    return len(found.settings) + len(found.followed) + sum(one.lines for one in found.left_out)


@pytest.mark.parametrize("dialect", ["sysctl", "saptune", "sysctl-a"])
@given(text=TEXTS)
@settings(max_examples=200, deadline=None)
def test_no_line_of_any_text_is_lost(dialect: str, text: str) -> None:
    found = checked(READERS[dialect].read({"file": text}, catalogue()), catalogue())

    body = text if dialect == "sysctl" else text.removeprefix("\ufeff")
    assert accounted(found) == lines_of(body, COMMENTS[dialect])


@given(text=TEXTS)
@settings(max_examples=300, deadline=None)
def test_no_line_of_any_tuned_profile_is_lost(text: str) -> None:
    found = checked(READERS["tuned"].read({"p/m/tuned.conf": text}, catalogue()), catalogue())

    lines = [line.strip() for line in text.removeprefix("\ufeff").split("\n")]
    said = [line for line in lines if line and line[0] not in "#;"]
    # A line in brackets is a header, or goes on with the line before it.
    headers = sum(1 for line in said if line.startswith("[") and "]" in line)
    assert len(said) - headers <= accounted(found) <= len(said)


@given(text=TEXTS)
@settings(max_examples=200, deadline=None)
def test_any_text_is_variables_or_refused(text: str) -> None:
    with suppress(InputError):
        READERS["kernel-settings"].read({"file": text}, catalogue())


@given(text=TEXTS)
@settings(max_examples=100, deadline=None)
def test_any_text_can_be_asked_for_its_format(text: str) -> None:
    assert recognised("file", text) in {None, *READERS}
