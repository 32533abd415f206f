"""README, docs and changelog: what they name is there, what they show works, and they are written to be read.

Each rule is a function from a page's text to its faults; a test at the end shows each rule a fault.
"""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from oyster.cli import main
from oyster.grid import load_params
from oyster.report.statistics import words

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "agents/README.md")),
    ROOT / "reports" / "published" / "README.md",
    *sorted(DOCS.rglob("*.md")),
    *sorted((ROOT / "oyster").rglob("README.md")),
]
README_LINES = 150
SENTENCE, PARAGRAPH, AVERAGE = 30, 90, 18  # words at most
MAKEFILE = (ROOT / "Makefile").read_text()
FENCE = re.compile(r"^[ ]*```(\w*)\n(.*?)^[ ]*```[ ]*$", re.MULTILINE | re.DOTALL)
pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())


# --- what a page holds ------------------------------------------------------------------------------------------------


def fenced(text: str, language: str) -> list[str]:
    """Blocks of code in a language, without their common indentation."""
    blocks = [match[2] for match in FENCE.finditer(text) if match[1] == language]
    return [re.sub(rf"^{re.match(' *', block)[0]}", "", block, flags=re.MULTILINE) for block in blocks]


def code(text: str) -> list[str]:
    """Lines of code: of fenced blocks, continued lines in one, and what stands in backticks."""
    blocks = [match[2].replace("\\\n", " ") for match in FENCE.finditer(text)]
    return [*"\n".join(blocks).splitlines(), *re.findall(r"`([^`\n]+)`", FENCE.sub("", text))]


def paragraphs(text: str) -> list[str]:
    """Prose: without code, tables, quotes, headings, pictures, and what was made (`<!-- … -->` to `<!-- end -->`).

    An item of a list is a paragraph of its own.
    """
    text = FENCE.sub("\n", re.sub(r"<!--(?! end)[^>]*-->\n.*?<!-- end -->", "", text, flags=re.DOTALL))
    found, open_ = [], False
    for line in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).splitlines():
        line = line.strip()
        if not line or line.startswith(("#", "|", ">", "![")):
            open_ = False
        elif item := re.match(r"(?:[-*]|\d+\.) +(.*)", line):
            found.append(item[1])
            open_ = True
        elif open_:
            found[-1] += f" {line}"
        else:
            found.append(line)
            open_ = True
    return found


def sentences(paragraph: str) -> list[list[str]]:
    """The words of each sentence; code in backticks is one word, of a link only its text counts."""
    plain = re.sub(r"`[^`]+`", "code", paragraph)
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", plain)
    plain = re.sub(r"\b(e\.g|i\.e|et al|vs)\.", r"\1", plain)
    parts = re.split(r"(?<=[.!?])[*_)\"]*\s+", plain)
    counted = [[word for word in part.split() if re.search(r"\w", word)] for part in parts]
    return [part for part in counted if part]


def anchors(page: Path) -> set[str]:
    text = page.read_text()
    if page.suffix == ".html":
        return set(re.findall(r'\bid="([^"]+)"', text))
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# --- rules ------------------------------------------------------------------------------------------------------------


def broken_links(page: Path, text: str) -> list[str]:
    broken = []
    for link in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", FENCE.sub("", text)):
        path, _, anchor = link.partition("#")
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and target.is_file() and anchor not in anchors(target)):
            broken.append(link)
    return broken


def absent_files(text: str) -> list[str]:
    """Files of this repository in backticks that are not there; names with a placeholder are none."""
    places = "oyster|docs|tests|docker|profiles|reports/published"
    named = re.findall(rf"`((?:{places})/[\w./-]+\.\w+)`", FENCE.sub("", text))
    return [name for name in named if not re.search(r"[A-Z]{3}|my_", name) and not (ROOT / name).exists()]


