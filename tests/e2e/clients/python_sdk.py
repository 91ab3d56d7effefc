"""A host program with the Python SDK: signs in, calls a tool, lets its token expire, calls again."""

import asyncio
import sys
import webbrowser
from urllib.parse import parse_qs
from urllib.parse import urlsplit

from calls import tell
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import create_mcp_http_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult
from mcp.shared.auth import OAuthClientMetadata


class Memory:
    """A `TokenStorage`."""

    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Callback:
    """The loopback address that the answer comes to."""

    async def __aenter__(self):
        self._answer = asyncio.get_running_loop().create_future()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = "http://127.0.0.1:{}/callback".format(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        target = urlsplit((await reader.readline()).decode().split(" ")[1])
        if target.path == "/callback" and not self._answer.done():
            self._answer.set_result({name: values[0] for name, values in parse_qs(target.query).items()})
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nDone")
        await writer.drain()
        writer.close()

    async def answer(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**await self._answer)


async def open_browser(url: str) -> None:
    webbrowser.open(url)


async def main(url: str) -> None:
    async with Callback() as callback:
        metadata = OAuthClientMetadata(client_name="Python SDK", redirect_uris=[callback.url])
        memory = Memory()
        provider = OAuthClientProvider(url, metadata, memory, open_browser, callback.answer)
        async with create_mcp_http_client(auth=provider) as http:
            async with Client(streamable_http_client(url, http_client=http)) as client:
                await call(client, memory)
                provider.context.token_expiry_time = 1
                await call(client, memory)


async def call(client: Client, memory: Memory) -> None:
    result = await client.call_tool("whoami")
    tell(result.structured_content, client.protocol_version, memory.tokens.access_token)


asyncio.run(main(sys.argv[1]))
