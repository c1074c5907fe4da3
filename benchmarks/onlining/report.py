"""The figures: which are wanted, a table of them, and the line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

WANTED = {
    "sync_row_vs_run": 2.0,
    "insert_vs_rest_p50": 0.33,
    "insert_vs_rest_p99": 0.5,
    "async_writer_vs_sync": 0.4,
    "drain_vs_floor": 1.5,
    "notify_p99_ms": 250,
}


def show(ratios: Mapping[str, float], details: Mapping[str, Mapping[str, float]], facts: Mapping[str, Any]) -> None:
    """Print what was measured, the ratios beside what is wanted, and all of it as JSON."""
    console = Console()
    table = Table("measured", "median")
    for title, figures in details.items():
        table.add_section()
        table.add_row(f"[bold]{title}[/bold]", "")
        for name, value in figures.items():
            table.add_row(name, f"{value:.2f}")
    console.print(table)
    console.print(_compared(ratios))
    rounded = {title: {name: round(value, 3) for name, value in figures.items()} for title, figures in details.items()}
    print(json.dumps({**{name: round(value, 3) for name, value in ratios.items()}, **rounded, **facts}))


def _compared(ratios: Mapping[str, float]) -> Table:
    table = Table("ratio", "", "wanted", "")
    for name, wanted in WANTED.items():
        if name in ratios:
            met = ratios[name] <= wanted
            table.add_row(name, f"{ratios[name]:.3f}", f"<= {wanted}", "" if met else "[red]missed[/red]")
    return table
