// A host program with either TypeScript SDK: signs in, calls a tool, spoils its token, calls again.

import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

// The loopback address that the answer comes to.
async function callback() {
  const answers = new EventTarget();
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    response.setHeader('Connection', 'close').end('Done');
    if (pathname === '/callback') answers.dispatchEvent(Object.assign(new Event('answer'), { searchParams }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://localhost:${server.address().port}/callback`,
    answer: once(answers, 'answer').then(([event]) => event.searchParams),
    close: () => server.close(),
  };
}

// An `OAuthClientProvider`: keeps what it is given, and opens the browser.
function provider(name, redirectUrl) {
  const kept = {};
  const state = randomUUID();
  return {
    kept,
    redirectUrl,
    clientMetadata: { client_name: name, redirect_uris: [redirectUrl], token_endpoint_auth_method: 'none' },
    state: () => state,
    clientInformation: () => kept.client,
    saveClientInformation: (client) => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => void (kept.tokens = tokens),
    codeVerifier: () => kept.verifier,
    saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
    redirectToAuthorization: (url) => void execFile('xdg-open', [url.href]),
  };
}

export async function run({ name, Client, Transport, UnauthorizedError, options, finishAuth, protocol }) {
  const listener = await callback();
  const authProvider = provider(name, listener.url);
  const transport = () => new Transport(new URL(process.argv[2]), { authProvider });
  const client = () => new Client({ name, version: '1.0.0' }, options);

  const first = transport();
  await client()
    .connect(first)
    .catch((error) => {
      if (!(error instanceof UnauthorizedError)) throw error;
    });
  const answer = await listener.answer;
  if (answer.get('state') !== authProvider.state()) throw new Error(`not our answer: ${answer}`);
  await finishAuth(first, answer);
  listener.close();

  const connection = transport();
  const connected = client();
  await connected.connect(connection);
  const call = async () => {
    const { structuredContent } = await connected.callTool({ name: 'whoami', arguments: {} });
    const token = createHash('sha256').update(authProvider.kept.tokens.access_token).digest('hex');
    console.log(JSON.stringify({ oid: structuredContent.oid, protocol: protocol(connected, connection), token }));
  };
  await call();
  authProvider.kept.tokens.access_token = 'spoiled';
  await call();
  await connected.close();
}
