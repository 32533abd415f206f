"""What a reader should know before the numbers: each thing that is wrong in one counted line, its details folded."""

from typing import NamedTuple

from oyster.report import tables
from oyster.report.read.results import Results
from oyster.report.tables import PUBLISHED_BUDGET, PUBLISHED_ITERATIONS

UNFINISHED = {"failed": "failed", "missing": "not run yet", "unreadable": "unreadable"}  # status, and in words


class Notice(NamedTuple):
    """title: the line. details: sentences that it opens to. place: where more is said, an anchor and its name."""

    title: str
    details: list[str]
    place: tuple[str, str] | None = None


def notices(results: Results) -> list[Notice]:
    """In order of weight; none may mean that all is well."""
    found = [
        _unfinished(results),
        Notice(
            f"{_count(results.outdated, 'result')} {_be(results.outdated)} not what the grid asks for now, but "
            f"{_be(results.outdated)} shown.",
            results.outdated,
        ),
        Notice(f"{_count(results.unusable, 'file')} could not be used.", _unusable(results.unusable)),
        Notice(
            "The trials were not all made alike.",
            tables.mixtures(results.trials),
            ("provenance", "where each number comes from"),
        ),
        Notice(
            "Not all code was committed.", tables.uncommitted(results.trials), ("provenance", "each trial's commit")
        ),
        Notice(strays(results), [f"{path}." for path in results.strays]),
        Notice(f"{_count(results.remarks, 'remark')} on the trials.", results.remarks),
    ]
    return [notice for notice in found if notice.details] + _incomparable(results)


def strays(results: Results) -> str:
    """The one line about results that the grid does not name; blank where there is none."""
    count = len(results.strays)
    be = "is" if count == 1 else "are"
    return f"{_count(results.strays, 'result')} {be} not of this grid, and {be} not counted." if count else ""


def _unfinished(results: Results) -> Notice:
    """Trials that gave no return, by status."""
    counts = results.trials.status.value_counts()
    parts = [f"{counts[status]} {word}" for status, word in UNFINISHED.items() if counts.get(status)]
    return Notice(
        f"{len(tables.gaps(results.trials))} of {len(results.trials)} trials gave no return: {', '.join(parts)}.",
        ["No mean, test or rank counts them: an agent that fails often looks better than it is."] if parts else [],
        ("gaps", "each with its reason"),
    )


def _unusable(sentences: list[str]) -> list[str]:
    if not sentences:
        return []
    advice = "Restore what git or an archive has, or delete the folder of the trial and train it again."
    return [advice, *sentences]


def _incomparable(results: Results) -> list[Notice]:
    """That published numbers were made with another budget, where they were."""
    if tables.comparable(results):
        return []
    if results.grid.preset == "demo":
        why = (
            "The demo's budget is tiny: small networks, small batches and few iterations, so that it is done in "
            "minutes. Use this page to see that everything works, not to judge an agent."
        )
    elif results.grid.preset == PUBLISHED_BUDGET:
        why = f"Not all trials have the {PUBLISHED_ITERATIONS} iterations that the published ones have."
    else:
        why = f"The preset {results.grid.preset} has another budget than the published benchmark."
    return [Notice("Not comparable with published numbers.", [why], ("cost", "what was spent here"))]


def _count(things: list, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _be(things: list) -> str:
    return "is" if len(things) == 1 else "are"
