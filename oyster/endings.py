"""How a command ends: a paragraph and an exit code for each way in which it can fail."""

import errno
import sys

import click

from oyster.runtime.errors import InputError, MachineError, TrialFailure, describe
from oyster.runtime.files import printable


class Group(click.Group):
    """Turns the ways in which a command can fail into a paragraph and an exit code."""

    def invoke(self, context: click.Context):
        for stream in (sys.stdout, sys.stderr):  # a locale that lacks a letter must not end a command
            stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(context)
        except InputError as error:
            _stop(2, f"error: {error}")
        except TrialFailure as failure:
            _stop(
                1,
                f"The trial failed in iteration {failure.iteration}: {failure.reason}. Nothing was written. "
                f"(--record-failure would make this failure the trial's result.)",
            )
        except MachineError as error:
            _stop(3, f"error: {error}")
        except MemoryError as error:
            _stop(3, f"error: this machine's memory is full ({describe(error)}). Free some, {AGAIN}")
        except OSError as error:
            if error.errno == errno.EPIPE:  # `… | head`: click ends quietly
                raise
            _stop(3, f"error: {_in_words(error)}")


AGAIN = "then run the same command again: a trial goes on from the last checkpoint."


def say(words: str, err: bool = False) -> None:
    """What came from outside (names, an encoder's words) must not steer a terminal."""
    click.echo(printable(words), err=err)


def _stop(code: int, words: str) -> None:
    say(words, err=True)
    sys.exit(code)


def _in_words(error: OSError) -> str:
    what = f"{error.strerror or error}: {str(error.filename or 'while reading or writing')!r}."
    advice = "Fix that"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "Free space"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "Fix its permissions"
    return f"{what} {advice}, {AGAIN}"
