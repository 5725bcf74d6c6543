"""Who sent a reset, and why: a conversation for each pattern."""

from __future__ import annotations

import pytest

from tcptune.domain.causes import Confidence

from .talk import Talk, only, report

SERVER, CLIENT, MIDDLEBOX = "10.0.0.2:80", "10.0.0.1:40000", "a middlebox"
HIGH, MEDIUM, LOW = Confidence.HIGH, Confidence.LIKELY, Confidence.POSSIBLE


def test_a_syn_to_a_closed_port_is_refused_by_the_host() -> None:
    other = Talk(sport=40001).handshake().ask().answer()
    closed = Talk(dport=81)

    found = only(report(other, closed.say(closed.client, "S").refuse(ttl=61)))

    assert (found.cause, found.confidence, found.by) == ("refused.closed_port", HIGH, "10.0.0.2:81")
    assert "TTL 61 as in its host's other packets" in found.signs


def test_without_another_packet_of_the_host_nobody_can_be_sure_that_it_refused() -> None:
    talk = Talk()

    assert only(report(talk.say(talk.client, "S").refuse())).confidence is MEDIUM


def test_a_refusal_from_another_distance_is_a_firewalls() -> None:
    other = Talk(sport=40001).handshake().ask().answer()
    closed = Talk(dport=81)

    found = only(report(other, closed.say(closed.client, "S").refuse(ttl=255)))

    assert (found.cause, found.confidence, found.by) == ("refused.firewall_reject", MEDIUM, MIDDLEBOX)


def test_a_late_syn_ack_meets_a_client_that_gave_up() -> None:
    talk = Talk()
    talk.say(talk.client, "S").wait(2).say(talk.server, "SA").unknown(talk.client)

    found = only(report(talk))

    assert (found.cause, found.confidence, found.by) == ("connect.cancelled_by_client", HIGH, CLIENT)


def test_a_syn_scan_is_no_client_that_gave_up() -> None:
    talk = Talk()
    found = report(talk.say(talk.client, "S").say(talk.server, "SA").unknown(talk.client))

    assert only(found).cause == "connect.tried_only"
    assert found.harmful == 0


def test_a_health_check_that_aborts_is_harmless() -> None:
    talk = Talk().handshake()
    found = report(talk.abort(talk.client))

    assert only(found).cause == "connect.tried_only"
    assert found.harmful == 0


def test_a_close_with_unread_data() -> None:
    talk = Talk().handshake().ask()
    found = only(report(talk.abort(talk.server)))

    assert (found.cause, found.confidence, found.by) == ("reset.unread_data_on_close", MEDIUM, SERVER)
    assert "timestamps, as the connection's other segments" in found.signs
    assert [one.packet for one in found.seen] == ["#4", "#5"]


def test_an_abort_after_the_answer_is_no_unread_data() -> None:
    talk = Talk().handshake().ask().answer()
    found = only(report(talk.abort(talk.server)))

    assert (found.cause, found.confidence, found.by) == ("reset.so_linger_zero", MEDIUM, SERVER)


def test_a_client_that_aborts_after_a_whole_response_has_read_it() -> None:
    talk = (
        Talk().handshake().ask(b"GET / HTTP/1.1\r\n\r\n").answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    )
    found = only(report(talk.abort(talk.client)))

    assert (found.cause, found.by) == ("reset.so_linger_zero", CLIENT)


def test_a_listener_that_closes_resets_what_waits_in_its_queue() -> None:
    talk = Talk().handshake().wait(3)
    found = only(report(talk.abort(talk.server)))

    assert (found.cause, found.by) == ("listen.closed_with_queue", SERVER)


def test_three_aborts_at_one_moment_are_a_process_that_ended() -> None:
    talks = [Talk(sport=port).handshake().ask() for port in (40000, 40001, 40002)]
    for talk in talks:
        talk.abort(talk.server)

    found = report(*talks)

    assert {one.cause.id: one.flows for one in found.causes} == {
        "reset.unread_data_on_close": 3,
        "reset.process_crash": 1,
    }


def test_two_aborts_at_one_moment_are_not() -> None:
    talks = [Talk(sport=port).handshake().ask() for port in (40000, 40001)]
    for talk in talks:
        talk.abort(talk.server)

    assert [one.cause.id for one in report(*talks).causes] == ["reset.unread_data_on_close"]


def test_the_end_of_the_handshake_is_answered_with_a_reset() -> None:
    talk = Talk().handshake()
    found = only(report(talk.unknown(talk.server)))

    assert (found.cause, found.confidence) == ("listen.abort_on_overflow", MEDIUM)


