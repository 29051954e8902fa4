"""How Alembic runs here: one connection, one transaction for all that is missing."""

import asyncio

import sqlalchemy as sa
from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

# Of our own choice: whoever migrates at the same time waits here.
LOCK_NUMBER = 7_400_400


async def main() -> None:
    url = sa.make_url(context.config.attributes["url"]).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 10})
    async with engine.connect() as connection:
        await connection.run_sync(run)


def run(connection: Connection) -> None:
    context.configure(connection=connection)
    with context.begin_transaction():
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK_NUMBER)))
        connection.execute(sa.text("SET LOCAL lock_timeout = '200ms'"))
        context.run_migrations()


asyncio.run(main())
