"""What can be done with a tenant's access to the model provider. Each use case is one transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.caller import Caller

from weft_threads.model_endpoints.sealing import Sealer
from weft_threads.store.database import Database
from weft_threads.store.tables import NOW, TENANT, model_endpoints

# A key that is no longer than this shows nothing of itself.
SHOWN_FROM: Final = 12
SHOWN: Final = 4
_COLUMNS = (model_endpoints.c.key_suffix, model_endpoints.c.update_time, model_endpoints.c.created_by)


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    key_suffix: str
    update_time: datetime
    created_by: str


class ModelEndpoints:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database, self._sealer = database, sealer

    async def put(self, caller: Caller, api_key: str) -> ModelEndpoint:
        values = {
            "sealed_key": self._sealer.seal(caller.tenant_id, api_key),
            "key_suffix": api_key[-SHOWN:] if len(api_key) >= SHOWN_FROM else "",
            "update_time": NOW,
            "created_by": caller.principal,
        }
        statement = insert(model_endpoints).values(tenant_id=TENANT, **values)
        statement = statement.on_conflict_do_update(index_elements=[model_endpoints.c.tenant_id], set_=values)

        async def work(tx: AsyncConnection) -> ModelEndpoint:
            return ModelEndpoint(**(await tx.execute(statement.returning(*_COLUMNS))).one()._mapping)

        return await self._database.transact(caller.tenant_id, work)

    async def find(self, caller: Caller) -> ModelEndpoint | None:
        async def work(tx: AsyncConnection) -> ModelEndpoint | None:
            row = (await tx.execute(sa.select(*_COLUMNS))).one_or_none()
            return ModelEndpoint(**row._mapping) if row else None

        return await self._database.transact(caller.tenant_id, work)

    async def delete(self, caller: Caller) -> None:
        async def work(tx: AsyncConnection) -> None:
            await tx.execute(sa.delete(model_endpoints))

        await self._database.transact(caller.tenant_id, work)

    async def key_of(self, caller: Caller) -> str:
        """Return the key of the caller's tenant, empty when it has none. Raises: SealBrokenError."""

        async def work(tx: AsyncConnection) -> bytes | None:
            sealed: bytes | None = await tx.scalar(sa.select(model_endpoints.c.sealed_key))
            return sealed

        sealed = await self._database.transact(caller.tenant_id, work)
        return "" if sealed is None else self._sealer.unseal(caller.tenant_id, sealed)
