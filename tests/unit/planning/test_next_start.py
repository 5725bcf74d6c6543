"""What the next start of a service gives. tests/differential/test_next_start.py asks systemd about LIKE_SYSTEMD."""

from __future__ import annotations

import pytest

from tcptune.domain.limits import NextStart
from tcptune.domain.state import TextFile, UnitAlias, UnitFile, UnitFiles
from tcptune.planning.next_start import SYSTEMD_DEFAULT, adding, has_file, rlimit, session_start, unit_start, without

ETC, RUN, LIB = "/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"
SERVICE = "[Service]\n"
MASK = "mask"
INFINITY = 2**64 - 1


def limit(value: object) -> str:
    return f"{SERVICE}LimitNOFILE={value}\n"


def unit_files(files: dict[str, str | None], *aliases: UnitAlias) -> UnitFiles:
    made = [
        UnitFile(path=path, content="" if content == MASK else content, mask=content == MASK)
        for path, content in files.items()
    ]
    return UnitFiles(units=(), files=tuple(made), aliases=aliases)


def start(
    files: dict[str, str | None], unit: str = "web.service", *, most: int | None = 1048576, **config: str | None
) -> NextStart:
    texts = tuple(TextFile(path=path.replace("__", "/"), content=content) for path, content in config.items())
    return unit_start(unit, unit_files(files), texts, most=most)


VALUES: list[tuple[str, tuple[int, int] | None]] = [
    ("4096", (4096, 4096)),
    ("1000:2000", (1000, 2000)),
    ("infinity", (INFINITY, INFINITY)),
    ("infinity:infinity", (INFINITY, INFINITY)),
    ("100:infinity", (100, INFINITY)),
    ("+77", (77, 77)),
    ("0x1000", (4096, 4096)),
    ("010", (8, 8)),
    ("0b11", (3, 3)),
    ("0o17", (15, 15)),
    ("0", (0, 0)),
    ("64K", None),
    ("2M", None),
    ("1G", None),
    ("", None),
    ("?", None),
    ("5000:2000", None),
    ("infinity:5", None),
    ("1000 : 2000", None),
    (":200", None),
    ("1000:", None),
    ("10:20:30", None),
    ("-5", None),
    ("'4200'", None),
    ("%i", None),
    ("18446744073709551615", None),
    ("٣", None),
]


@pytest.mark.parametrize(("text", "limits"), VALUES)
def test_a_value_is_read_as_systemd_reads_it(text: str, limits: tuple[int, int] | None) -> None:
    assert rlimit(text) == limits


