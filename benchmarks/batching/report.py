"""The figures: which are wanted, a table of them, and the line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

WANTED = {
    "refresh_vs_expert": 1.4,
    "concurrent_vs_expert": 2.5,
    "score2_vs_expert": 0.65,
    "score2_vs_pandas": 0.08,
    "mixed_refresh_vs_expert": None,
    "mixed_score2_vs_expert": 0.65,
    "memory_growth": 1.2,
    "memory_mb": 300,
    "incremental_vs_full": 0.05,
}
WAYS = {
    "first": "create_predictions()",
    "plain": "REFRESH MATERIALIZED VIEW",
    "concurrent": "refresh_predictions(), 1 % changed",
    "score2": "modeldb score --jobs 2",
    "score2, with the program's start": "the same, with the program's start",
    "expert": "an expert's client",
    "expert, default threads": "the same, onnxruntime's default threads",
    "pandas": "read_sql, scikit-learn, to_sql",
    "incremental": "incremental, 1 % changed",
    "full": "incremental, full => true",
}


def show(figures: Mapping[str, float], seconds: Mapping[str, Mapping[str, float]], facts: Mapping[str, Any]) -> None:
    """Print the seconds of each way for each model, the figures beside what is wanted, and all of it as JSON."""
    console = Console()
    table = Table("seconds", *seconds)
    for way, title in WAYS.items():
        cells = [f"{times[way]:.2f}" if way in times else "" for times in seconds.values()]
        if any(cells):
            table.add_row(title, *cells)
    console.print(table)
    console.print(_compared(figures))
    rounded = {what: {way: round(value, 3) for way, value in times.items()} for what, times in seconds.items()}
    print(json.dumps({**{name: round(value, 4) for name, value in figures.items()}, "seconds": rounded, **facts}))


def _compared(figures: Mapping[str, float]) -> Table:
    table = Table("measured", "the worse model", "wanted", "")
    for name, wanted in WANTED.items():
        if name in figures:
            met = wanted is None or figures[name] <= wanted
            shown = "" if wanted is None else f"<= {wanted}"
            table.add_row(name, f"{figures[name]:.3f}", shown, "" if met else "[red]missed[/red]")
    return table
