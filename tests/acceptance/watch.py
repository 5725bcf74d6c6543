"""Look for a secret where passing eyes could see it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Watch:
    """Looks for a text where passing eyes could: in every process's arguments and
    environment, and in files below some folders."""

    def __init__(self, text: str, *folders: Path) -> None:
        self.seen: set[str] = set()
        self.looks = 0
        self._text = text.encode()
        self._folders = folders
        self._over = threading.Event()

    def look(self) -> None:
        self.looks += 1
        # os.walk passes over what goes away meanwhile.
        paths = [Path(at, name) for folder in self._folders for at, _, names in os.walk(folder) for name in names]
        processes = [path for name in ("cmdline", "environ") for path in Path("/proc").glob(f"[0-9]*/{name}")]
        for path in [*paths, *processes]:
            try:
                if path.is_file() and self._text in path.read_bytes():
                    self.seen.add(str(path))
            except OSError:
                continue

    @contextmanager
    def watching(self) -> Iterator[None]:
        def work() -> None:
            while not self._over.wait(0.02):
                self.look()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            self.look()
