"""Meta-World's simulations, a row each: `worker.py ENVIRONMENT`, run by the Python of .venv-metaworld.

It imports nothing of oyster, whose MuJoCo is another, and is spoken to through pipes. A request on stdin is a letter,
the number of rows (uint32) and float64:

    R, (row, 6)   begin an episode in each row; a row of its task: the object's x, y, z, then the goal's
    S, (row, 4)   act in each row of the last R

An answer on stdout is +, its size in bytes (uint64) and float64, (row, 42): the observation (39), then after R the
goal's x, y, z, after S reward, success (1 or 0) and distance to the goal (m), the object's or, in reach, the hand's. Or
it is !, a size and a sentence in UTF-8, and the process ends. It also ends where stdin does: with its parent.
"""

import os
import signal
import struct
import sys
from typing import BinaryIO

import numpy as np

REQUEST, ANSWER = struct.Struct("<cI"), struct.Struct("<cQ")
WIDTHS = {b"R": 6, b"S": 4}


def main(environment: str) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):  # meant for the trial, which may first want a checkpoint
        signal.signal(each, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints does not print among the answers
    try:
        serve(Rows(environment), sys.stdin.buffer, answers)
    except BrokenPipeError:
        os._exit(0)  # nobody listens any more


def serve(rows: "Rows", requests: BinaryIO, answers: BinaryIO) -> None:
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        kind, count = REQUEST.unpack(head)
        size = 8 * count * WIDTHS[kind]
        content = requests.read(size)
        if len(content) < size:
            return
        given = np.frombuffer(content).reshape(count, WIDTHS[kind])
        try:
            mark, answer = b"+", (rows.reset if kind == b"R" else rows.step)(given).tobytes()
        except Exception as error:
            mark, answer = b"!", f"{type(error).__name__}: {error}".encode()
        answers.write(ANSWER.pack(mark, len(answer)) + answer)
        answers.flush()
        if mark == b"!":
            return


class Rows:
    """Simulations side by side. They are made when they are first needed, and kept: that takes longer than a reset."""

    def __init__(self, environment: str):
        self._environment = environment
        self._made: list = []

    def reset(self, tasks: np.ndarray) -> np.ndarray:
        """(row, 6) → (row, 42)."""
        while len(self._made) < len(tasks):
            self._made.append(make(self._environment))
        return np.array([begin(row, task) for row, task in zip(self._made, tasks, strict=False)])

    def step(self, actions: np.ndarray) -> np.ndarray:
        """(row, 4) → (row, 42)."""
        return np.array([act(row, action) for row, action in zip(self._made, actions, strict=False)])


def make(environment: str):
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS  # here, so that what goes wrong is answered

    return ALL_V3_ENVIRONMENTS[environment]()  # the goal is hidden where nothing else is said, as in ML1


def begin(row, task: np.ndarray) -> np.ndarray:
    row._set_task_called = row._freeze_rand_vec = True  # what set_task does with a Task, whose content is pickled
    row._last_rand_vec = task.copy()
    observation, _ = row.reset()
    return np.concatenate([observation, row._target_pos])


def act(row, action: np.ndarray) -> np.ndarray:
    observation, reward, _, _, more = row.step(action)
    return np.concatenate([observation, [reward, more["success"], more["obj_to_target"]]])


if __name__ == "__main__":
    main(sys.argv[1])
