"""From what pydantic says of a YAML document's data to mistakes with a place and a hint, in our own words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tcptune.adapters.profile_demands import closest
from tcptune.adapters.yaml_source import MOST_MISTAKES, Document, Path

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)

_TELL: dict[str, Callable[[str, Mapping[str, Any]], str]] = {
    "bool_parsing": lambda name, _: f"{name} is true or false",
    "bool_type": lambda name, _: f"{name} is true or false",
    "dict_type": lambda name, _: f"{name} is a mapping",
    "enum": lambda name, said: f"{name} is one of {_listed(said['expected'])}",
    "float_parsing": lambda name, _: f"{name} is a number",
    "float_type": lambda name, _: f"{name} is a number",
    "greater_than": lambda name, said: f"{name} is more than {said['gt']:g}",
    "greater_than_equal": lambda name, said: f"{name} is at least {said['ge']:g}",
    "int_parsing": lambda name, _: f"{name} is a whole number",
    "int_type": lambda name, _: f"{name} is a whole number",
    "less_than_equal": lambda name, said: f"{name} is at most {said['le']:g}",
    "literal_error": lambda name, said: f"{name} is one of {_listed(said['expected'])}",
    "missing": lambda name, _: f"{name!r} is missing",
    "model_attributes_type": lambda name, _: f"{name} is a mapping",
    "model_type": lambda name, _: f"{name} is a mapping",
    "string_too_short": lambda name, _: f"{name} is empty",
    "string_type": lambda name, _: f"{name} is a text; quote it where YAML reads it as something else",
    "too_long": lambda name, said: f"{name} has at most {said['max_length']} entries",
    "too_short": lambda name, said: (
        f"{name} has at least {said['min_length']} {'entry' if said['min_length'] == 1 else 'entries'}"
    ),
    "tuple_type": lambda name, _: f"{name} is a list",
    "union_tag_invalid": lambda _, said: f"there is no {_listed(said['discriminator'])} {said['tag']!r}",
    "union_tag_not_found": lambda _, said: f"{_listed(said['discriminator'])!r} is missing",
    "value_error": lambda _, said: str(said["error"]),
}


def checked(document: Document, model: type[M], hints: Mapping[str, str]) -> M | None:
    """Return the document's data as `model`, or None with every mistake noted in the document.

    `hints`: what to write instead, by the names of keys from the top: 'window.zone', or 'gates.tcp.ports' where what is
    in the list says by a word of its own what it is. The empty name stands for the whole document.
    """
    if not isinstance(document.data, dict):
        document.add((), "this file is a mapping", hint=hints[""])
        return None
    # Somebody meant something by a key with nothing behind it, and would get the default.
    empty = {name for name, value in document.data.items() if value is None}
    for name in empty:
        document.add((name,), f"{name} is empty", hint=hints.get(name))
    try:
        return model.model_validate({name: value for name, value in document.data.items() if name not in empty})
    except ValidationError as problem:
        # One more than is told: whoever tells them says that there are more.
        for error in problem.errors()[: MOST_MISTAKES + 1]:
            if error["loc"][:1] not in {(name,) for name in empty}:
                _note(document, model, error, hints)
        return None


def _note(document: Document, model: type[BaseModel], error: ErrorDetails, hints: Mapping[str, str]) -> None:
    kind, said = error["type"], error.get("ctx", {})
    names = [part for part in error["loc"] if isinstance(part, str)]
    path = _path(document.data, error["loc"])
    hint = hints.get(".".join(names))
    if kind == "too_short" and len(_at(document.data, path)) >= said["min_length"]:
        # Entries that are wrong are not counted, and are told one by one.
        return
    # What a short form stands for has a name that the file does not have.
    written = [part for part in path if isinstance(part, str)]
    name = ("each of " if path and isinstance(path[-1], int) else "") + (written[-1] if written else "this file")
    name = names[-1] if kind == "missing" else name
    if kind == "extra_forbidden":
        known = [key.rpartition(".")[2] for key in keys(model) if key.rpartition(".")[0] == ".".join(names[:-1])]
        document.add(path, f"unknown key {name!r}", hint=closest(name, known) or ", ".join(known))
        return
    if kind == "union_tag_invalid":
        hint = closest(str(said["tag"]), str(said["expected_tags"]).replace("'", "").split(", ")) or hint
    tell = _TELL.get(kind)
    text = tell(name, said) if tell else f"{name}: {error['msg'][:1].lower()}{error['msg'][1:]}"
    document.add(path, text, hint=hint)


def _path(data: Any, loc: tuple[int | str, ...]) -> Path:
    """Return where in a document an error is: `loc` without what pydantic adds for tags and short forms."""
    path: list[int | str] = []
    for part in loc:
        inside = range(len(data)) if isinstance(data, list) else data if isinstance(data, dict) else ()
        if part in inside:
            data = data[part]
            path.append(part)
    return tuple(path)


def _at(data: Any, path: Path) -> Any:
    for part in path:
        data = data[part]
    return data


def keys(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Yield every key that a document of this model may have, as `hints` names them."""
    for name, field in model.model_fields.items():
        yield f"{above}{name}"
        inner = list(_models(field.rebuild_annotation()))
        for one in inner:
            tag = f"{_tag(one)}." if len(inner) > 1 else ""
            yield from keys(one, f"{above}{name}.{tag}")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _tag(model: type[BaseModel]) -> str:
    """Return the word by which one of several models is told from the others."""
    fixed = (field.default for field in model.model_fields.values() if get_origin(field.annotation) is Literal)
    return str(next(fixed))


def _listed(expected: object) -> str:
    return str(expected).replace("'", "")