LIKE_SYSTEMD: dict[str, tuple[str, dict[str, str | None], tuple[int, int]]] = {
    "suffixes are refused, and nothing is set": ("a.service", {f"{LIB}/a.service": limit("64K")}, SYSTEMD_DEFAULT),
    "an empty value resets nothing": (
        "a.service",
        {f"{LIB}/a.service": limit("4096") + "LimitNOFILE=\n"},
        (4096, 4096),
    ),
    "a refused value leaves the one before": (
        "a.service",
        {f"{LIB}/a.service": limit("3000") + "LimitNOFILE=5000:2000\n"},
        (3000, 3000),
    ),
    "other sections do not count": (
        "a.service",
        {f"{LIB}/a.service": f"[Unit]\nLimitNOFILE=1\n[]\nLimitNOFILE=2\n{limit(45)}[Install]\nLimitNOFILE=3\n"},
        (45, 45),
    ),
    "before any section nothing counts": (
        "a.service",
        {f"{LIB}/a.service": SERVICE, f"{ETC}/a.service.d/10.conf": f"LimitNOFILE=5\n{limit(31)}LimitNOFILE=2M\n"},
        (31, 31),
    ),
    "a drop-in wins over the unit": (
        "a.service",
        {f"{ETC}/a.service": limit(2), f"{LIB}/a.service": limit(1), f"{LIB}/a.service.d/10.conf": limit(9)},
        (9, 9),
    ),
    "the unit of the strongest folder counts alone": (
        "a.service",
        {f"{ETC}/a.service": SERVICE, f"{LIB}/a.service": limit(1)},
        SYSTEMD_DEFAULT,
    ),
    "drop-ins go by their names, not by their folders": (
        "a.service",
        {
            f"{LIB}/a.service": limit(4444),
            f"{LIB}/a.service.d/20.conf": limit(401),
            f"{ETC}/a.service.d/10.conf": limit(402),
        },
        (401, 401),
    ),
    "of namesakes the one in the strongest folder counts": (
        "a.service",
        {
            f"{LIB}/a.service": SERVICE,
            f"{RUN}/a.service.d/z.conf": limit(3),
            f"{LIB}/a.service.d/z.conf": limit(4),
        },
        (3, 3),
    ),
    "a mask switches a namesake off": (
        "a.service",
        {f"{LIB}/a.service": SERVICE, f"{ETC}/a.service.d/10.conf": MASK, f"{LIB}/a.service.d/10.conf": limit(301)},
        SYSTEMD_DEFAULT,
    ),
    "drop-ins of another unit do not count": (
        "a.service",
        {f"{LIB}/a.service": SERVICE, f"{LIB}/b.service.d/10.conf": limit(9)},
        SYSTEMD_DEFAULT,
    ),
    "a template, its drop-ins, and the instance's by name": (
        "foo@x.service",
        {
            f"{LIB}/foo@.service": limit(100),
            f"{LIB}/foo@.service.d/10-a.conf": limit(101),
            f"{ETC}/foo@x.service.d/05-a.conf": limit(102),
        },
        (101, 101),
    ),
    "the folder decides before the nearer name": (
        "foo@x.service",
        {
            f"{LIB}/foo@.service": limit(100),
            f"{ETC}/foo@.service.d/05.conf": limit(101),
            f"{LIB}/foo@x.service.d/05.conf": limit(102),
        },
        (101, 101),
    ),
    "an instance's own file goes before a template of a stronger folder": (
        "foo@x.service",
        {f"{ETC}/foo@.service": limit(3), f"{LIB}/foo@x.service": limit(2), f"{LIB}/foo@.service": limit(1)},
        (2, 2),
    ),
    "names cut after a dash": (
        "bar-baz.service",
        {
            f"{LIB}/bar-baz.service": SERVICE,
            f"{ETC}/bar-.service.d/10-a.conf": limit(201),
            f"{LIB}/service.d/10-a.conf": limit(200),
        },
        (201, 201),
    ),
    "names cut after a dash: the folder decides first": (
        "p-q-r.service",
        {
            f"{LIB}/p-q-r.service": SERVICE,
            f"{ETC}/p-.service.d/10.conf": limit(11),
            f"{RUN}/p-q-.service.d/10.conf": limit(12),
        },
        (11, 11),
    ),
    "names of instances cut after a dash": (
        "p-q@x.service",
        {
            f"{LIB}/p-q@.service": SERVICE,
            f"{LIB}/p-@x.service.d/10.conf": limit(21),
            f"{LIB}/p-@.service.d/20.conf": limit(22),
        },
        (22, 22),
    ),
    "drop-ins of all services are the weakest of namesakes": (
        "a.service",
        {
            f"{LIB}/a.service": SERVICE,
            f"{LIB}/a.service.d/50-x.conf": limit(93),
            f"{ETC}/service.d/50-x.conf": limit(94),
            f"{ETC}/service.d/40-x.conf": limit(92),
        },
        (93, 93),
    ),
    "drop-ins of all services count": (
        "a.service",
        {f"{LIB}/a.service": SERVICE, f"{LIB}/service.d/10-a.conf": limit(200)},
        (200, 200),
    ),
}


@pytest.mark.parametrize(("unit", "files", "limits"), LIKE_SYSTEMD.values(), ids=LIKE_SYSTEMD)
def test_units_and_drop_ins_give_what_systemd_gives(
    unit: str, files: dict[str, str | None], limits: tuple[int, int]
) -> None:
    found = start(files, unit)

    assert (found.soft, found.hard) == limits


def test_drop_ins_under_another_name_of_the_unit_count() -> None:
    files = {f"{LIB}/ssh.service": SERVICE, f"{ETC}/sshd.service.d/10.conf": limit(501)}
    alias = UnitAlias(unit="ssh.service", name="sshd.service")

    assert unit_start("ssh.service", unit_files(files, alias), (), most=None).soft == 501
    assert unit_start("ssh.service", unit_files(files), (), most=None).soft == SYSTEMD_DEFAULT[0]


def test_the_file_that_decides_is_named() -> None:
    assert start({f"{LIB}/web.service": limit(5)}).by == f"{LIB}/web.service"
    assert start({f"{LIB}/web.service": SERVICE}).by == "the default of systemd"


@pytest.mark.parametrize(("most", "soft"), [(65536, 65536), (None, 2147483584)])
def test_no_limit_is_higher_than_the_kernel_lets_it_be(most: int | None, soft: int) -> None:
    found = start({f"{LIB}/web.service": limit("infinity")}, most=most)

    assert (found.soft, found.hard) == (soft, soft)