def test_a_write_after_the_other_side_closed() -> None:
    talk = Talk().handshake().ask().answer()
    talk.fin(talk.server).say(talk.client, "A").wait(0.2).ask().unknown(talk.server)

    found = only(report(talk))

    assert (found.cause, found.confidence, found.by) == ("reset.write_after_peer_close", HIGH, CLIENT)


def test_a_write_to_a_connection_that_was_closed_as_idle_says_after_how_long() -> None:
    talk = Talk().handshake().ask().answer().wait(65)
    talk.fin(talk.server).say(talk.client, "A").wait(3).ask().unknown(talk.server)

    found = only(report(talk))

    assert found.cause == "reset.write_after_peer_close"
    assert "had closed after 65.0 s without data (as nginx" in found.what


def test_a_request_that_crosses_the_close_of_an_idle_connection() -> None:
    talk = Talk().handshake().ask().answer()
    talk.say(talk.client, "A").wait(75)
    before = talk.server.seq
    talk.fin(talk.server)
    talk.client.ack = before
    talk.ask().unknown(talk.server, seq=before)

    found = only(report(talk))

    assert (found.cause, found.confidence, found.by) == ("reset.keepalive_race", HIGH, SERVER)
    assert "nginx (keepalive_timeout)" in found.what


def test_a_reset_after_both_sides_are_done_is_late_and_harmless() -> None:
    talk = Talk().handshake().ask().answer()
    talk.fin(talk.server).fin(talk.client).say(talk.server, "A").unknown(talk.client)

    found = report(talk)

    assert only(found).cause == "reset.late"
    assert found.harmful == 0


def test_an_answer_of_a_host_that_has_no_such_connection() -> None:
    talk = Talk().handshake().ask().answer().wait(0.5).ask()
    found = only(report(talk.unknown(talk.server)))

    assert (found.cause, found.by) == ("reset.half_open_peer_reboot", SERVER)


def test_an_idle_connection_that_something_on_the_way_has_forgotten() -> None:
    talk = Talk().handshake().ask().answer()
    talk.wait(350.2).ask().unknown(talk.server, ttl=250)

    found = only(report(talk))

    assert (found.cause, found.by) == ("reset.l4_idle_middlebox", MIDDLEBOX)
    assert "AWS Network Load Balancer" in found.what


def test_keepalive_probes_let_nobody_forget() -> None:
    talk = Talk().handshake().ask().answer()
    talk.say(talk.client, "A")
    for _ in range(20):
        talk.wait(15).say(talk.client, "A", keep=False, seq=talk.client.seq - 1).say(talk.server, "A", keep=False)
    talk.ask().unknown(talk.server, ttl=250)

    assert only(report(talk)).cause == "reset.security_device"


def test_keepalive_that_gave_up() -> None:
    talk = Talk().handshake().ask().answer()
    talk.say(talk.client, "A")
    for _ in range(9):
        talk.wait(15).say(talk.server, "A", keep=False, seq=talk.server.seq - 1)
    talk.wait(15).abort(talk.server)

    found = only(report(talk))

    assert (found.cause, found.confidence, found.by) == ("timeout.peer_vanished", HIGH, CLIENT)
    assert "9 keepalive probes" in found.what


def test_an_abort_after_a_known_silence_names_who_is_known_for_it() -> None:
    talk = Talk().handshake().ask().wait(60)
    found = only(report(talk.abort(talk.server)))

    assert (found.cause, found.confidence) == ("reset.idle_timeout", MEDIUM)
    assert "proxy_read_timeout" in found.what


@pytest.mark.parametrize(
    ("changed", "confidence"),
    [({"ttl": 200}, MEDIUM), ({"ttl": 200, "options": []}, HIGH)],
)
def test_a_reset_from_another_distance_is_injected(changed: dict[str, object], confidence: Confidence) -> None:
    talk = Talk().handshake().ask().answer()
    found = only(report(talk.abort(talk.server, **changed)))

    assert (found.cause, found.confidence, found.by) == ("reset.security_device", confidence, MIDDLEBOX)


def test_a_hop_more_or_less_is_another_route() -> None:
    talk = Talk().handshake().ask()
    found = only(report(talk.abort(talk.server, ttl=talk.server.ttl - 1)))

    assert found.cause == "reset.unread_data_on_close"


def test_several_guesses_are_injected() -> None:
    talk = Talk().handshake().ask().answer()
    for ahead in (5000, 20000, 80000):
        talk.say(talk.server, "RA", keep=False, seq=talk.server.seq + ahead, options=[])

    found = only(report(talk))

    assert (found.cause, found.by) == ("reset.security_device", MIDDLEBOX)
    assert any(sign.startswith("3 resets with different") for sign in found.signs)


