"""Products whose timeouts are known."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import yaml
from pydantic import TypeAdapter

from tcptune.domain.chain import Product

_PRODUCTS: TypeAdapter[tuple[Product, ...]] = TypeAdapter(tuple[Product, ...])


@cache
def products() -> Mapping[str, Product]:
    """Return every product by its name in chain files, in the order of the file."""
    text = (files("tcptune.knowledge") / "data" / "timeout_chain.yml").read_text(encoding="utf-8")
    data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe loaders
    return {known.product: known for known in _PRODUCTS.validate_python(data)}
