"""A params.yaml that cannot be read at all is refused with a sentence; so is any other YAML file, by read_yaml."""

import os
import time
from pathlib import Path

import pytest

from oyster.grid import load_params
from oyster.runtime.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "params.yaml").read_text()


def line_of(words: str) -> int:
    return TEXT[: TEXT.index(words)].count("\n") + 1


RUNTIME = line_of("runtime: host")
BOMB = "\n".join(["x0: &x0 [1]", *(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 9))])
MERGES = "\n".join(
    ["x0: &x0 {a: 1}", *(f"x{n}: &x{n} {{<<: [{', '.join([f'*x{n - 1}'] * 10)}]}}" for n in range(1, 9))]
)
UNREADABLE = {  # content, and words that the sentence must hold
    "empty": (b"", "holds nothing"),
    "comments": (b"# nothing yet\n", "holds nothing"),
    "list": (b"- runtime: host\n", "holds a list"),
    "value": (b"runtime\n", "holds a single value"),
    "documents": (TEXT.encode() + b"---\nruntime: host\n", "second document"),
    "latin-1": ("# réseau\n".encode("latin-1") + TEXT.encode(), "line 1 holds the byte 0xE9"),
    "utf-16": (TEXT.encode("utf-16"), "line 1 holds the byte 0xFF"),
    "half a character": (TEXT.encode() + "# é".encode()[:-1], "not UTF-8"),
    "byte order mark": (b"\xef\xbb\xbf" + TEXT.encode(), "a byte order mark"),
    "NUL": (TEXT.encode().replace(b"mlp", b"ml\0p", 1), f"line {line_of('mlp')} holds a NUL character"),
    "control": (TEXT.encode().replace(b"mlp", b"ml\x1bp", 1), f"line {line_of('mlp')} holds the character U+001B"),
    "next line": (TEXT.encode() + "# \x85runtime: docker\n".encode(), "the character U+0085"),
    "conflict": (
        TEXT.encode().replace(
            b"runtime: host", b"<<<<<<< HEAD\nruntime: host\n=======\nruntime: docker\n>>>>>>> other"
        ),
        f"line {RUNTIME} is a conflict marker",
    ),
    "half a conflict": (TEXT.encode().replace(b"runtime: host", b"runtime: host\n======="), "conflict marker"),
    "object": (TEXT.encode() + b"x: !!python/object/apply:os.getcwd []\n", "the tag tag:yaml.org,2002:python"),
    "set": (TEXT.encode().replace(b"{num_heads: 4}", b"!!set {num_heads}"), "the tag tag:yaml.org,2002:set"),
    "binary": (TEXT.encode().replace(b"num_heads: 4", b"num_heads: !!binary aGk="), "the tag tag:yaml.org,2002:binary"),
    "text": (TEXT.encode().replace(b"num_heads: 4", b"num_heads: !!str 4"), "the tag tag:yaml.org,2002:str"),
    "tag": (TEXT.encode().replace(b"num_heads: 4", b"num_heads: ! 4"), "the tag !"),
    "directive": (b"%YAML 1.1\n---\n" + TEXT.encode(), "a directive"),
    "anchor in itself": (TEXT.encode().replace(b"{num_heads: 4}", b"&a {num_heads: *a}"), "*a stands inside"),
    "merge of itself": (TEXT.encode().replace(b"{num_heads: 4}", b"&a {<<: *a}"), "*a stands inside"),
    "no such anchor": (
        TEXT.encode().replace(b"{num_heads: 4}", b"*nowhere"),
        f"not valid YAML: line {line_of('{num_heads: 4}')}",
    ),
    "deep": (b"x: " + b"[" * 100_000 + b"]" * 100_000, "levels deep"),
    "deep blocks": (b"- " * 100_000, "levels deep"),
    "deep mappings": (b"x: " + b"{a: " * 400 + b"1" + b"}" * 400, "levels deep"),
    "exponential": (BOMB.encode(), "its aliases (*) written out"),
    "exponential merges": (MERGES.encode(), "its aliases (*) written out"),
    "not closed": (TEXT.encode() + b"x: [1\n", "not valid YAML: line"),
    "two colons": (
        TEXT.encode().replace(b"runtime: host", b"runtime: host: x"),
        f"not valid YAML: line {RUNTIME}, column 14",
    ),
}
FOR_PARAMS_ALONE = {
    "tab": (
        TEXT.encode().replace(b"  benchmark:", b"\tbenchmark:", 1),
        f"line {line_of('  benchmark:')} holds a tab; write spaces",
    ),
    "line separator": (TEXT.encode() + "# \u2028runtime: docker\n".encode(), "the character U+2028"),
}


def refusal(read, path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(str(path)) and "\n" not in text and len(text) < 1000
    return text


@pytest.mark.parametrize("case", [*UNREADABLE, *FOR_PARAMS_ALONE])
def test_params_that_cannot_be_read_are_refused_with_a_sentence(case, tmp_path):
    content, words = (UNREADABLE | FOR_PARAMS_ALONE)[case]
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    assert words in refusal(load_params, path)


@pytest.mark.parametrize("case", UNREADABLE)
def test_other_yaml_that_cannot_be_read_is_refused_with_a_sentence(case, tmp_path):
    from oyster.runtime.yaml_file import read_yaml

    content, words = UNREADABLE[case]
    path = tmp_path / "dvc.lock"
    path.write_bytes(content)
    text = refusal(read_yaml, path)
    assert words.split(": line")[0] in text  # libyaml counts other columns


def test_what_is_no_file_is_refused_with_a_sentence(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_text(TEXT)
    names = {
        "missing": "No such file",
        ".": "a folder",
        "pipe": "a pipe",
        "loop": "symbolic links",
        "file/x": "directory",
    }
    for name, words in names.items():
        assert words in refusal(load_params, tmp_path / name)
    assert "a device" in refusal(load_params, Path("/dev/zero"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "params.yaml").write_text(TEXT)
    (tmp_path / "params.yaml").chmod(0)
    assert "Permission denied" in refusal(load_params, tmp_path / "params.yaml")


@pytest.mark.parametrize("value", ["2024-13-45", "0x_", "9" * 5000, "1" + ":59" * 200 + ".5", "<<", "="])
def test_values_that_pyyaml_stumbles_over_are_refused_with_a_sentence(value, tmp_path):
    from oyster.runtime.yaml_file import read_yaml

    path = tmp_path / "dvc.lock"
    path.write_text(f"stages: {value}\n")
    refusal(read_yaml, path)


def test_dvc_lock_is_read_as_yaml_says_and_at_once():
    import yaml

    from oyster.runtime.yaml_file import read_yaml

    started = time.process_time()
    content = read_yaml(ROOT / "dvc.lock")
    assert time.process_time() - started < 0.3 or not yaml.__with_libyaml__
    assert content == yaml.safe_load((ROOT / "dvc.lock").read_text())


def test_lines_may_end_as_on_windows(tmp_path):
    (tmp_path / "params.yaml").write_bytes(TEXT.replace("\n", "\r\n").encode())
    assert load_params(tmp_path / "params.yaml") == load_params(ROOT / "params.yaml")
