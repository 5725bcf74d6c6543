"""What captures of real networks are like: one-sided, begun too late, with copies, with boxes on the way."""

from __future__ import annotations

import pytest
from scapy.layers.l2 import CookedLinux

from tcptune.captures.analysis import Analysis
from tcptune.domain.captures import CaptureReport
from tcptune.domain.causes import Confidence
from tcptune.knowledge.captures import gap_like

from .talk import SECOND, Talk, only, report

CLIENT, SERVER = "10.0.0.1:40000", "10.0.0.2:80"
HELLO = b"\x16\x03\x01\x00\x80\x01" + bytes(60)


def heard(talk: Talk, address: str) -> Talk:
    """Leave what one address sent, as a mirror port does that sees one direction."""
    talk.packets = [(at, packet) for at, packet in talk.packets if packet["IP"].src == address]
    return talk


def begun_after(talk: Talk, packets: int) -> Talk:
    del talk.packets[:packets]
    return talk


def cooked(talk: Talk, ways: list[int]) -> CaptureReport:
    """Read it as `-i any` captures it; `ways` are the packets' types: 0 is to us, 4 from us."""
    analysis = Analysis()
    for (at, packet), way in zip(talk.packets, ways, strict=True):
        data = bytes(CookedLinux(pkttype=way, proto=0x800) / packet["IP"])
        analysis.take(data, 113, len(data), round(at * SECOND))
    return analysis.report(())


def causes(found: CaptureReport) -> set[str]:
    return {one.cause.id for one in found.causes}


# One direction alone.


@pytest.mark.parametrize("said", [b"question", HELLO])
def test_a_server_that_the_capture_cannot_hear_is_not_silent(said: bytes) -> None:
    talk = Talk().handshake().ask(said).answer()
    talk.say(talk.client, "A").wait(20).fin(talk.client).fin(talk.server).say(talk.client, "A")

    assert report(heard(talk, "10.0.0.1"), until_s=30).findings == ()


def test_a_refusal_whose_syn_was_not_heard() -> None:
    talk = Talk()
    talk.say(talk.client, "S").refuse()

    found = only(report(heard(talk, "10.0.0.2")))

    assert (found.cause, found.confidence, found.by) == ("refused.closed_port", Confidence.LIKELY, SERVER)


def test_why_somebody_aborted_is_not_known_where_the_other_side_was_not_heard() -> None:
    talk = Talk().handshake().ask().answer().ask()
    found = only(report(heard(talk.abort(talk.server), "10.0.0.2")))

    assert (found.cause, found.confidence, found.by) == ("reset.aborted", Confidence.LIKELY, SERVER)


# Begun in the middle.


def test_a_reset_that_is_all_there_is_of_a_connection_has_no_known_reason() -> None:
    talk = Talk().handshake().ask().answer().ask()
    found = only(report(begun_after(talk.abort(talk.server), 6)))

    assert (found.cause, found.confidence) == ("reset.aborted", Confidence.POSSIBLE)


def test_a_capture_that_begins_with_the_last_acknowledgement_before_an_abort() -> None:
    talk = Talk().handshake().ask().answer()
    talk.say(talk.client, "A").abort(talk.client)

    assert only(report(begun_after(talk, 5))).cause == "reset.aborted"


# Silences, and who forgot.


@pytest.mark.parametrize("probes", [1, 2])
def test_a_keepalive_probe_that_came_too_late_let_somebody_forget(probes: int) -> None:
    talk = Talk().handshake().ask().answer()
    talk.say(talk.client, "A").wait(600)
    for _ in range(probes):
        talk.say(talk.client, "A", keep=False, seq=talk.client.seq - 1)
    talk.unknown(talk.server, ttl=250)

    found = only(report(talk))

    assert (found.cause, found.by) == ("reset.l4_idle_middlebox", "a middlebox")
    assert "after 600.0 s" in found.what


def test_talk_that_never_pauses_lets_nobody_forget() -> None:
    talk = Talk().handshake().ask().answer()
    for _ in range(80):
        talk.wait(0.5).say(talk.client, "A", keep=False)
    talk.ask().unknown(talk.server, ttl=250)

    assert only(report(talk)).cause == "reset.security_device"


