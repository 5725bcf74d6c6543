"""Plans of files, the whole way: which sections are read, and what is told when a host is confirmed."""

from __future__ import annotations

import pytest

from tcptune.domain.changes import LIMITS_PATH, MODULES_PATH, FileChange, Plan
from tcptune.domain.runs import HostState, Run
from tcptune.domain.verdicts import FileOutcome
from tcptune.errors import HostUnreachable, PlanStale
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.own_files import unit_text
from tcptune.workflows.change import Changer, new_run
from tcptune.workflows.collect import keys_of, sections_of
from tcptune.workflows.plan import plan as make
from tcptune.workflows.verify import verify
from tests.unit.builders import LATER, NOW, SOMAXCONN, answer, change, cohort, host, plan
from tests.unit.fakes import FakeApplier, FakeTransport, MemoryJournal, Said, clock, collector
from tests.unit.planning.test_limits import NGINX, limit, of, process
from tests.unit.planning.test_limits import host as listening

DROP_IN = f"/etc/systemd/system/{NGINX}.d/99-tcptune.conf"
FILES = make([listening(process(), host="web1")], [host("web1")], of(limit()), catalogue(), NOW)
SETTINGS = plan(cohort("web1", changes=(change(SOMAXCONN, "128", "4096"),)))


def said(soft: int = 1024, *, ours: str | None = None, config: bool = True) -> str:
    """Return what a host with one service prints, whose unit says nothing of limits."""
    units = [f"unit {NGINX}", f"file /usr/lib/systemd/system/{NGINX}"]
    if ours is not None:
        units += [f"file {DROP_IN}", f"bytes {len(unit_text(ours))} {DROP_IN}", f"in {DROP_IN}"]
        units += ["|[Service]", f"|LimitNOFILE={ours}"]
    listeners = ["source ss", "owners", 'LISTEN 0 511 *:80 *:* users:(("nginx",pid=910,fd=6))', "total 1"]
    listeners += [f"/proc/910/limits:Max open files            {soft}               524288               files"]
    listeners += [f"/proc/910/cgroup:0::/system.slice/{NGINX}", "/proc/910/status:Uid:\t0\t0\t0\t0"]
    more = ["@tcptune config_files", "@tcptune listeners", *listeners, "@tcptune unit_files", *units]
    if not config:
        more = more[1:]
    return answer({"fs.nr_open": "1048576"}).replace("@tcptune done", "\n".join([*more, "@tcptune done"]))


class Story:
    """A run over web1 with fakes."""

    def __init__(self, made: Plan = FILES) -> None:
        self.made = made
        self.journal = MemoryJournal()
        self.applier = FakeApplier()
        self.changer = Changer(self.applier, self.journal, clock, lambda _: None, catalogue(), "ada@c")
        self.run = new_run(made, run_id="r1", operator="ada@c", tool_version="0.1.0", started_at=NOW)

    def apply(self, says: Said) -> Run:
        self.run = self.changer.apply(collector(says), self.made, [host("web1")], self.run)
        return self.run

    def confirm(self, says: Said) -> Run:
        self.run = self.changer.confirm(collector(says), self.run, self.made, [host("web1")])
        return self.run


# A plan of files alone


def test_a_plan_of_files_alone_counts_its_limits_and_no_host_as_fine() -> None:
    assert (len(FILES.cohorts), FILES.change_count, FILES.fine, FILES.skipped) == (1, 1, (), ())
    assert FILES.cohorts[0].changes == ()
    assert Plan.model_validate_json(FILES.model_dump_json()) == FILES
    assert [one.hosts for one in FILES.afterwards] == [("web1",)]


def test_hosts_of_other_files_are_in_other_cohorts() -> None:
    hosts = [
        listening(process(), host="web1"),
        listening(
            process(hard=4096), files={f"/usr/lib/systemd/system/{NGINX}": "[Service]\nLimitNOFILE=4096\n"}, host="web2"
        ),
        listening(process(), host="web3"),
    ]
    made = make(hosts, [host(one.host) for one in hosts], of(limit()), catalogue(), NOW)

    assert [one.hosts for one in made.cohorts] == [("web1", "web3"), ("web2",)]
    assert [(one.do, one.hosts) for one in made.afterwards] == [
        (f"systemctl restart {NGINX}", ("web1", "web2", "web3"))
    ]


def test_a_plan_of_before_there_were_limits_is_read() -> None:
    text = SETTINGS.model_dump(mode="json")
    del text["afterwards"], text["cohorts"][0]["limits"], text["cohorts"][0]["changes"][0]["module"]

    assert Plan.model_validate(text) == SETTINGS


