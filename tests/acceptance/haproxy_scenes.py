"""What is done to an HAProxy so that it writes each of its termination states: servers, clients, a section for each."""

from __future__ import annotations

from dataclasses import dataclass

FOLDER = "/run/haproxy-test"
FIRST_PORT = 8001

# Ports of the servers, by what they do.
WELL, CLOSES, RESETS, SILENT, CUTS, STALLS, BABBLES, CLOSED, FULL, LONG, ONCE = range(9001, 9012)
SERVERS = f"""
import asyncio, socket, struct, sys
HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n"
served = 0
async def asked(reader):
    try:
        return await reader.readuntil(b"\\r\\n\\r\\n")
    except (asyncio.IncompleteReadError, OSError):
        return b""
async def well(reader, writer):
    # Each answer has the number of the connection it came over.
    global served
    served += 1
    mine = b"%06d" % served
    while await asked(reader):
        writer.write(HEAD % 6 + mine)
        await writer.drain()
async def once(reader, writer):
    # Ends the connection just when the second request comes.
    await asked(reader)
    writer.write(HEAD % 6 + b"000000")
    await writer.drain()
    await reader.read(1)
async def closes(reader, writer):
    await asked(reader)
async def resets(reader, writer):
    await asked(reader)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
async def silent(reader, writer):
    await reader.read()
async def cuts(reader, writer):
    await asked(reader)
    writer.write(HEAD % 30 + b"abc")
    await writer.drain()
async def stalls(reader, writer):
    await cuts(reader, writer)
    await reader.read()
async def babbles(reader, writer):
    await asked(reader)
    writer.write(b"this is no HTTP\\r\\n\\r\\n")
    await writer.drain()
    await reader.read()
async def long(reader, writer):
    await reader.read(10)
    writer.write(HEAD % 200_000_000)
    for _ in range(2000):
        writer.write(bytes(100_000))
        await writer.drain()
def ended(does):
    async def serve(reader, writer):
        try:
            await does(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()
    return serve
async def main():
    # Nobody accepts here, and there is no place for a third.
    full = socket.create_server(("127.0.0.1", {FULL}), backlog=0)
    waiting = [socket.socket() for _ in range(2)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", {FULL}))
    for port, does in (({WELL}, well), ({CLOSES}, closes), ({RESETS}, resets), ({SILENT}, silent), ({CUTS}, cuts),
                       ({STALLS}, stalls), ({BABBLES}, babbles), ({LONG}, long), ({ONCE}, once)):
        await asyncio.start_server(ended(does), "127.0.0.1", port)
    await asyncio.sleep(120)
asyncio.run(main())
"""

# Reads name -> [port, what to do] and does all of it at once.
CLIENTS = """
import json, socket, struct, sys, threading, time
folder, told = sys.argv[1], json.load(sys.stdin)
GET = b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=15)
def read_on(one):
    try:
        while one.recv(65536):
            pass
    except OSError:
        pass
def order(text):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(folder + "/admin")
        one.sendall(text.encode() + b"\\n")
        one.recv(1000)
def act(name, port, does, *more):
    held = None
    if does.startswith("second"):
        held = connect(port)
        held.sendall(GET)
        time.sleep(0.4)
    one = connect(port)
    if does == "cookie":
        one.sendall(GET[:-2] + b"Cookie: SRV=" + more[0].encode() + b"\\r\\n\\r\\n")
    else:
        one.sendall({"half": b"GET / HT", "slow": b"GET / HT", "babble": b"what\\r\\n\\r\\n"}.get(does, GET))
    if does in {"leave", "second-leave", "half"}:
        time.sleep(0.3)
    elif does == "hang-up":
        one.recv(100)
    elif does == "stall":
        one.recv(100)
        time.sleep(3)
    elif does == "order":
        time.sleep(0.3)
        order(more[0].format(name=name))
        read_on(one)
    elif does == "finish":
        one.recv(1000)
        one.shutdown(socket.SHUT_WR)
        read_on(one)
    else:
        read_on(one)
    one.close()
    if held:
        held.close()
threads = [threading.Thread(target=act, args=(name, *does)) for name, does in told.items()]
[one.start() for one in threads]
[one.join() for one in threads]
"""

BASE = f"""\
global
  log stdout format raw local0
  stats socket {FOLDER}/admin level admin
  nbthread 1
defaults base
  log global
  timeout connect 1s
  timeout client 8s
  timeout server 1s
  timeout queue 1s
  timeout http-request 1s
  timeout tarpit 500ms
  retries 0
defaults http from base
  mode http
  option httplog
defaults tcp from base
  mode tcp
  option tcplog
defaults cookie from http
  cookie SRV insert indirect nocache
"""


@dataclass(frozen=True)
class Scene:
    """A section of HAProxy, what a client does to it, and what HAProxy then writes."""

    name: str
    defaults: str
    server: int | None
    """Its port; None for a section without a server."""
    does: tuple[str, ...]
    state: str
    phrase: str | None
    """The phrase that is counted; None where all ended well."""
    says: str = ""
    """Lines of the section, with ; between them."""
    options: str = ""
    """Of the server."""

    def section(self, port: int) -> str:
        """Give the text of the section, which listens on a port."""
        lines = [
            f"listen {self.name} from {self.defaults}",
            f"bind 127.0.0.1:{port}",
            *filter(None, self.says.split(";")),
        ]
        if self.server is not None:
            cookie = " cookie one" if self.defaults == "cookie" else ""
            lines.append(f"server s 127.0.0.1:{self.server}{cookie} {self.options}")
        return "\n  ".join(lines) + "\n"


