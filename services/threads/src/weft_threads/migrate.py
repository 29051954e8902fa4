"""`python -m weft_threads.migrate`: bring the schema up to date. Safe to run by many at once, and again."""

import logging
import sys
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError
from weft_grpckit.settings import load_settings
from weft_telemetry.logs import set_up_logging

from weft_threads.settings import MigrationSettings

TRIES = 20
PAUSE_SECONDS = 0.5
# A lock was not had within 200 ms: a service works on the table. It is let through, and the migration tried again.
LOCK_NOT_AVAILABLE = "55P03"

logger = logging.getLogger(__name__)


def migrate(url: str) -> None:
    """Apply what is missing, in one transaction. Raises: DBAPIError: it cannot be applied; nothing is then."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    for left in reversed(range(TRIES)):
        try:
            command.upgrade(config, "head")
            return
        except DBAPIError as error:
            if not left or getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            logger.info("a table is in use; trying again")
            time.sleep(PAUSE_SECONDS)


def main() -> None:
    settings = load_settings(MigrationSettings)
    set_up_logging("migrate", "INFO")
    try:
        migrate(settings.owner_database_url.get_secret_value())
    except (DBAPIError, OSError) as error:
        logger.critical("the schema could not be migrated: %s", error)
        sys.exit(1)
    except CommandError as error:
        logger.critical(
            "the database was made by a build that this one does not know (%s): use a newer one; "
            "if it holds development data only, stop the stack and remove its folder (`make clean` removes .weft)",
            error,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
