"""YAML files, read so that whatever cannot be used is an InputError with a sentence.

`read_yaml` is for files that tools write, such as dvc.lock. `read_plain_yaml` is for params.yaml, which people write
and several tools read: PyYAML (oyster, Snakemake, the reports) follows YAML 1.1, DVC follows 1.2. It refuses what these
read differently, so that one file is one configuration.
"""

import math
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from oyster.runtime.errors import InputError
from oyster.runtime.files import printable

FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEEPEST = 50  # levels; far deeper nesting crashes readers written in C
MOST_NODES = 1_000_000  # with every alias written out
WIDEST = 2**63  # integers fit into 64 bits

_CONFLICT = re.compile(r"^(<{7}|={7}|>{7}|\|{7})(?= |\r?$)", re.MULTILINE)
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_READ_DIFFERENTLY = re.compile("[\t\u2028\u2029]")  # line breaks for YAML 1.1 alone; tabs are as each reader likes
_CHARACTERS = {"\t": "a tab", "\0": "a NUL character", "\ufeff": "a byte order mark"}

# Plain scalars other than text that both versions of YAML know and read alike.
_NULL_OR_BOOL = re.compile(r"(~|null|Null|NULL|true|True|TRUE|false|False|FALSE)?")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF|nan|NaN|NAN)")
_FLOAT = re.compile(r"([-+]?[0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?")
# What YAML 1.2 may take for a number. (What 1.1 takes for something other than text, the node's tag says.)
_NUMBER_1_2 = re.compile(
    r"""(?=[-+.0-9])[-+]?(
        0b[01_]+ | 0o[0-7_]+ | 0x[0-9a-fA-F_]+ | [0-9_]+
        | [0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)? | [0-9][0-9_]*[eE][-+]?[0-9]+ | \.[0-9_]+([eE][-+]?[0-9]+)?
    )""",
    re.VERBOSE,
)
_NO_SPACE = re.compile(r" *:[,\[\]{}]")
_TAG = "tag:yaml.org,2002:"


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping that a YAML file holds."""
    return parse_yaml(read_text(path), printable(str(path)))


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """The mapping that `text` holds; errors call it `name`."""
    return _construct(*_compose(text, name, FAST_LOADER), name)


def read_plain_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping that a YAML file holds, if all readers of YAML agree on it."""
    name, text = printable(str(path)), read_text(path)
    if found := _READ_DIFFERENTLY.search(text):
        raise InputError(f"{_place(name, text, found.start())} holds {_character(found[0])}; write spaces instead.")
    loader, root = _compose(text, name, yaml.SafeLoader)
    if lines := [f"  - line {line}, {what}" for line, what in _ambiguities(root)]:
        raise InputError("\n".join([f"{name} cannot be used:", *lines]))
    return _construct(loader, root, name)


def read_text(path: str | Path) -> str:
    """The text of a file in UTF-8."""
    path, name = Path(path), printable(str(path))
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise InputError(f"{name} cannot be read (a folder, a pipe or a device); expected a file.")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{name} cannot be read ({error.strerror}). Run from the repository's root, or name another file."
        ) from error
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"{name}, line {line} holds the byte 0x{content[error.start]:02X}, which is not UTF-8. Save it in UTF-8."
        ) from error


def _compose(text: str, name: str, loader_class: type) -> tuple[Any, yaml.Node | None]:
    """A loader, and the tree of nodes that it made of `text`."""
    if found := _CONFLICT.search(text):
        raise InputError(
            f"{_place(name, text, found.start())} is a conflict marker ({found[0]}): a merge was left half done. "
            "Choose one side, and remove the markers."
        )
    if found := _FORBIDDEN.search(text):
        raise InputError(f"{_place(name, text, found.start())} holds {_character(found[0])}; remove it.")
    try:
        _check_events(yaml.parse(text, loader_class), name)
        loader = loader_class(text)
        return loader, loader.get_single_node()
    except yaml.YAMLError as error:
        raise _invalid(name, error) from error


