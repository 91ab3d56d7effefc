"""What a host program with the Python SDK needs to sign in."""

import asyncio
import webbrowser
from contextlib import asynccontextmanager
from urllib.parse import parse_qs
from urllib.parse import urlsplit

from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import create_mcp_http_client
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
    """The loopback address that answers come to, one after the other."""

    async def __aenter__(self):
        self._answers = asyncio.Queue()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = "http://127.0.0.1:{}/callback".format(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        target = urlsplit((await reader.readline()).decode().split(" ")[1])
        if target.path == "/callback":
            self._answers.put_nowait({name: values[0] for name, values in parse_qs(target.query).items()})
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nDone")
        await writer.drain()
        writer.close()

    async def answer(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**await self._answers.get())


async def open_browser(url: str) -> None:
    webbrowser.open(url)


@asynccontextmanager
async def signing_in(url: str):
    """An HTTP client that signs in when it is told to, what it knows of that, and where it keeps it."""
    async with Callback() as callback:
        metadata = OAuthClientMetadata(client_name="Python SDK", redirect_uris=[callback.url])
        memory = Memory()
        provider = OAuthClientProvider(url, metadata, memory, open_browser, callback.answer)
        async with create_mcp_http_client(auth=provider) as http:
            yield http, provider, memory
