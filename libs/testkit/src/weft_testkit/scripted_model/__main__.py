import argparse
import asyncio
import signal
import sys

from weft_testkit.scripted_model.server import ScriptedModelServer


async def serve(host: str, port: int) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with ScriptedModelServer(host=host, port=port) as server:
        sys.stdout.write(f"scripted model on {server.base_url}\n")
        sys.stdout.flush()
        await stopping.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m weft_testkit.scripted_model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.host, options.port))
