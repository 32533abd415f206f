"""Bytes spoilt at random, as disks, transfers, editors and programs spoil them; of one seed the same every time."""

import io
import json
import random
import zipfile

import numpy as np

JUNK = [
    b"\0",
    b"\xff\xfe",
    b"\x1b[2J",
    b"\n",
    b"\r",
    b",",
    b'"',
    b"1e999",
    b"nan",
    b"-",
    b"[[[[",
    b"<<<<<<< HEAD\n",
    b"\xed\xb2\x80",
]
ODD = [
    None, True, -1, 0, 1e308, 10**400, 2**63, float("nan"), float("inf"), "", "\udc80", "\x1b[2J", "two\nlines",
    "x" * 3000, [], {}, [[]], [None], {"a": {}}, ["\udc80"], [1.5, "x"],
]  # fmt: skip
CELLS = ["", "nan", "inf", "-1", "1e200", "1e999", "0.5", "True", "x", '"', "9" * 400, "1-2", "\x1b[2J", "é"]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """The bytes of a file after one to three mishaps; a .npz, JSON or CSV file is at times spoilt as such."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        data = rng.choice([*GENERIC, *_of_kind(data)])(data, rng)
    return data


def flip(data: bytes, rng: random.Random) -> bytes:
    spoilt = bytearray(data)
    for _ in range(rng.choice([1, 1, 8]) if spoilt else 0):
        spoilt[rng.randrange(len(spoilt))] ^= rng.randrange(1, 256)
    return bytes(spoilt)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def double(data: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return rng.choice([data + data, data[:end] + data[start:]])


def delete(data: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + data[rng.choice([end, start + 1]) :]


def empty(data: bytes, rng: random.Random) -> bytes:
    return rng.choice([b"", b"\0" * len(data)])


def insert(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(JUNK) * rng.choice([1, 1, 50_000]) + data[place:]


def edit_lines(data: bytes, rng: random.Random) -> bytes:
    """Empty, drop, repeat or swap lines."""
    lines = data.split(b"\n")
    here, there = (rng.randrange(len(lines)) for _ in range(2))
    kind = rng.randrange(4)
    if kind == 0:
        lines[here] = b""
    elif kind == 1:
        del lines[here]
    elif kind == 2:
        lines.insert(there, lines[here])
    else:
        lines[here], lines[there] = lines[there], lines[here]
    return b"\n".join(lines)


def edit_json(data: bytes, rng: random.Random) -> bytes:
    """Put an odd value in the place of one that lies somewhere in it."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return flip(data, rng)
    node = content
    while isinstance(node, dict | list) and node:
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if not isinstance(node[key], dict | list) or not node[key] or rng.random() < 0.4:
            node[key] = rng.choice(ODD)
            break
        node = node[key]
    return json.dumps(content).encode()


def edit_cell(data: bytes, rng: random.Random) -> bytes:
    """Put an odd cell in the place of one of a table's."""
    lines = data.split(b"\n")
    here = rng.randrange(len(lines))
    cells = lines[here].split(b",")
    cells[rng.randrange(len(cells))] = rng.choice(CELLS).encode()
    lines[here] = b",".join(cells)
    return b"\n".join(lines)


def edit_array(data: bytes, rng: random.Random) -> bytes:
    """A sound archive of an array that is another one."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            name = archive.namelist()[0]
            content = archive.read(name)
        array = np.lib.format.read_array(io.BytesIO(content)).astype(float)
    except Exception:  # spoilt before
        return flip(data, rng)
    odd = array.copy()
    if odd.size:
        odd.flat[rng.randrange(odd.size)] = rng.choice([np.nan, np.inf, 1e38])
    other = rng.choice(
        [odd, array[:1], array[..., :1], array.astype(object), array.astype(int), array[0:0], array.reshape(-1)]
    )
    file, header = io.BytesIO(), rng.random() < 0.3
    with zipfile.ZipFile(file, "w") as archive:
        member = io.BytesIO()
        np.lib.format.write_array(member, other)
        archive.writestr(name, flip(content[:128], rng) + content[128:] if header else member.getvalue())
    return file.getvalue()


GENERIC = [flip, cut, double, delete, empty, insert]


def _of_kind(data: bytes) -> list:
    if data.startswith(b"PK"):
        return [edit_array] * 4
    if data.startswith(b"{"):
        return [edit_json] * 6 + [edit_lines]
    return [edit_cell] * 3 + [edit_lines] * 3
