"""Find the causes that a word means: an id, the text or name of an error, a line of a log. Pure."""

from __future__ import annotations

import re

from tcptune.domain.causes import Cause, Claim, ErrorText
from tcptune.domain.explanation import CauseLine, CauseList, CausePage
from tcptune.domain.parameters import Verified
from tcptune.knowledge.causes import advice, causes, claims, errors, kernel_patterns, log_myths

_SHORTEST = 3
_LONGEST = 2000
"""A line of a log is no longer; more of it is not looked at."""
_TOO_MANY = 3
"""A word that is in the texts of so many errors names none of them: 'connection'."""


def find_cause(text: str) -> CausePage | CauseList | None:
    """Return the page of a cause by its id, or the causes of an error by its name, number or text. None for neither."""
    word = text.strip()[:_LONGEST]
    if word in causes():
        return page(causes()[word])
    named = _errors(word)
    said = [one.cause for one in kernel_patterns() if re.search(one.regex, word)]
    wrong = _claims(word)
    corrections = (*_corrections(word), *(f"{text!r}: {_truth(claim)}" for text, claim in wrong))
    if not named and not said and not corrections:
        return None
    names = {error.name for error in named}
    said += [cause for _, claim in wrong for cause in claim.causes]
    found = [one for one in causes().values() if names & set(one.errors) or one.id in said]
    return CauseList(
        word=word,
        errors=named,
        corrections=corrections,
        causes=tuple(line_of(one) for one in sorted(found, key=lambda one: (one.id not in said, one.id))),
    )


def search_causes(text: str) -> CauseList | None:
    """Return the causes whose page holds all of the words; None where there is none."""
    words = _plain(text[:_LONGEST]).split()
    found = [one for one in causes().values() if words and all(_within(word, _all_of(one)) for word in words)]
    return CauseList(word=text.strip(), causes=tuple(map(line_of, found))) if found else None


def page(cause: Cause) -> CausePage:
    """Return the page of a cause."""
    return CausePage(
        cause=cause,
        errors=tuple(error for error in errors() if error.name in cause.errors),
        lines=tuple(one for one in kernel_patterns() if one.cause == cause.id),
        brought_by=tuple(one.id for one in causes().values() if cause.id in one.leads_to),
        advice=tuple(one for one in advice() if cause.id in one.causes),
    )


def _errors(word: str) -> tuple[ErrorText, ...]:
    """Return the errors of a name, a number, or a text that holds one of theirs or is part of one."""
    asked = _plain(word)
    if exact := tuple(one for one in errors() if asked in {one.name.casefold(), str(one.number or one.name)}):
        return exact
    whole = tuple(one for one in errors() if any(_within(_plain(text), asked) for text in one.texts))
    if whole:
        longest = max(len(_best(one, asked)) for one in whole)
        # 'too many open files in system' holds 'too many open files' as well.
        return tuple(one for one in whole if len(_best(one, asked)) == longest)
    if len(asked) < _SHORTEST:
        return ()
    part = tuple(one for one in errors() if any(_within(asked, _plain(text)) for text in one.texts))
    return part if len(part) < _TOO_MANY else ()


def _best(error: ErrorText, asked: str) -> str:
    return max((_plain(text) for text in error.texts if _within(_plain(text), asked)), key=len)


def _within(part: str, whole: str) -> bool:
    """Say whether words stand side by side in others."""
    return bool(part) and f" {part} " in f" {whole} "


def _corrections(word: str) -> list[str]:
    asked = _plain(word)
    wrong = [
        f"{one.text!r}: {one.what}" for error in errors() for one in error.not_this if _within(_plain(one.text), asked)
    ]
    myths = [f"{one.text!r}: {one.finding}" for one in log_myths() if not one.real and _within(_plain(one.text), asked)]
    return wrong + myths


def _claims(word: str) -> list[tuple[str, Claim]]:
    """Return the claims that a text repeats, each with the words that it has of it."""
    asked = _plain(word)
    held = ((next((text for text in one.texts if _within(_plain(text), asked)), None), one) for one in claims())
    return [(text, one) for text, one in held if text is not None]


def _truth(claim: Claim) -> str:
    return claim.truth + (" (not verified)" if claim.verified is Verified.UNVERIFIED else "")


def line_of(one: Cause) -> CauseLine:
    """Return a cause as a line of a list."""
    return CauseLine(id=one.id, summary=one.summary, kernel_change_helps=one.kernel_change_helps, shown_by=one.shown_by)


def _all_of(one: Cause) -> str:
    signs = (sign.match for sign in one.evidence)
    remedies = (remedy.action for remedy in one.remedies)
    programs = (f"{said.language} {said.do}" for said in advice() if one.id in said.causes)
    parts = (one.id, one.summary, one.cause, *one.symptoms, *signs, *remedies, *programs)
    return " ".join(_plain(part) for part in parts)


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w/]+", " ", text.casefold()).split())
