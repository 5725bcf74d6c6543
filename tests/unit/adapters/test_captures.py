"""Files of packets: each container, and files that break off or were never captures."""

from __future__ import annotations

import gzip
import io
import struct
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter, PcapWriter

from tcptune.adapters import captures
from tcptune.adapters.captures import packet_files
from tcptune.domain.captures import CaptureReport
from tcptune.domain.causes import Confidence
from tcptune.errors import CaptureError, TcptuneError
from tcptune.workflows.pcap import analyse, analyse_both
from tests.fuzz.examples import fuzz
from tests.unit.captures.talk import Talk


def talked() -> Talk:
    talk = Talk().handshake().ask()
    return talk.abort(talk.server)


def write(path: Path, talk: Talk, *, nano: bool = False, endian: str = "<", snaplen: int = 65535) -> Path:
    """Write a capture as tcpdump does: each packet cut to `snaplen`, its real length beside it."""
    with PcapWriter(str(path), linktype=1, nano=nano, endianness=endian, sync=True) as writer:
        writer.write_header(None)
        for at, packet in talk.packets:
            data = bytes(packet)
            second = int(at)
            part = round((at - second) * (1e9 if nano else 1e6))
            writer.write_packet(data[:snaplen], sec=second, usec=part, caplen=len(data[:snaplen]), wirelen=len(data))
    return path


def write_ng(path: Path, talk: Talk) -> Path:
    writer = PcapNgWriter(str(path))
    for at, packet in talk.packets:
        packet.time = at
        writer.write(packet)
    writer.close()
    return path


def causes(*paths: Path) -> list[str]:
    return [one.cause for one in analyse(packet_files(paths)).findings]


@pytest.mark.parametrize(
    "make",
    [
        write,
        lambda path, talk: write(path, talk, nano=True),
        lambda path, talk: write(path, talk, endian=">"),
        lambda path, talk: write(path, talk, nano=True, endian=">"),
        lambda path, talk: write(path, talk, snaplen=96),
        write_ng,
    ],
    ids=["pcap", "nanoseconds", "big endian", "both", "short snaplen", "pcapng"],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_each_container_says_the_same(make: Callable[[Path, Talk], Path], packed: bool, tmp_path: Path) -> None:
    path = make(tmp_path / "one.pcap", talked())
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))

    found = analyse(packet_files([path]))

    assert [one.cause for one in found.findings] == ["reset.unread_data_on_close"]
    assert found.files[0].damage == ""
    assert found.judged
    assert found.started is not None
    assert found.started.timestamp() == 1_700_000_000
    assert found.duration_s == pytest.approx(0.004, abs=1e-5)


def test_ipv6_and_vlans_in_a_file(tmp_path: Path) -> None:
    from scapy.layers.l2 import Dot1Q

    talk = Talk(client="fd00::1", server="fd00::2").handshake().ask()
    talk.abort(talk.server)
    talk.packets = [(at, Ether() / Dot1Q(vlan=7) / packet["IPv6"]) for at, packet in talk.packets]

    found = analyse(packet_files([write(tmp_path / "six.pcap", talk)]))

    assert found.findings[0].flow == "[fd00::1]:40000 > [fd00::2]:80"


def test_headers_alone_are_enough_for_resets(tmp_path: Path) -> None:
    found = analyse(packet_files([write(tmp_path / "short.pcap", talked(), snaplen=66)]))

    assert [one.cause for one in found.findings] == ["reset.unread_data_on_close"]
    assert "aborted after 80 bytes" in found.findings[0].what


@pytest.mark.parametrize("make", [write, write_ng], ids=["pcap", "pcapng"])
def test_wherever_a_file_is_cut_it_is_told_or_it_is_whole(make: Callable[[Path, Talk], Path], tmp_path: Path) -> None:
    data = make(tmp_path / "whole.pcap", talked()).read_bytes()
    ends = []
    for size in range(len(data) + 1):
        (tmp_path / "cut.pcap").write_bytes(data[:size])
        try:
            found = analyse(packet_files([tmp_path / "cut.pcap"]))
        except CaptureError:
            assert size < 60
            continue
        if not found.files[0].damage:
            ends.append((size, found.packets))
            assert found.judged is (found.segments > 0)
        else:
            assert not found.judged

    # Between two records no reader can tell that more was to come.
    assert [packets for _, packets in ends if packets] == [1, 2, 3, 4, 5]
    assert ends[-1] == (len(data), 5)


def test_a_gzip_file_that_is_cut_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "one.pcap", talked())
    packed = gzip.compress(path.read_bytes())
    path.write_bytes(packed[:-20])

    assert "Compressed file ended" in analyse(packet_files([path])).files[0].damage


