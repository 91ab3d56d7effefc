// A host program with either TypeScript SDK: signs in when it is told to.

import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

// The loopback address that answers come to, one after the other.
async function callback() {
  const answers = new EventTarget();
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    response.setHeader('Connection', 'close').end('Done');
    if (pathname === '/callback') answers.dispatchEvent(Object.assign(new Event('answer'), { searchParams }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const next = () => once(answers, 'answer').then(([event]) => event.searchParams);
  return {
    url: `http://localhost:${server.address().port}/callback`,
    next,
    close: () => server.close(),
  };
}

// An `OAuthClientProvider`: keeps what it is given, and opens the browser.
function provider(name, listener) {
  const kept = {};
  const state = randomUUID();
  return {
    kept,
    redirectUrl: listener.url,
    clientMetadata: { client_name: name, redirect_uris: [listener.url], token_endpoint_auth_method: 'none' },
    state: () => state,
    clientInformation: () => kept.client,
    saveClientInformation: (client) => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => void (kept.tokens = tokens),
    codeVerifier: () => kept.verifier,
    saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
    redirectToAuthorization: (url) => {
      kept.answer = listener.next();
      execFile('xdg-open', [url.href]);
    },
  };
}

// Connects to `url`, with a sign-in when the server asks for one. `fetch` is asked in place of Node's.
export async function connected({ name, Client, Transport, UnauthorizedError, options, finishAuth }, url, fetch) {
  const listener = await callback();
  const authProvider = provider(name, listener);
  let transport;
  let client;
  const connect = async () => {
    transport = new Transport(new URL(url), { authProvider, fetch });
    client = new Client({ name, version: '1.0.0' }, options);
    await client.connect(transport);
  };
  // Does what may have to be authorized, and once more when it was.
  const authorized = async (act) => {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error;
    }
    const answer = await authProvider.kept.answer;
    if (answer.get('state') !== authProvider.state()) throw new Error(`not our answer: ${answer}`);
    await finishAuth(transport, answer);
    return await act();
  };
  await authorized(connect);
  const close = async () => {
    await client.close();
    listener.close();
  };
  return { client, transport, kept: authProvider.kept, authorized, close };
}
