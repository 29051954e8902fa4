"""Running the SQL files of a migration."""

from collections.abc import Iterable
from pathlib import Path

from alembic import op
from sqlalchemy.util import await_only

SQL = Path(__file__).parent / "sql"


def run_files(names: Iterable[str]) -> None:
    """Run files of many statements each, in the migration's own transaction."""
    op.execute("SELECT 1")  # opens the transaction: below, SQLAlchemy does not see what is executed
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    for name in names:
        await_only(driver.execute((SQL / name).read_text()))
