"""Spoils params.yaml in every way that hands and editors do, and holds what comes of it against what is promised.

Whatever the file: load_params gives settings for every trial of the grids, or an InputError of one paragraph. What it
accepts, the report and DVC read alike.

    python -m tests.faults.fuzz_params --tries 2000 --seed 0 --commands 10
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import yaml
from dvc.utils.serialize import parse_yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from oyster.grid import load_params, trials
from oyster.report.read.grid import read_grid
from oyster.runtime.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
PRESETS = """
presets:
  compact: {extends: demo, pearl: {all: {net_size: 32}, point-robot: {batch_size: 8}}}
  smaller: {extends: compact, pearl: {all: {net_size: 8}}}
"""
TEXT = (ROOT / "params.yaml").read_text().replace("presets: {}\n", PRESETS)
KEYS = sorted(set(re.findall(r"[\w-]+(?=:)", TEXT)))
WORDS = r"""
    042 0x10 0b1 0o7 1_000 1:30 1.0 true "1" -1 1e3 1e-3 1.0e-3 .5 -.5 1. .inf .nan 1.0e+999 ~ null yes Off y = <<
    2024-01-01 9223372036854775807 9223372036854775808 -0 +1 0 00 5 '5' "\ud800" "\0" "\x85" 'it''s' é 日本 [] {} [1]
    {a:1} {"a":1} {a:} [a:1] [a,] [,] - -- ? : , # &x *x &all *all compact smaller <<: | > |- >2 ! !!str !!set %YAML ---
    ... @ ` ${x} ${item.env} <<<<<<< ======= >>>>>>> all mlp mlp.v2 MLP point-robot point family runtime: seeds: "x": x:
"""
SPACES = ["", " ", "\n", "\n\n", "  ", "\t", ": ", " #", "\r", "\r\n", "\0", "\ufeff", "\u2028", "---\n", "a: |\n  b\n"]
NASTY = WORDS.split() + SPACES


def same(ours, theirs) -> bool:
    """Equal, of the same types and in the same order."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return type(ours) is type(theirs) and ours == theirs


def check(content: bytes, path: Path) -> str:
    """`refused`, or `accepted` and read alike by all. AssertionError, or what load_params should not raise."""
    path.write_bytes(content)
    try:
        params = load_params(path)
    except InputError as error:
        assert str(error).strip() and not re.search(r"\n\s*\n|Traceback|  File ", str(error)), str(error)
        return "refused"
    for name in params.grids:
        assert read_grid(path, name).trials() == [each.identity for each in trials(params, name)]
    text = content.decode()
    plain = yaml.safe_load(text)
    assert same(plain, yaml.load(text, yaml.FullLoader)), "Snakemake reads otherwise"
    assert same(plain, parse_yaml(text, "params.yaml")), "DVC reads otherwise"
    return "accepted"


def check_command(content: bytes, path: Path) -> str:
    """What a person sees: exit status 2 and a paragraph, or the command's own answer."""
    path.write_bytes(content)
    command = [sys.executable, "-m", "oyster", "check", "mlp", "--env", "point-robot", "--preset", "demo"]
    done = subprocess.run([*command, "--params", str(path)], cwd=ROOT, capture_output=True, timeout=300)
    answer = done.stderr.decode()
    assert done.returncode in (0, 1, 2) and "Traceback" not in answer, answer
    assert done.returncode != 2 or (answer.startswith("error: ") and "\n\n" not in answer.strip()), answer
    return f"exit {done.returncode}"


@st.composite
def spoilt(draw) -> bytes:
    """params.yaml after a few edits, few of which anybody would make on purpose."""
    text = TEXT
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        text = draw(st.sampled_from(EDITS))(draw, text)
    content = bytearray(text.encode(errors="surrogatepass"))
    for _ in range(draw(st.sampled_from([0] * 6 + [1, 3])) if content else 0):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content) if draw(st.integers(0, 29)) else content.decode(errors="replace").encode("utf-16")


def _place(draw, text: str) -> int:
    return draw(st.integers(0, max(len(text) - 1, 0)))


def _cut(draw, text: str) -> str:
    start = _place(draw, text)
    return text[:start] + text[start + draw(st.sampled_from([1, 1, 2, 5, 50, 10**6])) :]


def _lines(draw, text: str) -> str:
    """One line doubled, removed, swapped with another, moved, or indented otherwise."""
    lines = text.split("\n")
    one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    match draw(st.integers(0, 5)):
        case 0:
            lines.insert(one, lines[one])
        case 1:
            del lines[one]
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
        case 3:
            lines.insert(other, lines[one])
        case 4:
            lines[one] = draw(st.sampled_from([" ", "  ", "\t", "    "])) + lines[one]
        case 5:
            lines[one] = lines[one][1:]
    return "\n".join(lines)


def _insert(draw, text: str) -> str:
    start = _place(draw, text)
    return text[:start] + draw(st.sampled_from(NASTY)) + text[start:]


def _replace(draw, text: str, pattern: str, values: list[str]) -> str:
    found = list(re.finditer(pattern, text))
    if not found:
        return text
    hit = draw(st.sampled_from(found))
    return text[: hit.start()] + draw(st.sampled_from(values)) + text[hit.end() :]


def _replace_word(draw, text: str) -> str:
    return _replace(draw, text, r"[\w.-]+", NASTY)


def _replace_value(draw, text: str) -> str:
    return _replace(draw, text, r"(?<=: )[\w.-]+|(?<=[\[ ])[\w.-]+(?=[,\]])", NASTY)


def _change_number(draw, text: str) -> str:
    return _replace(
        draw, text, r"(?<=[: \[])\d[\d.e-]*", [str(number) for number in range(8)] + ["0.5", "1000", "1.0e-5"]
    )


def _rename(draw, text: str) -> str:
    return _replace(draw, text, r"[\w-]+(?=:)", KEYS)


def _conflict(draw, text: str) -> str:
    lines = text.split("\n")
    first, second, third = sorted(draw(st.integers(0, len(lines))) for _ in range(3))
    for at, marker in ((third, ">>>>>>> other"), (second, "======="), (first, "<<<<<<< HEAD")):
        if draw(st.integers(0, 3)):
            lines.insert(at, marker)
    return "\n".join(lines)


EDITS = [
    _cut,
    _lines,
    _lines,
    _insert,
    _insert,
    _replace_word,
    _replace_value,
    _replace_value,
    _change_number,
    _rename,
    _conflict,
]


def fuzz(examine, tries: int, number: int) -> Counter:
    """Outcomes of `tries` spoilt files. Raises what an examination raises, after printing the smallest such file."""
    outcomes = Counter()
    with tempfile.TemporaryDirectory() as folder:

        @seed(number)
        @settings(
            max_examples=tries,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(spoilt())
        def one(content: bytes) -> None:
            outcomes[examine(content, Path(folder) / "params.yaml")] += 1

        one()
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tries", type=int, default=2000, help="files read by load_params")
    parser.add_argument("--commands", type=int, default=0, help="files given to `oyster check`, seconds each")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for examine, tries in ((check, asked.tries), (check_command, asked.commands)):
        if tries:
            started = time.monotonic()
            outcomes = fuzz(examine, tries, asked.seed)
            print(f"{examine.__name__}: {dict(outcomes)} in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
