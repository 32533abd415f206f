"""Writes docs/reference/params.md and command-line.md from the code that reads them: `make reference`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from oyster import params
from oyster.algorithms import find, names
from oyster.algorithms.settings import TRIAL, Common, Evaluation, Length, Model
from oyster.cli import main
from oyster.presets import ALL, algorithm_presets, preset_settings

REFERENCE = Path(__file__).resolve().parent / "reference"
MADE = "This page is written by `make reference` from the code. Edit the code, not the page."
KINDS = {"integer": "whole number", "number": "number", "boolean": "true or false", "object": "mapping"}
UNSAID = {  # what the code leaves to the name
    "seeds": "Whole numbers: one trial per seed.",
    "trajectories": "Whole trajectories.",
    "target": "The name of an encoder or a task family, or a file.",
    "grid": "A grid of `params.yaml`.",
    "result": "The folder of a result.",
    "seed": "From which every random draw of the trial comes.",
    "device": "Where the networks run. `auto` takes CUDA if there is a GPU.",
    "params": "The file that says what to try.",
}


# --- tables -----------------------------------------------------------------------------------------------------------


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    header = list(header)
    body = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in body] + [""]


def shown(value: Any) -> str:
    """As params.yaml would have it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{key}: {shown(each)}" for key, each in value.items() if each is not None) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(shown, value)) + "]"
        case float():
            return f"{value:g}"
    return str(value)


# --- params.md --------------------------------------------------------------------------------------------------------


