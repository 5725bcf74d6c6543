"""The JSON Schema of profile files, for completion and first checks in editors. Generated, so that it cannot lag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tcptune.adapters.profile_demands import ELEMENT_OPERATORS
from tcptune.adapters.profile_limits import LIMIT_ENTRY, LIMITS
from tcptune.adapters.profile_syntax import LOAD, TOP
from tcptune.domain.guards import Scope
from tcptune.domain.limits import LEAST_NOFILE, MOST_NOFILE
from tcptune.domain.parameters import ARITY, Parameter
from tcptune.domain.profile import PROFILE_FORMAT_VERSION

_TEXT = {"type": "string", "minLength": 1}
_VALUE = {
    "description": "As sysctl prints it; or a formula such as {{ (rate * stall_s) | round_up_pow2 }}.",
    "anyOf": [
        {"type": ["string", "integer"]},
        {"type": "array", "minItems": 1, "items": {"type": ["string", "integer"]}},
    ],
}
_OPERANDS: dict[str, dict[str, Any]] = {
    "exactly": {"$ref": "#/$defs/value", "description": "This value and no other."},
    "at_least": {"$ref": "#/$defs/value", "description": "What is already higher stays."},
    "at_most": {"$ref": "#/$defs/value", "description": "What is already lower stays."},
    "between": {
        "type": "array",
        "minItems": 2,
        "maxItems": 2,
        "items": {"$ref": "#/$defs/value"},
        "description": "[low, high], both included.",
    },
    "one_of": {
        "type": "array",
        "minItems": 1,
        "items": {"$ref": "#/$defs/value"},
        "description": "The first is what a host that has none of them gets.",
    },
    "includes": {"$ref": "#/$defs/value", "description": "These ports; others that are there stay."},
    "absent": {"const": True, "description": "No file sets it."},
    "leave": {"const": True, "description": "Any value; 'why' says why nothing should be changed."},
}
_WORDS = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}


def profile_schema(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the schema, with every key of the catalogue and its summary."""
    settings = {key: _setting(parameter) for key, parameter in sorted(parameters.items())}
    top = {
        "profile": _TEXT | {"description": "The profile's name."},
        "format_version": {"enum": [PROFILE_FORMAT_VERSION, str(PROFILE_FORMAT_VERSION)]},
        "summary": _TEXT | {"description": "What it is for, in one sentence."},
        "extends": {"type": "array", "items": _TEXT, "description": "Built-in names, or paths relative to this file."},
        "load": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
            "additionalProperties": {
                "type": "object",
                "required": list(LOAD),
                "additionalProperties": False,
                "properties": {"default": {"type": ["number", "string"]}, "unit": _TEXT, "meaning": _TEXT},
            },
            "description": "What formulas may use and a host cannot tell; given by --load or tcptune_load.",
        },
        "settings": {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": settings},
        "limits": {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {name: _one_or_more({"$ref": "#/$defs/limit"}) for name in LIMITS},
            "description": "Limits of the processes that listen, as they run and as their next start gives them.",
        },
        "waivers": {"type": "array", "items": {"$ref": "#/$defs/waiver"}},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tcptune profile",
        "type": "object",
        "required": ["profile"],
        "anyOf": [{"required": ["settings"]}, {"required": ["limits"]}, {"required": ["extends"]}],
        "additionalProperties": False,
        "properties": {name: top[name] for name in TOP},
        "$defs": {
            "value": _VALUE,
            "when": _when(),
            "limit": _limit(),
            "waiver": _waiver(),
            "entry": _entry(None),
            "pair": _entry(2),
            "triple": _entry(3),
        },
    }


def _setting(parameter: Parameter) -> dict[str, Any]:
    arity = ARITY.get(parameter.shape)
    entry = {"$ref": f"#/$defs/{ {None: 'entry', 2: 'pair', 3: 'triple'}[arity] }"}
    unit = f" ({parameter.unit})" if parameter.unit.strip("-") else ""
    return {"description": f"{parameter.summary}{unit}", **_one_or_more(entry)}


def _one_or_more(entry: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [entry, {"type": "array", "minItems": 1, "items": entry}]}


def _entry(arity: int | None) -> dict[str, Any]:
    operands = dict(_OPERANDS)
    if arity:
        single = [
            {"type": "object", "required": [name], "additionalProperties": False, "properties": {name: _OPERANDS[name]}}
            for name in ELEMENT_OPERATORS
        ]
        operands["elements"] = {
            "type": "array",
            "minItems": arity,
            "maxItems": arity,
            "items": {"anyOf": [{"const": "leave"}, *single]},
            "description": "An operator for each number, or leave.",
        }
    return {
        "type": "object",
        "required": ["why", "source"],
        "oneOf": [{"required": [operator]} for operator in operands],
        "additionalProperties": False,
        "properties": {
            **operands,
            "when": {"$ref": "#/$defs/when"},
            "why": _TEXT | {"description": "The reason a reviewer needs."},
            "source": _TEXT | {"description": "Where that is known from."},
        },
    }


def _limit() -> dict[str, Any]:
    properties = {
        "at_least": {
            "anyOf": [{"type": "integer", "minimum": LEAST_NOFILE, "maximum": MOST_NOFILE}, _TEXT],
            "description": "Open files one process may have; or a formula such as {{ connections * 1.1 }}.",
        },
        "processes": _WORDS | {"description": "Names or wildcards of processes or units; every one that listens."},
        "when": {"$ref": "#/$defs/when"},
        "why": _TEXT | {"description": "The reason a reviewer needs."},
        "source": _TEXT | {"description": "Where that is known from."},
    }
    return {
        "type": "object",
        "required": ["at_least", "why", "source"],
        "additionalProperties": False,
        "properties": {name: properties[name] for name in LIMIT_ENTRY},
    }


def _when() -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "kernel": _TEXT | {"examples": [">= 5.4, < 6.6"]},
            "memory": _TEXT | {"examples": [">= 8 GiB"]},
            "virtualization": _WORDS | {"description": "vm, container, none, or a name such as kvm or docker."},
            "scope": {"enum": [scope.value for scope in Scope]},
            "roles": _WORDS | {"description": "Names in the inventory variable tcptune_roles."},
            "hosts": _WORDS | {"description": "Names of hosts in the inventory, or wildcards."},
        },
    }


def _waiver() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["key", "who", "until", "why"],
        "additionalProperties": False,
        "properties": {
            "key": _TEXT,
            "hosts": _WORDS | {"description": "Names or wildcards; every host without it."},
            "who": _TEXT,
            "until": {"type": "string", "format": "date", "description": "The last day it holds."},
            "why": _TEXT,
        },
    }
