"""Named checks: the first that does not hold ends the demonstration with its name."""

from weft_cli.console import Printer


class CheckFailedError(Exception):
    """A check did not hold."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(f"{name}: {sentence}")
        self.name, self.sentence = name, sentence


class Checks:
    """Shows what held, and counts it."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self.count = 0

    def that(self, name: str, holds: bool, sentence: str, seen: object = None) -> None:
        """Raises: CheckFailedError: it does not hold; `seen` tells what is there instead."""
        if not holds:
            raise CheckFailedError(name, f"not so: {sentence}" + ("" if seen is None else f"; seen: {seen!s:.2000}"))
        self.count += 1
        self._printer.line(f"  ✓ {name}: {sentence}", "green")

    def equal(self, name: str, seen: object, wanted: object, sentence: str) -> None:
        self.that(name, seen == wanted, sentence, f"{seen!r:.800}, wanted {wanted!r:.800}")
