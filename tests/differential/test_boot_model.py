"""The boot model against the genuine loaders: in random trees, and in each case where the two loaders part ways.

One disagreement between the model and procps 4.0.2 is known, none with systemd-sysctl 252: where a file is called
`*.conf`, procps reads what that pattern finds, and stops there at a link to nowhere; the model goes on. What the
loaders do against their manuals is modelled, and pinned by SURPRISES below. TCPTUNE_DIFFERENTIAL_CASES sets how many
trees each loader gets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import boot_lab
import pytest
from boot_lab import Lab, Laid, as_facts
from boot_trees import KEYS, WIDTHS, trees
from hypothesis import HealthCheck, given, settings

from tcptune.domain.boot import Loader
from tcptune.planning.boot import BootModel

CASES = int(os.environ.get("TCPTUNE_DIFFERENTIAL_CASES", "200"))

pytestmark = [pytest.mark.lab, pytest.mark.skipif(boot_lab.missing() is not None, reason=str(boot_lab.missing()))]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("root"), KEYS)
    yield lab
    lab.close()


def predicted(lab: Lab, loader: Loader, files: list[Laid]) -> dict[str, str]:
    """What the kernel prints for each key if the model is right."""
    model = BootModel(as_facts(files), accepts=lab.accepts, widths=WIDTHS)
    values = {key: found.under(loader).value for key, found in model.all_keys(KEYS).items()}
    return {key: lab.defaults[key] if value is None else lab.holding(key, value) for key, value in values.items()}


A = "/etc/sysctl.d/10-a.conf"
B = "/etc/sysctl.d/20-b.conf"
QUEUE = "net.core.somaxconn"
RMEM = "net.ipv4.tcp_rmem"
LO = "net.ipv4.conf.lo.rp_filter"
RANGE = "net.ipv4.ip_local_port_range"
PORTS = "net.ipv4.ip_local_reserved_ports"
VLAN = "net.ipv4.conf.eth0/100.rp_filter"

# Sentence, files, key, what systemd-sysctl leaves there, what `sysctl --system` leaves there. None is the kernel's own
# value, and a tilde its number at that place.
Surprise = tuple[str, list[Laid], str, str | None, str | None]
SURPRISES: list[Surprise] = [
    (
        "sysctl.conf is read by procps alone and beats every name",
        [Laid("/etc/sysctl.d/zz.conf", f"{QUEUE}=1"), Laid("/etc/sysctl.conf", f"{QUEUE}=2")],
        *(QUEUE, "1", "2"),
    ),
    (
        "sysctl.conf linked as 99-sysctl.conf loses to 99-zz.conf under systemd",
        [
            Laid("/etc/sysctl.d/99-sysctl.conf", target="../sysctl.conf"),
            Laid("/etc/sysctl.conf", f"{QUEUE}=2"),
            Laid("/usr/lib/sysctl.d/99-zz.conf", f"{QUEUE}=1"),
        ],
        *(QUEUE, "1", "2"),
    ),
    (
        "a link to nowhere masks, as one to dev-null does",
        [Laid("/etc/sysctl.d/10-a.conf", target="/nowhere"), Laid("/usr/lib/sysctl.d/10-a.conf", f"{QUEUE}=1")],
        *(QUEUE, None, None),
    ),
    (
        "lib is the weakest folder where it is not a link",
        [Laid("/lib/sysctl.d/10-a.conf", f"{QUEUE}=1"), Laid("/usr/lib/sysctl.d/10-a.conf", f"{QUEUE}=2")],
        *(QUEUE, "2", "2"),
    ),
    ("procps reads hidden files", [Laid("/etc/sysctl.d/.conf", f"{QUEUE}=1")], QUEUE, None, "1"),
    (
        "procps takes a file name for a pattern and reads what that finds",
        [Laid("/etc/sysctl.d/{20-b,x}.conf", f"{QUEUE}=1"), Laid("/etc/sysctl.d/20-b.conf", f"{RMEM}=8192")],
        *(QUEUE, "1", None),
    ),
    (
        "a file name that is a pattern finds no hidden file",
        [
            Laid("/etc/sysctl.d/[.]a.conf", f"{RMEM}=8192"),
            Laid("/etc/sysctl.d/.a.conf", f"{QUEUE}=3"),
            Laid("/etc/sysctl.d/20-b.conf", f"{QUEUE}=2"),
        ],
        *(QUEUE, "2", "2"),
    ),
    (
        "names are sorted as bytes",
        [Laid("/etc/sysctl.d/20-b.conf", f"{QUEUE}=2"), Laid("/etc/sysctl.d/20-C.conf", f"{QUEUE}=3")],
        *(QUEUE, "2", "2"),
    ),
    (
        "a number laid over a range is refused where it turns the range around",
        [Laid(A, f"{RANGE}=1024 2000\n{RANGE}=40000")],
        *(RANGE, "40000 ~", "1024 2000"),
    ),
    (
        "a short list after a full one is laid over it by procps",
        [Laid(A, f"{RMEM}=5000 90000 7000000\n{RMEM}=8192")],
        *(RMEM, "8192 ~ ~", "8192 90000 7000000"),
    ),
    ("a comment behind a number is taken", [Laid(A, f"{QUEUE}=300 # backlog")], QUEUE, "300", "300"),
    ("a number with a leading zero is octal", [Laid(A, f"{QUEUE}=0400")], QUEUE, "256", "256"),
    ("quotes are refused", [Laid(A, f'{QUEUE}="300"')], QUEUE, None, None),
    (
        "numbers before a refused one are stored",
        [Laid(A, f"{RMEM}=8192 65536 many")],
        *(RMEM, "8192 65536 ~", "8192 65536 ~"),
    ),
    (
        "after a refused value the one before stays under procps, and nothing is written by systemd",
        [Laid(A, f"{QUEUE}=300"), Laid(B, f"{QUEUE}=many")],
        *(QUEUE, None, "300"),
    ),
    ("excluding a key takes its own line back under systemd", [Laid(A, f"{QUEUE}=1\n-{QUEUE}")], QUEUE, None, "1"),
    ("excluding a key before its line does nothing", [Laid(A, f"-{QUEUE}\n{QUEUE}=1")], QUEUE, "1", "1"),
    (
        "excluding by a pattern excludes nothing",
        [Laid(A, "net.ipv4.conf.*.rp_filter=1\n-net.ipv4.conf.l*.rp_filter")],
        *(LO, "1", "1"),
    ),
    (
        "excluding the very pattern that was assigned takes it back under systemd",
        [Laid(A, "net.ipv4.conf.*.rp_filter=1\n-net.ipv4.conf.*.rp_filter")],
        *(LO, None, "1"),
    ),
    (
        "an explicit key beats a later glob",
        [Laid(A, f"{LO}=1"), Laid(B, "net.ipv4.conf.*.rp_filter=2")],
        *(LO, "1", "1"),
    ),
    (
        "an explicit key with a doubled slash loses to a later glob under procps",
        [Laid(A, "net//ipv4/conf/lo/rp_filter=1"), Laid(B, "net.ipv4.conf.*.rp_filter=2")],
        *(LO, "1", "2"),
    ),
    (
        "a glob repeated with its old value keeps its old place under systemd",
        [Laid(A, "net.ipv4.conf.l*.rp_filter=1\nnet.ipv4.conf.*.rp_filter=2\nnet.ipv4.conf.l*.rp_filter=1")],
        *(LO, "2", "1"),
    ),
    (
        "a glob repeated with a new value takes its new place",
        [Laid(A, "net.ipv4.conf.l*.rp_filter=1\nnet.ipv4.conf.*.rp_filter=2\nnet.ipv4.conf.l*.rp_filter=0")],
        *(LO, "0", "0"),
    ),
    (
        "braces in a pattern are expanded by systemd alone",
        [Laid(A, "net.ipv4.conf.{lo,eth*}.rp_filter=1")],
        *(LO, "1", None),
    ),
    ("a star does not cross a slash", [Laid(A, "net.*.rp_filter=1")], LO, None, None),
    (
        "a dotted interface is spelled with a slash between dots",
        [Laid(A, "net.ipv4.conf.eth0/100.rp_filter=1")],
        *(VLAN, "1", "1"),
    ),
    ("a blank after the dash is lost on systemd alone", [Laid(A, f"- {QUEUE}=1")], QUEUE, "1", None),
    ("a second dash is lost on procps alone", [Laid(A, f"--{QUEUE}=1")], QUEUE, None, "1"),
    ("a slash at the end is lost on systemd alone", [Laid(A, "net/core/somaxconn/=1")], QUEUE, "1", None),
    ("procps follows two dots", [Laid(A, "net/ipv4/../core/somaxconn=1")], QUEUE, None, "1"),
    ("a path that starts at the root is below proc sys", [Laid(A, f"/proc/sys/{QUEUE}=1")], QUEUE, None, None),
    ("a carriage return ends a line for systemd", [Laid(A, f"# mac\r{QUEUE}=1\r")], QUEUE, "1", None),
    ("a NUL ends a line for systemd", [Laid(A, f"{QUEUE}=300\0{QUEUE}=1\n")], QUEUE, "1", "300"),
    ("a form feed is a blank for procps", [Laid(A, f"\f{QUEUE}=1")], QUEUE, None, "1"),
    ("a backslash continues nothing", [Laid(A, f"{QUEUE} = \\\n1\n")], QUEUE, None, None),
    (
        "systemd gives up a file at a line of one MiB",
        [Laid(A, f"{RMEM}=8192\n#{'x' * (1 << 20)}\n{QUEUE}=1")],
        *(QUEUE, None, "1"),
    ),
    ("a line just below one MiB is read", [Laid(A, f"#{'x' * ((1 << 20) - 2)}\n{QUEUE}=1")], QUEUE, "1", "1"),
    ("an empty value clears a text", [Laid(A, f"{PORTS}=\n")], PORTS, "", ""),
    ("an empty value is no number", [Laid(A, f"{QUEUE}=300\n{QUEUE}=\n")], QUEUE, None, "300"),
]


@pytest.mark.parametrize("surprise", SURPRISES, ids=lambda surprise: surprise[0].replace(" ", "-"))
def test_a_surprise_is_real_and_the_model_knows_it(lab: Lab, surprise: Surprise) -> None:
    _, files, key, systemd, procps = surprise

    for loader, value in ((Loader.SYSTEMD, systemd), (Loader.PROCPS, procps)):
        own = lab.defaults[key].split()
        wanted = own if value is None else [own[at] if part == "~" else part for at, part in enumerate(value.split())]
        assert lab.boot(loader, files)[key].split() == wanted
        assert predicted(lab, loader, files)[key].split() == wanted


@pytest.mark.parametrize("loader", Loader)
def test_on_a_merged_system_lib_is_usr_lib(tmp_path: Path, loader: Loader) -> None:
    lab = Lab(tmp_path, [QUEUE, RMEM], merged=True)
    files = [Laid("/usr/lib/sysctl.d/10-a.conf", f"{QUEUE}=1"), Laid("/usr/lib/sysctl.d/20-b.conf", f"{QUEUE}=2")]
    twice = [*files, Laid("/lib/sysctl.d/10-a.conf", f"{QUEUE}=1"), Laid("/lib/sysctl.d/20-b.conf", f"{QUEUE}=2")]
    try:
        left = lab.boot(loader, files)
    finally:
        lab.close()

    assert left[QUEUE] == BootModel(as_facts(twice)).at_boot(QUEUE).under(loader).value == "2"


def agree(lab: Lab, loader: Loader, *, cases: int, fixed: bool) -> None:
    @settings(
        max_examples=cases,
        derandomize=fixed,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(trees())
    def model_agrees(files: list[Laid]) -> None:
        assert predicted(lab, loader, files) == lab.boot(loader, files)

    model_agrees()


@pytest.mark.parametrize("loader", Loader)
def test_the_model_says_what_the_loader_does(lab: Lab, loader: Loader) -> None:
    agree(lab, loader, cases=CASES, fixed=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("loader", Loader)
def test_the_model_says_what_the_loader_does_in_trees_never_seen_before(lab: Lab, loader: Loader) -> None:
    agree(lab, loader, cases=max(CASES, 2000), fixed=False)
