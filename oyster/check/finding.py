"""What a check saw, and the table of all of them."""

from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

COLOURS = {"pass": "green", "fail": "bold red", "warning": "yellow", "info": "cyan"}


class Finding(NamedTuple):
    check: str
    verdict: str  # pass, fail, warning or info
    seen: str
    fix: str = ""


def print_findings(findings: list[Finding], title: str, console: Console | None = None) -> None:
    console = console or Console()
    if not console.is_terminal:
        console.width = 140
    table = Table(title=title, title_justify="left", show_lines=True, expand=True)
    table.add_column("check", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("what was seen", ratio=3)
    table.add_column("how to fix it", ratio=2)
    for finding in findings:
        verdict = Text(finding.verdict, style=COLOURS[finding.verdict])
        table.add_row(Text(finding.check), verdict, Text(finding.seen), Text(finding.fix))
    console.print(table)
    failed = [finding.check for finding in findings if finding.verdict == "fail"]
    console.print(f"{len(failed)} failed: {', '.join(failed)}" if failed else "No check failed.", highlight=False)