# Resets that were not believed, and forged ones.


def test_a_reset_of_a_reader_that_goes_on_reading_was_not_believed() -> None:
    talk = Talk().handshake().ask().answer()
    talk.say(talk.client, "A").say(talk.client, "RA", keep=False, seq=talk.client.seq + 100, options=[])
    talk.say(talk.server, "A", keep=False).wait(0.1)
    for _ in range(3):
        talk.answer().say(talk.client, "A")

    assert only(report(talk)).cause == "reset.challenged"


def test_a_busy_connection_that_goes_on_did_not_believe_the_reset() -> None:
    talk = Talk().handshake().ask().answer()
    talk.say(talk.server, "RA", keep=False, seq=talk.server.seq + 5000, options=[])
    for _ in range(20):
        talk.at -= 0.0009
        talk.answer()
        talk.at -= 0.0009
        talk.say(talk.client, "A")

    assert only(report(talk)).cause == "reset.challenged"


def test_segments_that_a_reset_overtook_do_not_make_it_one_that_was_not_believed() -> None:
    talk = Talk().handshake().ask().answer().ask()
    talk.abort(talk.client)
    talk.at -= 0.0009
    talk.answer(b"under way")
    talk.at -= 0.0009
    talk.say(talk.client, "A", b"late")
    talk.at -= 0.0005
    talk.answer(b"more under way")

    assert only(report(talk)).cause != "reset.challenged"


def test_the_distance_is_that_of_the_host_and_not_of_a_proxy_that_answered_its_syn() -> None:
    talk = Talk()
    talk.say(talk.client, "S").say(talk.server, "SA", ttl=64).say(talk.client, "A").ask()
    talk.server.ttl = 58
    talk.answer().ask()

    found = only(report(talk.abort(talk.server)))

    assert (found.cause, found.by) == ("reset.unread_data_on_close", SERVER)


def test_a_reset_that_the_capturing_machine_sent_in_the_name_of_another_is_its_own_firewall() -> None:
    talk = Talk()
    talk.server.ttl = 63
    talk.handshake().ask().abort(talk.server, ttl=64, options=[], id=0)

    found = only(cooked(talk, [0, 0, 0, 0, 4]))

    assert (found.cause, found.confidence, found.by) == ("reset.security_device", Confidence.HIGH, "a middlebox")
    assert any("the machine that captured" in sign for sign in found.signs)


def test_a_reset_that_the_capturing_machine_passed_on_is_not_its_own() -> None:
    talk = Talk()
    talk.server.ttl = 63
    talk.handshake().ask().abort(talk.server, ttl=63)
    again_at, again = talk.packets[-1]
    talk.packets.append((again_at + 0.0001, again))

    found = only(cooked(talk, [0, 0, 0, 0, 0, 4]))

    assert (found.cause, found.by) == ("reset.unread_data_on_close", SERVER)


def test_a_client_that_has_its_answer_may_have_read_it() -> None:
    talk = Talk().handshake().ask().answer()
    found = only(report(talk.abort(talk.client)))

    assert (found.cause, found.confidence, found.by) == ("reset.unread_data_on_close", Confidence.POSSIBLE, CLIENT)


# Copies.


def test_a_burst_that_is_captured_at_two_interfaces_is_sent_once() -> None:
    talk = Talk().handshake().ask()
    first = len(talk.packets)
    for _ in range(6):
        talk.answer(b"x" * 1000)
        talk.at -= 0.00095
    burst = talk.packets[first:]
    talk.packets += [(at + 0.0004, packet) for at, packet in burst]
    talk.wait(0.1).say(talk.client, "A")

    found = report(talk)

    assert (found.duplicates, found.retransmitted, found.data_segments) == (6, 0, 7)


# Probes and repeats.


def test_one_byte_that_is_sent_again_is_no_keepalive_probe() -> None:
    talk = Talk().handshake().ask().answer()
    talk.say(talk.client, "A").say(talk.client, "PA", b"x")
    for pause in (0.3, 0.6, 1.2, 2.4):
        talk.wait(pause).say(talk.client, "PA", b"x", keep=False, seq=talk.client.seq - 1)

    found = only(report(talk, until_s=1))

    assert (found.cause, found.by) == ("timeout.peer_vanished", SERVER)
    assert "5 times" in found.what


