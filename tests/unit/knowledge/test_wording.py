from __future__ import annotations

import os

import pytest

from tcptune.domain.causes import ErrorText
from tcptune.domain.logs import ErrorKind, Phrase
from tcptune.knowledge.causes import errors
from tcptune.knowledge.wording import wording
from tcptune.planning.logs.states import forms

WORDING = wording()
KINDS = {kind.name: kind for kind in WORDING.errors}


@pytest.mark.parametrize("phrase", WORDING.phrases, ids=lambda phrase: phrase.id)
def test_a_phrase_can_be_found_and_says_a_known_error(phrase: Phrase) -> None:
    assert phrase.error in KINDS
    for text, _ in forms(phrase):
        assert any(anchor in text for anchor in WORDING.anchors), f"no anchor finds {text!r}"


def test_each_anchor_is_there_for_a_phrase_and_none_for_another() -> None:
    texts = [text for phrase in WORDING.phrases for text, _ in forms(phrase)]
    for anchor in WORDING.anchors:
        assert any(anchor in text for text in texts), anchor
        assert not any(anchor in other for other in WORDING.anchors if other != anchor), anchor


def test_no_phrase_is_out_of_reach_behind_a_more_general_one() -> None:
    before: list[tuple[str, str]] = []
    for phrase in WORDING.phrases:
        for text, _ in forms(phrase):
            hidden = [f"{id_}: {general}" for id_, general in before if general in text and id_ != phrase.id]
            assert not hidden, f"{phrase.id}: {text!r} is always taken for {hidden}"
        if not phrase.beside:
            before += [(phrase.id, text) for text, _ in forms(phrase)]


def test_a_phrase_with_nothing_to_look_for_is_refused() -> None:
    with pytest.raises(ValueError, match="mute has nothing to look for"):
        Phrase(id="mute", product="any", error="EOF", source="nowhere", verified="source")


CUT = {"recv() failed (104", "upstream timed out (110"}
"""No whole lines: nginx goes on with the words of the errno, and writes 110 for limits of its own, too."""


@pytest.mark.parametrize("error", errors(), ids=lambda error: error.name)
def test_what_explain_knows_of_an_error_logs_are_searched_for(error: ErrorText) -> None:
    if error.name == "EPERM":
        return  # too many other things are not permitted
    for text in set(error.texts) - CUT:
        found = next((one for one in WORDING.phrases for said in one.texts if said in f"app: {text}"), None)
        assert found is not None, text
        assert found.error == error.name


def test_ids_are_unique() -> None:
    ids = [phrase.id for phrase in WORDING.phrases]

    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("kind", [kind for kind in WORDING.errors if kind.errno], ids=lambda kind: kind.name)
def test_an_errno_and_its_text_are_this_systems(kind: ErrorKind) -> None:
    import errno

    assert kind.errno == getattr(errno, kind.name)
    said = os.strerror(kind.errno or 0)
    if kind.name not in {"ECONNABORTED"}:  # programs do not write what glibc has for it
        own = [text for phrase in WORDING.phrases if phrase.error == kind.name for text in phrase.texts]
        assert any(text in said for text in own), said