_SHUT = ("order", "shutdown sessions server {name}/s")
_DOWN = ("order", "set server {name}/s health down")
_MARKED = f"check port {WELL} inter 60s on-marked-down shutdown-sessions"
_GET, _LEAVE, _ABORTS = ("get",), ("leave",), "option abortonclose"
_PATIENT = "timeout server 8s"
SCENES = (
    Scene("h-well", "http", WELL, ("finish",), "----", None),
    Scene("h-redirected", "http", WELL, ("finish",), "LR--", None, "http-request redirect location /x"),
    Scene("h-refused", "http", CLOSED, _GET, "SC--", "SC"),
    Scene("h-no-server", "http", None, _GET, "SC--", "no_server"),
    Scene("h-unanswered", "http", FULL, _GET, "sC--", "sC"),
    Scene("h-closed", "http", CLOSES, _GET, "SH--", "SH"),
    Scene("h-reset", "http", RESETS, _GET, "SH--", "SH"),
    Scene("h-cut", "http", CUTS, _GET, "SD--", "SH"),
    Scene("h-silent", "http", SILENT, _GET, "sH--", "sH"),
    Scene("h-stalled", "http", STALLS, _GET, "sD--", "sH"),
    Scene("h-queued", "http", SILENT, ("second",), "sQ--", "sQ", _PATIENT, "maxconn 1"),
    Scene(
        "h-left-queue", "http", SILENT, ("second-leave",), "CQ--", "client", f"{_ABORTS};timeout queue 8s", "maxconn 1"
    ),
    Scene("h-left-connect", "http", FULL, _LEAVE, "CC--", "client", f"{_ABORTS};timeout connect 8s"),
    Scene("h-left-waiting", "http", SILENT, _LEAVE, "CH--", "client", f"{_ABORTS};{_PATIENT}"),
    Scene("h-left-reading", "http", LONG, ("hang-up",), "CD--", "client", _PATIENT),
    Scene("h-half", "http", WELL, ("half",), "CR--", "client", "timeout http-request 8s"),
    Scene("h-slow", "http", WELL, ("slow",), "cR--", "client_slow"),
    Scene("h-slow-reader", "http", LONG, ("stall",), "cD--", "client_slow", f"timeout client 1s;{_PATIENT}"),
    Scene("h-babble", "http", WELL, ("babble",), "PR--", "PR"),
    Scene("h-denied", "http", WELL, _GET, "PR--", "PR", "http-request deny"),
    Scene("h-tarpit", "http", WELL, _GET, "PT--", "PR", "http-request tarpit"),
    Scene("h-no-http", "http", BABBLES, _GET, "PH--", "PH"),
    Scene("h-down", "http", SILENT, _DOWN, "DH--", "server_down", _PATIENT, _MARKED),
    Scene("h-ended", "http", SILENT, _SHUT, "KH--", "ended", _PATIENT),
    Scene("c-new", "cookie", WELL, ("finish",), "--NI", None),
    Scene("c-known", "cookie", WELL, ("cookie", "one"), "--VN", None, "timeout http-keep-alive 1s"),
    Scene("c-unknown", "cookie", WELL, ("cookie", "none"), "--II", None, "timeout http-keep-alive 1s"),
    Scene("c-refused", "cookie", CLOSED, _GET, "SCNN", "SC"),
    Scene("c-closed", "cookie", CLOSES, _GET, "SHNN", "SH"),
    Scene("c-known-closed", "cookie", CLOSES, ("cookie", "one"), "SHVN", "SH"),
    Scene("c-captured", "cookie", CLOSES, ("cookie", "one"), "SHVN", "SH", "capture cookie SRV len 32"),
    Scene("c-cut", "cookie", CUTS, _GET, "SDNI", "SH"),
    Scene("c-silent", "cookie", SILENT, ("cookie", "none"), "sHIN", "sH"),
    Scene("c-left-reading", "cookie", LONG, ("hang-up",), "CDNI", "client", _PATIENT),
    Scene("c-denied", "cookie", WELL, ("cookie", "one"), "PRVN", "PR", "http-request deny"),
    Scene("t-well", "tcp", WELL, ("finish",), "--", None, _PATIENT),
    Scene("t-closed", "tcp", CLOSES, _GET, "--", None, _PATIENT),
    Scene("t-refused", "tcp", CLOSED, _GET, "SC", "SC"),
    Scene("t-no-server", "tcp", None, _GET, "SC", "no_server"),
    Scene("t-unanswered", "tcp", FULL, _GET, "sC", "sC"),
    Scene("t-reset", "tcp", RESETS, _GET, "SD", "server_reset", _PATIENT),
    Scene("t-silent", "tcp", SILENT, _GET, "sD", "sH"),
    Scene("t-queued", "tcp", SILENT, ("second",), "sQ", "sQ", _PATIENT, "maxconn 1"),
    Scene("t-left-queue", "tcp", SILENT, ("second-leave",), "CQ", "client", f"{_ABORTS};timeout queue 8s", "maxconn 1"),
    Scene("t-left-connect", "tcp", FULL, _LEAVE, "CC", "client", f"{_ABORTS};timeout connect 8s"),
    Scene("t-left-reading", "tcp", LONG, ("hang-up",), "CD", "client", _PATIENT),
    Scene("t-idle", "tcp", SILENT, _GET, "cD", "client_slow", f"timeout client 1s;{_PATIENT}"),
    Scene("t-rejected", "tcp", WELL, _GET, "PR", "PR", "tcp-request content reject"),
    Scene("t-down", "tcp", SILENT, _DOWN, "D-", "server_down", _PATIENT, _MARKED),
    Scene("t-ended", "tcp", SILENT, _SHUT, "K-", "ended", _PATIENT),
)
