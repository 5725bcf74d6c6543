"""python -m tests.faults [NAME...]: make faults, and print what was seen as a table for the manual."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.faults import FAULTS, HEALTHY, Fault, Load, Measurement, Stage, measure, missing
from tests.lab import Lab, LabError

HEADING = """\
| Fault | Cause | Remedy | Errors of the load | Without the fault | What the hosts showed |
|---|---|---|---|---|---|"""


def main(names: list[str]) -> int:
    """Print a row for each fault as soon as it is known."""
    known = {fault.name: fault for fault in (*FAULTS, *HEALTHY)}
    if unknown := set(names) - known.keys():
        sys.stderr.write(f"error: no fault {', '.join(sorted(unknown))}\n  try: {' '.join(known)}\n")
        return 2
    if reasons := missing():
        sys.stderr.write(f"error: {'; '.join(reasons)}\n")
        return 1
    print(f"Linux {os.uname().release}\n\n{HEADING}")
    try:
        for row in rows([known[name] for name in names or known]):
            print(row, flush=True)
    except LabError as error:
        sys.stderr.write(f"error: {error}\n" + (f"  try: {error.hint}\n" if error.hint else ""))
        return 1
    return 0


def rows(faults: list[Fault]) -> Iterator[str]:
    """Make each fault, without it first, and give its row."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        lab = Lab(Path(folder) / "lab", tied=True)
        try:
            for fault in faults:
                lab.up(fault.hosts)
                without = one(lab, fault, faulty=False)[0] if fault.cause else None
                lab.reset(*lab.hosts)
                measured, shown = one(lab, fault, faulty=True)
                lab.reset(*lab.hosts)
                signs = ", ".join(f"`{name}` {measured[name]:.0f}" for name in shown if not name.startswith("load."))
                remedy = f"{fault.remedy or ''}{f': `{fault.key}`' if fault.key else ''}"
                well = told(without.load) if without else ""
                cells = fault.name, fault.cause or "none", remedy, told(measured.load), well, signs
                yield f"| {' | '.join(cells)} |"
        finally:
            lab.down()


def one(lab: Lab, fault: Fault, *, faulty: bool) -> tuple[Measurement, list[str]]:
    """Measure one scene, and give the names that it shows."""
    with Stage(lab, lab.hosts) as stage, fault.make(stage, faulty) as scene:
        return measure(scene), list(scene.shows)


def told(load: Load) -> str:
    """Say what became of a load."""
    errors = ", ".join(f"{count} {kind}" for kind, count in sorted(load.errors.items()))
    return f"{errors or 'none'} of {load.done + load.failed}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
