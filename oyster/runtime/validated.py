"""Content from a file or a command line, held to a pydantic model; what is wrong, in a sentence a key."""

import json
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from oyster.runtime.errors import InputError
from oyster.runtime.yaml_file import shown

Keys = Callable[[tuple], Iterable[str]]


def unknown(kind: str, given: str, known: Iterable[str]) -> str:
    return f"there is no {kind} '{shown(given)}'{nearest(given, known)}; there are: {listed(sorted(known))}."


def nearest(given: object, known: Iterable[str]) -> str:
    """Words that suggest the name that may have been meant, where one is near."""
    found = get_close_matches(str(given), list(known), n=1)
    return f", did you mean {found[0]}?" if found else ""


def listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def validated(model: type[BaseModel], content: Any, where: str, keys: Keys = lambda place: ()) -> Any:
    """InputError with a line for every key that cannot be used. `keys`: what could stand where a key is."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = [_explain(item, keys) for item in error.errors() if not _follows(item)]
        raise InputError(f"{where} cannot be used:\n" + "\n".join(f"  - {line}" for line in lines)) from None


def _follows(item: Mapping) -> bool:
    """Whether another error says all: a list whose items cannot be used counts as empty."""
    return item["type"] == "too_short" and len(item["input"]) > 0


EXPECTED = {  # by pydantic's names of errors; others speak for themselves
    "int_type": "expected an integer",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping, as {key: value}",
    "model_type": "expected a mapping, as {key: value}",
    "too_short": "expected at least 1 item",
    "string_too_long": "expected a name of at most 64 characters",
}
PATTERNS = {
    "^[a-z0-9][a-z0-9-]*$": "expected a name of small letters, digits and - that begins with a letter or digit",
    "^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)*$": "expected the name of an algorithm, or of an importable package",
    "^[A-Za-z0-9][A-Za-z0-9_-]*$": "expected the name of a file in encoders/, of letters, digits, - and _",
}


def _explain(item: Mapping, keys: Keys) -> str:
    """One pydantic error as: key, what was given, what is allowed."""
    key = ".".join(shown(str(part)) for part in item["loc"] if part != "[key]") or "top level"
    if item["type"] == "missing":
        return f"{key}: missing; expected a value"
    if item["type"] == "extra_forbidden":
        known = keys(item["loc"])
        near = nearest(item["loc"][-1], known)
        return f"{key}: given {short(item['input'])}; no such key{near or f' (there are: {listed(known)})'}"
    message = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if item["type"] == "value_error":
        return message if not item["loc"] else key + message
    if item["type"] == "string_pattern_mismatch":
        return f"{key}: given {short(item['input'])}; {PATTERNS[item['ctx']['pattern']]}"
    return f"{key}: given {short(item['input'])}; {EXPECTED.get(item['type'], f'it {message}')}"


def short(value: object) -> str:
    """A value as it can stand in a sentence."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    try:
        text = ascii(value)
    except ValueError:  # it holds an integer of more than 4300 digits
        return "an integer of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."