def test_large_frames_of_an_offload_are_no_sign_of_a_small_path() -> None:
    talk = Talk().handshake().ask().answer()
    talk.say(talk.client, "PA", b"x" * 2896).say(talk.server, "A")
    start = talk.client.seq
    talk.say(talk.client, "PA", b"y" * 5792)
    for pause in (0.3, 0.6, 1.2, 2.4):
        talk.wait(pause).say(talk.client, "PA", b"y" * 5792, keep=False, seq=start)

    assert only(report(talk, until_s=1)).cause == "timeout.peer_vanished"


# Openings of a rarer kind.


def test_a_simultaneous_open_is_one_connection() -> None:
    talk = Talk(sport=5000, dport=5000)
    talk.say(talk.client, "S").say(talk.server, "S")
    talk.client.seq, talk.server.seq = talk.client.isn, talk.server.isn
    talk.say(talk.client, "SA").say(talk.server, "SA").ask().answer()
    talk.fin(talk.client).fin(talk.server).say(talk.client, "A")

    found = report(talk, until_s=10)

    assert (found.flows.total, found.findings) == (1, ())


def test_a_port_that_is_connected_to_itself_is_no_lost_syn() -> None:
    talk = Talk(client="10.0.0.2", server="10.0.0.2", sport=40000, dport=40000)
    talk.say(talk.client, "S").wait(0.01)
    talk.server.seq = talk.client.seq
    talk.say(talk.client, "SA", keep=False, seq=talk.client.isn)

    assert report(talk, until_s=10).findings == ()


def test_a_connection_that_is_opened_over_a_forgotten_one_is_told_from_it() -> None:
    talk = Talk().handshake().ask().answer()
    old = talk.client.seq
    talk.client.isn = talk.client.seq = 7_000_000
    talk.wait(5).say(talk.client, "S", keep=False)
    # The server asks back with what it knows of the old one, and the client knows nothing of that.
    talk.say(talk.server, "A", keep=False, ack=old).unknown(talk.client, seq=old)
    talk.wait(1).say(talk.client, "S")
    talk.server.isn = talk.server.seq = 9_000_000
    talk.say(talk.server, "SA").say(talk.client, "A").ask().answer()
    talk.fin(talk.client).fin(talk.server).say(talk.client, "A")

    found = report(talk)

    assert found.flows.total == 2
    assert (only(found).cause, only(found).by) == ("reset.half_open_peer_reboot", CLIENT)


# Many of them.