def unknown_commands(text: str) -> list[str]:
    """`oyster COMMAND --option` where click knows no such command or option."""
    unknown = []
    for line in code(text):
        for rest in re.findall(r"(?:^|[\s(;&])oyster +([^|&;#)\s][^|&;#)]*)", line):
            name, *given = rest.split()
            command = main if name.startswith("-") else main.commands.get(name)
            if command is None and not name.isupper():
                unknown.append(f"oyster {name}")
            elif command is not None:
                known = {"--help", "-h", *(option for each in command.params for option in each.opts)}
                options = [word.partition("=")[0] for word in [name, *given] if word.startswith("-")]
                unknown += [f"oyster {name} {option}" for option in options if option not in known]
    return unknown


def unknown_targets(text: str) -> list[str]:
    named = [target for line in code(text) for target in re.findall(r"(?:^|[\s(;&])make ([a-z.][\w./-]*)", line)]
    there = {target for rule in re.findall(r"^([^\s#:=][^:=\n]*):", MAKEFILE, re.MULTILINE) for target in rule.split()}
    return [target for target in named if target not in there]


def hard_to_read(text: str) -> list[str]:
    """Sentences and paragraphs that are too long, and an average that is."""
    found, lengths = [], []
    for paragraph in paragraphs(text):
        said = sentences(paragraph)
        lengths += map(len, said)
        found += [f"{len(each)} words: {' '.join(each)}" for each in said if len(each) > SENTENCE]
        if (total := sum(map(len, said))) > PARAGRAPH:
            found.append(f"a paragraph of {total} words: {paragraph}")
    if lengths and (average := sum(lengths) / len(lengths)) > AVERAGE:
        found.append(f"{average:.1f} words per sentence on average")
    return found


# --- pages ------------------------------------------------------------------------------------------------------------


@pages
def test_what_a_page_names_is_there(page):
    text = page.read_text()
    assert broken_links(page, text) == []
    if page.name != "CHANGELOG.md":  # which names what went, too
        assert unknown_commands(text) + unknown_targets(text) + absent_files(text) == []


@pages
def test_a_page_is_written_to_be_read(page):
    assert hard_to_read(page.read_text()) == []


def test_readme_is_short():
    assert len(README.read_text().splitlines()) < README_LINES


def test_no_page_names_a_place_of_before():
    """docs/NAME.md moved into tutorial, how-to, reference and explanation."""
    old = re.compile(r"docs/(?:container|algorithms|performance|precision|reproduction)\.md")
    for page in [*PAGES, ROOT / "Makefile", *sorted((ROOT / "docker").glob("*.py")), ROOT / "docker/Dockerfile"]:
        assert not old.search(page.read_text()), page


@pytest.mark.parametrize("name", ["params.md", "command-line.md"])
def test_reference_is_what_the_code_says(name):
    made = runpy.run_path(str(DOCS / "generate.py"))["PAGES"][name]()
    assert (DOCS / "reference" / name).read_text() == made, "run `make reference`"


# --- what pages show --------------------------------------------------------------------------------------------------


