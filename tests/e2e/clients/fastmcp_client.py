"""FastMCP's client with its own OAuth helper: signs in, calls a tool, lets its token expire, calls again."""

import asyncio
import sys

from calls import tell
from fastmcp import Client
from fastmcp.client.auth import OAuth


async def main(url: str) -> None:
    auth = OAuth(url)
    async with Client(url, auth=auth) as client:
        await call(client, auth)
        auth.context.token_expiry_time = 1
        await call(client, auth)


async def call(client: Client, auth: OAuth) -> None:
    result = await client.call_tool("whoami")
    tell(result.structured_content, client.session.protocol_version, auth.context.current_tokens.access_token)


asyncio.run(main(sys.argv[1]))
