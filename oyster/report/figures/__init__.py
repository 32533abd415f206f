"""The figures of a report: one small function each, over the tidy frames. A new one is a function in the module of its
theme and an entry in that module's FIGURES.
"""

from oyster.report import plain_matplotlib  # noqa: F401  before any module that imports Matplotlib
from oyster.report.figures import adaptation, cost, learning, posterior, profiles, returns, tasks, trajectories
from oyster.report.figures.style import INK, PAPER, RULE, FigureSpec, Svg

THEMES = (returns, learning, adaptation, tasks, posterior, trajectories, profiles, cost)
FIGURES: list[FigureSpec] = [spec for theme in THEMES for spec in theme.FIGURES]

__all__ = ["FIGURES", "INK", "PAPER", "RULE", "FigureSpec", "Svg"]
