// What a command or a request changed holds for every request after its answer, whichever worker serves it.
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startIssuer } from '../support/issuer.ts';
import { type Answer, answerTo, type Call, causeway, Server, signed, temporaryDirectory } from './program.ts';

const data = join(temporaryDirectory(), 'data');
const workers = 3;
/** A new connection goes to the next worker in turn: so many reach each of them three times. */
const connections = 3 * workers;
/** Even: what is switched ends as it began. */
const rounds = 16;
const account = 'photos';
const principal = '8a1e0000-0000-4000-8000-000000000001';
const delegator = '8a1e0000-0000-4000-8000-000000000002';
const agents = Array.from({ length: connections }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
const issuer = await startIssuer();

let server: Server;
let adminToken: string;
let key: string;

before(async () => {
  const settings = [`entraTenants=${issuer.tenant}`, `entraAuthority=${issuer.url}`];
  server = await Server.start({ data, dev: false, workers, settings });
  adminToken = (await causeway('admin-token', 'create', 'test', '--data', data)).out.trim();
  ({
    keys: [key = ''],
  } = (await manage('PUT', `/v1/accounts/${account}`)) as { keys: string[] });
  await manage('PUT', `/v1/accounts/${account}/encryption-scopes/mine`);
  const reads = { principal: delegator, role: 'Storage Blob Data Reader' };
  await manage('POST', `/v1/accounts/${account}/role-assignments`, reads);
  assert.equal((await own({ method: 'PUT', path: '/box', query: 'restype=container' })).status, 201);
  assert.equal((await own({ method: 'PUT', path: '/$web', query: 'restype=container' })).status, 201);
  for (const [path, headers] of [
    ['/box/plain', {}],
    ['/box/sealed', { 'x-ms-encryption-scope': 'mine' }],
    ['/$web/even.html', {}],
    ['/$web/odd.html', {}],
  ] as const) {
    const body = Buffer.from(path);
    const put = { method: 'PUT', path, body, headers: { 'x-ms-blob-type': 'BlockBlob', ...headers } };
    assert.equal((await own(put)).status, 201);
  }
});

after(async () => {
  for (const agent of agents) agent.destroy();
  await issuer[Symbol.asyncDispose]();
  assert.equal(await server.stop(), 0);
  const sig = new URLSearchParams(signature).get('sig') ?? '';
  for (const secret of [key, lastKey, adminToken, sig, encodeURIComponent(sig)]) {
    assert.ok(secret !== '' && !server.program.err.includes(secret), 'a secret is in the log');
  }
});

async function manage(method: string, path: string, body?: object): Promise<object> {
  const bytes = Buffer.from(body === undefined ? '' : JSON.stringify(body));
  const { hostname: host, port } = server.admin;
  const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' };
  const answer = await answerTo(
    request({ host, port, path, method, headers: { ...headers, 'content-length': bytes.length } }),
    bytes,
  );
  assert.ok(answer.status < 300, answer.body.toString());
  return JSON.parse(answer.body.toString()) as object;
}

/** Signed with the account's key, over a connection of its own. */
const own = (call: Call): Promise<Answer> => server.call({ account, key, ...call });

type Ask = Pick<Call, 'path' | 'query' | 'headers'> & {
  /** Signed with this key; otherwise as it is. */
  readonly key?: string;
  readonly method?: string;
};

async function ask(agent: Agent, { method = 'GET', path, query, headers, ...signing }: Ask): Promise<Answer> {
  const { hostname: host, port } = server.blob;
  const plain = { host, port, method, path: `/${account}${path}${query === undefined ? '' : `?${query}`}`, headers };
  const isSite = headers?.host !== undefined;
  const options =
    signing.key === undefined
      ? { ...plain, path: isSite ? path : plain.path, headers: { 'x-ms-version': '2022-11-02', ...headers } }
      : signed(
          server.blob,
          { method, path, account, ...signing, ...(query && { query }), ...(headers && { headers }) },
          0,
        );
  return answerTo(request({ ...options, agent }), Buffer.alloc(0));
}

const properties = (inner: string): Call => ({
  method: 'PUT',
  path: '/',
  query: 'restype=service&comp=properties',
  body: Buffer.from(`<StorageServiceProperties>${inner}</StorageServiceProperties>`),
});

const isOdd = (round: number) => round % 2 === 1;
const status = ({ status }: Answer): unknown => status;

interface Case {
  readonly what: string;
  /** Changes it, and answers what a request is then to see. */
  readonly change: (round: number) => Promise<unknown>;
  readonly ask: (round: number) => Ask | Promise<Ask>;
  readonly see: (answer: Answer) => unknown;
}

const box = { path: '/box', query: 'restype=container&comp=list' };
const set = (changes: object): Promise<object> => manage('PATCH', `/v1/accounts/${account}`, changes);

let assignment: string | undefined;
let lastKey = '';
let signature = '';

const cases: readonly Case[] = [
  {
    what: 'a CORS rule',
    change: async (round) => {
      const origin = `http://round-${round}.example`;
      const rule = `<AllowedOrigins>${origin}</AllowedOrigins><AllowedMethods>GET</AllowedMethods><AllowedHeaders/><ExposedHeaders/><MaxAgeInSeconds>1</MaxAgeInSeconds>`;
      assert.equal((await own(properties(`<Cors><CorsRule>${rule}</CorsRule></Cors>`))).status, 202);
      return origin;
    },
    ask: (round) => ({ ...box, key, headers: { origin: `http://round-${round}.example` } }),
    see: ({ headers }) => headers['access-control-allow-origin'],
  },
  {
    what: 'the index document of a website',
    change: async (round) => {
      const name = isOdd(round) ? 'odd.html' : 'even.html';
      const site = `<StaticWebsite><Enabled>true</Enabled><IndexDocument>${name}</IndexDocument></StaticWebsite>`;
      assert.equal((await own(properties(site))).status, 202);
      return `/$web/${name}`;
    },
    ask: () => ({ path: '/', headers: { host: `${account}.web.localhost` } }),
    see: ({ body }) => body.toString(),
  },
  {
    what: 'whether keys are taken',
    change: async (round) => {
      await set({ sharedKeyAccess: isOdd(round) });
      return isOdd(round) ? 200 : 403;
    },
    ask: () => ({ ...box, key }),
    see: status,
  },
  {
    what: 'the end of a key that was replaced',
    change: async () => {
      lastKey = key;
      ({ key } = (await manage('POST', `/v1/accounts/${account}/keys/1`)) as { key: string });
      return 403;
    },
    ask: () => ({ ...box, key: lastKey }),
    see: status,
  },
  {
    what: 'a new key',
    change: async () => {
      ({ key } = (await manage('POST', `/v1/accounts/${account}/keys/1`)) as { key: string });
      return 200;
    },
    ask: () => ({ ...box, key }),
    see: status,
  },
  {
    what: 'a network rule',
    change: async (round) => {
      await set({ networkDefault: isOdd(round) ? 'allow' : 'deny' });
      return isOdd(round) ? 200 : 403;
    },
    ask: () => ({ ...box, key }),
    see: status,
  },
  {
    what: 'the access level of a container',
    change: async (round) => {
      const headers = isOdd(round) ? {} : { 'x-ms-blob-public-access': 'container' };
      const acl = { method: 'PUT', path: '/box', query: 'restype=container&comp=acl', headers };
      assert.equal((await own(acl)).status, 200);
      return !isOdd(round);
    },
    ask: () => box,
    see: ({ status }) => status === 200,
  },
  {
    what: 'whether containers may be public',
    change: async (round) => {
      const headers = { 'x-ms-blob-public-access': 'container' };
      if (round === 0) await own({ method: 'PUT', path: '/box', query: 'restype=container&comp=acl', headers });
      await set({ publicAccess: isOdd(round) });
      return isOdd(round);
    },
    ask: () => box,
    see: ({ status }) => status === 200,
  },
  {
    what: 'a role',
    change: async () => {
      const path = `/v1/accounts/${account}/role-assignments`;
      if (assignment === undefined) {
        const given = { principal, role: 'Storage Blob Data Reader' };
        assignment = ((await manage('POST', path, given)) as { id: string }).id;
        return 200;
      }
      await manage('DELETE', `${path}/${assignment}`);
      assignment = undefined;
      return 403;
    },
    ask: async () => ({ ...box, headers: { authorization: `Bearer ${await issuer.token(principal)}` } }),
    see: status,
  },
  {
    what: 'a user delegation key, and its end',
    change: async (round) => {
      if (isOdd(round)) {
        await manage('POST', `/v1/accounts/${account}/revoke-delegation-keys`);
        return 403;
      }
      const wanted = { container: 'box', principal: delegator, tenant: issuer.tenant };
      ({ token: signature } = (await manage('POST', `/v1/accounts/${account}/sas`, wanted)) as { token: string });
      return 200;
    },
    ask: () => ({ ...box, query: `${box.query}&${signature}` }),
    see: status,
  },
  {
    what: 'the state of an encryption scope',
    change: async (round) => {
      await manage('POST', `/v1/accounts/${account}/encryption-scopes/mine/${isOdd(round) ? 'enable' : 'disable'}`);
      return isOdd(round) ? 200 : 403;
    },
    ask: () => ({ path: '/box/sealed', key }),
    see: status,
  },
];

for (const { what, change, ask: asked, see } of cases) {
  test(`${what} is at once what every worker goes by`, async () => {
    for (let round = 0; round < rounds; round++) {
      const wanted = await change(round);
      const question = await asked(round);
      const seen = await Promise.all(agents.map(async (agent) => see(await ask(agent, question))));
      assert.deepEqual(seen, new Array(connections).fill(wanted), `round ${round}`);
    }
  });
}
