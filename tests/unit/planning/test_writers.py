from __future__ import annotations

import pytest

from tcptune.domain.state import Rival, Rivals
from tcptune.planning.writers import likely_writer, named
from tests.unit.builders import parameter

KNOWN = parameter(rivals=({"who": "tuned", "what": "its profiles"}, {"who": "bpftune", "what": "its tuner"}))


def seen(*rivals: Rival, notes: tuple[str, ...] = ()) -> Rivals:
    return Rivals(found=rivals, notes=notes)


@pytest.mark.parametrize(
    ("rivals", "said"),
    [
        (seen(Rival(name="tuned", running=True)), "tuned"),
        (seen(Rival(name="tuned", running=False, enabled=True)), "tuned"),
        (seen(Rival(name="tuned", running=True), Rival(name="bpftune", running=True)), "tuned and bpftune"),
        (seen(Rival(name="docker", running=True)), "tuned or bpftune (not seen on this host)"),
        (seen(Rival(name="tuned", running=False)), "tuned or bpftune (not seen on this host)"),
        (seen(notes=("hidden",)), "tuned or bpftune (nobody could look whether it runs here)"),
        (None, "tuned or bpftune (nobody could look whether it runs here)"),
    ],
)
def test_who_is_active_here_is_named_before_who_might_be(rivals: Rivals | None, said: str) -> None:
    assert likely_writer(KNOWN, rivals) == said


def test_where_the_catalogue_knows_of_nobody_nobody_is_blamed() -> None:
    assert likely_writer(parameter(), seen(Rival(name="tuned", running=True))) is None
    assert named("it moved", None) == "it moved"
