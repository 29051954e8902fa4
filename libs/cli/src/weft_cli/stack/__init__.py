"""The embedded stack, for `weft up`, `weft demo` and tests."""

from weft_cli.stack.errors import MemberFailedError, PortTakenError, StackError
from weft_cli.stack.model import RealModel
from weft_cli.stack.stack import Stack

__all__ = ["MemberFailedError", "PortTakenError", "RealModel", "Stack", "StackError"]
