"""A desktop host that knows only stdio: runs a proxy, calls a tool through it."""

import asyncio
import os
import sys

from calls import tell
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters


async def main(command: str, *arguments: str) -> None:
    proxy = StdioServerParameters(command=command, args=list(arguments), env=dict(os.environ))
    async with Client(proxy, mode="legacy") as client:
        tell((await client.call_tool("whoami")).structured_content, client.protocol_version)


asyncio.run(main(*sys.argv[1:]))
