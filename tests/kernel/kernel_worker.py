"""Writes kernel settings where it can do no harm, on behalf of kernel_lab.

Started by `unshare --net --mount`, as root: it sees a fresh network namespace, and everything of /proc/sys but its
network keys is read-only. Reads one JSON request per line and answers with one; ends with its input.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SYS = Path("/proc/sys")


def confine(outside: str) -> None:
    if str(Path("/proc/self/ns/net").readlink()) == outside:
        raise SystemExit("this is the machine's own network namespace")
    for folder, mode in ((SYS, "ro"), (SYS / "net", "rw")):
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        subprocess.run(["mount", "-o", f"remount,bind,{mode}", folder], check=True)
    if os.access(SYS / "vm/min_free_kbytes", os.W_OK) or os.access(SYS / "fs/file-max", os.W_OK):
        raise SystemExit("the machine's own settings can be written")


def read(path: str) -> str:
    return (SYS / path).read_bytes().decode("latin-1").removesuffix("\n")


def write(path: str, text: str) -> str | None:
    """Write as the loaders do, the text and a newline; return the name of the error."""
    data = text.encode("latin-1") + b"\n"
    handle = os.open(SYS / path, os.O_WRONLY)
    try:
        while data:
            # The kernel counts what it has parsed only. libc then writes the rest, which the kernel ignores.
            data = data[os.write(handle, data) :]
    except OSError as problem:
        return errno.errorcode[problem.errno or 0]
    finally:
        os.close(handle)
    return None


def seen(path: str) -> dict[str, Any]:
    place = SYS / path
    try:
        mode = place.stat().st_mode & 0o777
    except FileNotFoundError:
        return {"view": "absent"}
    view = "writable" if os.access(place, os.W_OK) else "read-only"
    return {"view": view, "mode": mode, "text": read(path) if mode & 0o444 else None}


def trial(path: str, setup: list[list[str]], text: str) -> dict[str, Any]:
    """Write `text` once the setup is made; say what happened, and leave everything as it was."""
    touched = [path, *(other for other, _ in setup)]
    before = {one: read(one) for one in touched}
    for other, value in setup:
        write(other, value)
    peers = {other: read(other) for other, _ in setup}
    current = read(path)
    answer = {"peers": peers, "before": current, "errno": write(path, text), "after": read(path)}
    # Those that limit each other cannot be put back in one go.
    for one in (*touched, *touched):
        if read(one) != before[one]:
            write(one, before[one])
    answer["restored"] = all(read(one) == before[one] for one in touched)
    return answer


def main() -> None:
    confine(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        answer: Any = {path: seen(path) for path in request["seen"]} if "seen" in request else trial(**request)
        print(json.dumps(answer), flush=True)  # it is the answer


if __name__ == "__main__":
    main()
