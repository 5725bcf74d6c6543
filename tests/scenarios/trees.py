"""Trees of sysctl.d files, each with what it leaves under either loader."""

from __future__ import annotations

from typing import NamedTuple

from tests.differential.boot_lab import Laid

ETC, RUN, LOCAL, LIB = "/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"
CONF = "/etc/sysctl.conf"
NULL = "/dev/null"

QUEUE = "net.core.somaxconn"
RMEM = "net.ipv4.tcp_rmem"
RANGE = "net.ipv4.ip_local_port_range"
KEEPALIVE = "net.ipv4.tcp_keepalive_time"
LO = "net.ipv4.conf.lo.rp_filter"
ETH = "net.ipv4.conf.eth0.rp_filter"
VLAN = "net.ipv4.conf.eth0/100.rp_filter"
ALL_FILTERS = "net.ipv4.conf.*.rp_filter"

KEYS = (QUEUE, RMEM, RANGE, KEEPALIVE, LO, ETH, VLAN)


class Scenario(NamedTuple):
    """A tree, and the value of `key` after a boot; None for the kernel's own."""

    sentence: str
    files: tuple[Laid, ...]
    systemd: str | None
    procps: str | None
    key: str = QUEUE


def both(sentence: str, value: str | None, *files: Laid, key: str = QUEUE) -> Scenario:
    """Return a scenario in which the loaders agree."""
    return Scenario(sentence, files, value, value, key)


def parted(sentence: str, systemd: str | None, procps: str | None, *files: Laid, key: str = QUEUE) -> Scenario:
    """Return a scenario in which they do not."""
    return Scenario(sentence, files, systemd, procps, key)


def queue(path: str, value: int | str) -> Laid:
    return Laid(path, f"{QUEUE} = {value}\n")


def line(text: str, path: str = f"{ETC}/50-mine.conf") -> Laid:
    return Laid(path, f"{text}\n")


NAMES = (
    both("the later name wins", "200", queue(f"{ETC}/10-a.conf", 100), queue(f"{ETC}/20-b.conf", 200)),
    both("a vendor's later name beats etc", "200", queue(f"{ETC}/50-a.conf", 100), queue(f"{LIB}/99-zz.conf", 200)),
    both("a later name in run beats etc", "200", queue(f"{ETC}/50-a.conf", 100), queue(f"{RUN}/60-b.conf", 200)),
    both("9 comes after 10, names are no numbers", "100", queue(f"{ETC}/9.conf", 100), queue(f"{ETC}/10.conf", 200)),
    both("999 comes after 99", "200", queue(f"{ETC}/99-a.conf", 100), queue(f"{ETC}/999-a.conf", 200)),
    both("a letter comes after every digit", "100", queue(f"{ETC}/web.conf", 100), queue(f"{ETC}/99-a.conf", 200)),
    both("a small letter comes after a capital", "100", queue(f"{ETC}/a.conf", 100), queue(f"{LIB}/Z.conf", 200)),
    both("our own file loses to 99-zz", "200", queue(f"{ETC}/99-tcptune.conf", 100), queue(f"{LIB}/99-zz.conf", 200)),
    both("what does not end in conf is not read", None, queue(f"{ETC}/10-a.conf.bak", 1), queue(f"{ETC}/10-a", 2)),
    both("a file left by a package manager is not read", None, queue(f"{ETC}/10-a.conf.rpmsave", 1)),
)

FOLDERS = (
    both("etc replaces run", "100", queue(f"{ETC}/10-a.conf", 100), queue(f"{RUN}/10-a.conf", 200)),
    both("etc replaces usr-lib", "100", queue(f"{ETC}/10-a.conf", 100), queue(f"{LIB}/10-a.conf", 200)),
    both("run replaces usr-local-lib", "100", queue(f"{RUN}/10-a.conf", 100), queue(f"{LOCAL}/10-a.conf", 200)),
    both("run replaces usr-lib", "100", queue(f"{RUN}/10-a.conf", 100), queue(f"{LIB}/10-a.conf", 200)),
    both("usr-local-lib replaces usr-lib", "100", queue(f"{LOCAL}/10-a.conf", 100), queue(f"{LIB}/10-a.conf", 200)),
    both(
        "of one name in every folder etc counts",
        "100",
        *(queue(f"{folder}/10-a.conf", 100 * at) for at, folder in enumerate((ETC, RUN, LOCAL, LIB), start=1)),
    ),
    both(
        "a file is replaced whole and not key by key",
        None,
        line(f"{KEEPALIVE} = 600", f"{ETC}/10-a.conf"),
        queue(f"{LIB}/10-a.conf", 100),
    ),
    both(
        "a replacement keeps the place of its name",
        "300",
        queue(f"{ETC}/10-a.conf", 100),
        queue(f"{LIB}/10-a.conf", 200),
        queue(f"{LIB}/20-b.conf", 300),
    ),
)

