"""Reading logs: how long `tcptune logs` takes beside `grep -c` with the same alternatives, in one sitting.

    python -m benchmarks.logs --megabytes 2000 --runs 3

The log is made here: access lines as a proxy writes them, and among each thousand so many errors in the words of nginx,
Go and Java. The commands take turns, wall time counts, and the median of the runs; the file was read once before, so
that all find it in memory. tcptune's time has the start of Python in it. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tcptune.knowledge.wording import wording

GOAL = 1.5
"""How many times as long as grep we may take."""
ERRORS = (
    "2026/11/21 {clock} [error] 1234#1234: *{n} recv() failed (104: Connection reset by peer) while reading response "
    'header from upstream, client: 10.1.2.3, server: x, request: "GET /a HTTP/1.1", upstream: "http://10.0.0.7:80/a"\n',
    "2026-11-21T{clock}.123Z ERROR request {n}: dial tcp 10.0.0.9:5432: connect: connection refused\n",
    "2026-11-21 {clock},123 ERROR [main] request {n}: java.net.SocketTimeoutException: Read timed out\n",
)
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0", "curl/8.4.0")
PIECE_LINES = 200_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--errors", type=float, default=2.0, help="lines with an error among a thousand")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tcptune-logs.") as folder:
        log, texts = Path(folder, "app.log"), Path(folder, "texts")
        write_log(log, asked.megabytes * 1_000_000, asked.errors / 1000)
        texts.write_text("".join(f"{text}\n" for phrase in wording().phrases for text in phrase.texts))
        escaped = Path(folder, "escaped")
        escaped.write_text("".join(f"{_extended(text)}\n" for text in texts.read_text().splitlines()))
        contenders: dict[str, Callable[[], int]] = {
            "grep -cF": lambda: _grep("-acF", texts, log),
            "grep -cE": lambda: _grep("-acE", escaped, log),
            "tcptune logs": lambda: _tcptune(log),
        }
        return _measured(contenders, asked.runs, log.stat().st_size)


def write_log(path: Path, size_bytes: int, share: float) -> None:
    """Write a log of at least this size; `share` of its lines tell of an error."""
    rng = random.Random(7)  # noqa: S311  # a log that is the same each time, no secret
    piece = "".join(_line(rng, n, share) for n in range(PIECE_LINES)).encode()
    with path.open("wb") as file:
        while file.tell() < size_bytes:
            file.write(piece)


def _line(rng: random.Random, n: int, share: float) -> str:
    clock = f"{n // 3600 % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}"
    if rng.random() < share:
        return rng.choice(ERRORS).format(clock=clock, n=n)
    return (
        f"10.{n % 256}.{n // 256 % 256}.7 - - [21/Nov/2026:{clock} +0000] "
        f'"GET /api/v1/items/{n} HTTP/1.1" 200 {rng.randint(100, 99_999)} "-" "{rng.choice(AGENTS)}"\n'
    )


def _measured(contenders: dict[str, Callable[[], int]], runs: int, size_bytes: int) -> int:
    found = {name: run() for name, run in contenders.items()}  # warms the page cache
    if len(set(found.values())) != 1:
        print(f"they do not find the same number of lines: {found}", file=sys.stderr)
        return 1
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, run in contenders.items():
            begin = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - begin)
    median = {name: statistics.median(times) for name, times in taken.items()}
    print(f"{size_bytes / 1e6:.0f} MB, {found['tcptune logs']} lines with an error, {os.cpu_count()} CPUs, {runs} runs")
    for name, seconds in median.items():
        print(f"  {name:14} {seconds:7.2f} s  {size_bytes / seconds / 1e6:6.0f} MB/s")
    ratios = {name: median["tcptune logs"] / median[name] for name in ("grep -cF", "grep -cE")}
    for name, ratio in ratios.items():
        print(f"  {ratio:.2f} times {name}; goal: at most {GOAL}")
    return 0 if min(ratios.values()) <= GOAL else 1


def _grep(how: str, texts: Path, log: Path) -> int:
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        ["grep", how, "-f", str(texts), str(log)], env=environment, capture_output=True, text=True, check=False
    )
    return int(done.stdout)


def _tcptune(log: Path) -> int:
    import json

    command = [sys.executable, "-m", "tcptune", "logs", str(log), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(json.loads(done.stdout)["sources"][0]["lines"])


def _extended(text: str) -> str:
    """Return a text as an extended regular expression that means it."""
    return "".join(f"\\{c}" if c in r"\.[]()*+?{}|^$" else c for c in text)


if __name__ == "__main__":
    sys.exit(main())
