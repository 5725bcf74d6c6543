"""What else a flow shows."""

from __future__ import annotations

from tcptune.domain.causes import Confidence

from .talk import Talk, only, report

SERVER, CLIENT = "10.0.0.2:80", "10.0.0.1:40000"
HIGH, MEDIUM = Confidence.HIGH, Confidence.LIKELY


def syns(talk: Talk, *pauses: float) -> Talk:
    talk.say(talk.client, "S", keep=False)
    for pause in pauses:
        talk.wait(pause).say(talk.client, "S", keep=False)
    return talk


def test_syns_without_an_answer() -> None:
    found = only(report(syns(Talk(), 1, 2, 4)))

    assert (found.cause, found.confidence) == ("connect_timeout.drop", HIGH)
    assert found.signs == ("seconds after the first: 0.0, 1.0, 3.0, 7.0",)


def test_one_syn_is_judged_only_once_it_was_waited_for() -> None:
    assert report(syns(Talk()), until_s=0.5).findings == ()
    assert only(report(syns(Talk()), until_s=5)).cause == "connect_timeout.drop"


def test_a_syn_that_a_router_answers() -> None:
    found = only(report(syns(Talk()).icmp("10.0.0.254", 3, 13)))

    assert (found.cause, found.by) == ("noroute.firewall_or_route", "10.0.0.254")


def test_a_syn_that_a_firewall_answers_with_port_unreachable() -> None:
    assert only(report(syns(Talk()).icmp("10.0.0.2", 3, 3))).cause == "refused.firewall_reject"


def test_a_syn_that_was_answered_the_second_time() -> None:
    talk = syns(Talk()).wait(1).handshake()
    found = only(report(talk))

    assert found.cause == "connect_latency.steps"
    assert "1.0 s" in found.what


def test_a_syn_ack_again_after_it_was_confirmed() -> None:
    talk = Talk().handshake().ask().wait(1)
    talk.say(talk.server, "SA", keep=False, seq=talk.server.isn)

    found = only(report(talk))

    assert (found.cause, found.confidence, found.by) == ("listen.accept_queue_overflow", MEDIUM, SERVER)


def test_a_closed_window_is_a_slow_reader() -> None:
    talk = Talk().handshake().ask(b"x" * 1000)
    talk.say(talk.server, "A", window=0).wait(2.5).say(talk.server, "A", window=501)

    found = only(report(talk))

    assert (found.cause, found.confidence, found.by) == ("perf.slow_reader", HIGH, SERVER)
    assert "2.5 s" in found.what


def test_a_window_that_is_closed_for_a_moment_is_nothing() -> None:
    talk = Talk().handshake().ask(b"x" * 1000)
    talk.say(talk.server, "A", window=0).wait(0.1).say(talk.server, "A", window=501)

    assert report(talk).findings == ()


def again(talk: Talk, data: bytes, *pauses: float) -> Talk:
    before = talk.client.seq
    talk.say(talk.client, "PA", data)
    for pause in pauses:
        talk.wait(pause).say(talk.client, "PA", data, keep=False, seq=before)
    return talk


def test_data_that_nobody_answers_any_more() -> None:
    found = only(report(again(Talk().handshake().ask().answer(), b"x" * 100, 0.2, 0.4, 0.8, 1.6)))

    assert (found.cause, found.confidence, found.by) == ("timeout.peer_vanished", HIGH, SERVER)
    assert "5 times" in found.what


def test_a_peer_that_still_speaks_has_not_vanished() -> None:
    talk = Talk().handshake().ask().answer()
    heard = talk.server.ack
    again(talk, b"x" * 100, 0.2, 0.4, 0.8, 1.6)
    found = only(report(talk.say(talk.server, "PA", b"news", ack=heard)))

    assert (found.cause, found.confidence) == ("timeout.peer_vanished", Confidence.POSSIBLE)


def forgotten(idle_s: float) -> Talk:
    return again(Talk().handshake().ask().answer().wait(idle_s), b"x" * 100, 0.2, 0.4, 0.8, 1.6)


def another(starts_s: float) -> Talk:
    talk = Talk(sport=40001)
    return talk.wait(starts_s).handshake().ask().answer().fin(talk.client).fin(talk.server)


def test_an_idle_connection_that_nobody_knows_any_more_while_its_peer_answers_others() -> None:
    found = only(report(forgotten(idle_s=5.0), another(starts_s=7.0)))

    assert (found.cause, found.confidence, found.by) == ("reset.l4_idle_middlebox", MEDIUM, "a middlebox")
    assert "after 5.0 s without data" in found.what
    assert found.seen[-1].what == f"{SERVER} on another connection"


def test_a_peer_that_answered_others_only_before_may_have_vanished() -> None:
    found = only(report(forgotten(idle_s=5.0), another(starts_s=2.0)))

    assert (found.cause, found.confidence) == ("timeout.peer_vanished", HIGH)


def test_a_busy_connection_that_goes_silent_was_not_forgotten_for_being_idle() -> None:
    found = only(report(forgotten(idle_s=0.1), another(starts_s=2.5)))

    assert (found.cause, found.confidence) == ("timeout.peer_vanished", MEDIUM)


def test_a_connection_with_keepalive_probes_was_not_idle() -> None:
    talk = Talk().handshake().ask().answer().wait(2.0)
    talk.say(talk.client, "A", keep=False, seq=talk.client.seq - 1).say(talk.server, "A").wait(2.0)
    found = only(report(again(talk, b"x" * 100, 0.2, 0.4, 0.8, 1.6), another(starts_s=6.0)))

    assert (found.cause, found.confidence) == ("timeout.peer_vanished", MEDIUM)


