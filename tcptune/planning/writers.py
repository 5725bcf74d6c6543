"""Who else may have written a setting: what the catalogue knows of it, beside who was seen on the host."""

from __future__ import annotations

from tcptune.domain.parameters import Parameter
from tcptune.domain.state import Rivals


def likely_writer(parameter: Parameter, rivals: Rivals | None) -> str | None:
    """Return the programs that are known to write the setting: those active on the host, where there are any.

    None where the catalogue knows of none. `rivals` is None where nobody looked for them.
    """
    known = list(dict.fromkeys(rival.who for rival in parameter.rivals))
    active = {one.name for one in rivals.found if one.running or one.enabled} if rivals else set()
    here = [who for who in known if who in active]
    if here or not known:
        return " and ".join(here) or None
    looked = rivals is not None and not rivals.notes
    return f"{' or '.join(known)} ({'not seen on this host' if looked else 'nobody could look whether it runs here'})"


def named(what: str, writer: str | None) -> str:
    """Return a message about a value that did not last, with who is known to write it."""
    return what if writer is None or writer in what else f"{what}; {writer} is known to write it"
