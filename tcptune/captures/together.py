"""What no flow shows alone: many that end at one moment, or many that never came to be."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator

from tcptune.captures.cases import Case, endpoint
from tcptune.captures.flows import Flow
from tcptune.captures.sides import MILLISECOND
from tcptune.domain.captures import UNKNOWN, CaptureFinding
from tcptune.domain.causes import Confidence

_CRASH_NS = 200 * MILLISECOND
_CRASH_FLOWS = 3
_CRASH_TIMES = 4
"""So many times as many as in other moments: who always aborts some has not crashed each time."""
_MOST_MOMENTS = 5_000
_ABORTS = frozenset({"reset.unread_data_on_close", "reset.so_linger_zero", "listen.closed_with_queue"})
_FLOOD_FLOWS = 1_000
_FLOOD_SHARE = 0.5
_MOST_SERVERS = 1_000


class _Server:
    """The handshakes that one end was asked for."""

    __slots__ = ("answered", "asked", "half_open", "seen")

    def __init__(self, seen: CaptureFinding) -> None:
        self.asked = 0
        self.half_open = 0
        self.answered = 0
        """How many of the half-open ones got a SYN-ACK."""
        self.seen = seen


class _Habit:
    """How much an end aborts: how often, from which moment to which."""

    __slots__ = ("aborts", "first", "last")

    def __init__(self, moment: int) -> None:
        self.aborts = 0
        self.first = self.last = moment

    def usual(self, together: int) -> float:
        """Return how many aborts two moments have, those `together` apart."""
        return 2 * (self.aborts - together) / max(1, self.last - self.first - 1)


class Together:
    """Takes flows as they are judged, and keeps numbers alone."""

    def __init__(self) -> None:
        self._first: OrderedDict[tuple[str, int], CaptureFinding] = OrderedDict()
        self._aborts: Counter[tuple[str, int]] = Counter()
        self._habits: OrderedDict[str, _Habit] = OrderedDict()
        self._servers: OrderedDict[tuple[bytes, int], _Server] = OrderedDict()

    def take(self, case: Case, reset: CaptureFinding | None) -> None:
        """Take note of a flow, and of why it was reset."""
        if reset is not None and reset.cause in _ABORTS:
            self._abort(case.flow, reset)
        if case.flow.opened:
            self._handshake(case)

    def findings(self) -> Iterator[CaptureFinding]:
        """Yield what the flows show together."""
        yield from self._crashes()
        yield from self._floods()

    def _abort(self, flow: Flow, finding: CaptureFinding) -> None:
        side = flow.client if flow.client.resets else flow.server
        moment = (endpoint(side), side.resets[0].at.time_ns // _CRASH_NS)
        self._aborts[moment] += 1
        habit = self._habits.setdefault(moment[0], _Habit(moment[1]))
        habit.aborts += 1
        habit.first, habit.last = min(habit.first, moment[1]), max(habit.last, moment[1])
        if len(self._habits) > _MOST_SERVERS:
            self._habits.popitem(last=False)
        self._first.setdefault(moment, finding)
        if len(self._first) > _MOST_MOMENTS:
            old, _ = self._first.popitem(last=False)
            del self._aborts[old]

    def _crashes(self) -> Iterator[CaptureFinding]:
        # A moment is cut at fixed times, and a crash may fall on both sides of one.
        told: set[tuple[str, int]] = set()
        for (who, when), first in self._first.items():
            together = self._aborts[who, when] + self._aborts.get((who, when + 1), 0)
            if together < _CRASH_FLOWS or (who, when) in told:
                continue
            habit = self._habits.get(who)
            if habit is not None and together < _CRASH_TIMES * habit.usual(together):
                continue
            told |= {(who, when), (who, when + 1)}
            what = f"{who} aborted {together} connections within {2 * _CRASH_NS // MILLISECOND} ms"
            changed = {"cause": "reset.process_crash", "confidence": Confidence.LIKELY, "what": what, "signs": ()}
            yield first.model_copy(update=changed)

    def _handshake(self, case: Case) -> None:
        flow = case.flow
        key = (flow.server.address, flow.server.port)
        found = self._servers.get(key)
        if found is None:
            who = endpoint(flow.server)
            seen = case.seen(flow.client.opening[0], f"SYN to {who}, one of them")
            found = self._servers[key] = _Server(
                case.finding("listen.syn_queue_full", Confidence.POSSIBLE, UNKNOWN, who, seen=seen)
            )
            if len(self._servers) > _MOST_SERVERS:
                self._servers.popitem(last=False)
        self._servers.move_to_end(key)
        found.asked += 1
        if flow.client.last_ack is None and not flow.ended:
            found.half_open += 1
            found.answered += flow.server.isn is not None

    def _floods(self) -> Iterator[CaptureFinding]:
        for server in self._servers.values():
            if server.half_open < _FLOOD_FLOWS or server.half_open < _FLOOD_SHARE * server.asked:
                continue
            answered = server.answered >= server.half_open / 2
            who = server.seen.what
            what = f"{server.half_open} of {server.asked} handshakes with {who} were never finished"
            yield server.seen.model_copy(
                update={
                    "confidence": Confidence.LIKELY if answered else Confidence.POSSIBLE,
                    "flow": f"many > {who}",
                    "what": what,
                    "signs": (f"{server.answered} of them were answered with a SYN-ACK",),
                }
            )