def test_files_of_a_ring_are_one_capture_in_the_order_of_their_packets(tmp_path: Path) -> None:
    talk = talked()
    late, early = Talk(), Talk()
    early.packets, late.packets = talk.packets[:3], talk.packets[3:]
    write(tmp_path / "a.pcap0", late)
    write(tmp_path / "a.pcap1", early)

    found = analyse(packet_files([tmp_path]))

    assert [Path(one.name).name for one in found.files] == ["a.pcap1", "a.pcap0"]
    assert [one.packet for one in found.findings[0].seen] == ["a.pcap0#1", "a.pcap0#2"]


def test_what_is_no_tcp_is_nothing_to_judge(tmp_path: Path) -> None:
    from scapy.layers.l2 import ARP

    talk = Talk()
    talk.packets = [(talk.at, Ether() / ARP())]
    found = analyse(packet_files([write(tmp_path / "arp.pcap", talk)]))

    assert (found.packets, found.segments, found.skipped) == (1, 0, (("not IP", 1),))
    assert not found.judged


def test_a_capture_without_a_packet_is_nothing_to_judge(tmp_path: Path) -> None:
    found = analyse(packet_files([write(tmp_path / "none.pcap", Talk())]))

    assert (found.packets, found.files[0].damage, found.judged) == (0, "", False)


@pytest.mark.parametrize(
    "data", [b"", b"x", b"PK\x03\x04junk", b"\xd4\xc3\xb2\xa1", b"\x1f\x8bjunk", b"\x0a\x0d\x0d\x0a"]
)
def test_what_is_no_capture_is_refused_by_name(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "junk.pcap"
    path.write_bytes(data)

    with pytest.raises(CaptureError, match=r"junk\.pcap"):
        analyse(packet_files([path]))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="No such file"):
        analyse(packet_files([tmp_path / "none.pcap"]))


def test_a_missing_extra_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = write(tmp_path / "one.pcap", talked())
    monkeypatch.setitem(sys.modules, "scapy", None)

    with pytest.raises(TcptuneError) as problem:
        analyse(packet_files([path]))

    assert problem.value.hint == "pip install 'tcptune[pcap]'"


