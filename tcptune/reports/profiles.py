"""Profiles for people: what each entry asks, with its formula, reason, source and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tcptune.domain.profile import Entry, LimitEntry, LoadVariable, Profile, ProfileDiff, ProfileList
from tcptune.reports.layout import aligned, count, wrapped


def listed(result: ProfileList) -> str:
    """Return the list of profiles."""
    rows = [(one.name, count(one.settings, "setting"), one.summary) for one in result.profiles]
    return "\n".join([*aligned(rows, indent=""), ""])


def shown(result: Profile) -> str:
    """Return a whole profile."""
    extends = f", extends {', '.join(result.extends)}" if result.extends else ""
    origin = result.origin.removeprefix(f"{result.name} (").removesuffix(")")
    lines = [f"{result.name}  ({origin}{extends})", *wrapped(result.summary, indent="  "), ""]
    if result.load:
        lines += ["load", *aligned([(name, *_variable(load)) for name, load in result.load.items()]), ""]
    for key, groups in result.groups().items():
        lines.append(key)
        for entry in (entry for group in groups for entry in group):
            lines += _entry(entry)
    for limit in result.limits:
        lines += [f"{limit.limit} of {limit.who}", *_entry(limit)]
    for waiver in result.waivers:
        lines += ["", f"waived until {waiver.until} by {waiver.who}: {waiver.key} on {waiver.hosts}: {waiver.why}"]
    counted = count(len(result.groups()), "setting")
    if result.limits:
        counted += f", {count(len({limit.key for limit in result.limits}), 'limit')}"
    return "\n".join([*lines, "", f"{counted}.", ""])


def shown_markdown(result: Profile) -> str:
    """Return a whole profile as tables."""
    lines = [f"# Profile {result.name}", "", result.summary, ""]
    if result.load:
        lines += ["| load variable | default | meaning |", "| --- | --- | --- |"]
        lines += [f"| {name} | {' | '.join(_variable(load))} |" for name, load in result.load.items()] + [""]
    lines += ["| setting | wanted | where | why | source | from |", "| --- | --- | --- | --- | --- | --- |"]
    for entry in result.entries:
        cells = (entry.key, str(entry.demand), str(entry.when), entry.why, entry.source, entry.profile)
        lines.append(_row(cells))
    if result.limits:
        lines += ["", "| limit | processes | wanted | where | why | source | from |", f"|{' --- |' * 7}"]
    for one in result.limits:
        lines.append(_row((one.limit, one.who, one.demand, str(one.when), one.why, one.source, one.profile)))
    return "\n".join([*lines, ""])


def differing(result: ProfileDiff) -> str:
    """Return what differs between two profiles."""
    lines: list[str] = []
    for change in result.changes:
        sign = "+" if not change.before else "-" if not change.after else "~"
        lines.append(f"{sign} {change.key}")
        lines += [f"    - {text}" for text in change.before] + [f"    + {text}" for text in change.after]
    differ = "setting differs" if len(result.changes) == 1 else "settings differ"
    said = f"{len(result.changes)} {differ}" if result.changes else "no difference"
    return "\n".join([*lines, f"{result.left} -> {result.right}: {said}.", ""])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace('<', '&lt;') for cell in cells)} |"


def _entry(entry: Entry | LimitEntry) -> Iterator[str]:
    yield from wrapped(str(entry.demand), indent="  ")
    if str(entry.when):
        yield f"      when    {entry.when}"
    for word, text in (("why", entry.why), ("source", entry.source)):
        first, *further = wrapped(text, indent=" " * 14)
        yield from (f"      {word:<8}{first.lstrip()}", *further)
    yield f"      from    {entry.place}"


def _variable(load: LoadVariable) -> tuple[str, str]:
    return f"{load.default:g} {load.unit}", load.meaning