def _check_events(events: Iterator[yaml.Event], name: str) -> None:
    """Refuse what a reader would crash on, never finish, or take as an order to make Python objects."""
    documents = 0
    sizes = {}  # of what each anchor names
    inside = []  # the collections around the event: their anchors and sizes
    for event in events:
        where = f"{name}, line {event.start_mark.line + 1}"
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise InputError(f"{where} begins a second document (---); expected one.")
            if event.version or event.tags:
                raise InputError(f"{where} has a directive (%…), which not all readers of YAML obey; remove it.")
        if isinstance(event, yaml.DocumentEndEvent) and event.explicit:
            raise InputError(f"{where} ends the document (...), which not all readers of YAML obey; remove it.")
        if getattr(event, "tag", None):
            raise InputError(f"{where} has the tag {event.tag}; remove it: only plain data can be used.")
        anchor, size = getattr(event, "anchor", None), 1
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == around for around, _ in inside):
                raise InputError(f"{where}: *{anchor} stands inside of what it names, &{anchor}; write it out.")
            size = sizes.get(anchor, 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            inside.append([anchor, 1])
            if len(inside) > DEEPEST:
                raise InputError(f"{where} is nested more than {DEEPEST} levels deep; flatten it.")
            continue
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = inside.pop()
        elif not isinstance(event, yaml.ScalarEvent):
            continue
        if anchor and not isinstance(event, yaml.AliasEvent):
            sizes[anchor] = size
        if inside:
            inside[-1][1] += size
            if inside[-1][1] > MOST_NODES:
                raise InputError(f"{where}: the file has more than {MOST_NODES} values, its aliases (*) written out.")


def _construct(loader: Any, root: yaml.Node | None, name: str) -> dict[str, Any]:
    if not isinstance(root, yaml.MappingNode):
        kind = {yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}.get(type(root), "nothing")
        raise InputError(f"{name} holds {kind}; expected lines of the form `key: value`.")
    try:
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise _invalid(name, error) from error
    except (ValueError, OverflowError) as error:  # a date that does not exist, an integer of 5000 digits
        raise InputError(f"{name} holds a value that cannot be read: {error}.") from error


def _ambiguities(root: yaml.Node | None) -> list[tuple[int, str]]:
    """Line, key and reason of all that readers of YAML would not agree on, by line."""
    found, seen = set(), set()

    def visit(node: yaml.Node, path: tuple[str, ...]) -> None:
        if id(node) in seen:  # by an alias
            return
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            note(node, path, _why_not(node))
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                visit(item, (*path, str(index)))
        else:
            lines = {}
            for key, value in node.value:
                is_merge = key.tag == _TAG + "merge"
                reason = None if is_merge else _why_no_key(key)
                note(key, path, reason)
                if not reason and key.value in lines:
                    twice = f"the key {shown(key.value)} stands there twice, first in line {lines[key.value]}"
                    note(key, path, f"{twice}; keep one")
                elif not reason:
                    lines[key.value] = key.start_mark.line + 1
                    visit(value, path if is_merge else (*path, shown(key.value)))

    def note(node: yaml.Node, path: tuple[str, ...], reason: str | None) -> None:
        if reason:
            found.add((node.start_mark.line + 1, f"{'.'.join(path) or 'top level'}: {reason}"))

    if root is not None:
        visit(root, ())
    return sorted(found)


def _why_no_key(node: yaml.Node) -> str | None:
    if not isinstance(node, yaml.ScalarNode):
        return "a list or mapping stands as a key; expected text"
    if reason := _why_not(node):
        return f"as a key, {reason}"
    if not node.style and _NO_SPACE.match(node.end_mark.buffer, node.end_mark.pointer):
        return f"no space after the colon of {shown(node.value)}, which DVC takes for a part of the key; expected one"
    is_text = node.tag == _TAG + "str"
    return None if is_text else f'the key {shown(node.value)} is not text; expected it in quotes: "{shown(node.value)}"'


def _why_not(node: yaml.ScalarNode) -> str | None:
    """Why a scalar cannot be used, and what to write instead; None where it can."""
    text, kind = node.value, node.tag.removeprefix(_TAG)
    if any("\ud800" <= character <= "\udfff" for character in text):
        return f"given {shown(text)}, which holds half a character (a surrogate); write the character itself"
    if node.style in ("|", ">"):  # where it begins and ends is not the same for all
        return "given a block of text (| or >), which readers of YAML disagree on; expected text in quotes"
    if node.style or _NULL_OR_BOOL.fullmatch(text):
        return None
    if _INTEGER.fullmatch(text):
        fits = len(text) <= 20 and -WIDEST <= int(text) < WIDEST
        return None if fits else f"given {shown(text)}; expected an integer of at most 64 bits"
    if _NOT_FINITE.fullmatch(text) or (_FLOAT.fullmatch(text) and math.isinf(float(text))):
        return f"given {shown(text)}; expected a finite number"
    if _FLOAT.fullmatch(text) or (kind == "str" and not _NUMBER_1_2.fullmatch(text)):
        return None
    instead = {
        "bool": "true" if text.lower() in ("yes", "on") else "false",
        "timestamp": "a date as text",
        "merge": "<< as a key alone",
        "value": "another text",
    }.get(kind, "a number in decimal digits (42, 0.001, 1.0e-3)")
    return f'given {shown(text)}, which readers of YAML disagree on; expected {instead}, or in quotes: "{shown(text)}"'


def _invalid(name: str, error: yaml.YAMLError) -> InputError:
    mark = getattr(error, "problem_mark", None)
    what = ": ".join(filter(None, (getattr(error, "context", None), getattr(error, "problem", None)))) or str(error)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return InputError(f"{name} is not valid YAML: {place}{' '.join(what.split())}.")


def _place(name: str, text: str, position: int) -> str:
    return f"{name}, line {text.count(chr(10), 0, position) + 1}"


def _character(character: str) -> str:
    return _CHARACTERS.get(character, f"the character U+{ord(character):04X}")


def shown(text: str) -> str:
    """Text of a file as it can stand in a sentence."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= 60 else shown[:57] + "..."
