"""One spelling in params.yaml is one value for every tool that reads it, or the file is refused with a sentence.

oyster, Snakemake and the reports read with PyYAML (YAML 1.1), DVC with ruamel (YAML 1.2): 042 is 34 to the ones and 42
to the other.
"""

import math
import re
from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import parse_yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oyster.grid import load_params
from oyster.runtime.errors import InputError
from oyster.runtime.yaml_file import read_plain_yaml
from tests.faults.fuzz_params import same

TEXT = (Path(__file__).resolve().parents[2] / "params.yaml").read_text()
ATTENTION = "attention: {encoder: attention, arguments: {num_heads: 4}}"
MLP = "mlp: {encoder: mlp}"


def load(tmp_path: Path, text: str):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return load_params(path)


def with_seeds(seeds: str) -> str:
    return TEXT.replace("seeds: [42, 123, 456]", f"seeds: {seeds}")


def with_argument(scalar: str) -> str:
    """params.yaml with an argument of an encoder, where every plain value may stand."""
    return TEXT.replace(ATTENTION, f"attention:\n    encoder: attention\n    arguments:\n      other: {scalar}")


@pytest.mark.parametrize(
    "seeds",
    [
        "[042]", "[0x10]", "[0b1]", "[0o7]", "[1_000]", "[1:30]", "[1.0]", "[1.0, 2]", "[true]", '["1", 2]',
        '["01", 1]', "[1, 1]", "[340282366920938463463374607431768211455]", f"[{2**63}]", "[1e3]", "[yes]", "[~]",
        "[.inf]", "[-1]", "[2024-01-01]", "[089]", "[-0x1]", "[[1]]", "[{1: 2}]", f"[{'9' * 5000}]", "5", "{}", "",
    ],
)  # fmt: skip
def test_seeds_that_tools_read_differently_or_cannot_use_are_refused(seeds, tmp_path):
    with pytest.raises(InputError, match=r"grids\.benchmark\.seeds") as caught:
        load(tmp_path, with_seeds(seeds))
    assert re.search("expected|keep one|greater than or equal to 0|less than", str(caught.value))


@pytest.mark.parametrize("seeds", [(0,), (2**63 - 1, 0), (7, 1)])
def test_integers_of_63_bits_are_seeds(seeds, tmp_path):
    assert load(tmp_path, with_seeds(str(list(seeds)))).grids["benchmark"].seeds == seeds


@pytest.mark.parametrize(
    ("scalar", "instead"),
    [
        ("yes", "expected true"),
        ("Off", "expected false"),
        ("1e-3", "1.0e-3"),
        ("1.0e3", "1.0e-3"),
        ("-.5", "0.001"),
        ("0o17", "decimal"),
        ("017", "decimal"),
        ("1_000.5", "decimal"),
        ("190:20:30.15", "decimal"),
        ("2024-01-01", "a date as text"),
        ("2024-01-01T00:00:00Z", "a date as text"),
        ("<<", "as a key alone"),
        ("=", '"="'),
        (".nan", "a finite number"),
        ("-.inf", "a finite number"),
        ("1.0e+999", "a finite number"),
        (str(2**63), "at most 64 bits"),
        ('"\\ud800"', "surrogate"),
    ],
)
def test_what_readers_disagree_on_is_refused_with_what_to_write(scalar, instead, tmp_path):
    with pytest.raises(InputError, match=r"line \d+, agents\.attention\.arguments\.other: given") as caught:
        load(tmp_path, with_argument(scalar))
    assert instead in str(caught.value)


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("~", None), ("", None), ("null", None), ("True", True), ("-7", -7), ("0", 0), ("1.5", 1.5), ("1.", 1.0),
        (".5e+3", 500.0), ("3.0e-4", 3e-4), ("y", "y"), ("0x", "0x"), ("1.2.3", "1.2.3"), ("v1", "v1"),
        ("'042'", "042"),        ('"yes"', "yes"), ("a-b", "a-b"), ("Infinity", "Infinity"), ("- 1", [1]), ("é", "é"),
    ],
)  # fmt: skip
def test_what_readers_agree_on_is_accepted(scalar, value, tmp_path):
    text = with_argument(f"\n        {scalar}" if scalar.startswith("-") else scalar)
    assert load(tmp_path, text).agents["attention"].arguments["other"] == value


number_like = st.text("0123456789_:.+-eExXoObBaAfF~", min_size=1, max_size=12)
WORDS = """
    y n yes no on off true false null nan inf none NaN .NAN .Inf +.inf << = _ - -- -_ 0x_ 0b_ 0o_ 1__ +1 -0 00 08
    0o0 0xg 1e1 1e+1 0.1e1 .e1 ._ .1_ -.1 +.1 1:2 1:99 1:2.3 2024-1-1 2024-01-01 12e03 685_230.15 1,2
"""
word_like = st.sampled_from(WORDS.split())


