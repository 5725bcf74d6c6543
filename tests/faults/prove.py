"""python -m tests.faults.prove [NAME...] [--page FILE]: make faults, and let the real command diagnose them, blind.

`tcptune diagnose` gets the inventory, the name of the host where one would look, and what its owner would have beside
it: the log of a proxy, the timeouts of the chain, a probe of the service. Nothing tells it which fault was made. The
right cause has to be named first, no wrong one for sure, and the remedy has to be of the right kind; a host that is
well has no finding. Exits with 1 if anything of that is not so.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.command import Tcptune
from tests.faults import FAULTS, HEALTHY, SIX, Fault, Scene, Stage, missing
from tests.faults.nginx import FOLDER, PORT
from tests.lab import Lab, LabError

WINDOW_S = 6
BEFORE_S = 3.0
"""How long a load runs before anybody looks: long enough for a queue to fill."""
LOAD_S = 45.0
"""How long it goes on at most: it ends with the diagnosis."""
LOGGED_LINES, LOGGED_S = 5, 10.0
"""How many lines of a log one waits for, and how long at most."""
CAPTURED_S = 12
"""How long a capture takes, where one is given: two silences of those who wait longest."""

HEADING = """\
| Fault | Cause | Named first | How sure | Remedy | Read from | Named besides |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Verdict:
    """What the command said of one fault."""

    fault: Fault
    code: int
    causes: tuple[dict[str, Any], ...]
    unexplained: tuple[str, ...]
    gaps: tuple[str, ...]

    @classmethod
    def of(cls, fault: Fault, code: int, document: dict[str, Any]) -> Verdict:
        """Take it out of the report of a single host."""
        [host] = document["hosts"]
        return cls(
            fault,
            code,
            tuple(host["causes"]),
            tuple(one["what"] for one in host["unexplained"]),
            tuple(one["why"] for one in host["not_judged"]),
        )

    def mistakes(self) -> Iterator[str]:
        """Yield what is wrong with it, one sentence each."""
        if self.fault.cause is None:
            yield from (f"names {one['cause']}" for one in self.causes)
            yield from (f"does not explain: {one}" for one in self.unexplained)
        else:
            yield from self._of_causes()
        yield from (f"did not judge: {one}" for one in self.gaps)
        if self.code != (0 if self.fault.cause is None else 10):
            yield f"exits with {self.code}"

    @property
    def right(self) -> dict[str, Any] | None:
        """The right cause, where it was named."""
        return next((one for one in self.causes if one["cause"] == self.fault.cause), None)

    def kinds(self) -> list[str]:
        """Give the kinds of remedies with the names and numbers of this host; without any, that of the first one."""
        remedies = self.right["remedies"] if self.right else []
        return [one["kind"] for one in remedies if one["here"]] or [one["kind"] for one in remedies[:1]]

    def _of_causes(self) -> Iterator[str]:
        first = [one["cause"] for one in self.causes[:1]]
        if first != [self.fault.cause]:
            yield f"names {first[0] if first else 'nothing'} first"
        if self.right is None:
            yield f"does not name {self.fault.cause}"
            return
        right = {str(self.fault.cause), *self.fault.also}
        for one in self.causes:
            if one["follows_from"] in right:
                right.add(one["cause"])
            if one["cause"] not in right and one["confidence"] == "high":
                yield f"is sure of {one['cause']}, which is wrong"
        if self.fault.remedy not in self.kinds():
            yield f"remedies are {', '.join(self.kinds())}"
        keys = [one["key"] for one in self.right["settings"]]
        if keys and self.fault.remedy != "sysctl":
            yield f"proposes {', '.join(keys)}"
        if keys and self.fault.key not in keys:
            yield f"proposes {', '.join(keys)}, and not {self.fault.key}"

    def row(self) -> str:
        """Give a row of the table."""
        first, *others = self.causes or ({},)
        sources = sorted({one["source"] for one in first.get("evidence", ())})
        cells = (
            self.fault.name,
            f"`{self.fault.cause}`" if self.fault.cause else "none",
            f"`{first['cause']}`" if first else "nothing",
            first.get("confidence", ""),
            ", ".join(dict.fromkeys(self.kinds())),
            ", ".join(sources),
            ", ".join(f"`{one['cause']}` ({one['confidence']})" for one in others),
        )
        return f"| {' | '.join(cells)} |"


def prove(fault: Fault, scene: Scene, tcptune: Tcptune, lab: Lab) -> Verdict:
    """Let the command diagnose a scene under its load."""
    with scene.under_load(seconds=LOAD_S):
        time.sleep(BEFORE_S)
        return look(fault, scene, tcptune, lab, window_s=WINDOW_S)


def look(fault: Fault, scene: Scene, tcptune: Tcptune, lab: Lab, *, window_s: int) -> Verdict:
    """Let the command diagnose a scene whose load is there already."""
    host = scene.stage.hosts[scene.diagnosed]
    given = GIVEN.get(fault.name.removesuffix(SIX))
    said = tcptune(
        *("diagnose", "-i", str(lab.inventory), "--limit", host.name, "--window", f"{window_s}s"),
        *(given(scene, tcptune, lab) if given else ()),
        *("--format", "json"),
        expect={0, 4, 10},
    )
    return Verdict.of(fault, said.status, json.loads(said.stdout))


