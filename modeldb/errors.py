"""Every error of modeldb: one class, one SQLSTATE, raised alike in the server and in the client.

The first line of a class's docstring is its default message, its second paragraph the advice printed in docs/errors.md
and given as HINT when the raiser has no better one. 38000 is what PostgreSQL gives to an uncaught exception: a bug.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator


class ModeldbError(Exception):
    """modeldb failed."""

    sqlstate = "MD000"

    def __init__(self, message: str | None = None, *, detail: str | None = None, hint: str | None = None) -> None:
        summary, advice = explain(type(self))
        self.message = message or summary
        self.detail = detail
        self.hint = hint if hint is not None else advice
        super().__init__(self.message)

    def __str__(self) -> str:
        parts = [self.message]
        if self.detail:
            parts.append(f"DETAIL: {self.detail}")
        if self.hint:
            parts.append(f"HINT: {self.hint}")
        return "\n".join(parts)


# --- MD1xx: the registry -------------------------------------------------------------------------------------------


class RegistryError(ModeldbError):
    """The registry refused."""

    sqlstate = "MD100"


class UnknownModel(RegistryError):
    """There is no such model.

    SELECT name FROM modeldb.models lists the models.
    """

    sqlstate = "MD101"


class UnknownVersion(RegistryError):
    """The model has no such version.

    SELECT * FROM modeldb.versions lists the versions.
    """

    sqlstate = "MD102"


class UnknownAlias(RegistryError):
    """The model has no such alias.

    SELECT * FROM modeldb.aliases lists the aliases.
    """

    sqlstate = "MD103"


class InvalidName(RegistryError):
    """A name or a reference to a model is malformed.

    A model is called by name, name@alias or name/version; names are letters, digits, "_", "-" and ".".
    """

    sqlstate = "MD104"


class VersionInUse(RegistryError):
    """An alias points at the version.

    Promote another version first.
    """

    sqlstate = "MD105"


class VersionRetired(RegistryError):
    """The version is retired and does not predict.

    Call another version, or promote the retired one, which brings it back.
    """

    sqlstate = "MD106"


class NothingToRollBack(RegistryError):
    """The alias has no earlier version to go back to.

    SELECT * FROM modeldb.alias_history shows where the alias has pointed.
    """

    sqlstate = "MD107"


class InvalidArgument(RegistryError):
    """An argument of a registry function is not one of those it takes.

    docs/sql.md lists the functions with their arguments; \\df modeldb.* in psql shows them too.
    """

    sqlstate = "MD108"


# --- MD2xx: the input of a prediction ------------------------------------------------------------------------------


class InputError(ModeldbError):
    """The row does not fit the model."""

    sqlstate = "MD200"


class WrongFeatureCount(InputError):
    """The number of values is not the model's number of features.

    describe(model) lists the features in order.
    """

    sqlstate = "MD201"


class MissingFeature(InputError):
    """The row has no column of the feature's name.

    Select the column under the feature's name, or pass the values by position with ROW(...).
    """

    sqlstate = "MD202"


class WrongType(InputError):
    """A value's type does not fit its feature.

    Cast the value to the feature's type; describe(model) lists the types.
    """

    sqlstate = "MD203"


class NullFeature(InputError):
    """NULL was given for a feature that was never missing in the sample.

    Fill it with coalesce(), or SELECT configure(model, on_null => 'null') to get NULL for such rows.
    """

    sqlstate = "MD204"


class NonFiniteFeature(InputError):
    """NaN or an infinity was given to a model that cannot take it.

    Filter or replace such values, as nullif(x, 'NaN') does.
    """

    sqlstate = "MD205"


class UnseenCategory(InputError):
    """The model's encoder refuses a category that it was not trained on.

    Train with OneHotEncoder(handle_unknown="ignore") if new categories are to be expected.
    """

    sqlstate = "MD206"


class NotANumber(InputError):
    """The model's prediction is not a single number.

    Text labels come from predict_label(), several outputs from predict_json().
    """

    sqlstate = "MD207"


class NoProbabilities(InputError):
    """The model gives no probabilities.

    Only a classifier with predict_proba() has them; use predict() or predict_json().
    """

    sqlstate = "MD208"


class UnknownClass(InputError):
    """The model has no such class.

    describe(model) lists the classes.
    """

    sqlstate = "MD209"


class MalformedInput(InputError):
    """The features cannot be read.

    Give a table row, ROW(...), a numeric array, or a JSON object or array.
    """

    sqlstate = "MD210"


# --- MD3xx: artifacts and their conversion -------------------------------------------------------------------------


class ArtifactError(ModeldbError):
    """The artifact was refused."""

    sqlstate = "MD300"


class UnsupportedEstimator(ArtifactError):
    """A step of the estimator cannot be expressed in ONNX.

    docs/models.md lists what is accepted.
    """

    sqlstate = "MD301"


class ParityFailure(ArtifactError):
    """The converted model does not reproduce its estimator on the sample, so it was not stored.

    Replace the step at fault by one of those that docs/models.md lists as faithful.
    """

    sqlstate = "MD302"


class InvalidArtifact(ArtifactError):
    """The artifact is not a valid ONNX model.

    Pass the bytes of an .onnx file, or let db.register() in Python convert the estimator.
    """

    sqlstate = "MD303"


class UnsafeArtifact(ArtifactError):
    """The artifact has something that a stored model may not have.

    Save the model in one file, with operators of the standard ONNX domains only.
    """

    sqlstate = "MD304"


class SignatureMismatch(ArtifactError):
    """The signature does not fit the artifact's inputs and outputs.

    Give {"features": [{"name": ..., "type": ...}, ...]} and, where the graph does not tell, "task" and "classes".
    """

    sqlstate = "MD305"


class ArtifactTooLarge(ArtifactError):
    """The artifact is larger than the limit.

    An administrator may raise it: UPDATE modeldb.settings SET max_artifact_bytes = ...
    """

    sqlstate = "MD306"


class DigestMismatch(ArtifactError):
    """The stored artifact does not match its digest and will not be used.

    The database's storage or a restore has damaged it: register the model again, and check the server's disks.
    """

    sqlstate = "MD307"


class InvalidSample(ArtifactError):
    """The sample cannot describe the model's features.

    Pass a few thousand of the rows that the model was trained on, as a DataFrame or an array.
    """

    sqlstate = "MD308"


# --- MD4xx: prediction ---------------------------------------------------------------------------------------------


class PredictionError(ModeldbError):
    """The prediction failed."""

    sqlstate = "MD400"


class RunFailed(PredictionError):
    """onnxruntime could not run the model on these features.

    Run the model in Python on the same row; if that works, compare the versions of onnxruntime with: modeldb doctor
    """

    sqlstate = "MD401"


class LoadFailed(PredictionError):
    """onnxruntime could not load the model.

    Check it with onnx.checker, and compare the versions of onnxruntime with: modeldb doctor
    """

    sqlstate = "MD402"


class SmokeMismatch(PredictionError):
    """The version does not reproduce its stored smoke rows on this server, so it was not promoted.

    Compare the versions of onnxruntime that describe(model) and modeldb doctor show.
    """

    sqlstate = "MD403"


class ParallelPlan(PredictionError):
    """Predictions cannot run in a parallel plan before PostgreSQL 17.

    Label the function that calls them PARALLEL UNSAFE, as functions are when they are created without a label.
    """

    sqlstate = "MD404"


# --- MD5xx: batch predictions --------------------------------------------------------------------------------------


class BatchError(ModeldbError):
    """The batch predictions failed."""

    sqlstate = "MD500"


class UnknownPredictions(BatchError):
    """There are no such predictions.

    SELECT name FROM modeldb.predictions lists those that there are.
    """

    sqlstate = "MD501"


class NameTaken(BatchError):
    """The name of the predictions, or of what they are stored in, is another relation's.

    Choose another name, or drop_predictions(name) first.
    """

    sqlstate = "MD502"


class InvalidSource(BatchError):
    """The source of the predictions, its key or its columns do not fit.

    The source is a table, a view or a query; the key is one or more of its columns, never NULL and unique.
    """

    sqlstate = "MD503"


class InvalidSchedule(BatchError):
    """The schedule is not one that cron knows.

    Five fields in UTC, minute, hour, day of month, month, day of week: '*/15 * * * *' is every quarter of an hour.
    """

    sqlstate = "MD504"


class PredictionsMismatch(BatchError):
    """The predictions cannot be refreshed as they are.

    drop_predictions(name), and create them again.
    """

    sqlstate = "MD505"


class ScoreConflict(BatchError):
    """The table that is to be written holds something else, or is being written.

    Name another table, or drop this one.
    """

    sqlstate = "MD506"


class RunLost(BatchError):
    """The server process of a run ended before the run did.

    The server's log says why; the next run starts anew.
    """

    sqlstate = "MD507"


# --- MD6xx: online scoring -----------------------------------------------------------------------------------------


class OnlineError(ModeldbError):
    """Online scoring failed."""

    sqlstate = "MD600"


class UnknownScorer(OnlineError):
    """The table has no such scorer.

    SELECT * FROM modeldb.scorers lists the scorers.
    """

    sqlstate = "MD601"


class ScorerConflict(OnlineError):
    """The table has a scorer into that column already.

    Detach it first: SELECT detach_scorer('table', 'column').
    """

    sqlstate = "MD602"


class InvalidScorer(OnlineError):
    """The table and the model do not fit together.

    The message says what does not fit; describe('model') lists the features.
    """

    sqlstate = "MD603"


class RowRejected(OnlineError):
    """The scorer's reject_if is true of the row.

    The statement was refused, with all of its rows.
    """

    sqlstate = "MD604"


class EventsForgotten(OnlineError):
    """The events after that position are not kept any more.

    Read the table as it is, and follow the events from now on. settings.keep_events says how long they are kept.
    """

    sqlstate = "MD605"


# --- MD9xx: installation -------------------------------------------------------------------------------------------


class InstallationError(ModeldbError):
    """modeldb is not installed correctly."""

    sqlstate = "MD900"


class NotInstalled(InstallationError):
    """The database has no modeldb schema.

    Run: modeldb install
    """

    sqlstate = "MD901"


class BrokenEnvironment(InstallationError):
    """The server's Python cannot import what modeldb needs.

    Run: modeldb doctor
    """

    sqlstate = "MD902"


class VersionsDiffer(InstallationError):
    """The modeldb package and the database's schema are of different versions.

    Run: modeldb install
    """

    sqlstate = "MD903"


class WrongPython(InstallationError):
    """This Python is not of the version that the server's PL/Python is linked with.

    Make the environment with the server's version of Python: make env does.
    """

    sqlstate = "MD904"


class ClusterError(InstallationError):
    """The private cluster could not do that.

    modeldb status shows what there is of it, and where its log is.
    """

    sqlstate = "MD905"


class ConnectionFailed(InstallationError):
    """The database cannot be reached.

    Check the URL, or start the private cluster with: modeldb up
    """

    sqlstate = "MD906"


class MissingPrivilege(InstallationError):
    """The role may not do this.

    GRANT modeldb_user lets a role predict, modeldb_publisher register and promote.
    """

    sqlstate = "MD907"


def explain(error: type[ModeldbError]) -> tuple[str, str | None]:
    """Summary and advice of an error class, from its docstring."""
    summary, _, advice = inspect.cleandoc(error.__doc__ or "").partition("\n\n")
    return " ".join(summary.split()), " ".join(advice.split()) or None


def all_errors(base: type[ModeldbError] = ModeldbError) -> Iterator[type[ModeldbError]]:
    """Every error class, in the order of the SQLSTATEs."""
    found = {base}
    pending = [base]
    while pending:
        children = pending.pop().__subclasses__()
        found.update(children)
        pending.extend(children)
    return iter(sorted(found, key=lambda error: error.sqlstate))


def by_sqlstate(sqlstate: str | None) -> type[ModeldbError] | None:
    """The class of a SQLSTATE, or None when it is not one of modeldb's."""
    return next((error for error in all_errors() if error.sqlstate == sqlstate), None)
