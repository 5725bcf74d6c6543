"""Captures: read the packets once, and say what they show. Changes nothing."""

from __future__ import annotations

import gc
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import PurePath

from tcptune.captures.analysis import Analysis
from tcptune.captures.both import End, Watched, clock_shift, compare
from tcptune.captures.sides import SECOND
from tcptune.domain.captures import BothEnds, CaptureFile, CaptureReport
from tcptune.knowledge.captures import capture_causes
from tcptune.ports import Packets

_MOST_PROVEN = 1_000
_SELDOM = 200_000
"""New objects until cycles are looked for. Packets and flows are in none, and looking takes a fifth of the time."""


class _Names:
    """What packets are called: by their number in their file, and the file where there are several."""

    def __init__(self, several: bool) -> None:
        self._several = several
        self._starts: list[int] = []
        self._files: list[str] = []

    def begin(self, file: str, packets_before: int) -> None:
        self._starts.append(packets_before)
        self._files.append(PurePath(file).name)

    def __call__(self, number: int) -> str:
        place = bisect_right(self._starts, number - 1) - 1
        own = number - self._starts[place]
        return f"{self._files[place]}#{own}" if self._several else f"#{own}"


def analyse(files: Sequence[Packets]) -> CaptureReport:
    """Return what the files show, which are one capture in their order."""
    report, _ = _read(files, None)
    return report


def analyse_both(client: Sequence[Packets], server: Sequence[Packets]) -> BothEnds:
    """Return what captures of both ends show, each alone and together."""
    near, far = End("the client's capture"), End("the server's capture")
    client_report, client_watched = _read(client, near)
    server_report, server_watched = _read(server, far)
    shared = len(near.flows.keys() & far.flows.keys())
    shift_ns = clock_shift(near.flows, far.flows)
    notes = []
    proven = []
    damaged = [one.name for report in (client_report, server_report) for one in report.files if one.damage]
    if damaged:
        names = ", ".join(damaged)
        notes.append(f"nothing was compared: {names} could not be read to the end, so what it lacks means nothing")
    elif evicted := client_report.flows.evicted + server_report.flows.evicted:
        notes.append(
            f"nothing was compared: {evicted} flows were not seen to their end: more were open than are remembered"
        )
    elif not shared:
        notes.append("the captures have no connection in common: nothing was compared")
    else:
        proven = list(islice(compare(client_watched, server_watched, shift_ns), _MOST_PROVEN + 1))
        if len(proven) > _MOST_PROVEN:
            del proven[_MOST_PROVEN:]
            notes.append(f"more is proven than is shown: these are the first {_MOST_PROVEN}")
    if proven:
        notes.append(
            "a capture that missed packets itself proves nothing: tcpdump must have said '0 packets dropped by kernel'"
        )
    if left_out := near.left_out + far.left_out:
        notes.append(f"{left_out} flows were more than can be compared at once, and were left out")
    known = capture_causes()
    return BothEnds(
        client=client_report,
        server=server_report,
        proven=tuple(proven),
        causes=tuple(known[name] for name in dict.fromkeys(one.cause for one in proven)),
        shared=shared,
        clock_ahead_s=round(shift_ns / SECOND, 6),
        notes=tuple(notes),
    )


def _read(files: Sequence[Packets], end: End | None) -> tuple[CaptureReport, Watched]:
    names = _Names(several=len(files) > 1)
    analysis = Analysis(names, retired=end.remember if end else None)
    done = []
    with _seldom_collected():
        for file in files:
            names.begin(file.name, analysis.packets)
            for packet in file:
                analysis.take(packet.data, packet.link, packet.wire_bytes, packet.time_ns)
            done.append(CaptureFile(name=file.name, packets=file.packets, damage=file.damage))
    report = analysis.report(tuple(done))
    return report, Watched(end or End(""), analysis.start_ns, analysis.last_ns, names)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(_SELDOM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
