"""Events sent to an HTTP server: tried again for a while, beside the rollout, which waits for none of it.

What could not be delivered is told at the end. The address may be a secret: only where it stands is ever named.
"""

from __future__ import annotations

import json
import random
import stat
import threading
import time
import uuid
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from tcptune.adapters.events.background import Background
from tcptune.adapters.events.http_post import Address, NotPosted, Reply, address, post
from tcptune.domain.events import Event, RolloutBegan
from tcptune.domain.notifications import Receiver
from tcptune.errors import InputError, UsageError
from tcptune.reports.events import chat, line
from tcptune.reports.layout import count
from tcptune.reports.rollout_sentences import messages

AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_URL = 4096


@dataclass(frozen=True)
class Patience:
    """How long a receiver is tried."""

    try_s: float = 10.0
    """For one POST, from the first packet to the end of the answer."""
    event_s: float = 60.0
    """For an event, pauses and all."""
    first_pause_s: float = 1.0
    """Doubled after each try."""
    longest_pause_s: float = 20.0
    drain_s: float = 10.0
    """At the end of the rollout, for all that is not delivered yet."""
    most: int = 256
    """Events that may wait; then the oldest is dropped."""


def addresses(receivers: tuple[Receiver, ...], environment: MutableMapping[str, str]) -> list[Address]:
    """Return where each receiver is, in order, and take the variables that say so out of the environment.

    What this process starts, Ansible among it, would inherit them. Raises UsageError for a variable that is not set,
    InputError for a file or an address that cannot be used; neither says what is in it.
    """
    texts = [_text(receiver, environment) for receiver in receivers]
    for receiver in receivers:
        environment.pop(receiver.url_env or "", None)
    found = []
    for receiver, text in zip(receivers, texts, strict=True):
        try:
            found.append(address(text, None if receiver.ca_file is None else Path(receiver.ca_file)))
        except ValueError as problem:
            raise InputError(f"{receiver.called}: {problem}") from None
        except OSError as problem:
            raise InputError(f"ca_file {receiver.ca_file}: {problem.strerror or 'no certificates in it'}") from None
    return found


def _text(receiver: Receiver, environment: MutableMapping[str, str]) -> str:
    if receiver.url_env is not None:
        if not (text := environment.get(receiver.url_env, "").strip()):
            raise UsageError(
                f"the policy sends notifications to the address in {receiver.url_env}, which is not set",
                hint=f"export {receiver.url_env}, or take it out of `notify`",
            )
        return text
    path = Path(str(receiver.url_file))
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and found.st_mode & (stat.S_IROTH | stat.S_IWOTH):
            can = "change" if found.st_mode & stat.S_IWOTH else "read"
            raise InputError(f"{path}: everybody may {can} it", hint=f"chmod o-rw {path}")
        with path.open("rb") as file:
            text = file.read(_LONGEST_URL).decode().strip()
    except OSError as problem:
        raise InputError(f"{path}: {problem.strerror}", hint="url_file of `notify` names it") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: this is no UTF-8 text") from None
    if not text:
        raise InputError(f"{path}: this is empty", hint="the address alone, on one line")
    return text


class Webhook:
    """Sends a receiver the events it asked for. `warn` is told at the end what was not delivered."""

    def __init__(
        self, receiver: Receiver, to: Address, warn: Callable[[str], None], patience: Patience = Patience()
    ) -> None:
        self._receiver = receiver
        self._to = to
        self._warn = warn
        self._patience = patience
        self._waves = 0
        self._wanted = 0
        self._problem = "no time was left"
        self._not_before = 0.0
        self._closing_at: float | None = None
        self._woken = threading.Event()
        self._background: Background[tuple[Event, int]] = Background(
            f"notify {receiver.called}", self._delivered, most=patience.most
        )

    def tell(self, event: Event) -> None:
        """Leave an event to be sent. Raises nothing and waits for nothing."""
        if isinstance(event, RolloutBegan):
            self._waves = len(event.waves)
        if event.event in self._receiver.events:
            self._wanted += 1
            self._background.put((event, self._waves))

    def close(self) -> None:
        """Wait for what is not delivered yet, for a bounded time, and say what was not."""
        self._closing_at = time.monotonic() + self._patience.drain_s
        self._woken.set()
        self._background.close(self._patience.drain_s)
        if undone := self._background.undone:
            self._warn(
                f"{self._receiver.called}: {undone} of {count(self._wanted, 'notification')} "
                f"not delivered: {self._problem}"
            )

    def _delivered(self, item: tuple[Event, int]) -> bool:
        event, waves = item
        body = self._body(event, waves)
        # The same for every try, so that a receiver knows what it has already.
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        until = time.monotonic() + self._patience.event_s
        pause_s = self._patience.first_pause_s
        while True:
            if not self._pause(self._not_before - time.monotonic(), until):
                return False
            try:
                reply = post(self._to, body, headers, self._time_for_a_try(until))
            except NotPosted as problem:
                self._problem, again, asked_s = str(problem), problem.again, None
            else:
                if 200 <= reply.status < 300:
                    return True
                self._problem, again, asked_s = _refusal(reply), reply.status in AGAIN, reply.retry_after_s
            if asked_s is not None:
                # It speaks for all that follows, not for this event alone.
                self._not_before = time.monotonic() + asked_s
            if not again:
                return False
            if not self._pause(pause_s * random.uniform(0.75, 1.25), until):  # noqa: S311  # spreads tries, no secret
                return False
            pause_s = min(2 * pause_s, self._patience.longest_pause_s)

    def _body(self, event: Event, waves: int) -> bytes:
        if self._receiver.format == "json":
            return line(event).encode()
        return json.dumps(chat(event.run, messages(event, waves=waves))).encode()

    def _time_for_a_try(self, until: float) -> float:
        ends = until if self._closing_at is None else min(until, self._closing_at)
        return max(0.1, min(self._patience.try_s, ends - time.monotonic()))

    def _pause(self, seconds: float, until: float) -> bool:
        """Wait so long, and say whether there is time left after it. Does not wait where there would be none."""
        wake = time.monotonic() + max(0.0, seconds)
        while True:
            ends = until if self._closing_at is None else min(until, self._closing_at)
            if wake >= ends:
                return False
            left_s = wake - time.monotonic()
            if left_s <= 0:
                return True
            if self._closing_at is None:
                # The end of the rollout shortens what there is to wait for.
                self._woken.wait(left_s)
            else:
                time.sleep(left_s)


def _refusal(reply: Reply) -> str:
    if 300 <= reply.status < 400:
        return f"it answers with a redirection (status {reply.status}), which is not followed"
    asked = f", and asks to come back in {reply.retry_after_s:.0f} s" if reply.retry_after_s else ""
    return f"it answers with status {reply.status}{asked}"
