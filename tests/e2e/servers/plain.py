"""A server with FastMCP that knows nothing of OAuth."""

import asyncio
import os

from fastmcp import Context
from fastmcp import FastMCP

server = FastMCP("Plain")
echoed = asyncio.Event()


@server.tool
async def echo(message: str) -> str:
    """Says the same."""
    echoed.set()
    return f"Echo: {message}"


@server.tool
async def slow(context: Context) -> str:
    """Reports progress, and goes on when somebody has called `echo`."""
    await context.report_progress(1, 2)
    async with asyncio.timeout(30):
        await echoed.wait()
    await context.report_progress(2, 2)
    return "Done."


server.run("http", host="127.0.0.1", port=int(os.environ["PORT"]), path="/mcp", show_banner=False)
