"""How programs word what TCP did to them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml

from tcptune.domain.logs import Wording


@cache
def wording() -> Wording:
    """Return all that is known of the wording of logs."""
    text = (files("tcptune.knowledge") / "data" / "log_phrases.yml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Wording.model_validate(yaml.load(text, Loader=loader))  # noqa: S506  # both are safe loaders
