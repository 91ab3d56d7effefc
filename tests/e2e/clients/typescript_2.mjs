import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

import { walk } from './typescript_walks.mjs';

await walk({
  name: 'TypeScript SDK 2',
  Client,
  Transport: StreamableHTTPClientTransport,
  UnauthorizedError,
  options: { versionNegotiation: { mode: 'auto' } },
  finishAuth: (transport, answer) => transport.finishAuth(answer),
  protocol: (client) => client.getNegotiatedProtocolVersion(),
  callTool: (client, params, options) => client.callTool(params, options),
});