def test_the_example_encoder_keeps_the_contract(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(next(block for block in fenced(README.read_text(), "python") if "PyTorchModule" in block))
    assert len([line for line in file.read_text().splitlines() if line.strip()]) <= 16
    done = CliRunner().invoke(main, ["check", str(file), "--env", "point-robot", "--preset", "demo"])
    assert done.exit_code == 0, done.output
    assert "No check failed" in done.output


def test_the_example_environment_keeps_the_contract(tmp_path):
    file = tmp_path / "line_robot.py"
    file.write_text(fenced((DOCS / "how-to/own-environment.md").read_text(), "python")[0])
    done = CliRunner().invoke(main, ["check", str(file)])
    assert done.exit_code == 0, done.output
    assert "No check failed" in done.output


@pytest.mark.parametrize("page", [README, *sorted(DOCS.rglob("*.md"))], ids=lambda path: path.stem)
def test_what_a_page_adds_to_params_yaml_is_accepted(page, tmp_path):
    added = [yaml.safe_load(block) for block in fenced(page.read_text(), "yaml")]
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for block in added:
        for section, entries in block.items():
            params[section] = {**params[section], **entries} if isinstance(entries, dict) else entries
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    load_params(tmp_path / "params.yaml")


def test_what_is_quoted_of_the_references_own_code_was_measured():
    """The tables are what docs/measured/fidelity.py prints, and no other value stands beside them."""
    script = [sys.executable, DOCS / "measured" / "fidelity.py"]
    printed = subprocess.run(script, capture_output=True, text=True, check=True)
    text = (DOCS / "explanation" / "investigations.md").read_text()
    section = re.search(r"^## The reference's own code.*?(?=^## )", text, re.MULTILINE | re.DOTALL)[0]
    shown = re.search(r"<!-- fidelity -->\n(.*?)<!-- end -->", section, re.DOTALL)[1]
    assert shown == printed.stdout
    prose = " ".join(paragraphs(section))
    quoted = re.findall(rf"(?:p = |{words.MINUS})\d+(?:\.\d+)?", prose)
    assert quoted
    for value in quoted:
        assert value.removeprefix("p = ") in printed.stdout, value


def test_the_evidence_of_the_encoder_is_what_its_script_prints():
    """The page quotes the output, and README three of its means."""
    script = [sys.executable, DOCS / "encoder_evidence.py"]
    printed = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    page = (DOCS / "encoder.md").read_text()
    assert re.search(r"<!-- evidence -->\n(.*?)<!-- end -->", page, re.DOTALL)[1] == printed
    bullet = re.search(r"^- \[The encoder `reward_pooling`.*?\n\n", README.read_text(), re.MULTILINE | re.DOTALL)[0]
    told = " ".join(bullet.split())
    quoted = re.findall(rf"{words.MINUS}?\d+\.\d+ \({words.MINUS}?\d+\.\d+ to {words.MINUS}?\d+\.\d+\)", told)
    assert len(quoted) == 3
    for value in quoted:
        assert value in printed, value


def test_the_ablation_of_the_encoder_is_what_its_script_prints():
    script = [sys.executable, DOCS / "measured" / "ablation.py"]
    printed = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    page = (DOCS / "encoder.md").read_text()
    assert re.search(r"<!-- ablation -->\n(.*?)<!-- end -->", page, re.DOTALL)[1] == printed


def test_the_means_of_a_hundred_tests_are_those_that_were_measured():
    script = [sys.executable, DOCS / "measured" / "meta_test.py"]
    printed = subprocess.run(script, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    text = (DOCS / "explanation" / "reproduction.md").read_text()
    for encoder in ("mlp", "recurrent", "attention"):
        mean = re.search(rf"point-robot, {encoder}: mean of a hundred (\S+), minus", printed)[1]
        assert f"{mean} ({encoder})" in text


# --- the rules notice -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule, text, fault",
    [
        (lambda text: broken_links(README, text), "[x](docs/nowhere.md)", "docs/nowhere.md"),
        (lambda text: broken_links(README, text), "[x](docs/tutorial.md#nowhere)", "docs/tutorial.md#nowhere"),
        (lambda text: broken_links(README, text), "[x](#nowhere)", "#nowhere"),
        (absent_files, "`oyster/nowhere.py`", "oyster/nowhere.py"),
        (unknown_commands, "```bash\noyster fly\n```", "oyster fly"),
        (unknown_commands, "`python -m oyster train --env x --fly 3`", "oyster train --fly"),
        (unknown_commands, "```bash\noyster train --env x \\\n  --fly\n```", "oyster train --fly"),
        (unknown_targets, "so `make nowhere`", "nowhere"),
        (hard_to_read, "word " * 31 + ".", "31 words"),
        (hard_to_read, "- word " + "word " * 30 + ".", "31 words"),
        (hard_to_read, "One two three four five. " * 19, "a paragraph of 95 words"),
        (hard_to_read, ("word " * 19 + ".\n\n") * 3, "19.0 words per sentence"),
    ],
)
def test_a_rule_notices_what_breaks_it(rule, text, fault):
    assert any(fault in found for found in rule(text))


def test_what_is_no_prose_is_not_counted():
    long = "word " * 40
    text = f"# {long}\n\n```bash\n{long}\n```\n\n| {long} |\n\n> {long}\n\n<!-- made -->\n{long}\n<!-- end -->\n"
    assert hard_to_read(text) == [] and paragraphs(text) == []
