"""What can go wrong with a stack, in sentences for the person who started it."""


class StackError(Exception):
    """The stack could not be started, or stopped working."""


class PortTakenError(StackError):
    """Something else listens where a member should."""

    def __init__(self, port: int, member: str, holder: str | None) -> None:
        by = f" by {holder}" if holder else ""
        super().__init__(
            f"port {port}, wanted by {member}, is taken{by}: end that program or choose another --port-base"
        )
        self.port, self.member = port, member


class MemberFailedError(StackError):
    """A member ended, or did not become ready, while it was waited for."""

    def __init__(self, member: str, what: str, log: str, tail: str) -> None:
        indented = "".join(f"\n    {line}" for line in tail.splitlines())
        super().__init__(f"{member} {what}; the end of {log}:{indented or ' (empty)'}")
        self.member = member