def _probed(scene: Scene, tcptune: Tcptune, lab: Lab) -> tuple[str, ...]:
    """Try the service from the client, by the name that the inventory has for the server."""
    server, client = scene.stage.server, scene.stage.client
    hosts = client.run("cat", "/etc/hosts")
    client.run("tee", "/etc/hosts", text=f"{hosts}{server.address} {server.name}\n")
    client.undo.callback(client.run, "tee", "/etc/hosts", text=hosts)
    report = tcptune.file("probe.json")
    tcptune(
        *("probe", f"{server.name}:{PORT}", "--from", client.name, "-i", str(lab.inventory), "-n", "3"),
        *("--interval", "0.2", "--timeout", "2", "--format", "json", "-o", str(report)),
        expect=10,
    )
    return ("--probe", str(report))


def _chained(text: str) -> Callable[[Scene, Tcptune, Lab], tuple[str, ...]]:
    def given(_scene: Scene, tcptune: Tcptune, _lab: Lab) -> tuple[str, ...]:
        return ("--chain", str(tcptune.file("chain.yml", text)))

    return given


def _logged(scene: Scene, tcptune: Tcptune, _lab: Lab) -> tuple[str, ...]:
    """Give the proxy's own log, once it has told of a failure or two."""
    deadline_s = time.monotonic() + LOGGED_S
    while (text := scene.stage.server.run("cat", f"{FOLDER}/error.log")).count("\n") < LOGGED_LINES:
        if time.monotonic() > deadline_s:
            break
        time.sleep(0.1)
    return ("--log", str(tcptune.file("error.log", text)))


def _captured(scene: Scene, tcptune: Tcptune, _lab: Lab) -> tuple[str, ...]:
    """Give what tcpdump saw of the service for some seconds, on the host that is looked at."""
    file = tcptune.file("capture.pcap")
    with file.open("wb") as into:
        scene.stage.hosts[scene.diagnosed].capture(into, PORT, seconds=CAPTURED_S)
    return ("--pcap", str(file))


POOLED = """\
chain: pool
hops:
  - name: client
    sends: {idle_timeout: never, requests: never, response_timeout: 1s}
  - name: nginx
    receives: {idle_timeout: 1s, requests: never, answer_within: 0.5s}
"""
FORGETFUL = """\
chain: behind a firewall
hops:
  - name: client
    sends: {idle_timeout: 10s, requests: never, response_timeout: 1s, tcp_keepalive: 2h}
  - name: firewall
    layer: 4
    idle_timeout: 2s
  - name: app
    receives: {idle_timeout: 30s, requests: never, answer_within: 0.5s, tcp_keepalive: never}
"""
GIVEN: dict[str, Callable[[Scene, Tcptune, Lab], tuple[str, ...]]] = {
    "closed-port": _probed,
    "firewall-reject": _probed,
    "proxy-idle-timeout": _chained(POOLED),
    "upstream-idle-race": _logged,
    "idle-drop": lambda *given: (*_captured(*given), *_chained(FORGETFUL)(*given)),
    "idle-reset": _chained(FORGETFUL),
}
"""What the owner of the service has beside the host, by fault: the kernel of one host alone cannot tell these."""

PAGE = Path(__file__).with_name("proof.md")
"""The page of the manual, with a place for its table."""


def main(words: list[str]) -> int:
    """Print a row for each fault as soon as it is known, and what is wrong with it."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.prove", description="Diagnose faults blind.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="faults to make; all without any")
    parser.add_argument("--page", type=Path, help="page of the manual to write: only of all faults, and all right")
    given = parser.parse_args(words)
    known = {fault.name: fault for fault in (*FAULTS, *HEALTHY)}
    if unknown := set(given.names) - known.keys():
        parser.error(f"no fault {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    if reasons := missing():
        sys.stderr.write(f"error: {'; '.join(reasons)}\n")
        return 1
    print(HEADING, flush=True)
    rows, wrong = [], 0
    try:
        for verdict in proved([known[name] for name in given.names or known]):
            rows.append(verdict.row())
            print(verdict.row(), flush=True)
            for mistake in verdict.mistakes():
                wrong += 1
                sys.stderr.write(f"wrong: {verdict.fault.name}: {mistake}\n")
    except LabError as error:
        sys.stderr.write(f"error: {error}\n" + (f"  try: {error.hint}\n" if error.hint else ""))
        return 1
    if given.page and (wrong or given.names):
        sys.stderr.write(f"error: {given.page} was not written: it is of all faults, and all right\n")
        return 1
    if given.page:
        given.page.write_text(page(rows, ".".join(os.uname().release.split(".")[:2])))
    return 1 if wrong else 0


def page(rows: Iterable[str], release: str) -> str:
    """Return the page of the manual with these rows, of a run on that kernel: 6.18."""
    table = "\n".join([HEADING, *rows])
    return PAGE.read_text().format(release=release, table=table, window_s=WINDOW_S, captured_s=CAPTURED_S)


def proved(faults: Iterable[Fault]) -> Iterator[Verdict]:
    """Make each fault on hosts as new, and give its verdict."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        lab = Lab(Path(folder) / "lab", tied=True)
        tcptune = Tcptune(Path(folder) / "tcptune")
        try:
            for fault in faults:
                lab.up(fault.hosts)
                with Stage(lab, lab.hosts) as stage, fault.make(stage, True) as scene:
                    verdict = prove(fault, scene, tcptune, lab)
                yield verdict
                lab.reset(*lab.hosts)
        finally:
            tcptune.close()
            lab.down()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
