"""The table of errors: one SQLSTATE each, in families, each with a summary and advice."""

from __future__ import annotations

import pytest

from modeldb.errors import ModeldbError, UnknownModel, all_errors, by_sqlstate, explain

ERRORS = list(all_errors())
FAMILIES = {
    "MD0": "ModeldbError",
    "MD1": "RegistryError",
    "MD2": "InputError",
    "MD3": "ArtifactError",
    "MD4": "PredictionError",
    "MD5": "BatchError",
    "MD6": "OnlineError",
    "MD9": "InstallationError",
}
each_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)


def test_no_two_errors_share_a_sqlstate() -> None:
    states = [error.sqlstate for error in ERRORS]
    assert sorted(set(states)) == states


@each_error
def test_the_sqlstate_names_the_family(error: type[ModeldbError]) -> None:
    assert len(error.sqlstate) == 5
    family = FAMILIES[error.sqlstate[:3]]
    assert family in [base.__name__ for base in error.__mro__]


@each_error
def test_the_docstring_is_the_default_message_and_the_advice(error: type[ModeldbError]) -> None:
    summary, advice = explain(error)
    assert summary.endswith(".")
    raised = error()
    assert raised.message == summary
    assert (raised.hint, raised.detail) == (advice, None)


FAMILY_NAMES = set(FAMILIES.values())


@pytest.mark.parametrize("error", [e for e in ERRORS if e.__name__ not in FAMILY_NAMES], ids=lambda e: e.__name__)
def test_every_error_that_is_raised_has_advice(error: type[ModeldbError]) -> None:
    assert explain(error)[1]


@each_error
def test_an_error_is_found_by_its_sqlstate(error: type[ModeldbError]) -> None:
    assert by_sqlstate(error.sqlstate) is error


@pytest.mark.parametrize("state", [None, "", "38000", "42501", "MD999"])
def test_a_foreign_sqlstate_is_none_of_ours(state: str | None) -> None:
    assert by_sqlstate(state) is None


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UnknownModel("no model 'a'", hint=""), "no model 'a'"),
        (UnknownModel("no model 'a'", hint="try b"), "no model 'a'\nHINT: try b"),
        (UnknownModel("no model 'a'", detail="d", hint="try b"), "no model 'a'\nDETAIL: d\nHINT: try b"),
        (UnknownModel("no model 'a'"), "no model 'a'\nHINT: SELECT name FROM modeldb.models lists the models."),
    ],
)
def test_the_text_of_an_error_carries_detail_and_hint(error: ModeldbError, text: str) -> None:
    assert str(error) == text
    assert error.args == ("no model 'a'",)