def test_data_of_the_supposed_sender_afterwards_shows_that_it_did_not_reset() -> None:
    talk = Talk().handshake().ask()
    talk.abort(talk.server, options=[]).wait(0.05).answer().unknown(talk.client)

    found = only(report(talk))

    assert (found.cause, found.confidence, found.by) == ("reset.security_device", HIGH, MIDDLEBOX)


def test_a_reset_that_is_not_believed_changes_nothing() -> None:
    talk = Talk().handshake().ask()
    talk.say(talk.server, "RA", keep=False, seq=talk.server.seq + 100, options=[])
    talk.say(talk.client, "A").wait(0.1).answer().say(talk.client, "A").ask()

    found = report(talk)

    assert only(found).cause == "reset.challenged"
    assert found.harmful == 0


def test_a_reset_that_fits_nothing_is_not_explained() -> None:
    talk = Talk().handshake().ask().answer()
    found = only(report(talk.say(talk.server, "R", keep=False, seq=talk.server.seq + 5000, options=[])))

    assert (found.cause, found.confidence, found.by) == ("reset.unexplained", LOW, "unknown")


def test_resets_that_answer_data_on_its_way_are_consequences_of_the_first() -> None:
    talk = Talk().handshake().ask()
    talk.abort(talk.server).ask().unknown(talk.server).ask().unknown(talk.server)

    found = only(report(talk))

    assert found.cause == "reset.unread_data_on_close"
    assert "2 more on this flow" in found.signs


def test_what_left_the_capturing_machine_with_a_fresh_ttl_is_its_own() -> None:
    from scapy.layers.l2 import CookedLinux

    from tcptune.captures.analysis import Analysis

    talk = Talk().handshake().ask()
    talk.abort(talk.server, ttl=64, options=[])
    analysis = Analysis()
    for at, packet in talk.packets:
        cooked = CookedLinux(pkttype=4 if packet["IP"].src == "10.0.0.2" else 0, proto=0x800) / packet["IP"]
        analysis.take(bytes(cooked), 113, len(cooked), round(at * 1e9))

    found = only(analysis.report(()))

    assert found.cause == "reset.unread_data_on_close"
    assert any("its own kernel sent it" in sign for sign in found.signs)


def ends_only(talk: Talk) -> Talk:
    """Leave SYN, FIN and RST, as `tcptune capture-plan --ends-only` does."""
    talk.packets = [(at, packet) for at, packet in talk.packets if int(packet["TCP"].flags) & 7]
    return talk


def test_without_its_data_an_abort_is_one_and_why_is_not_said() -> None:
    talk = Talk().handshake().ask().answer().ask()
    found = only(report(ends_only(talk.abort(talk.server))))

    assert (found.cause, found.confidence, found.by) == ("reset.aborted", MEDIUM, SERVER)


def test_without_its_data_many_resets_of_one_abort_are_no_guesses() -> None:
    talk = Talk().handshake().ask().answer()
    talk.abort(talk.server).ask().unknown(talk.server).say(talk.client, "A", keep=False)
    talk.unknown(talk.server, seq=talk.server.seq + 3000)

    assert only(report(ends_only(talk))).cause == "reset.aborted"


def test_without_its_data_a_write_after_the_close_is_likely() -> None:
    talk = Talk().handshake().ask().answer()
    talk.fin(talk.server).say(talk.client, "A").wait(0.2).ask().unknown(talk.server)

    found = only(report(ends_only(talk)))

    assert (found.cause, found.confidence, found.by) == ("reset.write_after_peer_close", MEDIUM, CLIENT)


def test_without_its_data_an_answer_without_a_socket_is_a_guess() -> None:
    talk = Talk().handshake().ask().answer().wait(0.5).ask()
    found = only(report(ends_only(talk.unknown(talk.server))))

    assert (found.cause, found.confidence) == ("reset.half_open_peer_reboot", LOW)


def test_without_its_data_a_good_end_is_no_finding() -> None:
    talk = Talk().handshake().ask().answer()
    talk.fin(talk.client).say(talk.server, "A").fin(talk.server)

    assert report(ends_only(talk)).findings == ()


def test_a_connection_that_ends_well_is_no_finding() -> None:
    talk = Talk().handshake().ask().answer()
    talk.fin(talk.client).say(talk.server, "A").fin(talk.server).say(talk.client, "A")

    found = report(talk)

    assert found.findings == ()
    assert (found.flows.total, found.flows.ended, found.flows.open) == (1, 1, 0)
