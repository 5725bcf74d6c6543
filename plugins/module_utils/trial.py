# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that sees one file as it is to be, in a mount namespace of its own, of which nothing is left afterwards."""

from __future__ import annotations

import os

# The folder itself stays open as the working directory while an empty file system hides it, and is copied into that.
_SCRIPT = """\
{
  cd -- "$1" && mount -t tmpfs -o mode=0755 tmpfs "$1" && cp -a . "$1/" && cd / &&
  if [ "$3" = present ]; then cat > "$1/$2"; else rm -f -- "$1/$2"; fi
} || exit 99
shift 3
exec "$@" </dev/null
"""


def seeing(path: str, there: bool) -> list[str]:
    """Return the words to put before a command, so that it sees its standard input at `path`, or no file there.

    It needs root, and is not allowed in every container. What it sees ends with the command, also if that is killed.
    """
    folder, name = os.path.split(path)
    unshare = ["unshare", "--mount", "--propagation", "private"]
    return [*unshare, "sh", "-c", _SCRIPT, "sh", folder, name, "present" if there else "absent"]
