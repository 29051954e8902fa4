"""The migrations, on a real PostgreSQL."""

import asyncio
import os
import sys

import asyncpg
import pytest
from weft_cli.stack import Stack


@pytest.fixture
def postgres_url(stack: Stack) -> str:
    return stack.database_url("postgres").rpartition("/")[0] + "/weft"


async def migrate(url: str) -> int:
    return (await migrate_and_tell(url))[0]


async def migrate_and_tell(url: str) -> tuple[int, str]:
    env = {**os.environ, "WEFT_OWNER_DATABASE_URL": url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "weft_threads.migrate", env=env, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        _, told = await process.communicate()
    assert process.returncode is not None
    return process.returncode, told.decode()


async def test_many_that_migrate_an_empty_database_at_once_make_one_schema(stack: Stack, postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("CREATE DATABASE empty OWNER weft_owner")
    finally:
        await connection.close()
    url = stack.database_url("weft_owner").rpartition("/")[0] + "/empty"
    assert await asyncio.gather(*(migrate(url) for _ in range(3))) == [0, 0, 0]
    assert await migrate(url) == 0
    connection = await asyncpg.connect(url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
        assert await connection.fetchval("SELECT count(*) FROM clock") == 1
    finally:
        await connection.close()


async def test_migrating_without_a_database_fails_and_says_so(stack: Stack) -> None:
    url = stack.database_url("weft_owner").rpartition("/")[0] + "/missing"
    assert await migrate(url) == 1


async def test_a_database_of_an_unknown_build_is_refused_with_what_to_do(stack: Stack, postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("CREATE DATABASE foreign_build OWNER weft_owner")
    finally:
        await connection.close()
    url = stack.database_url("weft_owner").rpartition("/")[0] + "/foreign_build"
    assert await migrate(url) == 0
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("UPDATE alembic_version SET version_num = '0001'")
    finally:
        await connection.close()
    code, told = await migrate_and_tell(url)
    assert code == 1
    assert "made by a build that this one does not know" in told


@pytest.mark.row("E3", "G9")
async def test_every_table_of_tenants_forces_row_level_security(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        loose = await connection.fetch(
            """
            SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
            WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
              AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
            """
        )
        crossing = await connection.fetch(
            """
            SELECT conrelid::regclass::text AS holder, conname FROM pg_constraint
            WHERE contype = 'f' AND confrelid <> 'tenants'::regclass AND cardinality(conkey) < 2
            """
        )
    finally:
        await connection.close()
    assert [row["relname"] for row in loose] == []
    assert [tuple(row) for row in crossing] == []


async def test_application_reads_nothing_without_a_tenant(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.database_url("weft_app"))
    try:
        assert await connection.fetchval("SELECT count(*) FROM tenants") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "INSERT INTO tenants (tenant_id, display_name, created_by) VALUES ($1, '', '')", "0" * 32
            )
    finally:
        await connection.close()
