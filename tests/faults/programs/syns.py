"""Send SYNs from addresses that nobody has. Run on a host as root: python3 -c TEXT OPTIONS.

OPTIONS: target, port, per_s, seconds. It never sends more than 20,000.
Needs Python 3.8 and its standard library.
"""

import json
import random
import socket
import struct
import sys
import time

MOST = 20000
# RFC 2544 keeps these for measuring; they lead nowhere.
PREFIX = b"\xc6\x12"


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def syn(source, target, source_port, port, sequence):
    """Give a whole packet: IPv4 and TCP headers, MSS option."""
    tcp = struct.pack("!HHIIBBHHHHH", source_port, port, sequence, 0, 6 << 4, 2, 64240, 0, 0, 0x0204, 1460)
    pseudo = source + target + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    # The kernel fills in length and checksum of the IPv4 header.
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, source, target) + tcp


def main():
    options = json.loads(sys.argv[1])
    target, port = socket.inet_aton(options["target"]), options["port"]
    draw = random.Random(1)  # noqa: S311 # the same flood each time
    count = min(MOST, int(options["per_s"] * options["seconds"]))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as out:
        start_s = time.monotonic()
        for number in range(count):
            source = PREFIX + struct.pack("!H", draw.randrange(1, 65535))
            packet = syn(source, target, draw.randrange(1024, 65536), port, draw.randrange(1 << 32))
            out.sendto(packet, (options["target"], 0))
            time.sleep(max(0.0, start_s + number / options["per_s"] - time.monotonic()))
    print(json.dumps({"sent": count}))


main()
