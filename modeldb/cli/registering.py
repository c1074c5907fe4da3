"""register: from a file or a Python object to a version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from modeldb.cli import card
from modeldb.cli.app import database, json_option, url_option
from modeldb.cli.inputs import load_model, load_sample
from modeldb.cli.output import print_json, say, working


def pairs(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE options as a dict, each value as JSON where it is JSON."""
    found = {}
    for value in values:
        key, sign, text = value.partition("=")
        if not sign or not key:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE", ctx, param)
        try:
            found[key] = json.loads(text)
        except json.JSONDecodeError:
            found[key] = text
    return found


def names(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    """Names with commas between them."""
    return None if value is None else [part.strip() for part in value.split(",")]


@click.command()
@click.argument("name")
@click.argument("model")
@click.option(
    "--sample", required=True, metavar="FILE|OBJECT", help="Training rows: .csv, .parquet, .npy, or an object."
)
@click.option(
    "--features", metavar="NAME,...", callback=names, help="Columns of the sample to use; names for those of an array."
)
@click.option("--description", help="What the model predicts.")
@click.option(
    "--metric", "metrics", metavar="KEY=VALUE", multiple=True, callback=pairs, help="Such as auc=0.93. Repeatable."
)
@click.option(
    "--param", "params", metavar="KEY=VALUE", multiple=True, callback=pairs, help="Such as max_iter=100. Repeatable."
)
@click.option(
    "--tag", "tags", metavar="KEY=VALUE", multiple=True, callback=pairs, help="Such as team=risk. Repeatable."
)
@click.option("--promote", is_flag=True, help="Make it champion at once. A first version always is.")
@click.option("--task", help="For ONNX whose graph does not tell: classification, regression, ...")
@click.option(
    "--classes", metavar="NAME,...", callback=names, help="For ONNX whose graph does not tell: labels in order."
)
@json_option
@url_option
def register(
    name: str,
    model: str,
    sample: str,
    features: Sequence[str] | None,
    description: str | None,
    metrics: dict[str, Any],
    params: dict[str, Any],
    tags: dict[str, Any],
    promote: bool,
    task: str | None,
    classes: Sequence[str] | None,
    as_json: bool,
    url: str | None,
) -> None:
    """Store MODEL as the next version of NAME, if it agrees with its estimator on the sample.

    MODEL is an .onnx file, or a Python object: package.module:pipeline or train.py:pipeline, a fitted estimator or a
    function without arguments that returns one. --sample may be such an object too: a DataFrame or an array.

    \b
    Examples:
      modeldb register fraud train:pipeline --sample train:X --metric auc=0.93
      modeldb register fraud train.py:make_pipeline --sample rows.csv --promote
      modeldb register churn churn.onnx --sample rows.csv --features age,plan,calls
    """
    rows = load_sample(sample, features)
    estimator = load_model(model)
    db = database(url, start=True)
    with working(f"converting {model} and proving it on {len(rows)} rows"):
        version = db.register(
            name,
            estimator,
            sample=rows,
            feature_names=None if hasattr(rows, "columns") else features,
            description=description,
            metrics=metrics,
            params=params,
            tags=tags,
            promote=promote,
            task=task,
            classes=classes,
        )
    if as_json:
        print_json({**asdict(version), "signature": version.signature.to_json()})
        return
    pointing = f", now {' and '.join(version.aliases)}" if version.aliases else ""
    say(f"{version} is registered{pointing}. {card.proof(version.parity)}")
    if "champion" not in version.aliases:
        say(f"Make it champion with: modeldb promote {name} {version.version}")


COMMANDS = (register,)
