"""A model's card on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modeldb.cli.output import print_facts, print_table, shown, size


def print_card(card: Mapping[str, Any]) -> None:
    """What describe() says: the facts, then the features with what the sample had in them."""
    provenance = card["provenance"]
    print_facts(
        {
            "model": f"{card['model']}/{card['version']}",
            "aliases": card["aliases"],
            "description": card["description"],
            "task": card["task"],
            "classes": card["classes"],
            "metrics": card["metrics"],
            "params": card["params"],
            "tags": card["tags"],
            "proof": proof(card["parity"]),
            "NULL": "gives NULL" if card["on_null"] == "null" else "raises MD204 where a feature was never missing",
            "estimator": provenance.get("estimator"),
            "git commit": provenance.get("git_commit"),
            "libraries": provenance.get("versions"),
            "artifact": f"{size(card['bytes'])}, {card['signature']['precision']}, sha256 {card['digest'][:12]}",
            "registered": f"{card['created_at']} by {card['created_by']}",
            "retired": card["retired_at"],
        }
    )
    seen = card["fingerprint"].get("features", {})
    rows = [
        [feature["name"], feature["type"], bool(feature.get("nullable")), summary(seen.get(feature["name"], {}))]
        for feature in card["features"]
    ]
    print_table(["feature", "type", "may be NULL", "in the sample"], rows)


def proof(parity: Mapping[str, Any]) -> str:
    """How the conversion was proven, in a sentence."""
    if "worst_absolute" not in parity:
        return "It came as ONNX: there was no estimator to compare with." if parity else ""
    worst = parity["worst_probability"] or parity["worst_absolute"]
    return f"It agrees with its estimator on {parity['rows']} rows; the largest difference is {shown(worst)}."


def summary(feature: Mapping[str, Any]) -> str:
    """A feature's distribution in a few words."""
    missing = f", {feature['missing_share']:.1%} missing" if feature.get("missing") else ""
    if "categories" in feature:
        top = ", ".join(list(feature["categories"])[:3])
        return f"{feature['distinct']} values: {top}{', ...' if feature['distinct'] > 3 else ''}{missing}"
    if feature.get("min") is None:
        return missing.removeprefix(", ")
    return f"{shown(feature['min'])} to {shown(feature['max'])}, mean {shown(feature['mean'])}{missing}"
