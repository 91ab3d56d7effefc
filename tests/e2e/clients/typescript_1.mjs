import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { walk } from './typescript_walks.mjs';

await walk({
  name: 'TypeScript SDK 1',
  Client,
  Transport: StreamableHTTPClientTransport,
  UnauthorizedError,
  finishAuth: (transport, answer) => transport.finishAuth(answer.get('code')),
  protocol: (_client, transport) => transport.protocolVersion,
  callTool: (client, params, options) => client.callTool(params, undefined, options),
});
