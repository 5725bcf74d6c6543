"""An operator with a fault: measures, asks the command, does what it says, measures again, and tells the story.

The fault is made for real (tests/faults). The operator knows nothing of it but the name of the host that people
complain of. What is done by hand is what a report or a plan asks for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from tests.acceptance.command import Tcptune
from tests.faults import Load, Scene, measure

WINDOW = "5s"
APART_S = 5.0
BEFORE_S = 1.0
"""How long a load runs before anybody looks: long enough for queues to fill and ports to run out."""
LONGEST_S = 120.0
"""A load ends by itself then; it is stopped as soon as nobody looks any more."""


class Site(Protocol):
    """A host with a fault, and a load that meets it."""

    host: str
    """Its name in the inventory."""

    def measure(self) -> Load:
        """Put the load on it once."""

    def loaded(self) -> AbstractContextManager[object]:
        """Keep the load going until the block ends."""


class LabSite:
    """A scene on lab hosts."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.host = scene.stage.hosts[scene.diagnosed].name

    def measure(self) -> Load:
        """Put the load on it once."""
        return measure(self.scene).load

    def loaded(self) -> AbstractContextManager[object]:
        """Keep the load going until the block ends."""
        return self.scene.under_load(seconds=LONGEST_S)


class Story:
    """One fault on its way to a cure."""

    def __init__(self, name: str, site: Site, tcptune: Tcptune, inventory: Path) -> None:
        self.name = name
        self.site = site
        self.tcptune = tcptune
        self.on = ("-i", str(inventory), "--limit", site.host)
        self.fix, self.plan = tcptune.file("fix.yml"), tcptune.file("plan.json")
        self.before = (tcptune.file("before-1.jsonl"), tcptune.file("before-2.jsonl"))

    def measured(self, when: str) -> Load:
        """Put the load on the host, and tell what share of it fails."""
        load = self.site.measure()
        errors = ", ".join(f"{count} {kind}" for kind, count in sorted(load.errors.items())) or "none"
        self.tell(f"{when}: {load.error_rate:.0%} failed ({errors} of {load.done + load.failed})")
        return load

    def tell(self, what: str) -> None:
        """Print a line of the story."""
        print(f"{self.name}: {what}", flush=True)

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """Keep the same load going while somebody looks."""
        with self.site.loaded():
            time.sleep(BEFORE_S)
            yield

    def diagnosed(self, *beside: str) -> dict[str, Any]:
        """Ask for the cause under the load, between two looks at the host for later; give the first cause."""
        first, last = self.before
        with self.loaded():
            self._look(first)
            said = self.tcptune(
                *("diagnose", *self.on, "--window", WINDOW, *beside),
                *("--emit-profile", self.fix, "--format", "json"),
                expect=10,
            )
            self._look(last)
        return self._first_cause(said.stdout)

    def diagnosed_from_files(self) -> dict[str, Any]:
        """The same without a look of its own: the two that are kept for later tell the cause, too."""
        self.looked()
        said = self.tcptune(
            "diagnose", "--facts", *self.before, "--emit-profile", self.fix, "--format", "json", expect=10
        )
        return self._first_cause(said.stdout)

    def looked(self) -> None:
        """Look at the host twice under the load, and keep that for later."""
        with self.loaded():
            self._look(self.before[0])
            time.sleep(APART_S)
            self._look(self.before[1])

    def _look(self, file: Path) -> None:
        self.tcptune("facts", *self.on, "--evidence", "-o", file)

    def _first_cause(self, said: str) -> dict[str, Any]:
        [host] = json.loads(said)["hosts"]
        assert host["not_judged"] == []
        cause: dict[str, Any] = host["causes"][0]
        self.tell(f"{cause['cause']}, {cause['confidence']}: {cause['because']}")
        return cause

    def well(self, *beside: str) -> None:
        """See to it that a diagnosis under the same load finds nothing."""
        with self.loaded():
            self.tcptune("diagnose", *self.on, "--window", WINDOW, *beside)

    def planned(self) -> dict[str, Any]:
        """Make the plan of the emitted profile, and give its document."""
        self.tcptune("plan", self.fix, *self.on, "-o", self.plan, expect=10)
        document: dict[str, Any] = json.loads(self.plan.read_text())
        return document

    def kept(self, *options: str) -> list[str]:
        """Apply the plan, confirm the run, and give what is left to a person."""
        self.tcptune("apply", self.plan, "--confirm-within", "10m", *options)
        self.tcptune("confirm", "last")
        run = json.loads(self.tcptune("runs", "show", "last", "--format", "json").stdout)
        left = [one["do"] for one in run["afterwards"]]
        for one in left:
            self.tell(f"left to a person: {one}")
        return left

    def verified(self, *, expect: int = 0) -> dict[str, Any]:
        """Look at the run under the same load; give what became of the host, and of each of its rates."""
        with self.loaded():
            said = self.tcptune(
                *("verify", "last", "--window", WINDOW, "--before", *self.before, "--format", "json"), expect=expect
            )
        [effect] = json.loads(said.stdout)["effects"]
        rates = {one["rule"]: one for one in effect["rates"]}
        moved = {name: one for name, one in rates.items() if one["outcome"] in {"fixed", "better", "worse"}}
        for name, one in moved.items():
            self.tell(f"verify: {name} {one['before']:.3g} -> {one['after']:.3g} {one['unit']}, {one['outcome']}")
        self.tell(f"verify: {effect['outcome']}")
        return {"outcome": effect["outcome"], "rates": {name: one["outcome"] for name, one in rates.items()}}

    def back(self) -> None:
        """Take the run back."""
        self.tcptune("rollback", "last")
