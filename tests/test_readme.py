"""What README shows works as shown."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from oyster.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_example_encoder_keeps_the_contract(tmp_path):
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    file = tmp_path / "mine.py"
    file.write_text("\n".join(line.removeprefix("   ") for line in example.splitlines()) + "\n")
    assert len([line for line in file.read_text().splitlines() if line.strip()]) <= 16
    done = CliRunner().invoke(main, ["check", str(file), "--env", "point-robot", "--preset", "demo"])
    assert done.exit_code == 0, done.output
    assert "No check failed" in done.output


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_pictures_of_a_document_exist(document):
    for path in set(re.findall(r"\]\(((?!http)[^)#]+)\)", document.read_text())):
        assert (document.parent / path).exists(), path


def test_targets_and_commands_that_it_names_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"[`\n]make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for command in set(re.findall(r"python -m oyster ([a-z-]+)", README)):
        assert command in main.commands, command
