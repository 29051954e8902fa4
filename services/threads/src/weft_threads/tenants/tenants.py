"""What the operator can do with tenants and their keys. Each use case is one transaction of the tenant it is about."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.caller import Caller
from weft_core.errors import FailedPreconditionError, UnauthenticatedError
from weft_core.ids import format_id

from weft_threads.agents.agent import StoredSpec
from weft_threads.agents.agents import add_agent
from weft_threads.agents.store import lock_agent
from weft_threads.missing import not_found
from weft_threads.projects.store import insert_project
from weft_threads.store.database import Database
from weft_threads.tenants import store
from weft_threads.tenants.tenant import ApiKey, Credential, NewApiKey, Tenant, digest_of, new_secret

NOBODY: Final = UUID(int=0)


class Tenants:
    def __init__(self, database: Database, new_id: Callable[[], UUID], default_spec: StoredSpec) -> None:
        """`default_spec` is what the first agent of a new tenant does."""
        self._database, self._new_id, self._default_spec = database, new_id, default_spec

    async def create(self, caller: Caller, display_name: str, limits: Mapping[str, int]) -> Tenant:
        tenant_id = self._new_id()

        async def work(tx: AsyncConnection) -> Tenant:
            made = {"tenant_id": tenant_id, "display_name": display_name, "created_by": caller.principal}
            await store.insert_tenant(tx, {**made, **limits})
            project = await insert_project(tx, self._new_id(), "Default", caller.principal)
            agent_id = await add_agent(tx, self._new_id, caller.principal, "Chat", "", self._default_spec)
            defaults = {"default_agent_id": agent_id, "default_project_id": project.project_id}
            return await store.update_tenant(tx, tenant_id, defaults)

        return await self._database.transact(tenant_id, work)

    async def get(self, tenant_id: UUID) -> Tenant:
        return await self._database.transact(tenant_id, lambda tx: store.get_tenant(tx, tenant_id))

    async def list(self, after: UUID | None, limit: int) -> Sequence[Tenant]:
        return await self._database.transact(NOBODY, lambda tx: store.list_tenants(tx, after, limit))

    async def update(self, tenant_id: UUID, changes: Mapping[str, Any]) -> Tenant:
        async def work(tx: AsyncConnection) -> Tenant:
            await store.get_tenant(tx, tenant_id)
            agent_id = changes.get("default_agent_id")
            if agent_id is not None and not await lock_agent(tx, agent_id):
                raise not_found("agt", agent_id)
            return await store.update_tenant(tx, tenant_id, changes)

        return await self._database.transact(tenant_id, work)

    async def delete(self, tenant_id: UUID, *, force: bool) -> None:
        async def work(tx: AsyncConnection) -> None:
            await store.lock_tenant(tx, tenant_id)
            if not force and await store.has_open_runs(tx):
                raise _in_use(tenant_id)
            await store.delete_tenant(tx)

        await self._database.transact(tenant_id, work)

    async def create_api_key(self, caller: Caller, new: NewApiKey) -> tuple[ApiKey, str]:
        """Return the key and its secret, which nothing knows afterwards."""
        api_key_id, secret = self._new_id(), new_secret()
        principal = format_id("key", api_key_id)

        async def work(tx: AsyncConnection) -> ApiKey:
            await store.get_tenant(tx, new.tenant_id)
            return await store.insert_api_key(
                tx, api_key_id, new, digest_of(secret), principal=principal, created_by=caller.principal
            )

        return await self._database.transact(new.tenant_id, work), secret

    async def list_api_keys(self, tenant_id: UUID, before: UUID | None, limit: int) -> Sequence[ApiKey]:
        async def work(tx: AsyncConnection) -> Sequence[ApiKey]:
            await store.get_tenant(tx, tenant_id)
            return await store.list_api_keys(tx, before, limit)

        return await self._database.transact(tenant_id, work)

    async def revoke_api_key(self, tenant_id: UUID, api_key_id: UUID) -> ApiKey:
        async def work(tx: AsyncConnection) -> ApiKey:
            await store.get_tenant(tx, tenant_id)
            return await store.revoke_api_key(tx, api_key_id)

        return await self._database.transact(tenant_id, work)

    async def resolve_api_key(self, sha256: bytes) -> Credential:
        credential = await self._database.call(store.find_credential, sha256)
        if credential is None:
            told = "the API key is unknown, expired or revoked; use another key"
            raise UnauthenticatedError("API_KEY_INVALID", told)
        return credential


def _in_use(tenant_id: UUID) -> FailedPreconditionError:
    told = f"runs of {format_id('ten', tenant_id)} have not ended; wait, cancel them, or set force"
    return FailedPreconditionError("TENANT_IN_USE", told)
