"""Faults that end connections, made by a real kernel: what runs on a server, and on its client."""

from __future__ import annotations

CLOSED, UNREAD, LINGER, KILLED_UNREAD, KILLED, AFTER_CLOSE, REJECTED, ELSEWHERE, DROPPED, FORGOTTEN = range(9001, 9011)
OVERFLOW, VANISHED, QUEUED, SLOW, TRUNCATED, LATE, FINE = range(9011, 9018)

_NAMES = (
    "CLOSED, UNREAD, LINGER, KILLED_UNREAD, KILLED, AFTER_CLOSE, REJECTED, ELSEWHERE, DROPPED, FORGOTTEN, "
    "OVERFLOW, VANISHED, QUEUED, SLOW, TRUNCATED, LATE, FINE"
)
PORTS = f"{_NAMES} = range({CLOSED}, {FINE + 1})\n"

SERVER = (
    PORTS
    + r'''
import os, signal, socket, struct, subprocess, sys, threading, time

def nft(text):
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)

nft(f"""
table ip t {{
  chain i {{ type filter hook input priority 0;
    tcp dport {REJECTED} reject with tcp reset
    tcp dport {DROPPED} drop
    tcp dport {OVERFLOW} tcp flags & (syn | ack) == ack drop
  }}
  chain o {{ type filter hook output priority 0; tcp sport {ELSEWHERE} tcp flags & rst == rst ip ttl set 200; }}
  chain late {{ type filter hook input priority 1; }}
  chain hush {{ type filter hook output priority 1; tcp sport {LATE} tcp flags & syn == syn drop; }}
  chain mute {{ type filter hook output priority 1; }}
}}
""")
open("/proc/sys/net/ipv4/tcp_abort_on_overflow", "w").write("1")

def listen(port, backlog=16, buffer=0):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if buffer:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    s.bind(("", port))
    s.listen(backlog)
    return s

def unread(s):
    c, _ = s.accept()
    time.sleep(0.4)
    c.close()

def linger(s):
    c, _ = s.accept()
    c.recv(999)
    c.sendall(b"answer")
    time.sleep(0.3)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()

def fine(s):
    c, _ = s.accept()
    c.recv(999)
    c.sendall(b"answer")
    c.close()

def queued(s):
    time.sleep(0.8)
    s.close()

def slow(s):
    c, _ = s.accept()
    time.sleep(2.5)
    while c.recv(65536):
        pass

def truncated(s):
    c, _ = s.accept()
    c.recv(999)
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 100)
    c.close()

def vanished(s):
    c, _ = s.accept()
    c.recv(999)
    time.sleep(0.3)
    nft(f"add rule ip t late tcp dport {VANISHED} drop")
    time.sleep(5)

def killed(s, reads, forgotten=False):
    child = os.fork()
    if not child:
        c, _ = s.accept()
        if reads:
            c.recv(999)
            c.sendall(b"answer")
        time.sleep(60)
        os._exit(0)
    time.sleep(1.0)
    if forgotten:
        nft(f"add rule ip t mute tcp sport {FORGOTTEN} drop")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if forgotten:
        time.sleep(0.2)
        nft("flush chain ip t mute")

def overflow(s):
    time.sleep(0.5)
    nft("flush chain ip t hush")
    nft(f"flush chain ip t i; add rule ip t i tcp dport {REJECTED} reject with tcp reset;"
        f" add rule ip t i tcp dport {DROPPED} drop")
    time.sleep(3)

roles = [(listen(UNREAD), unread), (listen(LINGER), linger), (listen(AFTER_CLOSE), fine), (listen(QUEUED), queued),
         (listen(SLOW, buffer=4096), slow), (listen(TRUNCATED), truncated), (listen(VANISHED), vanished),
         (listen(OVERFLOW, backlog=3), overflow), (listen(FINE), fine)]
dying = [(listen(KILLED_UNREAD), False, False), (listen(KILLED), True, False), (listen(FORGOTTEN), False, True)]
rejected = listen(REJECTED), listen(DROPPED), listen(LATE)
children = []
for s, reads, forgotten in dying:
    # Processes and no threads: who is killed must hold nothing but its own connection.
    child = os.fork()
    if not child:
        killed(s, reads, forgotten)
        os._exit(0)
    children.append(child)
threads = [threading.Thread(target=role, args=(s,)) for s, role in roles]
for thread in threads:
    thread.start()
print("ready", flush=True)
for thread in threads:
    thread.join()
for child in children:
    os.waitpid(child, 0)
'''
)