def kind(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a value may be, in words, from its JSON schema."""
    if "anyOf" in schema:
        words = [kind(each, definitions) for each in schema["anyOf"]]
        return (", or " if any("," in each for each in words) else " or ").join(words)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"mapping ({', '.join(definitions[name]['properties'])})"
    if "enum" in schema:
        return ", ".join(schema["enum"])
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            return "[first, last]"
        case "array":
            return f"list of {plural(kind(schema['items'], definitions))}"
        case "string":
            return "name" if "pattern" in schema else "text"
        case "null":
            return "null"
        case "integer" | "number" as word:
            low, high = schema.get("minimum"), schema.get("maximum")
            above = f" above {schema['exclusiveMinimum']:g}" if "exclusiveMinimum" in schema else ""
            if low is not None and high is not None and high < 10**9:
                return f"{KINDS[word]}, {low:g} to {high:g}"
            return KINDS[word] + (f", {low:g} or more" if low is not None else above)
    return KINDS.get(schema.get("type"), "any")


def plural(words: str) -> str:
    first, comma, rest = words.partition(",")
    return f"{first}s{comma}{rest}"


def fields(model: type[Model], only: Iterable[str] | None = None, *, with_default: bool = True) -> list[str]:
    """One row per key of a model."""
    schema = model.model_json_schema()
    definitions, required = schema.get("$defs", {}), schema.get("required", ())
    rows = []
    for name in schema["properties"] if only is None else only:
        entry, default = schema["properties"][name], model.model_fields[name].get_default(call_default_factory=True)
        said = "required" if name in required else f"`{shown(default)}`" if not isinstance(default, Model) else "`{}`"
        meaning = " ".join(entry.get("description", UNSAID.get(name, "")).split())
        if name in names():
            meaning = f"Sections of the settings of {name.upper()}."
        rows.append([f"`{name}`", kind(entry, definitions), *([said] if with_default else []), meaning])
    return table(["key", "value", *(["default"] if with_default else []), "meaning"], rows)


def params_page() -> str:
    lines = ["# params.yaml", "", MADE, ""]
    lines += ["`params.yaml` says what to try. A key that is not named here is refused.", ""]
    lines += ["## The file", "", *fields(params.Params)]
    lines += [
        "## A grid",
        "",
        "`grids.NAME`. Every combination of environment, agent and seed is one trial.",
        "",
        *fields(params.Grid),
    ]
    lines += ["## An agent", "", "`agents.NAME`.", "", *fields(params.Agent)]
    lines += ["## An evaluation", "", "`evaluation.PRESET.FAMILY`, or `all` for families without a line.", ""]
    lines += fields(Evaluation)
    lines += ["## A preset of your own", ""]
    lines += ["`presets.NAME`. Under an algorithm's name stand sections: `all`, and one per family that differs.", ""]
    lines += fields(params.Preset)
    lines += ["## Settings of every algorithm", "", "A preset or an agent gives them.", ""]
    lines += fields(Common, with_default=False)
    lines += ["`test_length` takes one of these:", "", *fields(Length, with_default=False)]
    for name in names():
        lines += _algorithm(name)
    return "\n".join(lines).rstrip() + "\n"


def _algorithm(name: str) -> list[str]:
    settings = find(name).settings
    own = [key for key in settings.model_fields if key not in TRIAL | Common.model_fields.keys()]
    own = [key for key in own if key not in Evaluation.model_fields]
    title = name.upper()
    lines = [f"## Settings of {title}", "", *fields(settings, own, with_default=False)]
    presets = algorithm_presets(name)
    merged = {preset: preset_settings({}, preset, name, ALL) for preset in presets}
    lines += [f"## Presets of {title}", "", "For every family without a section of its own:", ""]
    keys = [key for key in [*Common.model_fields, *own] if any(key in each for each in merged.values())]
    rows = [[f"`{key}`", *(shown(each[key]) for each in merged.values())] for key in keys]
    lines += table(["setting", *presets], rows)
    lines += ["A family's section changes these. A preset takes over the sections of the one that it extends.", ""]
    rows = []
    for preset, own_preset in presets.items():
        for family, section in own_preset.sections.items():
            if family != ALL:
                said = section.model_dump(mode="json", exclude_unset=True)
                rows.append([preset, family, ", ".join(f"`{key}: {shown(value)}`" for key, value in said.items())])
    lines += table(["preset", "family", "what differs"], rows)
    extended = [f"`{preset}` extends `{each.extends}`" for preset, each in presets.items() if each.extends]
    return [*lines, f"{'; '.join(extended)}.", ""]


# --- command-line.md --------------------------------------------------------------------------------------------------


def command_line_page() -> str:
    lines = ["# The command line", "", MADE, ""]
    lines += ["`oyster` is the command of the activated environment: `source .venv/bin/activate`. "
              "`python -m oyster` is the same.", ""]  # fmt: skip
    context = click.Context(main, info_name="oyster")
    lines += [*_paragraphs(main), "| command | what it does |", "| --- | --- |"]
    for name, command in sorted(main.commands.items()):
        lines.append(f"| [`oyster {name}`](#oyster-{name}) | {_first_sentence(command)} |")
    lines += ["", *_options(main, context)]
    for name, command in sorted(main.commands.items()):
        inner = click.Context(command, info_name=name, parent=context)
        lines += [f"## oyster {name}", "", "```", " ".join(command.get_usage(inner).split()[1:]), "```", ""]
        lines += [*_paragraphs(command), *_options(command, inner)]
    lines += ["## Exit codes", ""]
    lines += table(["code", "meaning"], [
        ["0", "done; `verify`: every result holds"],
        ["1", "`verify`: a result does not hold; `check`: a check failed; `train`: the trial failed, nothing was "
              "written; `keep`: a result was left as it was"],
        ["2", "what was given cannot be used; the sentence says what was expected"],
        ["3", "the machine failed (disk, memory, permission): fix that and run the same command again"],
        ["4", "the family needs a package that is not installed: `make metaworld`"],
        ["130, 143", "`train` was stopped by Ctrl-C or SIGTERM, and left a checkpoint"],
    ])  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def _paragraphs(command: click.Command) -> list[str]:
    found = [" ".join(paragraph.split()) for paragraph in (command.help or "").split("\n\n")]
    return [line for paragraph in found for line in (paragraph, "")]


def _first_sentence(command: click.Command) -> str:
    text = " ".join((command.help or "").split("\n\n")[0].split())
    return text.rstrip(".")


def _options(command: click.Command, context: click.Context) -> list[str]:
    rows = []
    for each in command.params:
        if isinstance(each, click.Argument):
            name = f"`{each.make_metavar(context).strip('[]')}`"
        else:
            metavar = "" if each.is_flag else " " + each.make_metavar(context)
            name = f"`{', '.join(each.opts)}{metavar}`"
        default = each.default if each.default not in (None, False, ()) and not callable(each.default) else None
        default = None if "UNSET" in repr(default).upper() else default
        said = "required" if each.required else f"`{default}`" if default is not None else ""
        meaning, _, told = (getattr(each, "help", None) or UNSAID.get(each.name, "")).partition("[default: ")
        rows.append([name, said or told.rstrip("]"), meaning.strip()])
    return table(["argument or option", "default", "meaning"], rows) if rows else []


PAGES = {"params.md": params_page, "command-line.md": command_line_page}

if __name__ == "__main__":
    for file, page in PAGES.items():
        (REFERENCE / file).write_text(page(), encoding="utf-8")
