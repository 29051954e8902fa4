"""What to do about a model call that failed."""

from collections.abc import Callable
from dataclasses import dataclass

from weft_agent_runner.domain.entry import Fail, FailureReason, Park
from weft_agent_runner.domain.model import ModelCallError, ModelFault

MAX_WAIT_IN_PLACE_SECONDS = 60.0
_FIRST_DELAY_SECONDS = 0.25
_MAX_DELAY_SECONDS = 8.0
_MAX_PARK_SECONDS = 24 * 3600.0


_ABOUT_THE_KEY = frozenset({401, 402, 403, 407})
_ABOUT_THE_REQUEST = frozenset({400, 404, 413, 422})
_SENTENCES = {
    ModelFault.CONNECT: "the model provider cannot be reached",
    ModelFault.FIRST_BYTE: "the model did not begin to answer in time",
    ModelFault.IDLE: "the model fell silent in mid-answer",
    ModelFault.TOTAL: "the model did not answer within the time that the call had",
    ModelFault.NO_FINISH: "the model's stream broke before the answer was whole",
    ModelFault.STATUS: "the model provider refused the request",
    ModelFault.PROVIDER: "the model provider broke its answer off",
    ModelFault.MALFORMED: "the model's answer broke the protocol",
    ModelFault.TOO_LARGE: "the model's answer is larger than allowed",
}


@dataclass(frozen=True, slots=True)
class TryAgain:
    after_seconds: float


def after_failure(
    error: ModelCallError, *, tries: int, attempt: int, max_tries: int, random: Callable[[], float]
) -> TryAgain | Park | Fail:
    """`tries` counts those of this take-up of the run; `attempt` also those before, so that a provider which always
    asks for a long pause does not park a run for ever."""
    is_worth_it = error.is_retryable or error.fault is ModelFault.MALFORMED  # garbled once is not garbled always
    if not is_worth_it or tries >= max_tries:
        return failure_of(error)
    asked = error.retry_after_seconds
    if asked is None:
        return TryAgain(backoff(tries, random))
    if asked <= MAX_WAIT_IN_PLACE_SECONDS:
        return TryAgain(max(asked, 0.0) + random() * _FIRST_DELAY_SECONDS)
    return Park(min(asked, _MAX_PARK_SECONDS)) if attempt < max_tries else failure_of(error)


def backoff(tries: int, random: Callable[[], float]) -> float:
    """Return a pause before try `tries` + 1: half of it fixed, half by chance."""
    ceiling = min(_MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** min(tries, 16))
    return ceiling * (0.5 + random() / 2)


def failure_of(error: ModelCallError) -> Fail:
    return Fail(_reason(error), told_to_people(error), error.status or 0)


def told_to_people(error: ModelCallError) -> str:
    """Return what the tenant may read. A provider's own words only where they are about the request: else they name
    keys, organisations and addresses of the installation, and belong into its logs."""
    if error.status in _ABOUT_THE_KEY:
        return f"the model provider refused the credentials of this installation (status {error.status})"
    if error.status == 429:
        return "the model provider asked for fewer requests"
    if error.status in _ABOUT_THE_REQUEST or (error.fault is ModelFault.PROVIDER and not error.is_retryable):
        return str(error)[:1000]
    if error.status is not None:
        return f"the model provider failed (status {error.status})"
    return _SENTENCES[error.fault]


def _reason(error: ModelCallError) -> FailureReason:
    if error.code == "context_length_exceeded":
        return FailureReason.CONTEXT_TOO_LARGE
    if error.status == 429:
        return FailureReason.MODEL_RATE_LIMITED
    if error.fault in (ModelFault.MALFORMED, ModelFault.TOO_LARGE):
        return FailureReason.MODEL_ANSWER_INVALID
    if error.fault in (ModelFault.STATUS, ModelFault.PROVIDER) and not error.is_retryable:
        return FailureReason.MODEL_REFUSED
    return FailureReason.MODEL_UNAVAILABLE