@settings(max_examples=1000, deadline=None)
@given(st.one_of(number_like, word_like, word_like.map(str.swapcase), st.text(max_size=8)))
@example("042")
@example("1e5")
def test_dvc_and_pyyaml_agree_on_every_scalar_that_is_accepted(tmp_path_factory, scalar):
    path = tmp_path_factory.getbasetemp() / "scalar.yaml"
    text = f"key: {scalar}\n"
    path.write_bytes(text.encode(errors="surrogatepass"))
    try:
        ours = read_plain_yaml(path)
    except InputError as error:
        assert str(error).startswith(str(path)) and "\n\n" not in str(error)
    else:
        assert same(ours, yaml.safe_load(text)) and same(ours, parse_yaml(text, "params.yaml"))
        assert not isinstance(ours["key"], float) or math.isfinite(ours["key"])


# What YAML is made of, to be put together at random.
TOKENS = [
    "a", "b", "1", ":", ": ", " ", "\n", "\n  ", "\n- ", "{", "}", "[", "]", ",", ", ", "'", '"', "#", " #", "|",
    "|\n  ", ">\n ", "-", "- ", "? ", "&x ", "*x", "<<: ", "!", "%", "@", "\\n", "\\/", "''", "é", "\r", "---", "...",
    "b:", "~",
]  # fmt: skip
STARTS = ["", "a: ", "a:\n  ", "a: {", "a: [", "a: '", 'a: "', "a: |\n ", "a: &x {b: 1}\nc: "]
documents = st.builds(
    lambda start, tokens, end: start + "".join(tokens) + end,
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(TOKENS), max_size=8),
    st.sampled_from(["", "}", "]", "'", '"', "\n"]),
)


@settings(max_examples=2000, deadline=None)
@given(documents)
@example("a: {b:}")  # a key `b` to PyYAML, `b:` to ruamel
@example("a: [b:, c]")
@example("a: |\n \n  text\n")  # no block of text to ruamel
@example("a: 1\n...\n...\n")  # two documents to ruamel
@example("%YAML 1.1\n---\na: y\n")  # true to ruamel
def test_dvc_and_pyyaml_agree_on_every_document_that_is_accepted(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "document.yaml"
    path.write_bytes(text.encode())
    try:
        ours = read_plain_yaml(path)
    except InputError as error:
        assert str(error).startswith(str(path)) and "\n\n" not in str(error)
    else:
        assert same(ours, yaml.safe_load(text)) and same(ours, parse_yaml(text, "params.yaml"))


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_as_yaml_writes_them_are_accepted(tmp_path_factory, number):
    """Nothing is refused that is right: what PyYAML itself writes for a number can be read back."""
    path = tmp_path_factory.getbasetemp() / "number.yaml"
    path.write_text(yaml.safe_dump({"key": number}))
    assert same(read_plain_yaml(path)["key"], number)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("    preset: demo", "    preset: demo\n    preset: demo", ("grids.demo", "preset", "twice")),
        ("runtime: host", "runtime: host\nruntime: host", ("top level", "runtime", "twice")),
        (MLP, f"{MLP}\n  {MLP}", ("agents", "mlp", "twice")),
        (MLP, "mlp: {<<: {}, <<: {}, encoder: mlp}", ("agents.mlp", "<<", "twice")),
        (MLP, f"5: {{}}\n  {MLP}", ("agents", "key 5", "quotes")),
        (MLP, f"yes: {{}}\n  {MLP}", ("agents", "yes", "quotes")),
        (MLP, f"[a]: {{}}\n  {MLP}", ("agents", "as a key", "text")),
        (MLP, f"? {{a: 1}}\n  : {{}}\n  {MLP}", ("agents", "as a key", "text")),
        ("num_heads: 4", "1.5: 4", ("agents.attention.arguments", "1.5", "quotes")),
        ("num_heads: 4", "~: 4", ("agents.attention.arguments", "~", "quotes")),
    ],
)
def test_keys_that_readers_disagree_on_are_refused(old, new, told, tmp_path):
    assert old in TEXT
    with pytest.raises(InputError) as caught:
        load(tmp_path, TEXT.replace(old, new, 1))
    for words in (*told, "line "):
        assert words in str(caught.value)


def test_anchors_and_merge_keys_are_welcome(tmp_path):
    presets = """
presets:
  compact: &compact {extends: demo, pearl: {all: {net_size: 8}}}
  more: {<<: *compact, extends: paper}
  most: {<<: [*compact]}
"""
    params = load(tmp_path, TEXT.replace("presets: {}\n", presets))
    assert [each.extends for each in params.presets.values()] == ["demo", "paper", "demo"]
    assert {each.pearl["all"].net_size for each in params.presets.values()} == {8}
