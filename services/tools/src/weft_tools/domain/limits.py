"""How long the parts of a tool call may take. All in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`lease` is how long after the death of this process its calls count as under way."""

    lease: float = 4.0
    renew_interval: float = 1.0
    cancel_grace: float = 2.0
    """What a stopped handler has for cleaning up before it is given up."""
    patience: float = 30.0
    """How long the journal may be away before a call that has not begun fails."""
    result_patience: float = 3600.0
    """How long the journal may be away before a result is thrown away: its effect has happened."""
    poll_interval: float = 0.25
    """Between two looks at a call that another process executes, and at the run of a call that nobody watches."""
    give_back_lease: float = 0.001