CLIENT = (
    PORTS
    + r"""
import errno, json, socket, sys, threading, time

ADDRESS = sys.argv[1]
said = {}

def talk(port, first=b"question" * 100, then=None, wait=1.6, count=1):
    name = "fine"
    try:
        s = socket.create_connection((ADDRESS, port), timeout=3.4)
        if port == VANISHED:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2)):
                s.setsockopt(socket.IPPROTO_TCP, option, value)
            s.settimeout(5)
        if first:
            s.sendall(first)
        if then is not None:
            time.sleep(wait)
            s.send(then)
            time.sleep(0.2)
        while s.recv(65536):
            pass
        s.close()
    except OSError as problem:
        # The timeouts of Python itself have no number; the kernel's do.
        name = errno.errorcode[problem.errno] if problem.errno else "timeout"
    said[port] = name

def impatient():
    try:
        socket.create_connection((ADDRESS, LATE), timeout=0.6)
    except TimeoutError:
        said[LATE] = "timeout"

def hold():
    s = socket.create_connection((ADDRESS, OVERFLOW), timeout=3)
    time.sleep(2)
    s.close()

def pour():
    s = socket.create_connection((ADDRESS, SLOW), timeout=10)
    s.sendall(b"x" * 2_000_000)
    s.close()
    said[SLOW] = "fine"

jobs = [threading.Thread(target=talk, args=(port,)) for port in (FINE, CLOSED, UNREAD, LINGER, KILLED_UNREAD, REJECTED,
        ELSEWHERE, DROPPED, TRUNCATED, VANISHED)]
jobs += [threading.Thread(target=talk, args=(port, b"question", b"more")) for port in (AFTER_CLOSE, KILLED, FORGOTTEN)]
jobs.append(threading.Thread(target=talk, args=(QUEUED, b"")))
# Two whose confirmation is lost at first, so that it comes when four others have filled the queue of three and one.
jobs += [threading.Thread(target=talk, args=(OVERFLOW, b"")) for _ in range(2)]
jobs += [threading.Timer(0.7, hold) for _ in range(4)]
jobs += [threading.Thread(target=job) for job in (pour, impatient)]
for job in jobs:
    job.start()
for job in jobs:
    job.join()
print(json.dumps(said))
"""
)

HEALTHY_SERVER = r"""
import http.server, threading

class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"x" * int(self.path.lstrip("/"))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("", 9200), Answers)
server.request_queue_size = 128
server.socket.listen(128)
threading.Timer(6, server.shutdown).start()
print("ready", flush=True)
server.serve_forever()
"""

HEALTHY_CLIENT = r"""
import http.client, sys, threading

def kept():
    connection = http.client.HTTPConnection(sys.argv[1], 9200, timeout=20)
    for size in (0, 1, 5000, 200_000) * 10:
        connection.request("GET", f"/{size}")
        assert len(connection.getresponse().read()) == size
    connection.close()

def fresh():
    for size in (0, 100, 3_000_000):
        for _ in range(5):
            connection = http.client.HTTPConnection(sys.argv[1], 9200, timeout=20)
            connection.request("GET", f"/{size}")
            assert len(connection.getresponse().read()) == size
            connection.close()

jobs = [threading.Thread(target=job) for job in (kept, fresh) * 4]
for job in jobs:
    job.start()
for job in jobs:
    job.join()
print("done")
"""
"""Many requests on connections that are kept, and many on fresh ones, with nothing wrong."""

VICTIM = r"""
import json, socket, struct, sys

packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(0x0800))
packets.settimeout(5)
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
own, _ = s.getsockname()[1], s.sendall(b"question")
s.recv(99)
while True:
    data = packets.recv(2048)
    head = (data[0] & 15) * 4
    sport, dport, seq = struct.unpack("!HHI", data[head : head + 8])
    total = struct.unpack("!H", data[2:4])[0]
    payload = total - head - (data[head + 12] >> 4) * 4
    if data[9] == 6 and sport == int(sys.argv[2]) and dport == own and payload:
        print(json.dumps({"port": own, "seq": (seq + payload) % 2**32}), flush=True)
        break
try:
    print(s.recv(99).decode(), flush=True)
    s.sendall(b"thanks")
except ConnectionResetError:
    print("reset", flush=True)
"""
"""A client that says what a forger needs to know, and whether it believed the reset."""

INJECTOR = r"""
import socket, struct, sys

source, target, sport, dport, seq = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
tcp = struct.pack("!HHIIBBHHH", sport, dport, seq, 0, 0x50, 4, 0, 0, 0)
ends = socket.inet_aton(source) + socket.inet_aton(target)
summed = ends + struct.pack("!HH", 6, len(tcp)) + tcp
total = sum(struct.unpack(f"!{len(summed) // 2}H", summed))
total = (total >> 16) + (total & 0xFFFF)
checksum = ~(total + (total >> 16)) & 0xFFFF
tcp = tcp[:16] + struct.pack("!H", checksum) + tcp[18:]
ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, 4242, 0, 200, 6, 0) + ends
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.sendto(ip + tcp, (target, 0))
"""
"""A box that resets a connection that is not its own."""
