"""Trees of sysctl.d files as people, packages and accidents write them."""

from __future__ import annotations

from typing import NamedTuple

from boot_lab import Laid
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tcptune.planning.boot_files import FOLDERS, SYSCTL_CONF

TRIPLES = (
    "4096 131072 6291456",
    "4096\t87380\t33554432",
    "8192  65536   1048576",
    "8192",
    "8192 65536",
    "0x2000",
    "010 020 030",
    "9000 8000 7000",
    "4096 87380 6291456 7",
    "4096 abc 555",
    "4096 131072 2147483648",
    "4096,87380,6291456",
    '"4096 87380 6291456"',
    "4096 87380 6291456 # bytes",
    "-1",
    "",
)
RANGES = (
    "1024 65535",
    "40000",
    "20000 30000",
    "25000",
    "60999 32768",
    "70000",
    "10000 abc",
    "15000-20000",
    "1 2 3",
    "",
)
NUMBERS = (
    "1",
    "2",
    "7",
    "128",
    "0x30",
    "010",
    "40 5",
    "40 x",
    "5x",
    "abc",
    "300",
    "-5",
    "+5",
    "2147483648",
    "1 # on",
    "",
)
ALGORITHMS = ("reno", "bbr", "cubic", "nosuch", '"reno"', "reno # was cubic", "RENO", "")
PORTS = ("8080", "8080,9000-9005", "9000 9001", "9000-8000", "1,2,3", "")
SWITCHES = ("0", "1", "2", "yes", "0x1", "1 0", "")

INTERFACES = ("all", "default", "lo", "eth0", "eth0/100")
VALUES = {
    "net.core.somaxconn": NUMBERS,
    "net.ipv4.ip_local_port_range": RANGES,
    "net.ipv4.ip_local_reserved_ports": PORTS,
    "net.ipv4.tcp_congestion_control": ALGORITHMS,
    "net.ipv4.tcp_fin_timeout": NUMBERS,
    "net.ipv4.tcp_keepalive_probes": NUMBERS,
    "net.ipv4.tcp_keepalive_time": NUMBERS,
    "net.ipv4.tcp_rmem": TRIPLES,
    "net.ipv4.tcp_syncookies": NUMBERS,
    "net.ipv4.tcp_wmem": TRIPLES,
    **{f"net.ipv4.conf.{name}.rp_filter": SWITCHES for name in INTERFACES},
    **{f"net.ipv4.conf.{name}.log_martians": SWITCHES for name in INTERFACES},
}
KEYS = tuple(VALUES)
WIDTHS = {
    key: {TRIPLES: 3, RANGES: 2, NUMBERS: 1, SWITCHES: 1}[values]
    for key, values in VALUES.items()
    if values in {TRIPLES, RANGES, NUMBERS, SWITCHES}
}

GLOBS = {
    "net.ipv4.conf.*.rp_filter": SWITCHES,
    "net/ipv4/conf/*/rp_filter": SWITCHES,
    "net/ipv4//conf/*/rp_filter": SWITCHES,
    "/net/ipv4/conf/eth*/rp_filter": SWITCHES,
    "net.ipv4.conf.eth0/*.rp_filter": SWITCHES,
    "net.ipv4.conf.eth0*.rp_filter": SWITCHES,
    "net.ipv4.conf.*.rp_filt?r": SWITCHES,
    "net.ipv4.conf.[!ad]*.rp_filter": SWITCHES,
    "net.ipv4.conf.[[:alpha:]]o.log_martians": SWITCHES,
    "net.ipv4.conf.{all,l*}.rp_filter": SWITCHES,
    "net.ipv4.conf.l[n-p].{rp_filter,log_martians}": SWITCHES,
    "net.ipv4.conf.*.log_martians": SWITCHES,
    "net.*.conf.lo.log_martians": SWITCHES,
    "net/*/rp_filter": SWITCHES,
    "net.ipv4.tcp_?mem": TRIPLES,
    "net.ipv4.tcp_[rw]mem": TRIPLES,
    "net.ipv4.tcp_keepalive_p[^a-q]obes": NUMBERS,
    "net.*.somaxconn": NUMBERS,
    "net.ipv4.nosuch*": NUMBERS,
    "net.ipv4.conf.[.rp_filter": SWITCHES,
}
UNKNOWN = ("net.ipv4.tcp_tw_recycle", "net.ipv4.conf.eth0.100.rp_filter", "net.ipv4", "somaxconn", "")

NAMES = (
    "10-a.conf",
    "50-b.conf",
    "50-B.conf",
    "9-nine.conf",
    "99-sysctl.conf",
    "99-tcptune.conf",
    "99-zz.conf",
    "zz.conf",
    "grün.conf",
    ".hidden.conf",
    ".conf",
    "[15]0-*.conf",
    "*.conf",
    "{10-a,99-{zz,sysctl}}.conf",
    "README",
    "10-a.conf.bak",
    "10-a.CONF",
)
ELSEWHERE = "/etc/elsewhere.txt"
JUNK = ("# a comment", "; net.core.somaxconn = 3", "  # indented", "words", "-", "=", "= 5", "-= 5", "", "  ", "\\")
ENDS = ("\n", "\n", "\n", "\n", "\n", "\r\n", "\n\n", "\r", "\0", "\n\r", "\v\n", "\f\n", " \\\n")