def test_a_default_of_the_service_manager_counts_where_the_unit_says_nothing() -> None:
    config: dict[str, str | None] = {
        "/etc/systemd/system.conf": "[Manager]\n#DefaultLimitNOFILE=1\nDefaultLimitNOFILE=2048:4096\n",
        "/usr/lib/systemd/system.conf.d/50-a.conf": "[Manager]\nDefaultLimitNOFILE=8192\n",
        "/etc/systemd/system.conf.d/50-a.conf": "[Manager]\nDefaultLimitNOFILE=9000\n[Other]\nDefaultLimitNOFILE=1\n",
        "/etc/systemd/user.conf": "[Manager]\nDefaultLimitNOFILE=7\n",
    }

    found = start({f"{LIB}/web.service": SERVICE}, **config)
    assert (found.soft, found.by) == (9000, "/etc/systemd/system.conf.d/50-a.conf")
    assert start({f"{LIB}/web.service": limit(5)}, **config).soft == 5
    del config["/etc/systemd/system.conf.d/50-a.conf"], config["/usr/lib/systemd/system.conf.d/50-a.conf"]
    assert start({f"{LIB}/web.service": SERVICE}, **config).soft == 2048


@pytest.mark.parametrize(
    "files",
    [
        {f"{LIB}/web.service": None},
        {f"{LIB}/web.service": limit(5), f"{ETC}/web.service.d/10.conf": None},
        {f"{LIB}/web.service": limit(5), f"{ETC}/web.service.d/*.conf": None},
        {f"{LIB}/web.service": limit(5), f"{ETC}/service.d/*.conf": None},
        {f"{LIB}/web.service": limit(5), f"{ETC}/*": None},
    ],
)
def test_what_a_closed_file_may_decide_is_not_known(files: dict[str, str | None]) -> None:
    found = start(files)

    assert found.soft is None
    assert "cannot be read" in found.by


def test_a_closed_file_of_another_unit_does_not_matter() -> None:
    assert start({f"{LIB}/web.service": limit(5), f"{ETC}/db.service.d/*.conf": None}).soft == 5


def test_a_closed_default_matters_only_where_it_would_count() -> None:
    closed: dict[str, str | None] = {"/etc/systemd/system.conf.d/*.conf": None}

    assert start({f"{LIB}/web.service": SERVICE}, **closed).soft is None
    assert start({f"{LIB}/web.service": limit(5)}, **closed).soft == 5


def test_a_masked_unit_is_not_started_again() -> None:
    files: dict[str, str | None] = {f"{ETC}/web.service": MASK, f"{LIB}/web.service": limit(5)}

    assert "masks it" in start(files).by
    assert start(files).soft is None
    assert not has_file("web.service", unit_files(files))


def test_a_unit_without_a_file_is_not_judged_by_the_default() -> None:
    assert start({}).soft is None


def test_files_can_be_taken_away_and_added() -> None:
    files = unit_files({f"{RUN}/web.service.d/1.conf": limit(9), f"{LIB}/web.service": limit(5)})

    assert unit_start("web.service", without(files, [RUN]), (), most=None).soft == 5
    assert unit_start("web.service", adding(files, f"{ETC}/web.service.d/2.conf", limit(7)), (), most=None).soft == 7


# Sessions of PAM


def session(uid: int | None, limits: str, more: dict[str, str | None] | None = None) -> NextStart:
    files = {"/etc/security/limits.conf": limits, **(more or {})}
    return session_start(uid, [TextFile(path=path, content=text) for path, text in files.items()], most=1048576)


@pytest.mark.parametrize(
    ("uid", "limits", "soft"),
    [
        (1000, "* soft nofile 4096\n", 4096),
        (1000, "*\t-\tnofile\t4096  # both\n", 4096),
        (1000, "* soft nofile 4096\n* soft nofile 8192\n", 8192),
        (1000, "* soft nofile unlimited\n", 1048576),
        (1000, "* hard nofile 4096\n", None),
        (1000, "#* soft nofile 4096\n", None),
        (1000, "* soft nproc 4096\n", None),
        (1000, "* soft nofile many\n", None),
        (1000, "* soft nofile 4096\nada soft nofile 1\n", None),
        (1000, "* soft nofile 4096\n@web soft nofile 1\n", None),
        (1000, "* soft nofile 4096\nroot soft nofile 1\n", 4096),
        (0, "* soft nofile 4096\n", None),
        (0, "root soft nofile 4096\nada soft nofile 1\n", 4096),
        (None, "* soft nofile 4096\n", None),
    ],
)
def test_a_session_has_what_a_line_about_its_user_gives(uid: int | None, limits: str, soft: int | None) -> None:
    assert session(uid, limits).soft == soft


def test_files_of_limits_d_come_after_limits_conf_by_name() -> None:
    more: dict[str, str | None] = {
        "/etc/security/limits.d/20-b.conf": "* soft nofile 20\n",
        "/etc/security/limits.d/10-a.conf": "* soft nofile 10\n",
    }
    found = session(1000, "* soft nofile 4096\n", more)

    assert (found.soft, found.by) == (20, "/etc/security/limits.d/20-b.conf, in sessions of PAM alone")
    assert session(1000, "* soft nofile 1\n", {"/etc/security/limits.d/*.conf": None}).soft is None
