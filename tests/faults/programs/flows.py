"""Put flows into the connection tracking table until it is full. Run on a host as root: python3 -c TEXT OPTIONS.

OPTIONS: count, assured. The flows are established TCP connections between addresses that nobody has, as a gateway knows
them. To make room for a new one the kernel throws out one that is not assured, and no other. It never makes more than
1,000,000. Needs Python 3.8 and its standard library.
"""

import json
import socket
import struct
import sys

MOST = 1000000
NETLINK_NETFILTER = 12
NFNL_SUBSYS_CTNETLINK = 1
IPCTNL_MSG_CT_NEW = 0
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE = 1, 4, 0x400
NLMSG_ERROR = 2
NESTED = 0x8000
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_PROTOINFO, CTA_TIMEOUT = 1, 2, 3, 4, 7
SEEN_REPLY, ASSURED, CONFIRMED = 0x2, 0x4, 0x8
ESTABLISHED = 3


def attribute(kind, data):
    length = 4 + len(data)
    return struct.pack("HH", length, kind) + data + b"\0" * (-length % 4)


def flow_tuple(kind, source, target, source_port, target_port):
    addresses = attribute(1, source) + attribute(2, target)
    ports = (
        attribute(1, b"\x06")
        + attribute(2, struct.pack("!H", source_port))
        + attribute(3, struct.pack("!H", target_port))
    )
    return attribute(kind | NESTED, attribute(1 | NESTED, addresses) + attribute(2 | NESTED, ports))


def message(number, status, acknowledge):
    """Give the message that makes flow `number`."""
    source = struct.pack("!BBH", 198, 18, number // 60000 + 1)
    target, port = b"\xc6\x13\x00\x01", 1024 + number % 60000
    body = (
        struct.pack("BBH", socket.AF_INET, 0, 0)
        + flow_tuple(CTA_TUPLE_ORIG, source, target, port, 443)
        + flow_tuple(CTA_TUPLE_REPLY, target, source, 443, port)
        + attribute(CTA_STATUS, struct.pack("!I", status))
        + attribute(CTA_TIMEOUT, struct.pack("!I", 3600))
        + attribute(CTA_PROTOINFO | NESTED, attribute(1 | NESTED, attribute(1, bytes([ESTABLISHED]))))
    )
    flags = NLM_F_REQUEST | NLM_F_CREATE | (NLM_F_ACK if acknowledge else 0)
    kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW
    return struct.pack("IHHII", 16 + len(body), kind, flags, number, 0) + body


def main():
    options = json.loads(sys.argv[1])
    count = min(MOST, options["count"])
    status = SEEN_REPLY | CONFIRMED | (ASSURED if options["assured"] else 0)
    refused = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        netlink.bind((0, 0))
        batch = 64
        for first in range(0, count, batch):
            numbers = range(first, min(first + batch, count))
            netlink.send(b"".join(message(number, status, number == numbers[-1]) for number in numbers))
            # An answer to the last, and one to each that was refused.
            while True:
                answer = netlink.recv(65536)
                kind, number, error = struct.unpack_from("HxxIxxxxi", answer, 4)
                refused += kind == NLMSG_ERROR and error != 0
                if number == numbers[-1]:
                    break
    print(json.dumps({"made": count - refused, "refused": refused}))


main()
