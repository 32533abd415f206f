"""Between a shell and a command: paths as they are typed, names completed, and how a command ends."""

import errno
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from oyster.runtime.errors import InputError, MachineError, NotInstalled, TrialFailure, describe
from oyster.runtime.files import printable
from oyster.runtime.project import ENGINE, find_project


class _UserPath(click.Path):
    """A path as a user types it, from the folder that the command was started in; commands run in the project's."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value, param, context):
        typed = isinstance(value, str)  # and not a default
        path = super().convert(value, param, context)
        started = context.find_root().obj
        return started / path if typed and started != Path.cwd() else path


class _NameOrPath(click.ParamType):
    """A name, or what reads like a path (a slash, or .py or .json at its end), from the folder of the start."""

    name = "name or file"

    def convert(self, value, param, context):
        is_path = value.endswith((".py", ".json")) or "/" in value
        started = context.find_root().obj
        return str(started / value) if is_path and started != Path.cwd() else value


PATH, NAME_OR_PATH, PARAMS_FILE = _UserPath(), _NameOrPath(), Path("params.yaml")


def names_of(of: str):
    """Shell completion by the names that params.yaml or the engine has."""

    def complete(context, param, incomplete: str) -> list[str]:
        from oyster.envs import families
        from oyster.grid import load_params

        root = find_project(Path.cwd())
        try:
            known = families() if of == "families" else getattr(load_params(root / PARAMS_FILE), of) if root else ()
        except InputError:
            known = ()
        return [name for name in known if name.startswith(incomplete)]

    return complete


def print_version(context: click.Context, _, asked: bool) -> None:
    if asked:
        try:
            click.echo(f"oyster {version('oyster')}, in {ENGINE}")
        except PackageNotFoundError:
            click.echo(f"oyster, not installed, in {ENGINE}")
        context.exit()


# --- how a command ends -----------------------------------------------------------------------------------------------


class Group(click.Group):
    """Turns the ways in which a command can fail into a paragraph and an exit code."""

    def invoke(self, context: click.Context):
        for stream in (sys.stdout, sys.stderr):  # a locale that lacks a letter must not end a command
            stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(context)
        except NotInstalled as error:
            _stop(4, f"error: {error}")
        except InputError as error:
            _stop(2, f"error: {error}")
        except TrialFailure as failure:
            _stop(
                1,
                f"The trial failed in iteration {failure.iteration}: {failure.reason}. Nothing was written. "
                f"(--record-failure would make this failure the trial's result.)",
            )
        except (KeyboardInterrupt, click.Abort):
            _stop(130, "Stopped.")
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
