// node-oidc-provider as one would run it: several processes on one port, on PostgreSQL. `loadtest oauth` starts it.
//
// Settings in the environment: PEER_DATABASE_URL, PEER_CONNECTIONS (of each process), PEER_PROCESSES, PEER_CLIENT_ID,
// PEER_CLIENT_SECRET, PEER_REDIRECT_URI. Prints one JSON line when it listens.
//
// What makes it cheaper than a real one, in its favour: signing in takes any password without hashing it, an account's
// claims come from no table, and pages are a few lines long. What it does per token is the library's own choice.

import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';
import { PostgresAdapter, open } from './adapter.mjs';

const environment = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
};

if (cluster.isPrimary) start();
else await serve();

// All processes have the same keys.
function start() {
  const { privateKey } = generateKeyPairSync('ed25519');
  const key = { ...privateKey.export({ format: 'jwk' }), alg: 'EdDSA', use: 'sig', kid: 'peer-1' };
  const shared = { PEER_KEY: JSON.stringify(key), PEER_COOKIE_KEY: randomBytes(32).toString('hex') };
  let waiting = Number(environment('PEER_PROCESSES'));
  cluster.on('listening', (worker, address) => {
    waiting -= 1;
    if (waiting === 0) console.log(JSON.stringify({ event: 'listening', address: `127.0.0.1:${address.port}` }));
  });
  cluster.on('exit', () => process.exit(1));
  process.on('SIGTERM', () => process.exit(0));
  for (let count = waiting; count > 0; count -= 1) cluster.fork({ ...shared, PEER_PORT: environment('PEER_PORT') });
}

async function serve() {
  await open(environment('PEER_DATABASE_URL'), Number(environment('PEER_CONNECTIONS')));
  const port = Number(environment('PEER_PORT'));
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    adapter: PostgresAdapter,
    clients: [{
      client_id: environment('PEER_CLIENT_ID'),
      client_secret: environment('PEER_CLIENT_SECRET'),
      redirect_uris: [environment('PEER_REDIRECT_URI')],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'client_secret_basic',
      id_token_signed_response_alg: 'EdDSA',
    }],
    findAccount: (ctx, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: id, email_verified: true }),
    }),
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    jwks: { keys: [JSON.parse(environment('PEER_KEY'))] },
    cookies: { keys: [environment('PEER_COOKIE_KEY')] },
    rotateRefreshToken: true,
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      revocation: { enabled: true },
    },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    ttl: { AccessToken: 3600, AuthorizationCode: 120, Grant: 1209600, IdToken: 3600, Interaction: 3600, RefreshToken: 1209600, Session: 1209600 },
  });
  provider.on('server_error', (ctx, error) => console.error(error));
  const oauth = provider.callback();
  const server = createServer((request, response) => {
    if (!request.url.startsWith('/interaction/')) return oauth(request, response);
    interact(provider, request, response).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    });
  });
  // Idle connections of the generator are not to be closed between two of its rounds.
  server.keepAliveTimeout = 600_000;
  server.listen(port, '127.0.0.1', 4096);
}

// The sign-in page and the consent page.
async function interact(provider, request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (request.method === 'GET') return page(response, request.url, prompt.name);
  const form = new URLSearchParams(await text(request));
  if (prompt.name === 'login') {
    const result = { login: { accountId: form.get('email') } };
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
  const grant = grantId ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '));
  if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
  const consent = grantId ? {} : { grantId: await grant.save() };
  if (grantId) await grant.save();
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

function page(response, action, prompt) {
  const fields = prompt === 'login'
    ? '<input name="email"><input name="password" type="password"><button type="submit">Sign in</button>'
    : '<button type="submit" name="decision" value="allow">Allow</button>';
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  response.end(`<!doctype html><title>Peer</title><form method="post" action="${action}">${fields}</form>`);
}

async function text(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
