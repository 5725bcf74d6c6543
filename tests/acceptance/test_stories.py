"""From a fault to its cure, as an operator goes: measure, diagnose, plan, apply, confirm, do the rest, measure again.

What needs a kernel and a systemd of its own has its stories in tests/vm/test_stories.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.storyteller import LabSite, Story
from tests.faults import FAULTS, Scene, Stage, missing
from tests.faults.nginx import FOLDER
from tests.lab import Lab
from tests.lab.pytest_plugin import Hosts

pytestmark = pytest.mark.lab

SOMAXCONN = "net.core.somaxconn"
PORTS = "net.ipv4.ip_local_port_range"
REUSE = "net.ipv4.tcp_tw_reuse"
# The pool uses a connection again after 1.5 s; the server behind the proxy closes after 30 s.
CHAIN = """\
chain: shop
hops:
  - name: client
    sends: {idle_timeout: 2s, requests: never, response_timeout: 1s}
  - name: proxy
    product: nginx
    upstream: backend
  - name: app
    receives: {idle_timeout: 30s, requests: never, answer_within: 0.5s}
"""
HEARSAY = """\
profile: hearsay
settings:
  net.core.somaxconn: {exactly: 16, why: somebody said that short queues fail fast, source: hearsay}
"""
NGINX_CONF = f"{FOLDER}/nginx.conf"
Begun = Callable[..., tuple[Scene, Story]]


@pytest.fixture
def begun(lab: Lab, hosts: Hosts, tcptune: Tcptune) -> Iterator[Begun]:
    """Give a function that makes a fault, or the same scene without it, and begins its story."""
    if reasons := missing():
        pytest.skip("; ".join(reasons))
    with ExitStack() as stack:

        def begin(name: str, *, faulty: bool = True) -> tuple[Scene, Story]:
            fault = next(one for one in FAULTS if one.name == name)
            stage = stack.enter_context(Stage(lab, hosts(fault.hosts)))
            scene = stack.enter_context(fault.make(stage, faulty))
            return scene, Story(name, LabSite(scene), tcptune, lab.inventory)

        yield begin


def test_an_accept_queue_that_overflows_is_cured_once_its_program_listens_again(begun: Begun) -> None:
    scene, story = begun("accept-queue-overflow")
    server, restart = scene.stage.server, scene.restart
    assert restart is not None
    before = story.measured("before")

    cause = story.diagnosed_from_files()
    assert (cause["cause"], cause["confidence"]) == ("listen.accept_queue_overflow", "high")
    story.planned()
    left = story.kept()
    assert left == ["start nginx again"]
    assert server.value(SOMAXCONN) == "4096"

    # The queue is as long as it was when nginx began to listen.
    assert story.verified(expect=10)["outcome"] == "unchanged"
    restart()
    after = story.measured("after")
    found = story.verified()
    assert (found["outcome"], found["rates"]["listen-overflows"]) == ("fixed", "fixed")

    assert before.error_rate > 0.2
    assert after.errors == {}
    story.back()
    assert server.value(SOMAXCONN) == "16"


@pytest.mark.slow
def test_ports_that_ran_out_are_widened_and_taken_again(begun: Begun) -> None:
    scene, story = begun("port-exhaustion")
    client = scene.stage.client
    values = client.value(PORTS), client.value(REUSE)
    before = story.measured("before")

    cause = story.diagnosed()
    assert (cause["cause"], cause["confidence"]) == ("port_exhaustion", "high")
    planned = story.planned()
    risky = [change["key"] for cohort in planned["cohorts"] for change in cohort["changes"] if change["danger"]]
    assert risky == [PORTS]
    story.tcptune("apply", story.plan, "--confirm-within", "10m", expect=2)
    assert story.kept("--allow-risk", PORTS) == []

    after = story.measured("after")
    found = story.verified()
    assert (found["outcome"], found["rates"]["local-ports"]) == ("fixed", "fixed")
    story.well()
    assert before.error_rate > 0.2
    assert after.errors == {}
    story.back()
    assert (client.value(PORTS), client.value(REUSE)) == values


@pytest.mark.slow
def test_a_proxy_that_gives_its_workers_few_files_is_told_to_give_more(begun: Begun) -> None:
    scene, story = begun("descriptor-limit")
    before = story.measured("before")

    cause = story.diagnosed()
    assert (cause["cause"], cause["confidence"]) == ("limit.emfile", "high")
    assert not story.fix.exists(), "nginx sets this limit itself: what its service allows is no matter"
    [todo] = [one["here"] for one in cause["remedies"] if one["kind"] == "limit" and one["here"]]
    story.tell(f"left to a person: {todo}")
    directive = todo.partition(",")[0]
    assert directive == "worker_rlimit_nofile 65536"
    configured(scene, ("worker_rlimit_nofile 32", directive))

    after = story.measured("after")
    story.well()
    assert before.error_rate > 0.2
    assert after.errors == {}


@pytest.mark.slow
def test_a_change_that_makes_it_worse_is_called_so(begun: Begun) -> None:
    scene, story = begun("accept-queue-overflow", faulty=False)
    server, restart = scene.stage.server, scene.restart
    assert restart is not None
    fine = server.value(SOMAXCONN)
    before = story.measured("before")
    story.looked()
    story.fix.write_text(HEARSAY)

    story.planned()
    story.kept()
    restart()

    after = story.measured("after")
    found = story.verified(expect=10)
    assert (found["outcome"], found["rates"]["listen-overflows"]) == ("worse", "worse")
    assert before.errors == {}
    assert after.error_rate > 0.2
    story.back()
    restart()
    assert server.value(SOMAXCONN) == fine
    assert story.measured("taken back").error_rate == 0


@pytest.mark.slow
def test_a_proxy_that_closes_first_is_told_to_wait_longer(begun: Begun) -> None:
    scene, story = begun("proxy-idle-timeout")
    chain = story.tcptune.file("shop.yml", CHAIN)
    copy = story.tcptune.file("nginx.conf", scene.stage.server.run("cat", NGINX_CONF))
    before = story.measured("before")

    cause = story.diagnosed("--chain", str(chain), "--nginx", str(copy))
    assert cause["cause"] == "reset.keepalive_race"
    assert cause["kernel_change_helps"] is False
    assert not story.fix.exists()
    checked = ("timeouts", "check", chain, "--nginx", copy)
    said = json.loads(story.tcptune(*checked, "--format", "json", expect=10).stdout)
    todo = [
        judged["remedies"][0]
        for way in said["ways"]
        for link in way["links"]
        for judged in link["judged"]
        if judged["verdict"] == "broken"
    ]
    assert [(one["hop"], one["knob"]) for one in todo] == [
        ("proxy", "keepalive_timeout"),
        ("proxy", "keepalive_timeout in the upstream block"),
    ]
    for one in todo:
        story.tell(f"left to a person: {one['hop']}: {one['knob']} {one['before']} -> {one['after']}")
    front, back = (one["after"].replace(" ", "") for one in todo)
    copy.write_text(
        configured(
            scene,
            ("keepalive_timeout 1s;", f"keepalive_timeout {front};"),
            ("keepalive 32;", f"keepalive 32; keepalive_timeout {back};"),
        )
    )

    after = story.measured("after")
    story.tcptune(*checked)
    story.well("--chain", str(chain), "--nginx", str(copy))
    assert before.error_rate > 0.2
    assert after.errors == {}


def configured(scene: Scene, *changes: tuple[str, str]) -> str:
    """Change the configuration of the server's nginx, reload it, and give the whole text."""
    server = scene.stage.server
    text = server.run("cat", NGINX_CONF)
    for before, after in changes:
        assert text.count(before) == 1
        text = text.replace(before, after)
    server.run("tee", NGINX_CONF, text=text)
    server.run("nginx", "-c", NGINX_CONF, "-e", f"{FOLDER}/error.log", "-s", "reload")
    return text
