"""One row to one prediction, as fast as Python can: everything that can be known beforehand is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnxruntime as ort

from modeldb.errors import (
    ModeldbError,
    NonFiniteFeature,
    NoProbabilities,
    NotANumber,
    NullFeature,
    RunFailed,
    UnknownClass,
    UnseenCategory,
)
from modeldb.runtime import Model, first_line
from modeldb.server.backend import check_for_interrupts, watchdog
from modeldb.server.buffers import Buffer
from modeldb.server.documents import describe
from modeldb.server.sessions import Loaded
from modeldb.signature import Feature, Signature, class_text


class Scorer:
    """A loaded model with buffers for one row: fill them, execute, and ask for what is wanted of the outputs."""

    def __init__(self, loaded: Loaded, signature: Signature, name: str, null_gives_null: bool) -> None:
        self.loaded = loaded
        self.signature = signature
        self.name = name
        self.model = Model(loaded.session, signature)
        self.null_gives_null = null_gives_null
        self.buffers = [Buffer(entry, signature) for entry in signature.inputs]
        self.options = ort.RunOptions()
        self.outputs: dict[str, Any] = {}
        self.call = self._bind() or self._call_with_feeds()
        self.stop = self._stop
        self.labels = signature.classes or ()
        flat = self.labels if signature.targets == 1 else ()
        self.class_positions = {class_text(label): position for position, label in enumerate(flat)}
        self.take_number = self._number_taker()

    # --- one run: prepare or write into the buffers, execute, take a result --------------------------------------

    def prepare(self, row: Sequence[Any]) -> bool:
        """Fill the buffers with the features' values in order, None for NULL. False when the answer is NULL."""
        ordinary = True
        for buffer in self.buffers:
            ordinary = buffer.fill(row) and ordinary
        return ordinary or self.examine(row)

    def execute(self) -> None:
        """Run the model on what the buffers hold."""
        self.loaded.hits += 1
        self.watched(self.call)

    def watched(self, call: Callable[[], Any]) -> None:
        """Call onnxruntime so that a cancellation ends it. Raises RunFailed (MD401)."""
        if not watchdog.awake:
            watchdog.wake()
        watchdog.stop = self.stop
        try:
            call()
        except RunFailed as error:
            self._recover(call, error.message)
        except ModeldbError:
            watchdog.stop = None
            raise
        except Exception as error:  # noqa: BLE001  (onnxruntime's errors have no common base)
            self._recover(call, f"onnxruntime could not run the model on these features: {first_line(error)}")
        watchdog.stop = None

    def _stop(self) -> None:
        self.options.terminate = True

    def _recover(self, call: Callable[[], Any], message: str) -> None:
        """A run that was stopped ends in PostgreSQL's own error; one that was stopped too late is run again."""
        watchdog.stop = None
        stopped = self.options.terminate
        self.options.terminate = False
        check_for_interrupts()
        if not stopped:
            raise RunFailed(message)
        self.watched(call)

    # --- what the SQL functions give ----------------------------------------------------------------------------

    def number(self) -> float:
        """predict(). Raises NotANumber (MD207)."""
        if self.take_number is None:
            raise self._not_a_number()
        return self.take_number()

    def label(self) -> str:
        """predict_label(). Raises NotANumber (MD207) for several targets."""
        if self.signature.targets != 1:
            raise self._not_a_number()
        value = self.signature.outputs.value
        return class_text(self._label() if value is None else float(self.outputs[value].item(0)))

    def probabilities(self) -> list[float]:
        """predict_proba(). Raises NoProbabilities (MD208)."""
        found: list[float] = np.asarray(self.outputs[self._probability_output()], dtype=np.float64).ravel().tolist()
        return found

    def probability(self, label: str) -> float:
        """predict_proba() of one class. Raises NoProbabilities (MD208), UnknownClass (MD209)."""
        name, position = self._probability_at(label)
        return float(self.outputs[name].item(position))

    def probability_taker(self, label: str) -> Callable[[], float]:
        """The function that takes the probability of one class from the outputs. Raises like ``probability``."""
        outputs, (name, position) = self.outputs, self._probability_at(label)
        return lambda: float(outputs[name].item(position))

    def _probability_at(self, label: str) -> tuple[str, int]:
        name = self._probability_output()
        position = self.class_positions.get(label)
        if position is None:
            known = ", ".join(list(self.class_positions)[:50])
            raise UnknownClass(f"there is no class {label!r}", hint=f"The classes are: {known}.")
        return name, position

    def document(self) -> str:
        """predict_json()."""
        return describe(self.signature, self.model.interpret(self._copies(), 1), *self.name.rsplit("/", 1))

    def examine(self, row: Sequence[Any]) -> bool:
        """Look at each value of a row that has something unusual. False when the answer is NULL."""
        for feature, value in zip(self.signature.features, row, strict=True):
            if value is None or (isinstance(value, float) and math.isnan(value)):
                if feature.nullable:
                    continue
                if value is not None:
                    raise NonFiniteFeature(f"feature {feature.name!r} is NaN, and was never missing in the sample")
                if self.null_gives_null:
                    return False
                raise NullFeature(f"feature {feature.name!r} is NULL, and was never missing in the sample")
            if feature.type in ("float8", "float4"):
                self._examine_number(feature, float(value))
            if feature.categories is not None:
                self._examine_category(feature, value)
        return True

    def _examine_category(self, feature: Feature, value: Any) -> None:
        known = feature.categories or ()
        if (float(np.float32(value)) if feature.type == "float4" else value) not in known:
            raise UnseenCategory(
                f"feature {feature.name!r} is {value!r}, a category that the model was not trained on",
                detail=f"It knows: {', '.join(map(str, known[:50]))}.",
            )

    def _examine_number(self, feature: Feature, value: float) -> None:
        if not self.signature.finite:
            return
        if math.isinf(value):
            raise NonFiniteFeature(f"feature {feature.name!r} is {'-' if value < 0 else ''}infinite")
        if abs(value) > 3.4028235677973366e38 and self.signature.precision == "float32":
            raise NonFiniteFeature(f"feature {feature.name!r} is {value!r}, too large for the model's float32")

    # --- results ------------------------------------------------------------------------------------------------

    def _number_taker(self) -> Callable[[], float] | None:
        """The function that takes predict()'s number from the outputs, for the commonest models without a detour."""
        names, outputs = self.signature.outputs, self.outputs
        if not self.signature.numeric:
            return None
        if names.value is not None:
            value = names.value
            return lambda: float(outputs[value].item(0))
        if names.label is None and names.probabilities is not None and len(self.labels) == 2:
            source, (low, high) = names.probabilities, map(float, self.labels)
            return lambda: high if outputs[source].item(1) > outputs[source].item(0) else low
        return lambda: float(self._label())

    def _label(self) -> Any:
        names = self.signature.outputs
        if names.label is None:
            return self.labels[int(self.outputs[names.probabilities or ""].argmax())]
        found = self.outputs[names.label].item(0)
        return self.labels[int(found)] if names.label_index else found

    def _probability_output(self) -> str:
        name = self.signature.outputs.probabilities
        if name is None:
            raise NoProbabilities(f"the model is a {self.signature.task} and gives no probabilities")
        if self.signature.targets != 1:
            raise self._not_a_number()
        return name

    def _not_a_number(self) -> NotANumber:
        if self.signature.targets != 1:
            return NotANumber(
                f"the model predicts {self.signature.targets} values per row", hint="Call predict_json(model, row)."
            )
        return NotANumber("the model's labels are texts, not numbers", hint="Call predict_label(model, row).")

    def _copies(self) -> dict[str, Any]:
        """The outputs apart from the buffers, which the next row overwrites; those not bound are run for."""
        missing = [name for name in self.model.output_names if name not in self.outputs]
        if missing:
            return self.model.run({buffer.entry.name: buffer.tensor for buffer in self.buffers}, self.options)
        return {
            name: np.copy(value) if isinstance(value, np.ndarray) else value for name, value in self.outputs.items()
        }

    # --- ways of calling onnxruntime ----------------------------------------------------------------------------

    def _bind(self) -> Any:
        """Bind inputs and outputs to buffers once, which saves a third of a short run; None where that cannot be.

        The bound call is taken from the session below Python's wrapper, which would create a logger per call.
        """
        session = self.loaded.session
        wanted = {n for n in vars(self.signature.outputs).values() if isinstance(n, str)}
        outputs = [output for output in session.get_outputs() if output.name in wanted]
        shapes = {output.name: [1, *output.shape[1:]] for output in outputs}
        bindable = all(_NUMPY.get(o.type) and all(isinstance(d, int) for d in shapes[o.name]) for o in outputs)
        if not bindable or any(buffer.tensor.dtype == object for buffer in self.buffers):
            return None
        binding = session.io_binding()
        for buffer in self.buffers:
            tensor = buffer.tensor
            binding.bind_input(buffer.entry.name, "cpu", 0, tensor.dtype.type, tensor.shape, tensor.ctypes.data)
        for output in outputs:
            array: np.ndarray[Any, Any] = np.empty(shapes[output.name], dtype=_NUMPY[output.type])
            self.outputs[output.name] = array
            binding.bind_output(output.name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        self.binding = binding  # owns what the call points at
        return partial(session._sess.run_with_iobinding, binding._iobinding, self.options)

    def _call_with_feeds(self) -> Any:
        feeds = {buffer.entry.name: buffer.tensor for buffer in self.buffers}
        names = [name for name in self.model.output_names if name in vars(self.signature.outputs).values()]
        run, options, outputs = self.loaded.session._sess.run, self.options, self.outputs

        def call() -> None:
            outputs.update(zip(names, run(names, feeds, options), strict=True))

        return call


_NUMPY = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
