"""The host's side is plain Python, so no Ansible is needed to test it.

`plugins/` goes on the path and the code is imported as `module_utils.changeset`. Its own imports are relative, so the
name of the package above does not matter. What Ansible itself makes of it is tested in test_module.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins"))

from fake_host import FakeHost


@pytest.fixture
def fake(tmp_path: Path) -> FakeHost:
    """A host in a temporary folder, with a few settings and no file of ours."""
    return FakeHost(tmp_path)