def test_damage_says_nothing_on_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = write_ng(tmp_path / "one.pcap", talked()).read_bytes()
    (tmp_path / "one.pcap").write_bytes(data[:-30])
    analyse(packet_files([tmp_path / "one.pcap"]))

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_length_that_no_packet_has_costs_no_memory(packed: bool, tmp_path: Path) -> None:
    # A block of pcapng that says it is nearly 4 GB long, and 64 MB of file behind it.
    whole = write_ng(tmp_path / "whole.pcap", talked()).read_bytes()
    data = whole + struct.pack("<II", 6, 0xFFFFFFF0) + bytes(64_000_000)
    path = tmp_path / "bomb.pcap"
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    del data
    list(packet_files([path])[0])

    tracemalloc.start()
    found = analyse(packet_files([path]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found.packets == 5
    assert "a record of" in found.files[0].damage
    assert peak < 20_000_000


def test_blocks_without_end_and_without_a_packet_come_to_an_end(tmp_path: Path) -> None:
    whole = write_ng(tmp_path / "whole.pcap", talked()).read_bytes()
    interface = struct.pack("<IIHHII", 1, 20, 1, 0, 65535, 20)
    path = tmp_path / "blocks.pcap"
    path.write_bytes(whole + interface * 100_000)

    assert "no packet in" in analyse(packet_files([path])).files[0].damage


def seeds() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        made = {"pcap": write(Path(folder) / "pcap", talked()), "pcapng": write_ng(Path(folder) / "pcapng", talked())}
        return {name: path.read_bytes() for name, path in made.items()}


SEEDS = seeds()


def read_or_refused(path: Path) -> CaptureReport | None:
    """Return what a file says, or None where it is refused by its name. Nothing else may happen."""
    try:
        found = analyse(packet_files([path]))
    except CaptureError as problem:
        if path.name not in str(problem):
            raise
        return None
    assert found.model_validate_json(found.model_dump_json()) == found
    return found


@fuzz(400)
@given(
    st.sampled_from(sorted(SEEDS)),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=12),
    st.integers(0, 2000),
    st.booleans(),
)
def test_no_changed_file_breaks_it(
    tmp_path: Path, name: str, changes: list[tuple[int, int]], cut: int, packed: bool
) -> None:
    data = bytearray(SEEDS[name])
    for place, value in changes:
        data[place % len(data)] = value
    changed = bytes(data[: max(24, cut)])
    if packed:
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
            file.write(changed)
        changed = buffer.getvalue()
    path = tmp_path / "changed.pcap"
    path.write_bytes(changed)

    found = read_or_refused(path)

    assert found is None or found.packets <= 5


@fuzz(200)
@given(st.sampled_from([b"\xd4\xc3\xb2\xa1", b"\x0a\x0d\x0d\x0a", b"\x1f\x8b\x08\x00"]), st.binary(max_size=300))
def test_no_bytes_break_it(tmp_path: Path, magic: bytes, rest: bytes) -> None:
    path = tmp_path / "bytes.pcap"
    path.write_bytes(magic + rest)

    read_or_refused(path)


def test_secrets_in_a_pcapng_file_are_not_taken(tmp_path: Path) -> None:
    from scapy.config import conf

    keys = b"CLIENT_RANDOM " + b"00" * 32 + b" " + b"11" * 48 + b"\n"
    body = struct.pack("<II", 0x544C534B, len(keys)) + keys + bytes(-len(keys) % 4)
    block = struct.pack("<II", 10, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
    path = write_ng(tmp_path / "keys.pcap", talked())
    path.write_bytes(path.read_bytes() + block)
    before = getattr(conf, "tls_nss_keys", None)

    assert analyse(packet_files([path])).files[0].damage == ""
    assert getattr(conf, "tls_nss_keys", None) == before


@pytest.mark.parametrize("ran_on", [True, False])
def test_both_ends_prove_who_did_not_reset(ran_on: bool, tmp_path: Path) -> None:
    talk = Talk().handshake().ask()
    whole = list(talk.packets)
    talk.abort(talk.server)
    near, far = Talk(), Talk()
    near.packets = talk.packets
    # The server's machine neither sent the reset, nor is its clock the client's.
    far.packets = [(at + 30, packet) for at, packet in whole]
    if ran_on:
        far.packets.append((talk.at + 40, Talk(sport=9).ask().packets[0][1]))

    found = analyse_both(
        packet_files([write(tmp_path / "client", near)]), packet_files([write(tmp_path / "server", far)])
    )

    assert [(one.cause, one.by) for one in found.proven] == [("reset.security_device", "a middlebox")]
    # A capture that has nothing later may have been over when the reset was sent.
    assert found.proven[0].confidence is (Confidence.HIGH if ran_on else Confidence.LIKELY)
    assert (found.shared, found.clock_ahead_s, found.judged) == (1, 30.0, True)


def test_both_ends_prove_who_did(tmp_path: Path) -> None:
    talk = talked()
    found = analyse_both(
        packet_files([write(tmp_path / "client", talk)]), packet_files([write(tmp_path / "server", talk)])
    )

    assert [one.cause for one in found.proven] == ["reset.sent_by_its_host"]


def test_both_ends_say_where_syns_are_lost(tmp_path: Path) -> None:
    lost, deaf, answered = Talk(sport=1001), Talk(sport=1002), Talk(sport=1003)
    for number, talk in enumerate((lost, deaf, answered)):
        talk.client.seq = talk.client.isn = 1000 * (number + 1)
        talk.say(talk.client, "S", keep=False).wait(1).say(talk.client, "S", keep=False)
    near, far = Talk(), Talk()
    near.packets = sorted([*lost.packets, *deaf.packets, *answered.packets], key=lambda one: one[0])
    answered.wait(-0.5).say(answered.server, "SA", ack=3001)
    far.packets = sorted([*deaf.packets, *answered.packets], key=lambda one: one[0])

    found = analyse_both(
        packet_files([write(tmp_path / "client", near)]), packet_files([write(tmp_path / "server", far)])
    )

    said = {one.flow.partition(" ")[0].rpartition(":")[2]: one.what for one in found.proven}
    assert "never reached the other end" in said["1001"]
    assert "it did not answer" in said["1002"]
    assert "dropped on the way back" in said["1003"]


@pytest.mark.parametrize("broken", ["damaged", "another"])
def test_both_ends_prove_nothing_where_one_lacks_something(broken: str, tmp_path: Path) -> None:
    client = write(tmp_path / "client", talked())
    server = write(tmp_path / "server", talked())
    if broken == "damaged":
        server.write_bytes(server.read_bytes()[:-70])
    else:
        other = Talk(sport=5)
        other.client.seq = other.client.isn = 5
        write(server, other.handshake())

    found = analyse_both(packet_files([client]), packet_files([server]))

    assert found.proven == ()
    assert not found.judged
    assert "nothing was compared" in found.notes[0]


def test_memory_does_not_grow_with_the_packets(tmp_path: Path) -> None:
    def peak(packets: int) -> int:
        path = tmp_path / f"{packets}.pcap"
        record = bytes(talked().packets[3][1])
        with path.open("wb") as file:
            file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for number in range(packets):
                # A new connection with every packet: nothing is worse for a table of flows.
                place = 14 + 12
                changed = record[:place] + struct.pack(">I", 0x0A000000 + number) + record[place + 4 :]
                file.write(struct.pack("<IIII", number // 1000, number % 1000, len(changed), len(changed)) + changed)
        monitored = packet_files([path])
        tracemalloc.start()
        from tcptune.captures.analysis import Analysis

        analysis = Analysis(flows=500)
        for packet in monitored[0]:
            analysis.take(packet.data, packet.link, packet.wire_bytes, packet.time_ns)
        analysis.report(())
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert captures._LARGEST_READ < 20_000_000
    assert peak(6_000) < peak(2_000) * 1.5 + 1_500_000
