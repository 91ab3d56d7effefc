import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

import { run } from './typescript.mjs';

await run({
  name: 'TypeScript SDK 2',
  Client,
  Transport: StreamableHTTPClientTransport,
  UnauthorizedError,
  options: { versionNegotiation: { mode: 'auto' } },
  finishAuth: (transport, answer) => transport.finishAuth(answer),
  protocol: (client) => client.getNegotiatedProtocolVersion(),
});
