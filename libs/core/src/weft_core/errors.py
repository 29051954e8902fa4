"""The errors that a caller is told about. Each class is one canonical gRPC code; the reason says which case it is.

A reason is the name of a value of `weft.errors.v1.ErrorReason` without its prefix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

DOMAIN = "weft"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that breaks its rule: its path, as `parts[2].text`, what is wrong, and the rule's id."""

    field: str
    description: str
    rule: str = ""


class WeftError(Exception):
    """A failure with a reason. Raise a subclass: it carries the canonical code."""

    code: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] = MappingProxyType({}),
        retry_after_seconds: float | None = None,
        violations: Sequence[FieldViolation] = (),
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata)
        self.retry_after_seconds = retry_after_seconds
        self.violations = tuple(violations)

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.reason else self.message

    def __reduce__(self) -> tuple[object, ...]:
        """As an exception is pickled its class would be called with the message alone."""
        return _restored, (type(self), self.args), self.__dict__


def _restored(kind: type[WeftError], args: tuple[object, ...]) -> WeftError:
    error = kind.__new__(kind, *args)
    error.args = args
    return error


class InvalidArgumentError(WeftError):
    code = "INVALID_ARGUMENT"


class InvalidFieldsError(InvalidArgumentError):
    """Fields break their rules. The message names each and says what is wrong with it."""

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        told = "; ".join(f"{each.field or 'request'}: {each.description}" for each in violations[:10])
        super().__init__("INVALID_FIELDS", f"invalid: {told}", violations=violations)


class NotFoundError(WeftError):
    code = "NOT_FOUND"


class AlreadyExistsError(WeftError):
    code = "ALREADY_EXISTS"


class FailedPreconditionError(WeftError):
    code = "FAILED_PRECONDITION"


class OutOfRangeError(WeftError):
    code = "OUT_OF_RANGE"


class UnauthenticatedError(WeftError):
    code = "UNAUTHENTICATED"


class PermissionDeniedError(WeftError):
    code = "PERMISSION_DENIED"


class ResourceExhaustedError(WeftError):
    code = "RESOURCE_EXHAUSTED"


class AbortedError(WeftError):
    code = "ABORTED"


class UnavailableError(WeftError):
    code = "UNAVAILABLE"


class DeadlineExceededError(WeftError):
    code = "DEADLINE_EXCEEDED"


class CancelledByServerError(WeftError):
    """Something inside the server was cancelled; the call itself was not."""

    code = "CANCELLED"


class UnimplementedError(WeftError):
    code = "UNIMPLEMENTED"


class InternalError(WeftError):
    code = "INTERNAL"


def server_stopping() -> UnavailableError:
    return UnavailableError(
        "SERVER_STOPPING",
        "the server is stopping; call again at once, a watch with the last seq that it has",
        retry_after_seconds=0.0,
    )
