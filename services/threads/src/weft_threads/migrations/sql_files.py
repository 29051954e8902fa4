"""Migrations are SQL files: a revision runs those whose names it gives, as they are."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op

FOLDER = Path(__file__).parent / "sql"


def run_sql(*names: str) -> None:
    """Run files in this order, in the migration's transaction."""
    bind = op.get_bind()
    # SQLAlchemy begins its transaction with the first statement of its own; the driver knows nothing of it before.
    bind.execute(sa.text("SELECT 1"))
    driver: Any = bind.connection.dbapi_connection
    for name in names:
        script = (FOLDER / name).read_text(encoding="utf-8")
        driver.run_async(lambda connection, script=script: connection.execute(script))
