"""Reports of files, with every special case in them."""

from __future__ import annotations

from datetime import UTC, date, datetime

from tcptune.dialects.lint import lint
from tcptune.domain.lint import LintReport, UnreadFile
from tcptune.domain.logs import LogReport, LogSource
from tcptune.knowledge.wording import wording
from tcptune.planning.logs.tally import Tally

_LINES = (
    b"2026-11-21T08:00:01Z read tcp 10.0.0.1:41000->10.0.0.9:8080: read: connection reset by peer",
    b"2026-11-21T08:00:02Z write tcp 10.0.0.1:41000->10.0.0.9:8080: write: broken pipe, token=abc\x1b[31m|`",
    b"2026-11-21 09:00:00 dial tcp 10.0.0.12:5432: connect: connection refused",
    b"Error: connect ECONNREFUSED 10.0.0.12:5432",
    b'10.1.2.3 - - [21/Nov/2026:08:00:02 +0000] "GET /?a=secret HTTP/1.1" 504 160 "-" "curl"',
    *(b"2026-11-21T08:00:05Z connect to 10.0.1.%d:80: i/o timeout" % n for n in range(20)),
)


def _logs() -> LogReport:
    tally = Tally(wording())
    tally.begin(written=datetime(2026, 11, 22, tzinfo=UTC))
    for line in _LINES:
        tally.add(line)
    begins, ends = datetime(2026, 11, 21, 7, tzinfo=UTC), datetime(2026, 11, 21, 9, tzinfo=UTC)
    return tally.report(
        (
            LogSource(path="app.log", form="plain", bytes=2_000_000, lines=25, cut=1, begins=begins, ends=ends),
            LogSource(path="app.log.1", form="gzip", bytes=0, lines=0, unread="damaged, or cut short: it has no end"),
        )
    )


LOGS = _logs()
LINT: LintReport = lint(
    {
        "etc/sysctl.d/90-web.conf": "# tcptune: allow net.core.somaxconn until 2027-01-01 measured\n"
        "net.core.somaxconn = 65535\nnet.ipv4.tcp_tw_recycle = 1\nnet.ipv4.tcp_retries2 = 010\n",
        "tasks/main.yml": "- shell: sysctl -p\n- sysctl: {name: net.ipv4.tcp_fin_timeout, value: 30}\n",
    },
    today=date(2026, 11, 21),
    kernel="6.12",
    unread=[UnreadFile(path="broken|.yml", why="line 1, column 3: this is no YAML: found `")],
)
