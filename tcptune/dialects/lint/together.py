"""Statements beside each other: which wins at boot, in which order they are written, what they mean together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from tcptune.dialects.lines import content_lines
from tcptune.dialects.sysctl_d import COMMENTS, hosted_paths
from tcptune.domain.boot import AtBoot, Definition, Loader
from tcptune.domain.concerns import Observation, Severity
from tcptune.domain.demands import Exactly
from tcptune.domain.facts import HostFacts, SysctlFile, System, Value
from tcptune.domain.kernel_values import stored
from tcptune.domain.lint import LintFinding, Statement
from tcptune.domain.parameters import NUMERIC
from tcptune.domain.profile import Entry, Profile
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.boot import BootModel
from tcptune.planning.boot_files import SYSCTL_CONF
from tcptune.planning.checks import couplings, port_range
from tcptune.planning.checks.scene import NotKnown, Scene
from tcptune.planning.order import Move, constraints

_LINK = "/etc/sysctl.d/99-sysctl.conf"
"""Through this link, as Debian and Red Hat have it, systemd-sysctl reads /etc/sysctl.conf too."""
_TEMPLATE = ".j2"
_CHECKS = (couplings.reuse, couplings.without_effect, couplings.syn_queue, port_range.alone)
"""Checks of a host that look at values alone."""
_BOOT = "systemd-sysctl and sysctl --system, as checked against both programs"


class _Tree(NamedTuple):
    """Sysctl files as one host would have them."""

    model: BootModel
    shown: Mapping[str, str]
    """Path on the host -> path as given."""
    read: frozenset[str]
    """Files that a loader reads, as given."""


def judge_tree(texts: Mapping[str, str], statements: Iterable[Statement], kernel: str) -> Iterator[LintFinding]:
    """Yield what is wrong with sysctl files as a whole, taken for those of one host."""
    if not texts:
        return
    hosted = _hosted(texts)
    yield from _unread(texts, hosted)
    tree = _tree(texts, hosted, kernel)
    by_key: dict[str, list[Statement]] = {}
    for statement in statements:
        by_key.setdefault(statement.key, []).append(statement)
    winners: dict[str, Statement] = {}
    for key, spoken in by_key.items():
        boot = tree.model.at_boot(key)
        yield from _overridden([one for one in spoken if one.path in tree.read], boot, tree)
        winner = boot.procps.winner or boot.systemd.winner
        where = _given(winner, tree) if winner is not None else None
        found = next((one for one in spoken if (one.path, one.line) == where), None)
        if found is not None:
            winners[key] = found
        if found is not None and not boot.agree:
            yield _finding(
                found,
                "loaders-differ",
                Severity.HARM,
                f"systemd-sysctl leaves {boot.systemd.value or 'it alone'} and sysctl --system "
                f"{boot.procps.value or 'it alone'}: which one boots the host decides",
                "one full line for the key, in one file",
                _BOOT,
            )
    yield from _late(winners)
    yield from _order(winners, tree, kernel)
    yield from _couplings(winners, kernel)


def judge_tasks(statements: Iterable[Statement]) -> Iterator[LintFinding]:
    """Yield keys that one file of tasks or variables sets to two values for the same hosts, with no condition."""
    seen: dict[tuple[str, str, str], Statement] = {}
    for statement in statements:
        if statement.conditional or statement.value is None:
            continue
        place = statement.path, statement.group, statement.key
        earlier = seen.setdefault(place, statement)
        if earlier is not statement and earlier.value != statement.value:
            yield _finding(
                earlier,
                "overridden",
                Severity.HARM,
                f"line {statement.line} sets it to {statement.value} once more, and no condition tells them apart",
                "one place for each key",
                "Ansible runs tasks in their order; the last one stays",
            )
        seen[place] = statement


def _hosted(texts: Mapping[str, str]) -> dict[str, str | None]:
    """Return the path that each file has on a host. A template is there without its ending."""
    plain = {path: path.removesuffix(_TEMPLATE) for path in texts}
    names = {plain[path] if plain[path] not in texts else path: path for path in texts}
    return {
        names[name]: there for name, there in hosted_paths({name: texts[path] for name, path in names.items()}).items()
    }


def _tree(texts: Mapping[str, str], hosted: Mapping[str, str | None], kernel: str) -> _Tree:
    shown = {there: here for here, there in hosted.items() if there is not None}
    if SYSCTL_CONF in shown and _LINK not in shown:
        shown[_LINK] = shown[SYSCTL_CONF]
    known = catalogue()

    def accepts(key: str, value: str) -> bool:
        page = known.get(key)
        return page is None or not hasattr(stored(page, value, kernel=kernel), "errno")

    model = BootModel(
        (SysctlFile(path=there, content=texts[here]) for there, here in shown.items()),
        accepts=accepts,
        widths={key: page.arity for key, page in known.items() if page.shape in NUMERIC},
    )
    read = {path for loader in Loader for path in model.load_order(loader).read}
    return _Tree(model, shown, frozenset(shown[path] for path in read))


def _unread(texts: Mapping[str, str], hosted: Mapping[str, str | None]) -> Iterator[LintFinding]:
    model = BootModel(SysctlFile(path=there, content=texts[here]) for here, there in hosted.items() if there)
    shown = {there: here for here, there in hosted.items() if there is not None}
    order = model.load_order(Loader.PROCPS)
    for here, there in hosted.items():
        if there in order.read or not any(content_lines(texts[here], COMMENTS)):
            continue
        by = next((shown[s.by] for s in order.shadowed if s.path == there), None)
        if there is None:
            rule, why = "same-place", "another of these files has the same place on a host"
        elif by is not None:
            rule, why = "shadowed", f"no boot reads this file: {by} has its name in a stronger folder"
        else:
            rule, why = "not-read", "no boot reads this file: its name does not end in .conf"
        yield LintFinding(
            path=here,
            line=1,
            column=1,
            key="",
            rule=rule,
            severity=Severity.HARM,
            why=why,
            instead="give it a name of its own that ends in .conf",
            source=_BOOT,
        )


def _overridden(spoken: Sequence[Statement], boot: AtBoot, tree: _Tree) -> Iterator[LintFinding]:
    """Find lines of one key that decide under neither loader."""
    winners = [winner for winner in (boot.systemd.winner, boot.procps.winner) if winner is not None]
    decided = {_given(winner, tree) for winner in winners}
    for statement in spoken if winners else ():
        if statement.value is None or (statement.path, statement.line) in decided:
            continue
        by = winners[-1]
        place = f"line {by.line}" if tree.shown[by.path] == statement.path else f"{tree.shown[by.path]}:{by.line}"
        same = by.value == statement.value
        yield _finding(
            statement,
            "duplicate" if same else "overridden",
            Severity.ADVICE if same else Severity.HARM,
            f"{place} sets it once more, to the same value" if same else f"{place} sets it to {by.value}, which stays",
            "delete one of the two",
            _BOOT,
        )


def _given(definition: Definition, tree: _Tree) -> tuple[str, int]:
    return tree.shown[definition.path], definition.line


def _late(winners: Mapping[str, Statement]) -> Iterator[LintFinding]:
    """Find keys that exist only once a module is loaded: mostly later than the files are read. One for each module."""
    told: set[tuple[str, str]] = set()
    for key, statement in winners.items():
        page = catalogue().get(key)
        if page is None or page.module is None or (statement.path, page.module) in told:
            continue
        told.add((statement.path, page.module))
        yield _finding(
            statement,
            "late-module",
            Severity.ADVICE,
            f"the key exists once {page.module} is loaded, and a boot that reads this file before sets nothing",
            f"a file in /etc/modules-load.d that names {page.module}",
            "modules-load.d(5); sysctl.d(5), example 2",
        )


def _order(winners: Mapping[str, Statement], tree: _Tree, kernel: str) -> Iterator[LintFinding]:
    """Find lines that are written before one that has to go first."""
    files = {path: n for n, path in enumerate(tree.shown[path] for path in tree.model.load_order(Loader.PROCPS).read)}
    moves = [
        Move(key, page.default(kernel) if (page := catalogue().get(key)) else None, statement.value)
        for key, statement in winners.items()
        if statement.value is not None
    ]
    for one in constraints(moves, catalogue()):
        first, then = winners[one.first], winners[one.then]
        if (files.get(first.path, 0), first.line) > (files.get(then.path, 0), then.line):
            yield _finding(
                first,
                "order",
                Severity.HARM,
                f"it has to be written before {one.then} ({_where(then, first)}): {one.why}",
                f"put it above {one.then}",
                "tcptune's catalogue, write order",
            )


def _where(statement: Statement, beside: Statement) -> str:
    return f"line {statement.line}" if statement.path == beside.path else f"{statement.path}:{statement.line}"


def _couplings(winners: Mapping[str, Statement], kernel: str) -> Iterator[LintFinding]:
    """Ask the checks of hosts that need nothing but values, over what a fresh kernel has."""
    scene = _scene(winners, kernel)
    for check in _CHECKS:
        try:
            seen: list[Observation] = list(check(scene, scene.now))
        except NotKnown:
            continue  # a value that is no number has a finding of its own
        for one in seen:
            concerned = [winners[key] for key in one.keys if key in winners]
            if concerned:
                yield _finding(
                    max(concerned, key=lambda s: (s.path, s.line)),
                    "together",
                    one.severity,
                    f"{one.what} ({', '.join(one.evidence)})",
                    one.remedy,
                    "tcptune's checks of hosts, docs/reference/concerns.md",
                )


def _scene(winners: Mapping[str, Statement], kernel: str) -> Scene:
    """Return a host that has a fresh kernel and these values."""
    values = {key: page.default(kernel) for key, page in catalogue().items() if page.at(kernel).missing is None}
    values |= {key: " ".join(s.value.split()) for key, s in winners.items() if s.value is not None}
    facts = HostFacts(
        host="files",
        collected_at=datetime.fromtimestamp(0, UTC),
        system=System(
            kernel=kernel,
            distribution="",
            version="",
            memory_bytes=None,
            cpus=None,
            page_size_bytes=None,
            boot_id="",
            hostname="",
            systemd=None,
            user="",
        ),
        sysctl={key: Value(text=text, writable=True) for key, text in values.items() if text is not None},
        sysctl_files=(),
    )
    entries = tuple(
        Entry(key=key, demand=Exactly(value=text), why="a file says so", source="the file", profile="files")
        for key, text in values.items()
        if text is not None
    )
    profile = Profile(name="files", summary="what files set", origin="files", entries=entries, digest="")
    return Scene(facts=facts, profile=profile, parameters=catalogue(), findings=(), model=BootModel(()))


def _finding(statement: Statement, rule: str, severity: Severity, why: str, instead: str, source: str) -> LintFinding:
    return LintFinding(
        path=statement.path,
        line=statement.line,
        column=statement.column,
        key=statement.key,
        rule=rule,
        severity=severity,
        why=" ".join(why.split()),
        instead=instead,
        source=source,
    )