def test_a_plan_of_files_alone_is_held_then_kept_and_its_restart_is_told_then() -> None:
    story = Story()
    held = story.apply({"web1": said()})
    assert held.result("web1").state is HostState.HELD
    assert held.afterwards == ()

    kept = story.confirm({"web1": said()})
    assert (kept.result("web1").state, kept.result("web1").at_boot) == (HostState.CONFIRMED, None)
    assert [one.do for one in kept.afterwards] == [f"systemctl restart {NGINX}"]


def test_a_drop_in_that_appeared_since_stops_the_run() -> None:
    with pytest.raises(PlanStale, match=r"99-tcptune\.conf is not the file the plan was made for"):
        Story().apply({"web1": said(ours="4096")})


def test_a_section_that_makes_no_sense_stops_the_run() -> None:
    odd = said().replace("unit nginx", "unti nginx")
    with pytest.raises(PlanStale, match=r"99-tcptune\.conf is not known: the answer makes no sense"):
        Story().apply({"web1": odd})


# What is read


@pytest.mark.parametrize(
    ("paths", "apply", "confirm"),
    [
        ((), set(), {"config_files", "conntrack"}),
        ((MODULES_PATH,), {"config_files"}, {"config_files", "conntrack"}),
        ((LIMITS_PATH,), {"config_files"}, {"config_files", "conntrack"}),
        (
            (DROP_IN,),
            {"config_files", "listeners", "unit_files"},
            {"config_files", "conntrack", "listeners", "unit_files"},
        ),
    ],
    ids=["settings", "modules", "limits", "unit"],
)
def test_only_what_the_files_of_a_plan_need_is_read(paths: tuple[str, ...], apply: set[str], confirm: set[str]) -> None:
    files = tuple(FileChange(path=path, before=None, after="") for path in paths)
    made = plan(cohort("web1", changes=(), files=files))
    required = {"system", "sysctl", "sysctl_files"}

    assert set(sections_of(made, boot=False)) == required | apply
    assert set(sections_of(made, boot=True)) == required | confirm


def test_what_bounds_a_limit_is_read_with_the_settings() -> None:
    assert keys_of(FILES) == ["fs.nr_open"]
    assert keys_of(SETTINGS) == [SOMAXCONN]


# Confirm looks again


def confirmed(says: str | HostUnreachable, made: Plan = SETTINGS) -> Run:
    story = Story(made)
    story.apply({"web1": answer({SOMAXCONN: "128"})})
    return story.confirm({"web1": says})


def test_a_file_that_was_added_since_the_plan_is_told_with_the_host_that_is_kept() -> None:
    found = confirmed(answer({SOMAXCONN: "4096"}, {LATER: f"{SOMAXCONN} = 128\n"})).result("web1")

    assert found.state is HostState.CONFIRMED
    assert found.at_boot is not None
    assert found.at_boot.wins == (f"{SOMAXCONN}: {LATER}:1 gives 128 at the next boot, not 4096",)


def test_a_host_that_could_not_be_read_again_is_kept_and_that_is_told() -> None:
    found = confirmed(HostUnreachable("web1: no SSH session")).result("web1")

    assert found.state is HostState.CONFIRMED
    assert found.at_boot is not None
    assert found.at_boot.unknown == ("what wins at the next boot was not looked at: no SSH session",)


def test_what_was_told_is_forgotten_with_the_change() -> None:
    story = Story(SETTINGS)
    story.apply({"web1": answer({SOMAXCONN: "128"})})
    kept = story.confirm({"web1": answer({SOMAXCONN: "4096"}, {LATER: f"{SOMAXCONN} = 128\n"})})
    back = story.changer.roll_back(collector({}), kept, SETTINGS, [host("web1")], [])

    assert (back.result("web1").state, back.result("web1").at_boot) == (HostState.ROLLED_BACK, None)


def test_a_confirm_at_once_looks_again_too() -> None:
    story = Story(SETTINGS)
    transport = FakeTransport({"web1": answer({SOMAXCONN: "128"}, {LATER: f"{SOMAXCONN} = 128\n"})})
    looker = collector({})
    looker = type(looker)(transport, looker.workers, looker.clock)
    done = story.changer.apply(looker, SETTINGS, [host("web1")], story.run, confirm=True)

    assert len(transport.asked) == 2
    assert done.result("web1").at_boot is not None


# Verify


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        (said(65536, ours="65536:524288"), FileOutcome.AS_LEFT),
        (said(1024, ours="65536:524288"), FileOutcome.WAITS),
        (said(1024), FileOutcome.MOVED),
        (said(65536, ours="65536:524288", config=False), FileOutcome.UNKNOWN),
    ],
    ids=["started again", "not yet", "gone", "not read"],
)
def test_verify_judges_the_next_start(now: str, outcome: FileOutcome) -> None:
    story = Story()
    story.apply({"web1": said()})
    kept = story.confirm({"web1": said()})
    [found] = verify(collector({"web1": now}), kept, FILES, [host("web1")], catalogue()).hosts

    assert [file.outcome for file in found.files] == [outcome]
