"""One result of each kind, with every special case in it."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel

from tcptune.detectors.clues import from_capture, from_logs
from tcptune.domain.changes import DROPIN_PATH
from tcptune.domain.demands import AtLeast, Between, Elements, Leave
from tcptune.domain.explanation import CauseList, CounterPage
from tcptune.domain.facts import Collected, Unread
from tcptune.domain.findings import Boot
from tcptune.domain.followups import FollowUp
from tcptune.domain.host_runs import Doctor, Leftover, Unseen
from tcptune.domain.hosts import Declared
from tcptune.domain.journal import Kept, ListedRun, Pruned, RunList
from tcptune.domain.rollout import ListedPolicy, PolicyList
from tcptune.domain.runs import Act, BootCheck, HostState, Work
from tcptune.domain.samples import Sampled
from tcptune.domain.verdicts import Check, FileCheck, FileOutcome, HostVerdict, OldQueue, RunVerdict
from tcptune.knowledge.catalogue import catalogue
from tcptune.knowledge.causes import causes, errors
from tcptune.knowledge.counters import counters
from tcptune.planning.doctor import settlements
from tcptune.planning.dropin import merged
from tcptune.planning.explain_cause import page, search_causes
from tcptune.planning.explain_counter import find_counter
from tcptune.planning.waves import cut_waves
from tcptune.workflows.audit import audit
from tcptune.workflows.diagnose import diagnose
from tcptune.workflows.plan import plan
from tests.unit import captured
from tests.unit.builders import (
    ABSENT,
    ETC,
    FIN_TIMEOUT,
    LATER,
    MAX_SYN,
    NOW,
    PORTS,
    RMEM,
    SOMAXCONN,
    SYNCOOKIES,
    UNREADABLE,
    facts,
    host,
    policy,
    profile,
    read_only,
    result,
    rule,
    run,
)
from tests.unit.detectors.cases import CASES
from tests.unit.detectors.hosts import sampled
from tests.unit.planning.checks.hosts import host as whole
from tests.unit.planning.checks.hosts import listener, listening, rival
from tests.unit.reports.file_results import LINT, LOGS

PROFILE = profile(
    rule(SOMAXCONN, AtLeast(value="4096"), why="lifts old kernels and undoes artificial lowering"),
    rule(SYNCOOKIES, "1", why="a burst of SYNs is answered even when the queue is full"),
    rule(FIN_TIMEOUT, Between(low="15", high="60"), why="bounds orphans in FIN_WAIT2"),
    rule(PORTS, "10240 65535", why="a proxy is a client to its upstreams " * 4),
    rule(RMEM, Elements(each=(Leave(), Leave(), AtLeast(value="6291456"))), why="undoes lowering of autotuning"),
    rule(MAX_SYN, Leave(), why="has no effect while SYN cookies are on"),
    name="web",
)
FINE = {
    SOMAXCONN: "4096",
    SYNCOOKIES: "1",
    FIN_TIMEOUT: "60",
    PORTS: "10240 65535",
    RMEM: "4096 131072 6291456",
    MAX_SYN: "2048",
}
KEPT: dict[str, str | None] = {f"{ETC}/50-ports.conf": f"{PORTS} = 10240 65535\n"}
LOWERED = {**FINE, SOMAXCONN: "128", PORTS: "32768 60999"}

COLLECTED: list[Collected] = [
    # A cohort of more hosts than a line names.
    *(facts(f"web{n}", LOWERED, {f"{ETC}/60-old.conf": f"{SOMAXCONN} = 128\n"}) for n in range(1, 10)),
    facts("fine1", FINE, KEPT),
    # A later file wins over ours, the two loaders disagree, and an earlier run left our file.
    facts(
        "shadowed",
        {**FINE, SOMAXCONN: "512"},
        {
            **KEPT,
            LATER: f"{SOMAXCONN} = 512\n",
            "/etc/sysctl.conf": f"{SOMAXCONN} = 256\n",
            DROPIN_PATH: merged(None, {"net.ipv4.tcp_mtu_probing": "1", SOMAXCONN: "1024"}),
        },
    ),
    # The loader that this host does not use reads a file after ours.
    facts("otherwise", {**FINE, SOMAXCONN: "512"}, {**KEPT, "/etc/sysctl.conf": f"{SOMAXCONN} = 256\n"}),
    # Only the next boot is off.
    facts("bootonly", FINE, {**KEPT, f"{ETC}/60-old.conf": f"{FIN_TIMEOUT} = 5\n"}),
    facts(
        "pod1",
        {**FINE, SOMAXCONN: read_only("128"), RMEM: ABSENT, SYNCOOKIES: UNREADABLE, FIN_TIMEOUT: "90"},
        KEPT,
        kernel="4.19.0-27-amd64",
    ),
    facts("closed", FINE, {f"{ETC}/90-closed.conf": None}, user="1000"),
    Unread(host="down1", error="no answer from down1.example:22 in time", hint="ssh -l root -p 22 down1.example true"),
    Unread(host="down2", error="sudo refused: a password is required"),
]
HOSTS = [host(one.host) for one in COLLECTED]

AUDIT = audit(COLLECTED, PROFILE, catalogue())
PLAN = plan([one for one in COLLECTED if one.host != "closed"], HOSTS, PROFILE, catalogue(), NOW)
STAYS = "/etc/systemd/system/web.service.d was made by run 20260314-150926-a1b2c3 and stays: it is not empty"
RUN = run(
    *(result(f"held{n}", HostState.HELD, replaced={SOMAXCONN: "128", PORTS: "32768 60999"}) for n in (1, 2)),
    result("confirmed", HostState.CONFIRMED, replaced={SOMAXCONN: "128"}),
    *(
        result(
            f"beaten{n}",
            HostState.CONFIRMED,
            replaced={SOMAXCONN: "128"},
            at_boot=BootCheck(wins=(f"{SOMAXCONN}: {LATER}:1 gives 128 at the next boot, not 4096",)),
        )
        for n in (1, 2)
    ),
    result("unsure", HostState.CONFIRMED, at_boot=BootCheck(unknown=("what wins was not looked at: no SSH session",))),
    *(result(f"back{n}", HostState.ROLLED_BACK, replaced={SOMAXCONN: "128"}, warnings=(STAYS,)) for n in (1, 2)),
    result("partly", HostState.PARTLY_BACK, error=f"changed by somebody else since, and left: {SOMAXCONN}"),
    result("stale", HostState.STALE, error=f"{SOMAXCONN} is 512, the plan was made for 128", hint="tcptune plan"),
    result("unreachable", HostState.UNREACHABLE, error="no SSH session: timed out", hint="ssh unreachable true"),
    result("failed", HostState.FAILED, cohort="cohort2", error="no space left on device"),
    result("broken", HostState.BROKEN, error="connection lost", hint="tcptune rollback 20260314 asks the host"),
    result("planned", HostState.PLANNED),
    ended_at=NOW + timedelta(minutes=3),
    afterwards=(
        FollowUp(
            do="systemctl restart nginx.service",
            process="nginx",
            unit="nginx.service",
            because=("limits.nofile", SOMAXCONN),
            once="confirmed",
            hosts=("beaten1", "beaten2", "confirmed", "unsure"),
        ),
        FollowUp(do="start odd again", process="odd", because=(SOMAXCONN,), once="applied", hosts=("held1",)),
    ),
)


# A controller that died while it confirmed, and what the doctor found on the hosts.
DIED = run(
    result("confirmed", HostState.CONFIRMED, replaced={SOMAXCONN: "128"}),
    *(result(f"held{n}", HostState.HELD).model_copy(update={"doing": Act.CONFIRM}) for n in (1, 2)),
).model_copy(
    update={"at_work": Work(act=Act.CONFIRM, by="ada@c", since=NOW, process="c b n 7 1", pid="7", alive=False)}
)
_LEFT = [
    Leftover(
        host=name,
        run=DIED.run_id,
        on_host=state,
        in_journal=HostState.HELD,
        what=f"a confirm of it was begun and has not ended; it is {state}",
        verb="confirm",
        command=f"tcptune confirm {DIED.run_id} --limit {name}",
    )
    for name, state in (("held1", "held"), ("held2", "confirming"))
]
DOCTOR = Doctor(
    fine=("confirmed",),
    leftovers=tuple(_LEFT),
    settlements=settlements(_LEFT),
    unseen=(Unseen(host="down", why="no SSH session: timed out", hint="ssh down true"),),
)


def check(
    key: str = SOMAXCONN, actual: str | None = "4096", at_boot: str | None = "4096", *, matters: bool = True
) -> Check:
    by = f"{DROPIN_PATH}:3" if at_boot is not None else "kernel default"
    return Check(key=key, expected="4096", actual=actual, at_boot=Boot(value=at_boot, by=by), boot_matters=matters)


def file(outcome: FileOutcome, what: str = "nginx (nginx.service)") -> FileCheck:
    path = "/etc/systemd/system/nginx.service.d/99-tcptune.conf"
    return FileCheck(path=path, what=what, outcome=outcome, said=f"wanted 65536, 65536 at the next start ({path})")


VERDICT = RunVerdict(
    run_id="20260314-150926-a1b2c3",
    hosts=(
        HostVerdict(host="asleft", state=HostState.CONFIRMED, checks=(check(), check(SYNCOOKIES))),
        HostVerdict(host="held", state=HostState.HELD, checks=(check(at_boot="128", matters=False),)),
        HostVerdict(host="moved", state=HostState.CONFIRMED, checks=(check(), check(SYNCOOKIES, actual="0"))),
        HostVerdict(host="atboot", state=HostState.CONFIRMED, checks=(check(at_boot="128"), check(PORTS, None, None))),
        HostVerdict(host="waits", state=HostState.CONFIRMED, checks=(check(),), files=(file(FileOutcome.WAITS),)),
        HostVerdict(host="files", state=HostState.CONFIRMED, checks=(), files=(file(FileOutcome.AS_LEFT),)),
        HostVerdict(
            host="lower",
            state=HostState.CONFIRMED,
            checks=(),
            files=(file(FileOutcome.MOVED), file(FileOutcome.WAITS, "odd")),
        ),
        HostVerdict(host="unsure", state=HostState.CONFIRMED, checks=(check(),), files=(file(FileOutcome.UNKNOWN),)),
        HostVerdict(
            host="queue",
            state=HostState.CONFIRMED,
            checks=(check(),),
            old_queues=(OldQueue(listener="nginx on *:443", backlog=128, do="systemctl restart nginx.service"),),
        ),
        HostVerdict(host="down", state=HostState.HELD, checks=(), error="no SSH session", hint="ssh down true"),
    ),
)

# Concerns: of many hosts alike, with numbers that differ, that the plan brings about, and not judged.
_WIDENED = {PORTS: "10240 65535"}
CONCERNS = audit(
    [
        *(whole(name=f"web{n}", listeners=listening(listener(80, 511), listener(443, 511))) for n in range(1, 9)),
        *(whole(name=f"slow{n}", listeners=listening(listener(80, 16, queue=16 + n))) for n in range(1, 6)),
        whole(
            _WIDENED, name="kube1", listeners=listening(listener(10250, 4096, "kubelet")), rivals=(rival("kubelet"),)
        ),
        whole(name="reuse", sysctl={"net.ipv4.tcp_timestamps": "0"}),
        whole(name="old", files={f"{ETC}/60-old.conf": f"{FIN_TIMEOUT} = 5\n{MAX_SYN} = 512\n"}),
        whole(name="noss", listeners=listening(listener(80, None, None), source="proc")),
    ],
    profile(rule("net.ipv4.tcp_tw_reuse", "1", why="ports run out"), name="clients"),
    catalogue(),
)

POLICIES = PolicyList(
    policies=(
        ListedPolicy(name="standard", waves=("1", "5%", "100%"), summary="One host first."),
        ListedPolicy(name="one-by-one", waves=("1",), summary=""),
    )
)
POLICY = policy(
    summary="Racks are | apart; " + "a summary may be long " * 6,
    failure_domain="rack",
    waves=[2, "10%", "100%"],
    order={"by": "shuffled", "seed": 7, "first": [{"labels": {"stage": "canary"}, "group": "edge"}]},
    concurrency=10,
    gates=[
        {"gate": "ssh", "undecided": {"unread": "hold"}},
        {"gate": "tcp", "ports": [80, 443]},
        {"gate": "counters", "leave_out": ["sent-resets"]},
    ],
    window=[
        {"days": ["mon", "tue"], "opens": "22:00", "closes": "04:00", "zone": "Europe/Berlin"},
        {"opens": "12:00", "closes": "13:00", "zone": "UTC"},
    ],
)
# Too few hosts come before the last wave for the racks there are, and for the cohorts.
WAVES = cut_waves(
    PLAN,
    POLICY,
    {name: Declared(labels={"rack": f"r{at // 3}"}) for at, name in enumerate(sorted(PLAN.hosts))},
)


def listed(run_id: str, at_work: Work | None = None, **states: int) -> ListedRun:
    return ListedRun(
        run_id=run_id,
        plan_id="f" * 64,
        profile="baseline",
        started_at=NOW,
        ended_at=None if at_work else NOW,
        operator="ada@c",
        tool_version="0.1.0",
        states=states,
        at_work=at_work,
    )


RUNS = RunList(
    runs=(
        listed("r3", DIED.at_work and DIED.at_work.model_copy(update={"alive": True}), applying=3),
        listed("r2", DIED.at_work, failed=2, held=1),
        listed("r1", confirmed=40),
    )
)
PRUNED = Pruned(
    before=NOW,
    dry_run=False,
    forgotten=("r1", "r0"),
    kept=(Kept(run_id="r2", why="1 of its hosts is not settled: held"),),
)


def _called(name: str, one: Sampled) -> Sampled:
    return Sampled(
        first=one.first.model_copy(update={"host": name}), second=one.second.model_copy(update={"host": name})
    )


DIAGNOSIS = diagnose(
    [
        _called("app1", CASES["a leak that fills the files"].sampled),
        _called("web1", CASES["a range without a port"].sampled),
        _called("web2", sampled({"Tcp.EstabResets": 1200, "TcpExt.TCPAbortOnTimeout": 0})),
        _called("web3", sampled(first={"sockstat": {"sockstat.TCP.tw": 31_000}})),
        _called("web4", sampled(first={"sockets": None, "gaps": {"sockets": "neither ss nor /proc/net/tcp is there"}})),
        Unread(host="web5", error="no SSH session: timed out after 30 s", hint="ssh web5 true"),
    ]
)

DIAGNOSIS_OF_FILES = diagnose((), from_logs(LOGS) + from_capture(captured.CAPTURE))
CAUSES = CauseList.model_validate(
    {
        **(search_causes("haproxy nolinger") or CauseList(word="")).model_dump(),
        "errors": [error for error in errors() if error.name == "ECONNRESET"],
        "corrections": ("'i/o timeout': Go's own deadline",),
        "settings": (SOMAXCONN,),
    }
)

RESULTS: dict[str, BaseModel] = {
    "audit": AUDIT,
    "capture": captured.CAPTURE,
    "captures_of_both_ends": captured.BOTH,
    "capture_plan": captured.PLAN,
    "cause": page(causes()["listen.syn_queue_full"]),
    "causes": CAUSES,
    "counter": CounterPage.model_validate(
        {
            **(find_counter("EstabResets", catalogue()) or CAUSES).model_dump(),
            "counter": {**counters()["Tcp.EstabResets"].model_dump(), "note": "a | b", "also": ("x_resets",)},
            "settings": (SOMAXCONN,),
        }
    ),
    "diagnosis": DIAGNOSIS,
    "diagnosis_of_files": DIAGNOSIS_OF_FILES,
    "concerns": CONCERNS,
    "lint": LINT,
    "logs": LOGS,
    "plan": PLAN,
    "policies": POLICIES,
    "policy": POLICY,
    "run": RUN,
    "died": DIED,
    "doctor": DOCTOR,
    "verdict": VERDICT,
    "waves": WAVES,
    "runs": RUNS,
    "pruned": PRUNED,
    "would_be_pruned": PRUNED.model_copy(update={"dry_run": True, "forgotten": ("r1",), "kept": ()}),
}