MASKS = (
    both("a link to dev-null masks", None, Laid(f"{ETC}/10-a.conf", target=NULL), queue(f"{LIB}/10-a.conf", 100)),
    both("a link to dev-null in run masks", None, Laid(f"{RUN}/a.conf", target=NULL), queue(f"{LIB}/a.conf", 100)),
    both("an empty file masks", None, Laid(f"{ETC}/10-a.conf"), queue(f"{LIB}/10-a.conf", 100)),
    both("a file of comments masks", None, line("# off", f"{ETC}/10-a.conf"), queue(f"{LIB}/10-a.conf", 100)),
    both(
        "a mask leaves other names alone",
        "100",
        Laid(f"{ETC}/10-a.conf", target=NULL),
        queue(f"{LIB}/10-a.conf", 200),
        queue(f"{LIB}/05-b.conf", 100),
    ),
    both(
        "a mask in run does not reach etc", "100", Laid(f"{RUN}/10-a.conf", target=NULL), queue(f"{ETC}/10-a.conf", 100)
    ),
    both(
        "a dangling link in run does not reach etc",
        "100",
        Laid(f"{RUN}/10-a.conf", target="/nowhere"),
        queue(f"{ETC}/10-a.conf", 100),
    ),
    both(
        "a link out of the folders is followed",
        "100",
        Laid(f"{ETC}/10-a.conf", target="../tuning.conf"),
        queue("/etc/tuning.conf", 100),
    ),
    both(
        "a link counts at its own name",
        "200",
        queue(f"{LIB}/10-a.conf", 200),
        queue(f"{ETC}/20-b.conf", 100),
        Laid(f"{ETC}/30-again.conf", target=f"{LIB}/10-a.conf"),
    ),
)

SYSCTL_CONF = (
    parted("sysctl.conf alone is read by procps alone", None, "100", queue(CONF, 100)),
    both(
        "a link makes systemd read sysctl.conf",
        "200",
        Laid(f"{ETC}/99-sysctl.conf", target="../sysctl.conf"),
        queue(f"{ETC}/50-a.conf", 100),
        queue(CONF, 200),
    ),
    parted(
        "our own file comes after the link for systemd and before sysctl.conf for procps",
        "200",
        "100",
        Laid(f"{ETC}/99-sysctl.conf", target="../sysctl.conf"),
        queue(f"{ETC}/99-tcptune.conf", 200),
        queue(CONF, 100),
    ),
    parted(
        "the masked link of a vendor hides sysctl.conf from systemd",
        None,
        "100",
        Laid(f"{ETC}/99-sysctl.conf", target=NULL),
        Laid(f"{LIB}/99-sysctl.conf", target=CONF),
        queue(CONF, 100),
    ),
    both(
        "a link of a vendor is as good as one in etc",
        "100",
        Laid(f"{LIB}/99-sysctl.conf", target=CONF),
        queue(CONF, 100),
    ),
)

GLOBS = (
    both("a dash before an assignment assigns all the same", "100", line(f"-{QUEUE} = 100")),
    parted(
        "a dash before a refused value forgives and does not bring the earlier value back",
        None,
        "100",
        queue(f"{ETC}/10-a.conf", 100),
        line(f"-{QUEUE} = many"),
    ),
    both("a pattern sets every interface", "1", line(f"{ALL_FILTERS} = 1"), key=ETH),
    both("a pattern reaches a VLAN with a dot in its name", "1", line(f"{ALL_FILTERS} = 1"), key=VLAN),
    both("a question mark is one character", "1", line("net.ipv4.conf.eth?.rp_filter = 1"), key=ETH),
    both("a question mark is no more than one", None, line("net.ipv4.conf.eth?.rp_filter = 1"), key=VLAN),
    both("brackets are one of their characters", "1", line("net.ipv4.conf.[el]o.rp_filter = 1"), key=LO),
    both("a pattern with slashes is the one with dots", "1", line("net/ipv4/conf/*/rp_filter = 1"), key=VLAN),
    both("a key alone behind a dash is left out of patterns", None, line(f"{ALL_FILTERS} = 1\n-{LO}"), key=LO),
    both("and the others are not", "1", line(f"{ALL_FILTERS} = 1\n-{LO}"), key=ETH),
    both(
        "a later file may leave a key out",
        None,
        line(f"{ALL_FILTERS} = 1", f"{LIB}/50-default.conf"),
        line(f"-{ETH}", f"{ETC}/60-mine.conf"),
        key=ETH,
    ),
    both(
        "an earlier file may leave a key out too",
        None,
        line(f"-{ETH}", f"{ETC}/10-mine.conf"),
        line(f"{ALL_FILTERS} = 1", f"{LIB}/50-default.conf"),
        key=ETH,
    ),
    both(
        "an explicit key beats the pattern of a later vendor file",
        "2",
        line(f"{ETH} = 2", f"{ETC}/10-mine.conf"),
        line(f"{ALL_FILTERS} = 1", f"{LIB}/50-default.conf"),
        key=ETH,
    ),
)

