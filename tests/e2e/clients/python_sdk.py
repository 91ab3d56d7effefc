"""A host program with the Python SDK. The test reads a line of JSON for each thing that it asserts."""

import asyncio
import json
import sys

import httpx2
from calls import tell
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from signing_in import Memory
from signing_in import signing_in


async def refresh(url: str) -> None:
    """Calls a tool, lets its token expire, calls again."""
    async with signing_in(url) as (http, provider, memory):
        async with Client(streamable_http_client(url, http_client=http)) as client:
            await call(client, memory)
            provider.context.token_expiry_time = 1
            await call(client, memory)


async def call(client: Client, memory: Memory) -> None:
    result = await client.call_tool("whoami")
    tell(result.structured_content, client.protocol_version, memory.tokens.access_token)


async def session(url: str, mode: str, slow: str, arguments: str) -> None:
    """Lists tools, calls one that reports progress, and ends its session."""
    wire, happened, echoed = Wire(), [], asyncio.Event()
    async with signing_in(url) as (http, *_):
        http.event_hooks["response"].append(wire.saw)
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            protocol = client.protocol_version
            tools = [tool.name for tool in (await client.list_tools()).tools]

            async def progress(done: float, _total: float | None, _message: str | None) -> None:
                happened.append("progress")
                # While the other call goes on: whoever holds its answer back, holds this back.
                if done == 1:
                    answer = await client.call_tool("echo", {"message": "hello"})
                    happened.append(answer.content[0].text)
                    echoed.set()

            await client.call_tool(slow, json.loads(arguments), progress_callback=progress)
            happened.append("result")
            # Its answer may come last, and whoever leaves before breaks it off.
            await echoed.wait()
        gone = await after(http, url, wire.session) if wire.session else None
    told = {"protocol": protocol, "session": wire.session, "tools": tools, "happened": happened}
    print(json.dumps(told | {"deleted": wire.deleted, "gone": gone}), flush=True)


class Wire:
    """What went over it, as far as the test asks."""

    session = None
    deleted = None

    async def saw(self, response: httpx2.Response) -> None:
        self.session = response.headers.get("mcp-session-id", self.session)
        if response.request.method == "DELETE":
            self.deleted = response.status_code


async def after(http: httpx2.AsyncClient, url: str, session: str) -> int:
    """What the server says of a session that was ended."""
    headers = {"mcp-session-id": session, "accept": "application/json, text/event-stream"}
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    return (await http.post(url, headers=headers, json=ping)).status_code


async def step_up(url: str, mode: str, *calls: str) -> None:
    """Calls tools, one after the other. What some of them need more, the SDK asks for by itself."""
    async with signing_in(url) as (http, _, memory):
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            for name, arguments in map(json.loads, calls):
                answer = await client.call_tool(name, arguments)
                told = {"said": answer.content[0].text, "scope": memory.tokens.scope}
                print(json.dumps(told | {"protocol": client.protocol_version}), flush=True)


async def elsewhere(url: str, other: str) -> None:
    """Calls a tool, and tries the token at another server, which it was not issued for."""
    async with signing_in(url) as (http, _, memory):
        async with Client(streamable_http_client(url, http_client=http)) as client:
            said = json.loads((await client.call_tool("whoami")).content[0].text)
    async with httpx2.AsyncClient() as http:
        headers = {
            "accept": "application/json, text/event-stream",
            "authorization": f"Bearer {memory.tokens.access_token}",
        }
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        tried = [(await http.post(to, headers=headers, json=ping)).status_code for to in (url, other)]
    print(json.dumps({"said": said, "here": tried[0], "elsewhere": tried[1]}), flush=True)


async def key(url: str, header: str, value: str) -> None:
    """Calls a tool with a header that stays the same, and nobody who could sign in."""
    async with httpx2.AsyncClient(headers={header: value}, follow_redirects=True) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            answer = await client.call_tool("echo", {"message": "hello"})
            told = {"said": answer.content[0].text, "protocol": client.protocol_version}
    print(json.dumps(told), flush=True)


def main(url: str, walk: str = "refresh", *arguments: str) -> None:
    walks = {"refresh": refresh, "session": session, "step_up": step_up, "elsewhere": elsewhere, "key": key}
    asyncio.run(walks[walk](url, *arguments))


main(*sys.argv[1:])
