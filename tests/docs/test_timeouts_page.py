"""The page of timeouts has every key of a chain file, every rule, and the products as they are known."""

from __future__ import annotations

from tcptune.domain.chain import ChainFile, HopFile, ProductList, Receives, Sends
from tcptune.domain.chain_verdicts import Rule
from tcptune.domain.service import Error, Stage
from tcptune.knowledge.timeout_chain import products
from tcptune.reports import FORMATS
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/reference/timeouts.md").read_text()
PROBE = (ROOT / "docs/howto/probe.md").read_text()


def test_every_key_of_a_chain_file_is_on_the_page() -> None:
    keys = {name for model in (ChainFile, HopFile, Receives, Sends) for name in model.model_fields}

    assert {name for name in keys if f"| `{name}` |" not in PAGE} == set()


def test_every_rule_is_on_the_page() -> None:
    assert {rule.value for rule in Rule if f"| `{rule}` |" not in PAGE} == set()


def test_the_products_are_those_that_are_known() -> None:
    listed = FORMATS["markdown"](ProductList(products=tuple(products().values())))

    assert PAGE.endswith(listed), "run: tcptune timeouts products --format markdown, and put it at the end of the page"


def test_every_stage_and_every_class_of_errors_is_on_the_page_of_probe() -> None:
    assert {one.value for one in (*Stage, *Error) if f"`{one}`" not in PROBE} == set()
