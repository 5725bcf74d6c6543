# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel changes along with the settings of a run, so that the way back restores that as well.

    before the first write   each such setting and its value: in the manifest
    once all is written      what the kernel made of it, so that a later value is known for somebody else's
    before the way back      what is there now: in `found`. To restore a key changes it once more, so a way back that
                             died goes on from what it had found, not from what it left
    after the keys           its value before the run; where a third party has changed it since, what it was made

Until a run is held, a third party cannot be told from the kernel, and all is put back. rollback.sh does the same.
"""

from __future__ import annotations

from typing import Iterator, Mapping, Sequence

from .host import Host
from .kernel import VALUE, made_of, same, side_effects
from .runs import HELD, KeyChange, Manifest, SideEffect


def along_with(host: Host, keys: Sequence[KeyChange]) -> Iterator[SideEffect]:
    """Yield what the kernel changes along with these keys, as it is now. What cannot be put back is left out."""
    seen: set[str] = set()
    for change in keys:
        for pattern in side_effects(change.key) if change.changes else ():
            for key in host.kernel.found(pattern):
                reading = host.kernel.read(key)
                if key not in (change.key, *seen) and reading.state == VALUE and host.kernel.writable(key):
                    seen.add(key)
                    yield SideEffect(key, change.key, reading.text)


def stored(host: Host, manifest: Manifest) -> Iterator[SideEffect]:
    """Yield the side effects with what the kernel made of them. An interface may be gone by now."""
    for effect in manifest.side_effects:
        found = host.kernel.read(effect.key)
        if found.state == VALUE:
            yield effect._replace(stored=found.text)


def found(host: Host, manifest: Manifest) -> dict[str, str]:
    """Return what each side effect is; if a way back began on this boot and did not end, what it was then."""
    readings = {effect.key: host.kernel.read(effect.key) for effect in manifest.side_effects}
    now = {key: reading.text for key, reading in readings.items() if reading.state == VALUE}
    return {**now, **host.runs.found(manifest, host.boot_id())}


def restored(
    host: Host, manifest: Manifest, keys: Sequence[str], found: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield each side effect of `keys` with the value it is to have once they are restored.

    A key that is restored itself is not among them.
    """
    for effect in manifest.side_effects:
        if effect.by not in keys or effect.key in keys or host.kernel.read(effect.key).state != VALUE:
            continue
        was = found.get(effect.key, effect.replaced)
        known = (effect.replaced, effect.replaced if effect.stored is None else effect.stored)
        ours = not manifest.reached(HELD) or any(same(effect.key, was, one) for one in known)
        # What a third party has put there is kept, and the kernel would not keep it.
        yield effect.key, effect.replaced if ours else was


def is_ours(manifest: Manifest, change: KeyChange, text: str, *, restoring: bool = False) -> bool:
    """Return whether `text` is there because of the run, as its key or as a side effect of another.

    With `restoring`, the way back has begun, which may have moved it too.
    """
    if made_of(change.key, text, change.replaced, *change.ours):
        return True
    return (restoring or not manifest.reached(HELD)) and change.key in {one.key for one in manifest.side_effects}
