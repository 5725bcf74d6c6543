"""What logs say of their connections, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from tcptune.domain.logs import ErrorCount, LogReport, LogSource, PeerCount
from tcptune.reports.layout import aligned, count, wrapped

_SHOWN_PEERS = 15
_SHOWN_PHRASES = 6
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def terminal(result: LogReport) -> str:
    """Return the errors, when they were, with whom; then what could not be read, and the count."""
    lines: list[str] = []
    for error in result.errors:
        lines += [*_error(error), ""]
    if result.buckets:
        lines.append(f"When, in stretches of {_span(result.bucket_s)} (UTC)")
        lines += aligned((f"{bucket.start:%Y-%m-%d %H:%M}", _counts(bucket.errors)) for bucket in result.buckets)
        lines.append("")
    if result.peers:
        lines.append("With whom")
        lines += aligned(_peer(peer) for peer in result.peers[:_SHOWN_PEERS])
        if rest := _others(result):
            lines.append(f"  {count(rest, 'line')} with others")
        lines.append("")
    if result.causes:
        lines.append("Where to begin: lines by the likeliest cause of their wording. No line of a log proves one.")
        lines += aligned((cause, count(number, "line")) for cause, number in result.causes.items())
        lines.append("")
    lines += aligned(("?", source.path, source.unread or "") for source in result.unread)
    return "\n".join([*lines, *wrapped(_summary(result), indent=""), ""])


def markdown(result: LogReport) -> str:
    """Return the same as tables."""
    lines = ["# Connection errors in logs", "", _summary(result), ""]
    if result.errors:
        lines += ["| error | in the words of | lines | first | last | could be |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {_name(error)} | {phrase.product} (`{phrase.id}`) | {phrase.lines} | {_moment(phrase.first)} "
            f"| {_moment(phrase.last)} | {', '.join(f'`{cause}`' for cause in phrase.causes)} |"
            for error in result.errors
            for phrase in error.phrases
        ]
        lines.append("")
    if result.peers:
        lines += ["| peer | lines | errors |", "|---|---|---|"]
        lines += [f"| {_cell(p.peer)} | {p.lines} | {_counts(p.errors)} |" for p in result.peers[:_SHOWN_PEERS]]
        lines += [f"| others | {rest} | |"] if (rest := _others(result)) else []
        lines.append("")
    if result.buckets:
        lines += [f"| from (UTC), {_span(result.bucket_s)} each | errors |", "|---|---|"]
        lines += [f"| {bucket.start:%Y-%m-%d %H:%M} | {_counts(bucket.errors)} |" for bucket in result.buckets]
        lines.append("")
    lines += [f"- `{_cell(source.path)}`: {_cell(source.unread or '')}" for source in result.unread]
    return "\n".join([*lines, ""])


def _error(error: ErrorCount) -> list[str]:
    when = f", {_moment(error.first)} to {_moment(error.last)}" if error.first else ""
    lines = [f"! {_name(error)}  {count(error.lines, 'line')}{when}", *wrapped(error.means, indent="    ")]
    for phrase in error.phrases[:_SHOWN_PHRASES]:
        lines.append(f"    {phrase.product} ({phrase.id}): {count(phrase.lines, 'line')}")
        lines += wrapped(f"could be: {', '.join(phrase.causes)}", indent="      ") if phrase.causes else []
        lines += wrapped(phrase.examples[0], indent="      | ") if phrase.examples else []
    if (more := len(error.phrases) - _SHOWN_PHRASES) > 0:
        lines.append(f"    and {more} more ways to say it")
    if error.untimed:
        lines.append(f"    {count(error.untimed, 'line')} without a time")
    return lines


def _peer(peer: PeerCount) -> tuple[str, str, str]:
    return peer.peer, count(peer.lines, "line"), _counts(peer.errors)


def _others(result: LogReport) -> int:
    return result.other_peers + sum(peer.lines for peer in result.peers[_SHOWN_PEERS:])


def _summary(result: LogReport) -> str:
    read = [source for source in result.sources if source.bytes]
    size = sum(source.bytes for source in read)
    parts = [
        f"Logs: {count(result.lines, 'line')} with an error in {count(len(result.sources), 'file')}, {_size(size)}"
    ]
    if times := _times(read):
        parts.append(f", {_moment(min(times))} to {_moment(max(times))}")
    parts.append(".")
    if result.zoneless:
        parts.append(f" {count(result.zoneless, 'line')} without a time zone: taken for UTC.")
    if result.traced:
        parts.append(f" {count(result.traced, 'line')} more said the same in stack traces.")
    if cut := sum(source.cut for source in result.sources):
        parts.append(f" {count(cut, 'cut', 'cuts')} through lines of more than 1 MiB.")
    if result.unread:
        parts.append(f" {count(len(result.unread), 'file')} could not be read, or not to the end.")
    return "".join(parts)


def _times(sources: Iterable[LogSource]) -> list[datetime]:
    return [time for source in sources for time in (source.begins, source.ends) if time is not None]


def _name(error: ErrorCount) -> str:
    return f"{error.name} ({error.errno})" if error.errno is not None else error.name


def _counts(errors: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in errors.items())


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "no time"


def _span(seconds: int) -> str:
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds % size == 0), (1, "s"))
    return f"{seconds // size} {unit}"


def _size(size_bytes: int) -> str:
    if size_bytes < 10_000:
        return count(size_bytes, "byte")
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes < 10_000_000_000 else f"{size_bytes / 1e9:.1f} GB"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("`", "'")
