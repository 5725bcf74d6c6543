from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from tcptune.adapters.gates import command
from tcptune.domain.gates import Answer, CommandGate
from tests.unit.builders import NOW, host


def asked(*words: str, name: str = "web1", address: str = "192.0.2.7", **fields: object) -> Answer:
    gate = CommandGate.model_validate({"name": "check", "command": words, **fields})
    [answer] = command.ask(host(name, address=address), gate, NOW)
    return answer


def python(code: str, *words: str, **fields: object) -> Answer:
    return asked(sys.executable, "-c", code, *words, **fields)


def test_the_exit_status_decides() -> None:
    assert python("print('well')") == Answer(
        host="web1", gate="command", check="check", at=NOW, works=True, value=0, unit="exit status", said="well"
    )
    failed = python("import sys; print('one'); sys.exit('queue is full')")
    assert (failed.works, failed.value, failed.said) == (False, 1, "exit status 1; it said: queue is full")
    assert python("raise SystemExit(3)", exit_status=(0, 3)).works
    assert python("raise SystemExit(0)", exit_status=(3,)).works is False


def test_the_host_is_given_in_arguments_and_in_the_environment() -> None:
    code = "import os, sys; print(sys.argv[1:], os.environ['TCPTUNE_HOST'], os.environ['TCPTUNE_ADDRESS'])"

    assert python(code, "--host={host}", "{address}").said == "['--host=web1', '192.0.2.7'] web1 192.0.2.7"


@pytest.mark.parametrize("name", ["$(touch owned)", "a;touch owned", "`touch owned`", "a b", "'"])
def test_no_shell_sees_the_name_of_a_host(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert python("import sys; print(sys.argv[1])", "{host}", name=name).said == name
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_would_be_taken_for_an_option_is_not_asked() -> None:
    answer = python("raise SystemExit(0)", "{host}", name="--help")

    assert answer.works is None
    assert "would take for an option" in answer.said


def test_a_program_that_is_not_there_could_not_be_tried() -> None:
    answer = asked("/no/such/program")

    assert (answer.works, answer.said) == (None, "/no/such/program cannot be started: No such file or directory")


def test_a_program_that_hangs_ends_in_time() -> None:
    start = time.monotonic()
    answer = python("import time; print('waiting', flush=True); time.sleep(60)", within_s=1)

    assert time.monotonic() - start < 10
    assert (answer.works, answer.value) == (False, None)
    assert answer.said == "not done within 1 s; it said: waiting"


def test_what_a_program_leaves_running_is_ended_and_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    code = (
        "import subprocess, sys, pathlib; "
        f"p = subprocess.Popen(['sleep', '60']); pathlib.Path({str(file)!r}).write_text(str(p.pid)); print('left it')"
    )
    start = time.monotonic()
    answer = python(code, within_s=20)

    assert time.monotonic() - start < 15
    assert (answer.works, answer.said) == (True, "left it")
    assert _gone(int(file.read_text()))


def _gone(pid: int) -> bool:
    """Say whether a process has ended; one whose parent has not looked yet counts as ended."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_a_program_that_closes_its_output_is_still_waited_for() -> None:
    answer = python("import os, time; os.close(1); os.close(2); time.sleep(0.3); os._exit(4)")

    assert (answer.works, answer.said) == (False, "exit status 4")


def test_a_program_that_is_killed_says_so() -> None:
    assert python("import os; os.kill(os.getpid(), 9)").said == "killed by signal 9"


def test_of_endless_output_only_the_end_is_kept() -> None:
    answer = python("import os\nwhile True: os.write(1, b'x' * 65536)", within_s=1)

    assert answer.works is False
    assert len(answer.said) <= 300


def test_what_a_program_prints_does_not_steer_a_terminal() -> None:
    assert python(r"print('first\nlast \033[2J \x07')").said == "last \ufffd[2J \ufffd"


def test_a_program_reads_nothing_from_the_terminal() -> None:
    assert python("import sys; print(repr(sys.stdin.read()))").said == "''"


def test_nothing_is_left_open() -> None:
    python("print(1)")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        python("print(1)")

    assert len(os.listdir("/proc/self/fd")) == before
