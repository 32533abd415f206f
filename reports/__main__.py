"""`python -m reports build`, `fill` and `compare`: from results to a page, and to the tables of other texts."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from reports.build import build as build_report
from reports.fill import fill_file
from reports.grid import InputError, read_grid
from reports.results import load
from reports.side_by_side import side_by_side
from reports.text import shown


@click.group()
def main() -> None:
    """Turn the results of trials into tables, figures and one self-contained page."""
    sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may lack a letter of a name


@main.command()
@click.option("--grid", "name", required=True, help="The grid of params.yaml that the report is about.")
@click.option("--results", type=click.Path(path_type=Path), help="Where trials wrote  [default: results/<grid>]")
@click.option("--out", type=click.Path(path_type=Path), help="The report's folder  [default: reports/<grid>]")
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"), show_default=True)
def build(name: str, results: Path | None, out: Path | None, params: Path) -> None:
    """Write index.html, tables/ and figures/ of one grid, whatever part of it has been run."""
    out = out or Path("reports") / name
    with refusals():
        loaded = build_report(read_grid(params, name), results or Path("results") / name, out)
    finished = int((loaded.trials.status == "finished").sum())
    click.echo(f"{shown(out / 'index.html')}: {finished} of {len(loaded.trials)} trials of grid.{shown(name)} finished")


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--grid", "name", default="benchmark", show_default=True, help="The grid of params.yaml it is about.")
@click.option("--results", type=click.Path(path_type=Path), help="Where trials wrote  [default: results/<grid>]")
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"), show_default=True)
@click.option("--check", is_flag=True, help="Change nothing; exit 1 where a file is out of date.")
def fill(files: tuple[Path, ...], name: str, results: Path | None, params: Path, check: bool) -> None:
    """Make the marked tables in Markdown FILES anew from results: README.md, docs/reproduction.md."""
    with refusals():
        loaded = load(results or Path("results") / name, read_grid(params, name))
        stale = [file for file in files if fill_file(file, loaded, check)]
    for file in stale:
        click.echo(f"{shown(file)}: {'out of date' if check else 'filled'}")
    sys.exit(1 if check and stale else 0)


@main.command()
@click.argument("before", metavar="REV_A")
@click.argument("after", metavar="REV_B")
@click.option("--grid", "name", default="benchmark", show_default=True, help="The grid of params.yaml to compare.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/compared"), show_default=True)
def compare(before: str, after: str, name: str, out: Path) -> None:
    """Write a page about one grid's results at two commits: which cells moved, and whether by more than noise.

    REV_A and REV_B are commits as git understands them, whose results/<grid> are in git.
    """
    with refusals():
        cells = side_by_side(Path(), (before, after), name, out)
    for cell in cells:
        click.echo(f"{shown(cell.environment)}, {shown(cell.encoder)}: {cell.verdict}")
    click.echo(f"{shown(out / 'index.html')}: {shown(before)} beside {shown(after)}")


@contextmanager
def refusals() -> Iterator[None]:
    """What cannot be used is said in a line, with exit code 2."""
    try:
        yield
    except InputError as error:
        raise _refusal(str(error)) from error
    except OSError as error:  # a folder that may not be written, a disk that is full
        raise _refusal(
            f"{shown(error.filename)}: {error.strerror}. Give a place that can be read and written."
        ) from error


def _refusal(message: str) -> click.ClickException:
    refusal = click.ClickException(message)
    refusal.exit_code = 2
    return refusal


if __name__ == "__main__":
    main(prog_name="python -m reports")
