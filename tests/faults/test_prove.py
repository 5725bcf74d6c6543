"""What a proof asks of the command, and what counts as a mistake. test_faults.py lets it diagnose each fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

import pytest

from tcptune.adapters.chains import load_chain
from tcptune.knowledge.timeout_chain import products
from tcptune.planning.chain import assess
from tests.acceptance.command import Said
from tests.faults import FAULTS, HEALTHY, Fault
from tests.faults.nginx import FOLDER
from tests.faults.prove import FORGETFUL, GIVEN, POOLED, WINDOW_S, Verdict, prove

BY_NAME = {fault.name: fault for fault in (*FAULTS, *HEALTHY)}
LINGER, OVERFLOW = BY_NAME["linger-zero"], BY_NAME["accept-queue-overflow"]


class AHost:
    """A host that answers with the texts that it is given."""

    def __init__(self, name: str, files: dict[str, str]) -> None:
        self.name, self.address, self.files = name, "10.0.0.2", files
        self.undo = ExitStack()

    def run(self, *argv: str, text: str | None = None) -> str:
        if argv[0] == "tee":
            self.files[argv[1]] = text or ""
        return self.files[argv[1]]

    def capture(self, file: BinaryIO, port: int, *, seconds: int) -> None:
        file.write(f"{seconds} s of port {port}".encode())


class AScene:
    """A scene without hosts: what is asked of the command is looked at, and not what it finds."""

    diagnosed = "server"

    def __init__(self) -> None:
        server = AHost("lab1", {f"{FOLDER}/error.log": "upstream prematurely closed connection\n" * 5})
        client = AHost("lab2", {"/etc/hosts": "127.0.0.1 localhost\n"})
        self.stage = SimpleNamespace(server=server, client=client, hosts={"server": server, "client": client})
        self.loads: list[dict[str, float]] = []

    @contextmanager
    def under_load(self, **options: float) -> Iterator[None]:
        self.loads.append(options)
        yield


class ACommand:
    """The command that answers each diagnosis with a host that is well."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[tuple[str, ...]] = []

    def file(self, name: str, text: str | None = None) -> Path:
        path = self.folder / name
        if text is not None:
            path.write_text(text)
        return path

    def __call__(self, *words: str, **_expected: object) -> Said:
        self.calls.append(words)
        return Said(0, '{"hosts": [{"causes": [], "unexplained": [], "not_judged": []}]}', "")


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("linger-zero", ()),
        ("firewall-reject", ("--probe", "probe.json")),
        ("firewall-reject-ipv6", ("--probe", "probe.json")),
        ("proxy-idle-timeout", ("--chain", "chain.yml")),
        ("upstream-idle-race", ("--log", "error.log")),
        ("idle-drop", ("--pcap", "capture.pcap", "--chain", "chain.yml")),
    ],
)
def test_the_command_gets_the_host_and_what_its_owner_has_beside_it(
    name: str, beside: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.faults.prove.BEFORE_S", 0.0)
    scene, command, lab = AScene(), ACommand(tmp_path), SimpleNamespace(inventory="inventory.yml")

    found = prove(BY_NAME[name], cast("Any", scene), cast("Any", command), cast("Any", lab))

    asked = command.calls[-1]
    assert asked[:7] == ("diagnose", "-i", "inventory.yml", "--limit", "lab1", "--window", "6s")
    assert tuple(Path(word).name for word in asked[7:-2]) == beside
    assert list(found.mistakes())[-1] == "exits with 0"
    assert scene.loads[0]["seconds"] > WINDOW_S
    if "--probe" in beside:
        assert command.calls[0][:2] == ("probe", "lab1:8080")
        assert scene.stage.client.files["/etc/hosts"].endswith("10.0.0.2 lab1\n")
        scene.stage.client.undo.close()
        assert scene.stage.client.files["/etc/hosts"] == "127.0.0.1 localhost\n"


@pytest.mark.parametrize("text", [POOLED, FORGETFUL], ids=["pooled", "forgetful"])
def test_the_chains_that_are_given_break_and_are_judged_in_full(text: str, tmp_path: Path) -> None:
    (tmp_path / "chain.yml").write_text(text)

    found = assess(load_chain(tmp_path / "chain.yml"), products(), {})

    assert found.undecided == ()
    assert found.broken


def cause(name: str, sure: str = "high", **fields: Any) -> dict[str, Any]:
    remedies = [{"kind": "app", "here": None}, {"kind": "sysctl", "here": None}]
    return {"cause": name, "confidence": sure, "follows_from": None, "remedies": remedies, "settings": []} | fields


def verdict(fault: Fault, *causes: dict[str, Any], code: int = 10, **host: Any) -> list[str]:
    document = {"hosts": [{"causes": list(causes), "unexplained": [], "not_judged": [], **host}]}
    return list(Verdict.of(fault, code, document).mistakes())


def test_a_verdict_that_is_right_has_no_mistakes() -> None:
    linger = cause("reset.so_linger_zero")

    assert verdict(LINGER, linger) == []
    assert verdict(LINGER, linger, cause("perf.loss", "likely")) == []
    assert verdict(LINGER, linger, cause("perf.loss", follows_from="reset.so_linger_zero")) == []
    assert verdict(BY_NAME["busy"], code=0) == []


def test_what_is_wrong_with_a_verdict_is_said() -> None:
    linger, loss = cause("reset.so_linger_zero"), cause("perf.loss")

    assert verdict(LINGER) == ["names nothing first", "does not name reset.so_linger_zero"]
    assert verdict(LINGER, loss, linger) == ["names perf.loss first", "is sure of perf.loss, which is wrong"]
    assert verdict(LINGER, linger, code=4, not_judged=[{"why": "no ss"}]) == ["did not judge: no ss", "exits with 4"]
    assert verdict(BY_NAME["busy"], loss) == ["names perf.loss", "exits with 10"]
    assert verdict(BY_NAME["busy"], code=0, unexplained=[{"what": "resets"}]) == ["does not explain: resets"]


def test_a_remedy_of_another_kind_is_a_mistake_and_so_is_another_setting() -> None:
    here = [{"kind": "app", "here": None}, {"kind": "sysctl", "here": "net.core.somaxconn = 4096"}]
    name, other = "listen.accept_queue_overflow", [{"key": "net.ipv4.tcp_rmem"}]

    assert verdict(OVERFLOW, cause(name, remedies=here)) == []
    assert verdict(OVERFLOW, cause(name)) == ["remedies are app"]
    assert verdict(OVERFLOW, cause(name, remedies=here, settings=other)) == [
        "proposes net.ipv4.tcp_rmem, and not net.core.somaxconn"
    ]
    assert verdict(LINGER, cause("reset.so_linger_zero", settings=other))[0] == "proposes net.ipv4.tcp_rmem"


def test_what_is_given_beside_a_host_is_for_faults_that_there_are() -> None:
    assert set(GIVEN) <= set(BY_NAME)
