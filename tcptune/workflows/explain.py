"""Explain a setting or a cause, or find those a word leads to. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tcptune.domain.explanation import CauseList, CausePage, CounterPage, Explanation, Hits
from tcptune.domain.facts import Collected, HostFacts, Unread
from tcptune.domain.parameters import Parameter
from tcptune.domain.values import sysctl_key
from tcptune.errors import UsageError
from tcptune.planning.explain import find_key, near_misses, on_host, search
from tcptune.planning.explain_cause import find_cause, search_causes
from tcptune.planning.explain_counter import find_counter


def split_hosts(words: Sequence[str], parameters: Mapping[str, Parameter]) -> tuple[str, str | None]:
    """Return what is asked about, and the host pattern behind it: only a setting, and no search, has one."""
    if len(words) < 2:
        return " ".join(words), None
    try:
        is_setting = find_key(words[0], parameters) is not None
    except ValueError:
        is_setting = True  # a secret: said by whoever resolves it
    return (words[0], ",".join(words[1:])) if is_setting else (" ".join(words), None)


def resolve(word: str, parameters: Mapping[str, Parameter]) -> tuple[str, Parameter] | Hits:
    """Return the key that was asked for and its page, or what a search for the word finds.

    Raises UsageError where there is neither, or the key is a secret.
    """
    try:
        found = find_key(word, parameters)
    except ValueError as problem:
        raise UsageError(str(problem)) from None
    if found is not None:
        return _asked(word, found), parameters[found]
    hits = search(word, parameters)
    if not hits.hits:
        close = near_misses(word, parameters)
        hint = " or ".join(f"tcptune explain {key}" for key in close) or "a key, or a word such as backlog or TIME_WAIT"
        raise UsageError(f"nothing known matches {word!r}", hint=hint)
    spoken_of = search_causes(word)
    return hits.model_copy(update={"causes": tuple(one.id for one in spoken_of.causes)}) if spoken_of else hits


def cause_of(word: str, parameters: Mapping[str, Parameter]) -> CounterPage | CausePage | CauseList | None:
    """Return the page of a counter or a cause, or the causes of an error or of words that no setting's page holds.

    None for what names a setting, or leads to settings alone.
    """
    try:
        if find_key(word, parameters) is not None:
            return None
    except ValueError:
        return None  # a secret: said by whoever resolves it
    if counter := find_counter(word, parameters):
        return counter
    hits = search(word, parameters).hits
    found = find_cause(word)
    if isinstance(found, CauseList):
        return found.model_copy(update={"settings": tuple(hit.key for hit in hits)})
    return found or (None if hits else search_causes(word))


def explain(
    asked: str,
    page: Parameter,
    *,
    kernel: str,
    collected: Iterable[Collected] = (),
    parameters: Mapping[str, Parameter],
) -> Explanation:
    """Return the page for one kernel, with what the setting is on each host.

    Raises UsageError where `kernel` is no release.
    """
    try:
        here = page.at(kernel)
    except ValueError as problem:
        raise UsageError(str(problem), hint="--kernel 6.1") from None
    hosts, unread = [], []
    for one in collected:
        if isinstance(one, HostFacts):
            hosts.append(on_host(page, asked, one, parameters))
        else:
            unread.append(one)
    return Explanation(
        asked=asked,
        page=page,
        here=here,
        hosts=tuple(sorted(hosts, key=lambda one: one.host)),
        unread=tuple(sorted(unread, key=_name)),
    )


def _name(one: Unread) -> str:
    return one.host


def _asked(word: str, found: str) -> str:
    try:
        return sysctl_key(word.strip().removeprefix("/proc/sys/"))
    except ValueError:
        return found