def test_data_that_a_full_accept_queue_does_not_take_is_no_vanished_peer() -> None:
    talk = again(Talk().handshake(), b"x" * 100, 0.2, 0.4, 0.8, 1.6)
    found = only(report(talk.say(talk.server, "SA", keep=False, seq=talk.server.isn)))

    assert found.cause == "listen.accept_queue_overflow"


def test_large_segments_alone_that_nobody_answers() -> None:
    talk = again(Talk().handshake().ask().answer(), b"x" * 1448, 0.2, 0.4, 0.8, 1.6)
    found = only(report(talk))

    assert (found.cause, found.confidence) == ("drop.pmtu_blackhole", MEDIUM)
    assert "no ICMP asks for smaller packets" in found.signs


def test_large_segments_that_a_router_finds_too_large() -> None:
    talk = again(Talk().handshake().ask().answer(), b"x" * 1448, 0.2, 0.4, 0.8, 1.6).icmp("10.0.0.254", 3, 4, 1400)
    found = only(report(talk))

    assert (found.cause, found.confidence) == ("drop.pmtu_blackhole", HIGH)
    assert "ICMP of 10.0.0.254 asks for 1400 bytes" in found.signs


def test_the_share_of_what_is_sent_again() -> None:
    talk = Talk().handshake()
    for number in range(100):
        before = talk.client.seq
        talk.ask()
        if number % 20 == 0:
            talk.wait(0.2).say(talk.client, "PA", b"question" * 10, keep=False, seq=before)
        talk.say(talk.server, "A")

    found = report(talk)

    assert (found.data_segments, found.retransmitted) == (105, 5)
    assert only(found).cause == "perf.loss"


def test_what_arrived_twice_was_not_lost() -> None:
    talk = Talk().handshake()
    for number in range(100):
        before = talk.client.seq
        talk.ask()
        options = []
        if number % 20 == 0:
            talk.wait(0.2).say(talk.client, "PA", b"question" * 10, keep=False, seq=before)
            options = [("SAck", (before, talk.client.seq))]
        talk.say(talk.server, "A", options=options)

    found = report(talk)

    assert found.retransmitted == 5
    assert found.findings == ()


def test_what_is_overtaken_on_the_way_was_not_sent_again() -> None:
    talk = Talk().handshake()
    first = talk.client.seq
    talk.client.seq = first + 80
    talk.ask()
    talk.say(talk.client, "PA", b"question" * 10, keep=False, seq=first)

    assert report(talk).retransmitted == 0


def test_a_copy_from_another_interface_is_counted_apart() -> None:
    talk = Talk().handshake().ask()
    at, last = talk.packets[-1]
    talk.packets.append((at + 0.0001, last))

    found = report(talk)

    assert (found.duplicates, found.retransmitted) == (1, 0)


HELLO = bytes.fromhex("160301002001") + bytes(31)


def test_a_client_hello_and_then_the_end() -> None:
    talk = Talk().handshake().ask(HELLO)
    found = only(report(talk.say(talk.server, "A").fin(talk.server)))

    assert (found.cause, found.by) == ("reset.tls_before_ready", SERVER)


def test_a_client_hello_without_an_answer() -> None:
    found = only(report(Talk().handshake().ask(HELLO), until_s=30))

    assert (found.cause, found.confidence) == ("reset.tls_before_ready", MEDIUM)


def test_a_fatal_alert_has_its_name() -> None:
    talk = Talk().handshake().ask(HELLO).answer(bytes.fromhex("15030300020230"))
    found = only(report(talk))

    assert (found.cause, found.by) == ("tls.alert", SERVER)
    assert "unknown_ca" in found.what


def test_plain_http_to_a_tls_port() -> None:
    talk = Talk().handshake().ask(b"GET / HTTP/1.1\r\n\r\n").answer(bytes.fromhex("15030100020246"))

    assert "the client spoke plain HTTP" in only(report(talk)).what


def test_a_warning_is_no_finding() -> None:
    talk = Talk().handshake().ask(HELLO).answer(bytes.fromhex("15030300020100"))

    assert report(talk).findings == ()


GET = b"GET / HTTP/1.1\r\n\r\n"


def test_a_response_that_ends_before_its_length() -> None:
    talk = Talk().handshake().ask(GET).answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 40)
    found = only(report(talk.fin(talk.server)))

    assert (found.cause, found.confidence, found.by) == ("eof.truncated_response", HIGH, SERVER)
    assert "80 of 140 bytes" in found.what


def test_a_whole_response_is_no_finding() -> None:
    talk = Talk().handshake().ask(GET).answer(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + b"x" * 40)

    assert report(talk.fin(talk.server)).findings == ()


def test_the_length_of_an_answer_to_head_says_nothing() -> None:
    talk = Talk().handshake().ask(b"HEAD / HTTP/1.1\r\n\r\n").answer(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n")

    assert report(talk.fin(talk.server)).findings == ()


def test_a_request_that_ends_before_its_length() -> None:
    talk = Talk().handshake().ask(b"POST / HTTP/1.1\r\ncontent-length: 9000\r\n\r\n" + b"x" * 40)
    found = only(report(talk.fin(talk.client)))

    assert (found.cause, found.by) == ("eof.client_gone_reading_body", CLIENT)