def _respelled(key: str) -> SearchStrategy[str]:
    """The same key in the ways that mean it to both loaders, to one, or to none."""
    path = key.translate(str.maketrans("./", "/."))
    common = st.sampled_from([key, key, key, path, f"/{path}", f".{key}"])
    rare = st.sampled_from(
        [
            path.replace("/", "//", 1),
            path.replace("/", "/./", 1),
            path.replace("ipv4/", "ipv4/../ipv4/"),
            f"../sys/{path}",
            f"{path}/",
            f"{key}.",
            f"/proc/sys/{path}",
            f"{key} ",
            f"{key}\u00a0",
            key.replace(".", ". ", 1),
            key.upper(),
        ]
    )
    return st.integers(0, 9).flatmap(lambda die: rare if die == 0 else common)


class Family(NamedTuple):
    """Keys and globs that meet."""

    keys: tuple[str, ...]
    globs: tuple[str, ...]


class Focus(NamedTuple):
    """The few keys, globs and values of one tree, so that it is full of conflicts."""

    keys: list[str]
    globs: list[str]
    values: dict[str, list[str]]


FAMILIES = (
    Family(tuple(key for key in KEYS if key.endswith("rp_filter")), tuple(glob for glob in GLOBS if "conf" in glob)),
    Family(
        ("net.ipv4.conf.lo.log_martians", "net.ipv4.conf.eth0/100.rp_filter", "net.ipv4.conf.all.rp_filter"),
        tuple(glob for glob in GLOBS if "conf" in glob),
    ),
    Family(("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"), ("net.ipv4.tcp_?mem", "net.ipv4.tcp_[rw]mem")),
    Family(("net.ipv4.tcp_rmem",), ("net.ipv4.tcp_?mem",)),
    Family(("net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports"), ("net.*.somaxconn",)),
    Family(
        ("net.ipv4.tcp_keepalive_probes", "net.core.somaxconn", "net.ipv4.tcp_congestion_control"),
        ("net.ipv4.tcp_keepalive_p[^a-q]obes", "net.*.somaxconn"),
    ),
    Family(KEYS, tuple(GLOBS)),
)


def _some(pool: tuple[str, ...], most: int) -> SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(pool), min_size=1, max_size=most, unique=True)


@st.composite
def _focus(draw: st.DrawFn) -> Focus:
    family = draw(st.sampled_from(FAMILIES))
    keys, globs = draw(_some(family.keys, 3)), draw(_some(family.globs, 3))
    by_shape = {}
    for name in (*keys, *globs):
        shape = VALUES.get(name) or GLOBS[name]
        by_shape.setdefault(shape, draw(_some(shape, 4)))
    return Focus(keys, globs, {name: by_shape[VALUES.get(name) or GLOBS[name]] for name in (*keys, *globs)})


@st.composite
def lines(draw: st.DrawFn, foci: list[Focus]) -> str:
    focus = draw(st.sampled_from(foci))
    kind = draw(st.sampled_from(["key"] * 6 + ["glob"] * 3 + ["exclude", "exclude", "unknown", "junk"]))
    if kind == "junk":
        text = draw(st.sampled_from(JUNK))
    elif kind == "unknown":
        text = f"{draw(st.sampled_from(UNKNOWN))} = 1"
    elif kind == "exclude":
        name = draw(st.one_of(st.sampled_from(focus.keys).flatmap(_respelled), st.sampled_from(focus.globs)))
        text = draw(st.sampled_from(["-", "-", "-", "-", "- ", "--"])) + name
    else:
        key = draw(st.sampled_from(focus.keys if kind == "key" else focus.globs))
        name = draw(_respelled(key)) if kind == "key" else key
        value = draw(st.sampled_from(focus.values[key]))
        mark = draw(st.sampled_from(["", "", "", "", "", "", "-", "-", "- ", "--"]))
        equals = draw(st.sampled_from([" = ", " = ", "=", "=", "\t=\t", " == "]))
        text = f"{mark}{name}{equals}{value}"
    indent = draw(st.sampled_from(["", "", "", "", " ", "\t", "\v"]))
    return indent + text


@st.composite
def contents(draw: st.DrawFn, foci: list[Focus]) -> str:
    parts = [line + draw(st.sampled_from(ENDS)) for line in draw(st.lists(lines(foci), min_size=3, max_size=12))]
    text = "".join(parts)
    start = draw(st.sampled_from(["", "", "", "", "", "\ufeff", "# \udcff\n"]))
    return start + (text if draw(st.booleans()) else text.rstrip("\n"))


def _laid(path: str, foci: list[Focus], *, dangling: bool) -> SearchStrategy[Laid]:
    targets = ("/dev/null", *(("../sysctl.conf", "50-b.conf", ELSEWHERE, "/nowhere", path) if dangling else ()))
    link = st.sampled_from(targets).map(lambda target: Laid(path, target=target))
    full = contents(foci).map(lambda content: Laid(path, content))
    return st.sampled_from([full, full, full, full, full, st.just(Laid(path)), link]).flatmap(lambda kind: kind)


@st.composite
def trees(draw: st.DrawFn) -> list[Laid]:
    foci = draw(st.lists(_focus(), min_size=2, max_size=4))
    places = st.tuples(st.sampled_from(FOLDERS), st.sampled_from(draw(_some(NAMES, 5))))
    paths = [f"{folder}/{name}" for folder, name in draw(st.lists(places, min_size=2, max_size=8, unique=True))]
    paths += draw(st.sampled_from([[], [SYSCTL_CONF], [SYSCTL_CONF], [SYSCTL_CONF, ELSEWHERE]]))
    # Where a file name is a pattern, procps stops at the first link to nowhere that it finds. Facts do not tell such a
    # link from a mask, so that the model cannot: see test_boot_model.py.
    patterns = any(char in path for path in paths for char in "*?[{")
    return [draw(_laid(path, foci, dangling=not patterns)) for path in paths]
