# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/closed.py by tests/collection/copies.py: change it there.
"""What a probe raises where the host has spoken clearly: this is not for that login."""

from __future__ import annotations


class Closed(ValueError):
    """The reason is a whole sentence for the facts' gaps."""
