# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/domain/followups.py by tests/collection/copies.py: change it there.
"""What is left to a person once a change is made: who has to start or to listen again before it matters."""

from __future__ import annotations

from typing import Literal

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.values import Frozen


class FollowUp(Frozen):
    """A service that has to be started again, and on which hosts. It is said and never done."""

    do: str
    """A command, `systemctl restart nginx.service`, or a sentence."""
    process: str | None = None
    """Name of the program; None where nobody could see which programs listen."""
    unit: str | None = None
    because: tuple[str, ...]
    """Settings, and `limits.nofile`, that matter to it from then on."""
    once: Literal["applied", "confirmed"]
    """What has to come first. A limit is in a file, which is written when the run is confirmed."""
    hosts: tuple[str, ...]
