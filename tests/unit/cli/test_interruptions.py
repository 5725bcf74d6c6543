"""Signals in the middle of a rollout: the first is noted, some of those after it end the process at once."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Callable

import pytest

from tcptune.cli.console import Stopped
from tcptune.cli.rollout import Interruptions


def send(*signals: signal.Signals) -> Callable[[], None]:
    def sent() -> None:
        for number in signals:
            os.kill(os.getpid(), number)

    return sent


@pytest.mark.parametrize(
    ("came", "why"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP")]
)
def test_the_first_signal_is_noted_once(came: signal.Signals, why: str) -> None:
    interruptions = Interruptions()
    with interruptions.caught():
        send(came)()

    assert [interruptions.noted(), interruptions.noted()] == [why, None]


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_or_sigterm_ends_it_at_once(first: signal.Signals, second: signal.Signals) -> None:
    with pytest.raises(Stopped), Interruptions().caught():
        send(first, second)()


def test_a_session_that_is_lost_sends_sighup_twice_and_ends_nothing() -> None:
    interruptions = Interruptions()
    with interruptions.caught():
        send(signal.SIGHUP, signal.SIGHUP)()

    assert interruptions.noted() == "SIGHUP"


class Gone(io.StringIO):
    """A terminal of a session that is lost."""

    def write(self, _text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")


def test_a_terminal_that_is_gone_keeps_no_signal_from_being_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Gone())
    interruptions = Interruptions()
    with interruptions.caught():
        send(signal.SIGTERM)()

    assert interruptions.noted() == "SIGTERM"
