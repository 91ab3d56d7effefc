// What a host program does once it is connected. The test reads a line of JSON for each thing that it asserts.

import { createHash } from 'node:crypto';

import { connected } from './typescript.mjs';

const tell = (result) => console.log(JSON.stringify(result));

// Calls a tool, spoils its token, calls again.
async function refresh(sdk, url) {
  const { client, transport, kept, close } = await connected(sdk, url);
  const call = async () => {
    const { structuredContent } = await client.callTool({ name: 'whoami', arguments: {} });
    const token = createHash('sha256').update(kept.tokens.access_token).digest('hex');
    tell({ oid: structuredContent.oid, protocol: sdk.protocol(client, transport), token });
  };
  await call();
  kept.tokens.access_token = 'spoiled';
  await call();
  await close();
}

// Lists tools, calls one that reports progress, and ends its session.
async function session(sdk, url, mode, slow, args) {
  const wire = { session: null, deleted: null };
  const watched = async (target, init) => {
    const response = await fetch(target, init);
    wire.session = response.headers.get('mcp-session-id') ?? wire.session;
    if (init?.method === 'DELETE') wire.deleted = response.status;
    return response;
  };
  const options = { ...sdk.options, versionNegotiation: { mode } };
  const { client, transport, kept, close } = await connected({ ...sdk, options }, url, watched);
  const tools = (await client.listTools()).tools.map((tool) => tool.name);

  const happened = [];
  const echoes = [];
  const onprogress = ({ progress }) => {
    happened.push('progress');
    // While the other call goes on: whoever holds its answer back, holds this back.
    if (progress !== 1) return;
    const echo = client.callTool({ name: 'echo', arguments: { message: 'hello' } });
    echoes.push(echo.then(({ content }) => happened.push(content[0].text)));
  };
  await sdk.callTool(client, { name: slow, arguments: JSON.parse(args) }, { onprogress });
  happened.push('result');
  await Promise.all(echoes);

  const protocol = sdk.protocol(client, transport);
  await transport.terminateSession();
  await close();
  const gone = wire.session && (await after(url, wire.session, kept.tokens.access_token));
  tell({ protocol, tools, happened, ...wire, gone });
}

// What the server says of a session that was ended.
async function after(url, session, token) {
  const headers = {
    accept: 'application/json, text/event-stream',
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    'mcp-session-id': session,
  };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
  return (await fetch(url, { method: 'POST', headers, body })).status;
}

// Calls tools, one after the other. What some of them need more, the SDK asks for; a host has it redeem the answer.
async function stepUp(sdk, url, mode, ...calls) {
  const options = { ...sdk.options, versionNegotiation: { mode } };
  const { client, transport, kept, authorized, close } = await connected({ ...sdk, options }, url);
  for (const [name, args] of calls.map((call) => JSON.parse(call))) {
    const { content } = await authorized(() => client.callTool({ name, arguments: args }));
    tell({ said: content[0].text, scope: kept.tokens.scope, protocol: sdk.protocol(client, transport) });
  }
  await close();
}

// Calls a tool with a header that stays the same, and nobody who could sign in.
async function key(sdk, url, header, value) {
  const transport = new sdk.Transport(new URL(url), { requestInit: { headers: { [header]: value } } });
  const client = new sdk.Client({ name: sdk.name, version: '1.0.0' }, sdk.options);
  await client.connect(transport);
  const { content } = await client.callTool({ name: 'echo', arguments: { message: 'hello' } });
  tell({ said: content[0].text, protocol: sdk.protocol(client, transport) });
  await client.close();
}

const WALKS = { refresh, session, step_up: stepUp, key };

export async function walk(sdk) {
  const [url, name = 'refresh', ...rest] = process.argv.slice(2);
  await WALKS[name](sdk, url, ...rest);
}
