"""What files say, alone and beside what a host shows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tcptune.detectors import NOTHING, clues, judge
from tcptune.detectors.agreeing import FORGOTTEN
from tcptune.detectors.clues import Heard
from tcptune.domain.captures import CaptureFile, CaptureFinding, CaptureReport, CauseCount, FlowCounts
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.chain import Aspect, Chain, Hop, Known, Origin
from tcptune.domain.diagnosis import CauseFound, HostDiagnosis, Source
from tcptune.domain.logs import LogSource
from tcptune.domain.samples import Sampled
from tcptune.domain.service import Error, Stage, StageResult, Try, target
from tcptune.domain.sockets import SocketProcess
from tcptune.domain.state import Links, Listeners
from tcptune.knowledge.captures import capture_causes
from tcptune.knowledge.service_errors import service_errors
from tcptune.knowledge.timeout_chain import products
from tcptune.knowledge.wording import wording
from tcptune.planning.chain import assess
from tcptune.planning.logs.tally import Tally
from tcptune.planning.service import summary
from tcptune.workflows.diagnose import diagnose
from tests.unit.builders import NOW
from tests.unit.detectors.cases import CASES
from tests.unit.detectors.hosts import NGINX, SSH, SSHD, WEB, sampled, sockets

RACE, CLOSED, REJECT = "reset.keepalive_race", "refused.closed_port", "refused.firewall_reject"
RESET_104 = "recv() failed (104: Connection reset by peer) while reading response header from upstream"
REFUSED = CASES["a closed port"].sampled


def logged(*lines: str, at: timedelta = timedelta(0), unread: str | None = None) -> Heard:
    stamp = (NOW + at).strftime("%Y/%m/%d %H:%M:%S")
    tally = Tally(wording())
    tally.begin(written=NOW)
    for line in lines:
        tally.add(f"{stamp} [error] 7#7: *1 {line}".encode())
    source = LogSource(path="error.log", form="plain", bytes=1, lines=len(lines), unread=unread)
    return clues.from_logs(tally.report([source]))


def captured(*found: tuple[str, Confidence], damage: str = "") -> Heard:
    counts = [
        CauseCount(
            cause=capture_causes()[name],
            flows=3,
            high=3 if sure is Confidence.HIGH else 0,
            likely=3 if sure is Confidence.LIKELY else 0,
            possible=3 if sure is Confidence.POSSIBLE else 0,
            by=(),
        )
        for name, sure in found
    ]
    return clues.from_capture(
        CaptureReport(
            files=(CaptureFile(name="a.pcap", packets=9, damage=damage),),
            started=NOW,
            duration_s=30,
            segments=9,
            flows=FlowCounts(total=3),
            causes=tuple(counts),
        )
    )


def chained() -> Heard:
    said = {"origin": Origin.DECLARED, "said": "chain.yml:3"}
    nginx = Hop(name="proxy", settings={Aspect.SENDS_IDLE: Known(value=60.0, **said)})
    app = Hop(name="app", settings={Aspect.RECEIVES_IDLE: Known(value=5.0, **said)})
    return clues.from_chain(assess(Chain(name="shop", origin="chain.yml", hops=(nginx, app)), products(), {}))


def tried(error: Error, host: str = "db") -> Heard:
    stages = (StageResult(stage=Stage.CONNECT, ms=1, error=error),)
    tries = [
        Try(target=0, round=0, stages=(StageResult(stage=Stage.DNS, ms=1),)),
        Try(target=0, round=0, address="192.0.2.1", stages=stages, syn_retransmits=0),
    ]
    return clues.from_probe(summary([target(f"{host}:5432")], tries, service_errors(), count=1, origin="web1"))


def only(found: HostDiagnosis, cause: str) -> CauseFound:
    [one] = [one for one in found.causes if one.cause == cause]
    return one


def test_a_line_of_a_log_makes_its_likeliest_cause_possible_and_the_others_nothing() -> None:
    found = diagnose((), logged(RESET_104)).elsewhere

    assert found is not None
    assert [(one.cause, one.confidence) for one in found.causes] == [(RACE, Confidence.POSSIBLE)]
    assert RESET_104 in found.causes[0].because
    assert [(e.source, e.value, e.unit) for e in found.causes[0].evidence] == [(Source.LOG, 1, "line")]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("accept() failed: Too many open files", "limit.emfile"),
        ("nf_conntrack: table full, dropping packet", "drop.conntrack_full"),
    ],
)
def test_an_errno_with_one_cause_is_likely(line: str, cause: str) -> None:
    assert only(judge(sampled(), logged(line)), cause).confidence is Confidence.LIKELY


@pytest.mark.parametrize(
    ("error", "cause", "sure"),
    [
        (Error.REFUSED, "refused.closed_port", Confidence.POSSIBLE),
        (Error.NO_LOCAL_PORT, "port_exhaustion", Confidence.LIKELY),
    ],
)
def test_what_a_probe_met_is_likely_where_it_has_one_cause(error: Error, cause: str, sure: Confidence) -> None:
    one = only(judge(sampled(), tried(error)), cause)

    assert one.confidence is sure
    assert (one.evidence[0].name, one.evidence[0].value) == (f"db:5432 from web1: connect, {error}", 1)


LISTENS = Listeners(source="ss", listeners=(WEB.model_copy(update={"port": 5432}), SSH), processes=(NGINX, SSHD))


def test_a_refusal_where_somebody_listens_and_the_kernel_sent_nothing_is_a_firewall_s() -> None:
    quiet = {"Tcp.OutRsts": 0}

    found = judge(sampled(quiet, first={"listeners": LISTENS}), tried(Error.REFUSED, host="web1"))

    assert [(one.cause, one.confidence) for one in found.causes] == [(REJECT, Confidence.LIKELY)]
    assert found.causes[0].evidence[0].name == "listener on port 5432"


def test_a_refusal_where_nobody_listens_is_a_closed_port() -> None:
    found = judge(sampled({"Tcp.OutRsts": 200}), tried(Error.REFUSED, host="web1"))

    assert [(one.cause, one.confidence) for one in found.causes] == [(CLOSED, Confidence.HIGH)]
    assert {e.source for e in found.causes[0].evidence} == {Source.LISTENER, Source.COUNTER, Source.PROBE}
    assert found.causes[0].about == "port 5432"


def known_by(**names: Any) -> dict[str, Any]:
    """Return parts of samples of a host that is called so."""
    links = Links(links=(), addresses=tuple(names.get("addresses", ())))
    return {"listeners": LISTENS, "links": links}


@pytest.mark.parametrize("how", ["address of a link", "address of the inventory", "name it gives itself"])
def test_a_refusal_is_of_the_host_whose_address_or_other_name_was_tried(how: str) -> None:
    at = {"address of a link": ["127.0.0.1", "192.0.2.1"]}.get(how, [])
    also = ["192.0.2.1"] if how == "address of the inventory" else []
    system = {"hostname": "DB"} if how == "name it gives itself" else {}

    found = judge(sampled({"Tcp.OutRsts": 0}, first=known_by(addresses=at), system=system), tried(Error.REFUSED), also)

    assert [(one.cause, one.about) for one in found.causes] == [(REJECT, "port 5432")]
    assert Source.PROBE in {e.source for e in found.causes[0].evidence}


def refusing(by: str = "192.0.2.1:5432", sure: Confidence = Confidence.HIGH, *, more: int = 0) -> Heard:
    """Return a capture of three flows that this end refused, and of others that nobody has counted by their end."""
    count = CauseCount(
        cause=capture_causes()[CLOSED],
        flows=3 + more,
        high=3 if sure is Confidence.HIGH else 0,
        likely=3 if sure is Confidence.LIKELY else 0,
        possible=0,
        by=((by, 3),),
    )
    finding = CaptureFinding(
        cause=CLOSED,
        confidence=sure,
        flow=f"198.51.100.9:41000 > {by}",
        by=by,
        what="the SYN was answered with a reset",
    )
    return clues.from_capture(
        CaptureReport(
            files=(CaptureFile(name="a.pcap", packets=9),),
            started=NOW,
            duration_s=30,
            segments=9,
            flows=FlowCounts(total=3 + more),
            causes=(count,),
            findings=(finding,),
        )
    )


ANY = "0.0.0.0"  # noqa: S104  # compared, not bound
HERE = ["192.0.2.1", "2001:db8::1"]


def test_a_reset_that_the_kernel_did_not_send_for_a_port_with_a_listener_is_a_firewall_s() -> None:
    host = sampled({"Tcp.OutRsts": 0}, first=known_by(addresses=HERE))

    found = judge(host, refusing())

    assert [(one.cause, one.confidence, one.about) for one in found.causes] == [
        (REJECT, Confidence.LIKELY, "port 5432")
    ]
    assert [e.source for e in found.causes[0].evidence] == [Source.LISTENER, Source.COUNTER, Source.PCAP]
    assert CLOSED not in {other.cause for other in found.causes[0].alternatives}
    assert only(judge(sampled({"Tcp.OutRsts": 0}), refusing()), CLOSED).confidence is Confidence.HIGH


def test_a_captured_refusal_of_a_port_without_a_listener_is_a_closed_port() -> None:
    found = judge(sampled({"Tcp.OutRsts": 200}, first={"links": known_by(addresses=HERE)["links"]}), refusing())

    assert [(one.cause, one.confidence, one.about) for one in found.causes] == [(CLOSED, Confidence.HIGH, "port 5432")]


@pytest.mark.parametrize(
    ("bound", "tried_at", "cause"),
    [
        ("192.0.2.7", "192.0.2.1:5432", CLOSED),
        ("192.0.2.1", "192.0.2.1:5432", REJECT),
        (ANY, "192.0.2.1:5432", REJECT),
        (ANY, "[2001:db8::1]:5432", CLOSED),
        ("::", "[2001:db8::1]:5432", REJECT),
        ("127.0.0.1", "192.0.2.1:5432", CLOSED),
    ],
)
def test_a_listener_counts_where_it_takes_connections_to_that_address(bound: str, tried_at: str, cause: str) -> None:
    there = LISTENS.model_copy(update={"listeners": (WEB.model_copy(update={"port": 5432, "address": bound}), SSH)})
    host = sampled({"Tcp.OutRsts": 0}, first=known_by(addresses=HERE) | {"listeners": there})

    assert [one.cause for one in judge(host, refusing(tried_at)).causes] == [cause]


def test_a_listener_that_was_started_after_the_capture_says_nothing_of_it() -> None:
    young = SocketProcess(**NGINX.model_dump(), age_s=0.5, listens=True)
    late = sampled(
        {"Tcp.OutRsts": 0},
        first=known_by(addresses=HERE) | {"sockets": sockets(processes=(young,))},
        window_s=60,
    )

    assert [(one.cause, one.about) for one in judge(late, refusing()).causes] == [(CLOSED, None)]


def test_of_several_hosts_a_refusal_is_of_the_one_with_that_address_and_told_there_alone() -> None:
    def called(name: str, *addresses: str) -> Sampled:
        one = sampled({"Tcp.OutRsts": 0}, first=known_by(addresses=addresses))
        first, second = (facts.model_copy(update={"host": name}) for facts in (one.first, one.second))
        return Sampled(first=first, second=second)

    found = diagnose([called("a", "192.0.2.1"), called("b"), called("c", "192.0.2.3")], refusing(more=2))

    assert [[one.cause for one in host.causes] for host in found.hosts] == [[REJECT], [], []]
    assert found.elsewhere is not None
    [rest] = found.elsewhere.causes
    assert (rest.cause, [e.value for e in rest.evidence]) == (CLOSED, [2])

    known = diagnose([called("a"), called("b"), called("c")], refusing(), {"b": ["192.0.2.1"]})
    assert [[one.cause for one in host.causes] for host in known.hosts] == [[], [REJECT], []]
    assert known.elsewhere is None


def test_a_listener_on_loopback_alone_refuses_everybody_else() -> None:
    local = LISTENS.model_copy(update={"listeners": (WEB.model_copy(update={"port": 5432, "address": "127.0.0.1"}),)})

    found = judge(sampled({"Tcp.OutRsts": 200}, first={"listeners": local}), tried(Error.REFUSED, host="web1"))

    assert found.causes[0].cause == CLOSED


def test_a_refusal_of_another_host_says_nothing_of_this_one_s_listeners() -> None:
    one = only(judge(sampled({"Tcp.OutRsts": 200}), tried(Error.REFUSED)), CLOSED)

    assert (one.confidence, [e.source for e in one.evidence]) == (Confidence.POSSIBLE, [Source.PROBE])


def test_a_race_that_a_chain_makes_is_likely_where_the_host_answers_for_closed_connections() -> None:
    one = only(judge(sampled({"Tcp.OutRsts": 1500}), chained()), RACE)

    assert one.confidence is Confidence.LIKELY
    assert [e.source for e in one.evidence] == [Source.COUNTER, Source.CHAIN]


def behind_a_firewall() -> Heard:
    said = {"origin": Origin.DECLARED, "said": "chain.yml:3"}

    def known(value: float | None) -> Known:
        return Known(value=value, **said)

    client = Hop(name="client", settings={Aspect.SENDS_IDLE: known(600), Aspect.SENDS_KEEPALIVE: known(7200)})
    nat = Hop(name="nat", layer=4, settings={Aspect.FLOW: known(60)})
    app = Hop(name="app", settings={Aspect.RECEIVES_IDLE: known(900), Aspect.RECEIVES_KEEPALIVE: known(None)})
    return clues.from_chain(assess(Chain(name="shop", origin="chain.yml", hops=(client, nat, app)), products(), {}))


@pytest.mark.parametrize("grew", [{"TcpExt.TCPTimeouts": 3000}, {"Tcp.EstabResets": 1200, "TcpExt.TCPAbortOnData": 0}])
def test_a_path_that_is_known_to_forget_is_likely_where_connections_end_unanswered_or_reset(
    grew: dict[str, int],
) -> None:
    one = only(judge(sampled(grew), behind_a_firewall()), FORGOTTEN)

    assert one.confidence is Confidence.LIKELY
    assert [e.source for e in one.evidence][-1] is Source.CHAIN
    assert only(judge(sampled(), behind_a_firewall()), FORGOTTEN).confidence is Confidence.POSSIBLE


def test_a_keepalive_that_is_too_long_is_the_kernel_s_to_change_and_an_idle_timeout_the_program_s() -> None:
    here = {one.kind: one.here for one in only(judge(sampled(), behind_a_firewall()), FORGOTTEN).remedies}

    assert here[RemedyKind.SYSCTL] is not None
    assert "sends.tcp_keepalive 7200 s" in here[RemedyKind.SYSCTL]
    assert here[RemedyKind.APP] is not None
    assert "sends.idle_timeout 600 s" in here[RemedyKind.APP]


def test_a_log_and_a_chain_agree_and_are_surer_than_each() -> None:
    one = only(judge(sampled(), chained()), RACE)
    assert (one.confidence, one.evidence[0].source) == (Confidence.POSSIBLE, Source.CHAIN)

    both = only(judge(sampled(), logged(RESET_104) + chained()), RACE)
    assert both.confidence is Confidence.LIKELY
    assert {e.source for e in both.evidence} == {Source.LOG, Source.CHAIN}

    three = judge(sampled(), logged(RESET_104) + chained() + captured((RACE, Confidence.LIKELY)))
    assert only(three, RACE).confidence is Confidence.HIGH


def test_two_looks_of_one_kind_are_one_look() -> None:
    twice = logged(RESET_104) + logged(RESET_104)

    assert only(judge(sampled(), twice), RACE).confidence is Confidence.POSSIBLE


def test_a_chain_names_the_hop_to_change() -> None:
    here = [one.here for one in only(judge(sampled(), chained()), RACE).remedies if one.kind is RemedyKind.PROXY]

    assert here[0] is not None
    assert "proxy: " in here[0] or "app: " in here[0]


def test_what_ended_long_before_makes_nothing_surer() -> None:
    old = logged("accept() failed: Too many open files", at=-timedelta(hours=2))
    found = only(judge(sampled(), old + captured()), "limit.emfile")

    assert found.confidence is Confidence.POSSIBLE
    assert "the last of it was at" in found.because
    assert only(judge(sampled(), old + chained()), "limit.emfile").confidence is Confidence.POSSIBLE


def test_a_capture_makes_a_likely_cause_of_the_host_certain() -> None:
    alone = only(judge(REFUSED), CLOSED)
    assert alone.confidence is Confidence.LIKELY

    both = only(judge(REFUSED, captured((CLOSED, Confidence.LIKELY))), CLOSED)
    assert both.confidence is Confidence.HIGH
    assert both.evidence[-1].name == f"a.pcap, {capture_causes()[CLOSED].title}"


def test_a_capture_of_what_looks_the_same_takes_a_step_from_the_other() -> None:
    found = judge(REFUSED, captured((REJECT, Confidence.HIGH)))

    assert [(one.cause, one.confidence) for one in found.causes] == [
        (REJECT, Confidence.HIGH),
        (CLOSED, Confidence.POSSIBLE),
    ]
    assert f"a capture shows {REJECT}" in only(found, CLOSED).because
    weaker = judge(REFUSED, captured((REJECT, Confidence.LIKELY)))
    assert only(weaker, CLOSED).confidence is Confidence.LIKELY


def test_what_packets_alone_show_is_told_as_not_explained_and_harmless_ends_are_not_told() -> None:
    found = judge(sampled(), captured(("reset.unexplained", Confidence.HIGH), ("reset.late", Confidence.HIGH)))

    assert found.causes == ()
    assert [one.what for one in found.unexplained] == [
        "reset.unexplained: " + capture_causes()["reset.unexplained"].title
    ]


def test_files_that_could_not_be_read_to_the_end_are_not_judged() -> None:
    found = judge(sampled(), logged(unread="Permission denied") + captured(damage="ends in the middle of packet 3"))

    assert [(gap.group, gap.why) for gap in found.not_judged] == [
        ("log", "error.log: Permission denied"),
        ("capture", "a.pcap ends in the middle of packet 3"),
    ]
    assert not found.well


def test_of_several_hosts_a_file_supports_what_is_found_and_the_rest_is_told_apart() -> None:
    heard = captured((CLOSED, Confidence.LIKELY)) + logged(RESET_104)
    other = sampled()
    named = type(other)(
        first=other.first.model_copy(update={"host": "b"}), second=other.second.model_copy(update={"host": "b"})
    )

    found = diagnose([REFUSED, named], heard)

    closed = only(next(host for host in found.hosts if host.host != "b"), CLOSED)
    assert (closed.confidence, closed.evidence[-1].source) == (Confidence.LIKELY, Source.PCAP)
    assert next(host for host in found.hosts if host.host == "b").causes == ()
    assert found.elsewhere is not None
    assert [one.cause for one in found.elsewhere.causes] == [RACE]


def test_a_host_whose_samples_cannot_be_compared_keeps_what_files_say() -> None:
    good = sampled()
    booted = good.second.model_copy(update={"system": good.second.system.model_copy(update={"boot_id": "x" * 36})})

    found = judge(good.model_copy(update={"second": booted}), logged(RESET_104))

    assert [one.cause for one in found.causes] == [RACE]
    assert [gap.group for gap in found.not_judged] == ["all"]


def test_no_file_tells_nothing() -> None:
    assert diagnose([sampled()], NOTHING).elsewhere is None
    assert diagnose((), logged()).elsewhere is not None


def test_a_chain_that_breaks_without_a_cause_of_ours_is_not_passed_over() -> None:
    said = {"origin": Origin.DECLARED, "said": "chain.yml:3"}
    client = Hop(name="client", product="grpc-js-client", settings={Aspect.PING: Known(value=30.0, **said)})
    app = Hop(name="app", product="grpc")

    heard = clues.from_chain(assess(Chain(name="shop", origin="chain.yml", hops=(client, app)), products(), {}))

    assert heard.clues == ()
    [gap] = heard.not_judged
    assert "client sends a PING every 30 s while a request is open, and app permits one in 300 s" in gap.why
    assert "tcptune timeouts check" in gap.why


def test_the_race_over_http2_is_no_clue() -> None:
    said = {"origin": Origin.DECLARED, "said": "chain.yml:3"}
    client = Hop(name="client", settings={Aspect.SENDS_IDLE: Known(value=60.0, **said)}, sends_http2=True)
    app = Hop(name="app", settings={Aspect.RECEIVES_IDLE: Known(value=5.0, **said)})
    plain = client.model_copy(update={"sends_http2": None})

    over, without = (
        clues.from_chain(assess(Chain(name="shop", origin="chain.yml", hops=(one, app)), products(), {}))
        for one in (client, plain)
    )

    assert (over.clues, over.not_judged) == ((), ())
    assert without.clues[0].cause == RACE