SPELLING = (
    both("slashes and dots name one key", "200", line(f"{QUEUE} = 100\nnet/core/somaxconn = 200")),
    both("a slash at the start is lost", "100", line("/net/core/somaxconn = 100")),
    both("the first separator decides", None, line("net/core.somaxconn = 100")),
    both("a VLAN in slash form keeps its dot", "1", line("net/ipv4/conf/eth0.100/rp_filter = 1"), key=VLAN),
    both("a VLAN with dots alone names nothing", None, line("net.ipv4.conf.eth0.100.rp_filter = 1"), key=VLAN),
    both("of two lines in one file the later wins", "200", line(f"{QUEUE} = 100\n{QUEUE} = 200")),
    both("blanks around the sign do not count", "100", line(f" \t{QUEUE}\t  =\t100 \t")),
    both("no blanks do as well", "100", line(f"{QUEUE}=100")),
    both("a last line without an end is read", "100", Laid(f"{ETC}/50-mine.conf", f"{QUEUE} = 100")),
    both("both comment signs comment", "100", line(f"# a\n; b\n  # {QUEUE} = 7\n;{QUEUE} = 8\n{QUEUE} = 100")),
    both("a line without a sign is passed over", "100", line(f"{QUEUE}\nnonsense\n{QUEUE} = 100")),
    both("a colon is no sign", None, line(f"{QUEUE}: 100")),
    both("line ends of another system do no harm", "100", Laid(f"{ETC}/50-mine.conf", f"{QUEUE} = 100\r\n")),
    both(
        "nor do they to three numbers",
        "4096 65536 1048576",
        Laid(f"{ETC}/50-mine.conf", f"{RMEM} = 4096 65536 1048576\r\n"),
        key=RMEM,
    ),
    both("tabs separate numbers", "4096 65536 1048576", line(f"{RMEM} =\t4096\t65536\t1048576"), key=RMEM),
    both("a mark of the byte order spoils the first line", None, line(f"\ufeff{QUEUE} = 100")),
    both("and the first alone", "100", line(f"\ufeff# tuned\n{QUEUE} = 100")),
    both("a second sign belongs to the value", "100", line(f"{QUEUE} = 100 = 200")),
)

VALUES = (
    both("single quotes are refused", None, line(f"{QUEUE} = '100'")),
    both("quotes around three numbers are refused", None, line(f'{RMEM} = "4096 65536 1048576"'), key=RMEM),
    both("commas between numbers are refused", None, line(f"{RMEM} = 4096,65536,1048576"), key=RMEM),
    both("a number in hexadecimal is taken", "1024", line(f"{QUEUE} = 0x400")),
    both("a negative time is taken", "-5", line(f"{KEEPALIVE} = -5"), key=KEEPALIVE),
    both("three numbers in no order are taken", "9000 8000 7000", line(f"{RMEM} = 9000 8000 7000"), key=RMEM),
    both("a range the wrong way round is refused", None, line(f"{RANGE} = 60999 32768"), key=RANGE),
    both("a key that no kernel has stops nothing", "100", line(f"net.core.nosuch = 1\n{QUEUE} = 100")),
    both("a refused value of another key stops nothing", "100", line(f"{RMEM} = many\n{QUEUE} = 100")),
    both("no file leaves the kernel's own", None),
)

SCENARIOS = (*NAMES, *FOLDERS, *MASKS, *SYSCTL_CONF, *GLOBS, *SPELLING, *VALUES)
