"""How a command is made: its own options, those that all have, its examples; and how it runs and ends."""

import asyncio
import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import grpc
import typer

from weft_cli import faults, place
from weft_cli.api import Api
from weft_cli.console import Printer
from weft_cli.output import Output

# Exit codes. Wrong usage is typer's own 2.
FAILED, WRONG_USAGE, NOT_ENDED, INTERRUPTED = 1, 2, 3, 130

_WHERE = "Where to call"
_DATA_DIR: Final = {"envvar": "WEFT_DATA_DIR", "help": "Folder of the stack: its data, logs and keys."}
DataDir = Annotated[Path, typer.Option("--data-dir", **_DATA_DIR)]
_SharedDataDir = Annotated[Path, typer.Option("--data-dir", rich_help_panel=_WHERE, **_DATA_DIR)]
_Address = Annotated[
    str | None,
    typer.Option(
        envvar="WEFT_ADDRESS",
        help="host:port of a gateway, https:// before it for TLS; else as in the folder.",
        rich_help_panel=_WHERE,
    ),
]
_ApiKey = Annotated[
    str | None, typer.Option(envvar="WEFT_API_KEY", help="API key; else as in the folder.", rich_help_panel=_WHERE)
]
Json = Annotated[bool, typer.Option("--json", help="Print what the API says, as protobuf's JSON.")]
_SHARED: Final[Mapping[str, tuple[Any, object]]] = {
    "json": (Json, False),
    "data_dir": (_SharedDataDir, place.DEFAULT_FOLDER),
    "address": (_Address, None),
    "api_key": (_ApiKey, None),
}


@dataclass(frozen=True)
class Target:
    """Where to call, and with which key."""

    address: str
    api_key: str


@dataclass(frozen=True)
class Session:
    """What a command works with."""

    api: Api
    out: Output


class CommandError(Exception):
    """What a command cannot do, and what to do instead, in one sentence."""


Body: TypeAlias = Callable[..., Awaitable[int | None]]


def command(group: typer.Typer, name: str, *, examples: str, panel: str | None = None) -> Callable[[Body], Body]:
    """Make a command of `async def body(session, …)`: further parameters are its options, the docstring its help, what
    it returns its exit code, None for 0."""

    def register(body: Body) -> Body:
        def run(**options: Any) -> None:
            out = Output(Printer(), is_json=options.pop("json"))
            target = target_of(out.printer, *(options.pop(each) for each in ("address", "api_key", "data_dir")))
            raise typer.Exit(perform(target, out, lambda session: body(session, **options)))

        own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]
        shared = [
            inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for each, (kind, default) in _SHARED.items()
        ]
        keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        run.__signature__ = inspect.Signature([*keyword, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {}
        group.command(name, help=inspect.getdoc(body), epilog=_epilog(examples), rich_help_panel=panel)(run)
        return body

    return register


def _epilog(examples: str) -> str:
    """Return examples, one a line; without a blank line between them they would run together."""
    return "\n\n".join(["Examples:", *(f"$ {line}" for line in examples.strip().splitlines())])


def target_of(printer: Printer, address: str | None, api_key: str | None, data_dir: Path) -> Target:
    """Return where to call; ends the program when nobody said."""
    try:
        found = place.find_place(data_dir)
    except (OSError, ValueError) as error:
        printer.error(f"error: {data_dir / place.FILE} cannot be read: {error}; `weft up` writes it anew")
        raise typer.Exit(WRONG_USAGE) from None
    if found is not None:
        address, api_key = address or found.address, api_key or found.api_key
    if not address or not api_key:
        printer.error(
            f"error: there is no {data_dir / place.FILE}: start a stack with `weft up`, or give --address and --api-key"
        )
        raise typer.Exit(WRONG_USAGE)
    if not (api_key.isascii() and api_key.isprintable()):
        printer.error("error: the API key has characters that no key has; look at --api-key, or WEFT_API_KEY")
        raise typer.Exit(WRONG_USAGE)
    return Target(address, api_key)


def perform(target: Target, out: Output, work: Callable[[Session], Awaitable[int | None]]) -> int:
    """Run to the exit code; a refused call is told in one line."""

    async def session() -> int:
        async with Api(target.address, target.api_key) as api:
            return await work(Session(api, out)) or 0

    try:
        return asyncio.run(session())
    except grpc.aio.AioRpcError as fault:
        out.printer.error(faults.in_one_line(fault, target.address))
    except CommandError as error:
        out.printer.error(f"error: {' '.join(str(error).split())}")
        return WRONG_USAGE
    except UnicodeEncodeError as error:
        if error.encoding != "utf-8":  # what the terminal cannot show is another matter
            raise
        out.printer.error("error: what was said is not UTF-8, and only that can be sent")
        return WRONG_USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read has enough, as `head`; what is left in the buffer must not be tried again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