def aborted(number: int, every_s: float, *, together: int = 1) -> list[Talk]:
    talks = []
    for place in range(number):
        talk = Talk(sport=20000 + place).wait((place // together) * every_s).handshake().ask()
        talks.append(talk.abort(talk.server))
    return talks


def test_a_server_that_always_aborts_has_not_crashed_each_time() -> None:
    found = report(*aborted(400, 0.05))

    assert causes(found) == {"reset.unread_data_on_close"}


def test_a_server_that_crashes_again_and_again_has() -> None:
    found = report(*aborted(60, 30, together=20))

    assert {one.cause.id: one.flows for one in found.causes}["reset.process_crash"] == 3


def test_who_aborts_most_is_told_by_address_where_it_is_a_client() -> None:
    talks = []
    for port in range(20000, 20700):
        talk = Talk(client="10.0.0.9" if port > 20500 else f"10.0.{port % 100}.7", sport=port)
        talk.wait(port - 20000).handshake().ask().answer()
        talks.append(talk.abort(talk.client))

    [found] = report(*talks).causes

    assert found.by[0] == ("10.0.0.9:*", 199)


def test_a_flood_does_not_push_connections_out_that_had_been_made() -> None:
    lasting = Talk(sport=39999).handshake().ask().answer()
    flood = []
    for place in range(3000):
        talk = Talk(client=f"11.{place // 250}.7.{place % 250 + 1}")
        flood.append(talk.wait(0.1 + place * 0.003).say(talk.client, "S", keep=False))
    lasting.wait(60).abort(lasting.server)

    found = report(lasting, *flood, flows=100)

    assert found.flows.evicted == 2901
    [aborted] = [one for one in found.findings if one.cause == "reset.idle_timeout"]
    assert aborted.what.startswith("10.0.0.2:80 aborted after 60.0 s")


# What counts.


def test_loss_is_a_share_of_what_was_on_the_wire_and_not_of_an_offloads_frames() -> None:
    talk = Talk().handshake().ask()
    for number in range(100):
        talk.answer(b"x" * 14480)
        if number % 10 == 0:
            talk.wait(0.01).say(talk.server, "PA", b"x" * 1448, keep=False, seq=talk.server.seq - 1448)
        talk.say(talk.client, "A")

    found = report(talk)

    assert (found.data_segments, found.retransmitted) == (1 + 100 * 10 + 10, 10)
    assert found.findings == ()


def test_what_an_offload_sent_again_needlessly_is_as_much_as_the_answer_says_was_there() -> None:
    talk = Talk().handshake().ask()
    for number in range(100):
        before = talk.server.seq
        talk.answer(b"x" * 14480)
        options = []
        if number % 20 == 0:
            talk.wait(0.3).say(talk.server, "PA", b"x" * 14480, keep=False, seq=before)
            options = [("SAck", (before, talk.server.seq))]
        talk.say(talk.client, "A", options=options)

    found = report(talk)

    assert found.retransmitted == 5 * 10
    assert found.findings == ()


def test_a_mirror_of_one_direction_is_no_capture_without_findings() -> None:
    talk = Talk().handshake().ask().answer()
    talk.fin(talk.client).fin(talk.server).say(talk.client, "A")

    found = report(heard(talk, "10.0.0.1"))

    assert (found.flows.one_sided, found.findings, found.judged) == (1, (), False)
    assert any("one side alone" in note for note in found.notes)


def test_packets_that_were_cut_too_short_are_not_judged() -> None:
    talk = Talk().handshake().ask().answer()
    analysis = Analysis()
    for at, packet in talk.packets:
        data = bytes(packet)
        analysis.take(data, 1, len(data), round(at * SECOND))
        analysis.take(data[:40], 1, len(data), round(at * SECOND))

    assert not analysis.report(()).judged


def translated(talk: Talk, **changed: str) -> None:
    """Add each packet as it leaves a machine that translates addresses, in either direction."""
    for at, packet in list(talk.packets):
        copy = packet.copy()
        for field, value in changed.items():
            if copy["IP"].getfieldval(field) == talk.server.address:
                copy["IP"].setfieldval(field, value)
        copy["IP"].ttl -= 1
        talk.packets.append((at + 0.00005, copy))
    talk.packets.sort(key=lambda one: one[0])


@pytest.mark.parametrize("stamps", [True, False])
def test_a_connection_that_the_capturing_machine_translates_is_one(stamps: bool) -> None:
    talk = Talk()
    talk.stamps = stamps
    talk.handshake().ask().abort(talk.server)
    translated(talk, dst="172.17.0.2", src="172.17.0.2")

    found = cooked(talk, [0, 4] * 5)

    assert (found.flows.total, found.duplicates) == (1, 5)
    assert only(found).flow == "10.0.0.1:40000 > 10.0.0.2:80"


def test_clients_that_use_one_number_are_many() -> None:
    talks = Talk(client="10.0.0.1")
    talks.stamps = False
    talks.say(talks.client, "S")
    for last in range(2, 9):
        one = Talk(client=f"10.0.0.{last * 10}")
        one.stamps = False
        talks.packets += one.say(one.client, "S").packets

    assert cooked(talks, [0] * 8).flows.total == 8


@pytest.mark.parametrize(("silence_s", "like"), [(7205.0, 7200.0), (7300.0, None), (356.0, 350.0), (440_000.0, None)])
def test_a_timeout_is_late_by_seconds_and_not_by_hours(silence_s: float, like: float | None) -> None:
    found = gap_like(silence_s)

    assert (found and found.seconds) == like
