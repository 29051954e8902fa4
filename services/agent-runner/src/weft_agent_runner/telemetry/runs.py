"""A run in this runner's hands, as a span of the trace that made it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from weft_telemetry import names, state
from weft_telemetry.metrics import recorder
from weft_telemetry.tracing import remote_context

from weft_agent_runner.domain.run import ClaimedRun

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_NOTHING: AbstractContextManager[None] = nullcontext()
_GOOD = ("succeeded", "cancelled", "waiting", "given_back")


class RunTelemetry:
    def __init__(self) -> None:
        self._is_on = state.installed().is_on
        self._tracer = state.installed().tracer
        self._record = recorder(names.AGENT_DURATION)
        self._record_cost = recorder(names.MODEL_COST)

    def claimed(self, run: ClaimedRun, asked_at: int) -> None:
        """Tell that a claim, asked for at `asked_at` (ns since 1970), brought this run: only now is its trace known."""
        if self._tracer is None or not run.trace_parent:
            return
        from opentelemetry.trace import SpanKind

        attributes = {
            names.MESSAGING_SYSTEM: "weft",
            names.MESSAGING_OPERATION: "receive",
            names.MESSAGING_DESTINATION: "runs",
            **_ids(run),
        }
        parent = remote_context(run.trace_parent)
        self._tracer.start_span(names.CLAIM_SPAN, parent, SpanKind.CONSUMER, attributes, start_time=asked_at).end()

    def cost(self, model: str, micros: int | None) -> None:
        """Count what a model call cost, where that is known."""
        if micros is not None:
            self._record_cost(micros, model)

    def in_hand(self, run: ClaimedRun, outcome: Callable[[], str]) -> AbstractContextManager[None]:
        """Watch the run for as long as this runner has it; `outcome` tells at the end how it let go."""
        return self._watched(run, outcome) if self._is_on else _NOTHING

    @contextmanager
    def _watched(self, run: ClaimedRun, outcome: Callable[[], str]) -> Iterator[None]:
        began = time.perf_counter()
        with self._span(run) as made:
            try:
                yield
            finally:
                state_ = outcome()
                self._record(time.perf_counter() - began, names.INVOKE_AGENT, state_)
                if made is not None:
                    _tell(made, state_)

    @contextmanager
    def _span(self, run: ClaimedRun) -> Iterator[Span | None]:
        """A takeover makes another span beside the first: both belong to the call that made the run."""
        if self._tracer is None:
            yield None
            return
        parent = remote_context(run.trace_parent) if run.trace_parent else None
        attributes = {
            names.OPERATION: names.INVOKE_AGENT,
            names.AGENT: run.agent_id,
            names.AGENT_VERSION: run.agent_version_id,
            names.CONVERSATION: run.thread_id,
            **_ids(run),
        }
        with self._tracer.start_as_current_span(
            f"{names.INVOKE_AGENT} {run.agent_id}", parent, attributes=attributes, record_exception=False
        ) as made:
            yield made


def _tell(span: Span, state_: str) -> None:
    span.set_attribute(names.RUN_STATE, state_)
    if state_ not in _GOOD:
        from opentelemetry.trace import StatusCode

        span.set_attribute(names.ERROR_TYPE, state_)
        span.set_status(StatusCode.ERROR)


def _ids(run: ClaimedRun) -> dict[str, str | int]:
    return {
        names.TENANT: run.key.tenant_id,
        names.RUN: run.key.run_id,
        names.EPOCH: run.key.epoch,
        names.ATTEMPT: run.attempt,
    }
