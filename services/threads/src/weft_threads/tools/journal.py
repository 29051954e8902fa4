"""What can be done with the journal of tool calls. Each use case is one transaction."""

from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.caller import Caller
from weft_core.errors import (
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    InvalidFieldsError,
    PermissionDeniedError,
)
from weft_core.ids import format_id

from weft_threads.agents.spec import allowed_tools
from weft_threads.missing import not_found
from weft_threads.projects.store import default_project, require_project
from weft_threads.store.database import Database
from weft_threads.tools import store
from weft_threads.tools.execution import (
    UNKNOWN_OUTCOME,
    Asked,
    Begun,
    Call,
    Execution,
    Outcome,
    RunPlace,
    Setting,
    State,
)


class ToolJournal:
    def __init__(self, database: Database, new_id: Callable[[], UUID]) -> None:
        self._database, self._new_id = database, new_id

    async def begin(self, caller: Caller, asked: Asked) -> Begun:
        """Allow a call and take it, or tell what became of it. A denial is recorded before it is raised."""
        key = _key_of(caller, asked.call)
        if caller.run_id is not None and caller.epoch is not None:
            place = (caller.tenant_id, caller.run_id, caller.epoch)
            taken = await self._database.call(
                store.take_call_of_run, place, self._new_id(), key, asked, caller.principal
            )
            if taken is not None:
                return taken
        return await self._begin_otherwise(caller, asked, key)

    async def _begin_otherwise(self, caller: Caller, asked: Asked, key: str) -> Begun:
        """Begin a call that is not a run's, or that is not allowed, or that has a row already."""
        call = asked.call

        async def work(tx: AsyncConnection) -> Begun | None:
            setting = await _setting_of(tx, caller, call, asked.project_id)
            if call.tool not in setting.allowed_tools:
                await store.insert_denied(
                    tx, self._new_id(), key, call, setting, reason="denied", principal=caller.principal
                )
                return None
            made = await store.insert_started(tx, self._new_id(), key, asked, setting, caller.principal)
            if made is not None:
                return Begun(made, setting)
            return await _take_up(tx, await store.lock_execution(tx, key), asked, setting)

        begun = await self._database.transact(caller.tenant_id, work)
        if begun is None:
            raise _not_allowed(call)
        return begun

    async def renew(self, caller: Caller, execution_id: UUID, attempt: int, lease: timedelta) -> None:
        is_ours = await self._database.transact(
            caller.tenant_id, lambda tx: store.renew_execution(tx, execution_id, caller.run_id, attempt, lease)
        )
        if not is_ours:
            _raise_lost(execution_id)

    async def finish(self, caller: Caller, execution_id: UUID, attempt: int, outcome: Outcome) -> None:
        """Store how a call ended. The lease does not matter: as long as nobody else began it, what happened counts."""
        if caller.run_id is not None and await self._database.call(
            store.finish_call_of_run, caller.tenant_id, caller.run_id, execution_id, attempt, outcome
        ):
            return

        async def work(tx: AsyncConnection) -> None:
            if await store.finish_execution(tx, execution_id, caller.run_id, attempt, outcome) is not None:
                return
            found = await store.find_execution(tx, execution_id, caller.run_id)
            is_given_up = found is not None and found.state is State.UNKNOWN and outcome.state is not State.UNKNOWN
            if found is None or found.attempt != attempt or is_given_up:
                _raise_lost(execution_id)

        await self._database.transact(caller.tenant_id, work)

    async def record_denied(self, caller: Caller, call: Call, reason: str) -> None:
        key = _key_of(caller, call)

        async def work(tx: AsyncConnection) -> None:
            setting = await _setting_of(tx, caller, call, None)
            principal = caller.principal
            await store.insert_denied(tx, self._new_id(), key, call, setting, reason=reason, principal=principal)

        await self._database.transact(caller.tenant_id, work)


async def _take_up(tx: AsyncConnection, found: Execution, asked: Asked, setting: Setting) -> Begun:
    """Decide what a call that has a row already is to its next asker. The row is locked."""
    if (found.tool, found.arguments_sha256) != (asked.call.tool, asked.call.arguments_sha256):
        raise _reused()
    if found.state is not State.STARTED or found.is_held:
        return Begun(found, None)
    if found.is_idempotent:
        again = await store.restart_execution(tx, found.tool_execution_id, asked.lease, setting.epoch)
        return Begun(again, setting)
    ended = await store.finish_execution(tx, found.tool_execution_id, setting.run_id, found.attempt, UNKNOWN_OUTCOME)
    return Begun(ended or found, None)


async def _setting_of(tx: AsyncConnection, caller: Caller, call: Call, project_id: UUID | None) -> Setting:
    if caller.run_id is not None:
        return await _run_setting(tx, caller, caller.run_id)
    if call.agent_id is None:
        raise InvalidFieldsError([FieldViolation("agent_id", "must name an agent", "required")])
    spec = await store.find_agent_spec(tx, call.agent_id)
    if spec is None:
        raise not_found("agt", call.agent_id)
    project_id = project_id or await default_project(tx)
    await require_project(tx, project_id)
    return Setting(call.agent_id, project_id, None, None, None, allowed_tools(spec))


async def _run_setting(tx: AsyncConnection, caller: Caller, run_id: UUID) -> Setting:
    row = await store.find_run_setting(tx, run_id)
    if row is None:
        raise not_found("run", run_id)
    if row.state != "running" or row.epoch != caller.epoch:
        raise FailedPreconditionError("EPOCH_STALE", "the run is not running under this epoch any more; stop")
    return Setting(row.agent_id, row.project_id, row.thread_id, run_id, row.epoch, allowed_tools(row.spec))


def _key_of(caller: Caller, call: Call) -> str:
    """Return the key of a call's row. Raises: InvalidFieldsError: the kind of key and of token do not fit."""
    if isinstance(call.key, RunPlace):
        if caller.run_id is None:
            told = "only a runner may name a place in a run; use request_id"
            raise InvalidFieldsError([FieldViolation("run_place", told, "key")])
        return f"run/{format_id('run', caller.run_id)}/{call.key.step}/{call.key.index}"
    if caller.run_id is not None:
        told = "a run's call is known by its place; use run_place"
        raise InvalidFieldsError([FieldViolation("request_id", told, "key")])
    return f"request/{call.key}"


def _not_allowed(call: Call) -> PermissionDeniedError:
    told = f"the agent does not have the tool {call.tool!r}; add it to the agent"
    return PermissionDeniedError("TOOL_NOT_ALLOWED", told, metadata={"tool": call.tool})


def _reused() -> InvalidArgumentError:
    told = "this key was used for another tool or other arguments; use a new one"
    return InvalidArgumentError("REQUEST_ID_REUSED", told)


def _raise_lost(execution_id: UUID) -> NoReturn:
    told = f"{format_id('tlx', execution_id)} is not this attempt's any more; begin it again to see what became of it"
    raise FailedPreconditionError("TOOL_EXECUTION_LOST", told)
