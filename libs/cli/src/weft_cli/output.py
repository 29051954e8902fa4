"""What commands print: tables for people, or one JSON document."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from weft_cli.console import Printer
from weft_cli.tables import Column, table_lines

T = TypeVar("T", bound=Message)


class Output:
    def __init__(self, printer: Printer, *, is_json: bool) -> None:
        self.printer, self.is_json = printer, is_json

    def rows(self, name: str, items: Sequence[T], columns: Sequence[Column[T]], empty: str, total: str = "") -> None:
        """Show a list: as `{"<name>": […]}`, or as a table; `empty` is what people read when there is nothing."""
        if self.is_json:
            self.document({name: [as_json(item) for item in items]})
        elif not items:
            self.printer.line(empty, "dim")
        else:
            for line in table_lines(items, columns, self.printer.width):
                self.printer.text(line)
            if total:
                self.printer.line(total, "dim")

    def one(self, item: T, columns: Sequence[Column[T]]) -> None:
        """Show one thing: as itself, or with a line for each column that has something to say."""
        if self.is_json:
            self.document(as_json(item))
            return
        heads = [column.head.lower() for column in columns]
        for head, column in zip(heads, columns, strict=True):
            text = column.text(item)
            if text:
                self.printer.pair(head.ljust(max(map(len, heads))), text, column.style(item))

    def done(self, message: Message, text: str) -> None:
        """Tell that something was done; `message` is what the API said."""
        if self.is_json:
            self.document(as_json(message))
        else:
            self.printer.line(text)

    def document(self, value: object) -> None:
        self.printer.raw(json.dumps(value, indent=2, ensure_ascii=False))


def as_json(message: Message) -> dict[str, Any]:
    """Return protobuf's JSON of a message, with every field of it that has no presence, so that scripts find it."""
    return MessageToDict(message, always_print_fields_with_no_presence=True)
