"""The model of a service's next start beside systemd, which loads the same files with `--test` and starts nothing.

No disagreement with systemd 252 is known.
"""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tcptune.planning.next_start import SYSTEMD_DEFAULT, rlimit
from tests.unit.planning.test_next_start import ETC, LIB, LIKE_SYSTEMD, MASK, RUN, VALUES

SYSTEMD = next(
    (path for path in map(Path, ("/lib/systemd/systemd", "/usr/lib/systemd/systemd")) if path.exists()), None
)
SOME_USER = 65534

pytestmark = [pytest.mark.lab, pytest.mark.skipif(not SYSTEMD.exists(), reason="systemd is not installed")]


@pytest.fixture
def tree() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tcptune-units-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def loaded(tree: Path, unit: str, files: dict[str, str | None]) -> tuple[int, int]:
    """Return soft and hard limit that systemd makes of some files."""
    for path, content in files.items():
        file = tree / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        if content == MASK:
            file.symlink_to("/dev/null")
        else:
            # Whether it is a unit or a drop-in, it has to say what is run.
            file.write_text(f"{content}[Service]\nExecStart=\nExecStart=/bin/true\n")
    # Behind the tree come the machine's own units, for the targets that every unit needs.
    path = ":".join([*(f"{tree}{folder}" for folder in (ETC, RUN, LIB)), "/usr/lib/systemd/system"])
    root = os.geteuid() == 0
    done = subprocess.run(
        [str(SYSTEMD), "--test", "--system", f"--unit={unit}"],
        env={"SYSTEMD_UNIT_PATH": path, "HOME": "/nonexistent", "PATH": os.environ["PATH"], "SYSTEMD_GETTY_AUTO": "0"},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
        user=SOME_USER if root else None,
        group=SOME_USER if root else None,
        extra_groups=[] if root else None,
    )
    found: dict[str, int] = {}
    here = False
    for line in done.stdout.splitlines():
        if "-> Unit " in line:
            here = f"-> Unit {unit}:" in line
        name, _, value = line.strip().partition(": ")
        if here and name in {"LimitNOFILE", "LimitNOFILESoft"}:
            found[name] = int(value)
    assert found, done.stderr
    return found["LimitNOFILESoft"], found["LimitNOFILE"]


def default() -> tuple[int, int]:
    """Return the default that a systemd has which was started with the limits of this process."""
    soft, hard = SYSTEMD_DEFAULT
    return soft, min(hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


@pytest.mark.parametrize(("unit", "files", "limits"), LIKE_SYSTEMD.values(), ids=LIKE_SYSTEMD)
def test_units_and_drop_ins_are_read_as_the_model_says(
    tree: Path, unit: str, files: dict[str, str | None], limits: tuple[int, int]
) -> None:
    assert loaded(tree, unit, files) == (default() if limits == SYSTEMD_DEFAULT else limits)


@pytest.mark.parametrize("text", [text for text, _ in VALUES])
def test_a_value_is_read_as_the_model_says(tree: Path, text: str) -> None:
    found = loaded(tree, "a.service", {f"{LIB}/a.service": f"[Service]\nLimitNOFILE=55\nLimitNOFILE={text}\n"})

    assert found == (rlimit(text) or (55, 55))
