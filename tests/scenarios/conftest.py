"""What the scenarios share: the command line run in this process, and the host's side on the path."""

from __future__ import annotations

import sys
from pathlib import Path

# As tests/plugins does: the host's side is plain Python below plugins/.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins"))

from tests.unit.cli.conftest import tcptune

__all__ = ["tcptune"]
