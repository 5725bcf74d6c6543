"""What a probe raises where the host has spoken clearly: this is not for that login."""

from __future__ import annotations


class Closed(ValueError):
    """The reason is a whole sentence for the facts' gaps."""
