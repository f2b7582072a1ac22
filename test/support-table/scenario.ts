// A day in the life of an account: every operation is asked for, in the states in which its answers say the most.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { encodeStructured, structuredBody } from '../../src/codec/structured-message.ts';
import { unwrapKey, wrapKey } from '../../src/content/seal.ts';
import { changeAccount } from '../../src/namespace/accounts.ts';
import { changePolicies } from '../../src/namespace/container-policies.ts';
import { listContainers } from '../../src/namespace/containers.ts';
import { Keyring } from '../../src/namespace/keyring.ts';
import type { AccountSettings } from '../../src/namespace/records.ts';
import { createScope } from '../../src/namespace/scopes.ts';
import { openTestSurface, type TestSurface, testAccount } from '../../src/surfaces/blob/call.testing.ts';
import type { Call } from '../../src/surfaces/blob/call.ts';
import { preflight } from '../../src/surfaces/blob/cors.ts';
import { type Asked, type Heard, Listener, type Outcome } from './record.ts';

const cause = { by: 'test', requestId: '' };
const dayMs = 24 * 3_600_000;
const settings: AccountSettings = {
  versioning: true,
  softDeleteDays: 7,
  containerSoftDeleteDays: 7,
  permanentDelete: true,
  lastAccessTracking: true,
};
const page = Buffer.alloc(512, 1);
const blockId = Buffer.from('one').toString('base64');
const keyBytes = Buffer.alloc(32, 7);
const customerKey = {
  'x-ms-encryption-key': keyBytes.toString('base64'),
  'x-ms-encryption-key-sha256': createHash('sha256').update(keyBytes).digest('base64'),
  'x-ms-encryption-algorithm': 'AES256',
};
const scope = { 'x-ms-encryption-scope': 'one' };
const block = { 'x-ms-blob-type': 'BlockBlob' };
const lease = { 'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '60' };
const md5 = (text: string | Buffer): string => createHash('md5').update(text).digest('base64');
/** A body as a structured message, and what is said of it. */
async function structured(
  body: string | Buffer,
): Promise<{ readonly body: Buffer; readonly headers: Asked['headers'] }> {
  const bytes = Buffer.from(body);
  const chunks: Buffer[] = [];
  for await (const chunk of encodeStructured([{ bytes, release: () => undefined }], bytes.length))
    chunks.push(chunk.bytes);
  const headers = { 'x-ms-structured-body': structuredBody, 'x-ms-structured-content-length': `${bytes.length}` };
  return { body: Buffer.concat(chunks), headers };
}
const url = (path: string): string => `http://127.0.0.1:10000/${testAccount}/${path}`;

/** A listener that has heard all of it. Still open: a request can be sent again with something more. */
export interface Played extends AsyncDisposable {
  readonly heard: ReadonlyMap<string, Heard>;
  readonly ask: (asked: Asked) => Promise<Outcome>;
}

export async function play(): Promise<Played> {
  const opened = await openTestSurface();
  const wrapping = Buffer.alloc(32, 5);
  const local = {
    wrap: async (_url: string | undefined, key: Buffer) => ({ wrapped: wrapKey(wrapping, key), keyVersion: '1' }),
    unwrap: async (_url: string | undefined, { wrapped }: { wrapped: Buffer }) =>
      unwrapKey(wrapping, wrapped) as Buffer,
  };
  const keyring = new Keyring({ engine: opened.store.engine, clock: opened.clock, providers: { local } });
  const surface: TestSurface = {
    store: { ...opened.store, keyring },
    clock: opened.clock,
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
  const listener = new Listener(surface);
  await new Day(surface, listener).play();
  return {
    heard: listener.heard,
    ask: (asked) => listener.ask({ ...asked, more: { ...asked.more, accountSettings: settings } }),
    [Symbol.asyncDispose]: () => surface[Symbol.asyncDispose](),
  };
}

type Rest = Omit<Asked, 'method' | 'container' | 'blob' | 'query'>;

class Day {
  readonly #surface: TestSurface;
  readonly #listener: Listener;

  constructor(surface: TestSurface, listener: Listener) {
    this.#surface = surface;
    this.#listener = listener;
  }

  async play(): Promise<void> {
    const { store } = this.#surface;
    await createScope(store, { account: testAccount, scope: 'one', source: 'local', cause });
    await changeAccount(store, testAccount, { settings }, cause);
    await this.#service();
    await this.#containers();
    await this.#blockBlobs();
    await this.#copies();
    await this.#appendBlobs();
    await this.#pageBlobs();
    await this.#structured();
    await this.#states();
    await this.#refusals();
    await this.#lists();
  }

  /** `path` as in an address, without the account; `status` is what must come back. */
  async #do(
    status: number,
    method: string,
    path: string,
    headers: Rest['headers'] = {},
    rest: Rest = {},
  ): Promise<Outcome> {
    this.#surface.clock.advance(1000);
    const [names = '', query = ''] = path.split('?');
    const [container, ...blob] = names.split('/');
    const { body = '', more } = rest;
    const sent = { ...(method !== 'GET' && { 'Content-Length': `${Buffer.byteLength(body)}` }), ...headers };
    const outcome = await this.#listener.ask({
      method,
      query,
      ...(container !== '' && container !== undefined && { container }),
      ...(blob.length > 0 && { blob: blob.join('/') }),
      ...rest,
      headers: sent,
      more: { accountSettings: settings, ...more },
    });
    assert.equal(outcome.status, status, `${method} ${path}: ${outcome.status} ${outcome.code}`);
    return outcome;
  }

  async #service(): Promise<void> {
    await this.#do(200, 'GET', '?restype=account&comp=properties');
    const cors =
      '<StorageServiceProperties><Cors><CorsRule><AllowedOrigins>https://a.example</AllowedOrigins><AllowedMethods>GET' +
      '</AllowedMethods><AllowedHeaders>*</AllowedHeaders><ExposedHeaders>*</ExposedHeaders><MaxAgeInSeconds>5' +
      '</MaxAgeInSeconds></CorsRule></Cors></StorageServiceProperties>';
    await this.#do(202, 'PUT', '?restype=service&comp=properties', {}, { body: cors });
    await this.#do(200, 'GET', '?restype=service&comp=properties');
    await this.#do(400, 'GET', '?restype=service&comp=stats');
    const iso = new Date(this.#surface.clock.now() + dayMs).toISOString();
    const oid = '11111111-1111-1111-1111-111111111111';
    const principal = { kind: 'entra', oid, tid: oid, groups: [], appRoles: [] } as unknown as Call['principal'];
    const info = `<KeyInfo><Expiry>${iso.slice(0, 19)}Z</Expiry></KeyInfo>`;
    await this.#do(200, 'POST', '?restype=service&comp=userdelegationkey', {}, { body: info, more: { principal } });
    const part = `Content-Type: application/http\r\n\r\nDELETE /${testAccount}/box/none HTTP/1.1\r\n\r\n`;
    await this.#do(
      202,
      'POST',
      '?comp=batch',
      { 'Content-Type': 'multipart/mixed; boundary=b' },
      {
        body: `--b\r\n${part}\r\n--b--\r\n`,
        runPart: async () => ({ status: 202, headers: {} }),
      },
    );
    this.#preflight();
  }

  #preflight(): void {
    const heard = this.#listener.of('PreflightBlobRequest');
    const asked: Record<string, string> = {
      origin: 'https://a.example',
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'x-ms-version',
    };
    const headers = new Proxy(asked, {
      get: (target, name: string) => {
        heard.headersRead.add(name);
        return target[name];
      },
    });
    const rule = {
      origins: ['https://a.example'],
      methods: ['GET'],
      allowedHeaders: ['*'],
      exposedHeaders: [],
      maxAgeS: 5,
    };
    const answer = preflight({ cors: [rule] }, headers);
    for (const name in answer.headers) heard.headersSent.add(name.toLowerCase());
    heard.succeeded = {};
  }

  async #containers(): Promise<void> {
    await this.#do(201, 'PUT', 'box?restype=container', { 'x-ms-meta-a': 'b', 'x-ms-blob-public-access': 'blob' });
    const of = { account: testAccount, container: 'box' };
    assert.equal((await changePolicies(this.#surface.store, of, { versionImmutability: true }, cause)).kind, 'ok');
    await this.#do(201, 'PUT', 'gone?restype=container', { 'x-ms-default-encryption-scope': 'one' });
    await this.#do(200, 'PUT', 'gone?restype=container&comp=metadata', { 'x-ms-meta-a': 'b' });
    await this.#do(200, 'GET', 'gone?restype=container&comp=metadata');
    await this.#do(200, 'PUT', 'box?restype=container&comp=acl', { 'x-ms-blob-public-access': 'blob' });
    await this.#do(200, 'GET', 'box?restype=container&comp=acl');
    const { headers } = await this.#do(201, 'PUT', 'gone?restype=container&comp=lease', lease);
    const id = { 'x-ms-lease-id': `${headers['x-ms-lease-id']}` };
    await this.#do(200, 'PUT', 'gone?restype=container&comp=lease', { ...id, 'x-ms-lease-action': 'renew' });
    await this.#do(200, 'GET', 'gone?restype=container');
    await this.#do(200, 'GET', 'box?restype=container');
    await this.#do(202, 'PUT', 'gone?restype=container&comp=lease', {
      'x-ms-lease-action': 'break',
      'x-ms-lease-break-period': '0',
    });
    await this.#do(202, 'DELETE', 'gone?restype=container');
    const wanted = { prefix: 'gone', from: '', limit: 10, deleted: true };
    const { containers } = await listContainers(this.#surface.store, testAccount, wanted);
    const version = containers[0]?.record.deletion?.version ?? '';
    const deleted = { 'x-ms-deleted-container-name': 'gone', 'x-ms-deleted-container-version': version };
    await this.#do(201, 'PUT', 'gone?restype=container&comp=undelete', deleted);
    await this.#do(201, 'PUT', 'back?restype=container');
  }

  async #blockBlobs(): Promise<void> {
    const tagged = {
      ...block,
      'x-ms-tags': 'a=b',
      'x-ms-meta-a': 'b',
      'x-ms-access-tier': 'Cool',
      'x-ms-blob-content-language': 'en',
    };
    const headers = {
      'x-ms-blob-content-encoding': 'gzip',
      'x-ms-blob-content-disposition': 'inline',
      'x-ms-blob-cache-control': 'x',
    };
    await this.#do(201, 'PUT', 'box/a', { ...tagged, ...headers }, { body: 'a,b\n1,2\n' });
    for (const [name, more] of [
      ['keyed', customerKey],
      ['scoped', scope],
    ] as const) {
      await this.#do(201, 'PUT', `box/${name}`, { ...block, ...more }, { body: 'text' });
      await this.#do(201, 'PUT', `box/${name}-blocks?comp=block&blockid=${blockId}`, more, { body: 'text' });
      const list = `<BlockList><Latest>${blockId}</Latest></BlockList>`;
      await this.#do(201, 'PUT', `box/${name}-blocks?comp=blocklist`, more, { body: list });
    }
    const sum = { 'Content-MD5': md5('text') };
    await this.#do(201, 'PUT', `box/blocks?comp=block&blockid=${blockId}`, sum, { body: 'text' });
    const list = `<BlockList><Latest>${blockId}</Latest></BlockList>`;
    await this.#do(201, 'PUT', 'box/blocks?comp=blocklist', { 'Content-MD5': md5(list) }, { body: list });
    await this.#do(200, 'GET', 'box/blocks?comp=blocklist');
    for (const more of [{}, customerKey]) {
      await this.#do(200, 'PUT', `box/${more === customerKey ? 'keyed' : 'a'}?comp=metadata`, {
        'x-ms-meta-a': 'b',
        ...more,
      });
    }
    await this.#do(200, 'PUT', 'box/scoped?comp=metadata', { 'x-ms-meta-a': 'b', ...scope });
    await this.#do(200, 'PUT', 'box/a?comp=properties', {
      ...headers,
      'x-ms-blob-content-type': 'text/csv',
      'x-ms-blob-content-md5': md5('x'),
      'x-ms-blob-content-language': 'en',
    });
    await this.#do(
      204,
      'PUT',
      'box/a?comp=tags',
      {},
      { body: '<Tags><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tags>' },
    );
    await this.#do(200, 'GET', 'box/a?comp=tags');
    await this.#do(200, 'GET', 'box/a?comp=metadata');
    await this.#do(200, 'PUT', 'box/a?comp=tier', { 'x-ms-access-tier': 'Cold' });
    const { headers: taken } = await this.#do(201, 'PUT', 'box/a?comp=snapshot');
    for (const method of ['GET', 'HEAD']) await this.#do(200, method, `box/a?snapshot=${taken['x-ms-snapshot']}`);
    const { headers: leased } = await this.#do(201, 'PUT', 'box/a?comp=lease', lease);
    await this.#read('a');
    await this.#read('keyed', customerKey);
    await this.#read('scoped');
    const query =
      '<QueryRequest><QueryType>SQL</QueryType><Expression>SELECT * FROM BlobStorage</Expression></QueryRequest>';
    await this.#do(200, 'POST', 'box/a?comp=query', {}, { body: query });
    await this.#do(200, 'POST', 'box/keyed?comp=query', customerKey, { body: query });
    await this.#do(200, 'POST', 'box/scoped?comp=query', {}, { body: query });
    await this.#do(202, 'PUT', 'box/a?comp=lease', { 'x-ms-lease-action': 'break', 'x-ms-lease-break-period': '0' });
    assert.ok(leased['x-ms-lease-id']);
    // Noted behind the answer of the first read.
    await this.#read('a');
  }

  async #read(name: string, headers = {}): Promise<void> {
    await this.#do(200, 'GET', `box/${name}`, headers);
    await this.#do(206, 'GET', `box/${name}`, {
      'x-ms-range': 'bytes=0-1',
      'x-ms-range-get-content-crc64': 'true',
      ...headers,
    });
    await this.#do(200, 'HEAD', `box/${name}`, headers);
  }

  async #structured(): Promise<void> {
    const { body, headers } = await structured('text');
    await this.#do(201, 'PUT', 'box/whole', { ...block, ...headers }, { body });
    await this.#do(200, 'GET', 'box/whole', { 'x-ms-structured-body': structuredBody });
    await this.#do(201, 'PUT', `box/parts?comp=block&blockid=${blockId}`, headers, { body });
    await this.#do(201, 'PUT', 'box/framed', { 'x-ms-blob-type': 'AppendBlob' });
    await this.#do(201, 'PUT', 'box/framed?comp=appendblock', headers, { body });
    const paged = await structured(page);
    const write = { 'x-ms-page-write': 'update', 'x-ms-range': 'bytes=0-511' };
    await this.#do(201, 'PUT', 'box/disk?comp=page', { ...write, ...paged.headers }, { body: paged.body });
  }

  async #copies(): Promise<void> {
    const from = { 'x-ms-copy-source': url('box/a') };
    await this.#do(201, 'PUT', 'box/cold', { ...block, 'x-ms-access-tier': 'Archive' }, { body: 'x' });
    await this.#do(202, 'PUT', 'box/copy', from);
    await this.#do(202, 'PUT', 'box/copy-sync', { ...from, 'x-ms-requires-sync': 'true', ...scope });
    await this.#do(201, 'PUT', 'box/put-from', { ...from, ...block });
    const sum = { 'x-ms-source-content-md5': md5('a,b\n1,2\n') };
    await this.#do(202, 'PUT', 'box/copy-sync', { ...from, ...sum, 'x-ms-requires-sync': 'true' });
    await this.#do(201, 'PUT', 'box/put-from', { ...from, ...sum, ...block });
    for (const more of [customerKey, scope])
      await this.#do(201, 'PUT', 'box/put-from-2', { ...from, ...block, ...more });
    await this.#do(202, 'PUT', 'box/thawed', { 'x-ms-copy-source': url('box/cold'), 'x-ms-access-tier': 'Hot' });
    await this.#read('copy');
    await this.#do(
      200,
      'POST',
      'box/copy?comp=query',
      {},
      {
        body: '<QueryRequest><QueryType>SQL</QueryType><Expression>SELECT * FROM BlobStorage</Expression></QueryRequest>',
      },
    );
    await this.#do(409, 'PUT', 'box/copy?comp=copy&copyid=x', { 'x-ms-copy-action': 'abort' });
    const block1 = `box/from-url?comp=block&blockid=${blockId}`;
    for (const more of [{}, customerKey, scope])
      await this.#do(201, 'PUT', block1.replace('from-url', `from-${Object.keys(more).length}`), { ...from, ...more });
    await this.#do(201, 'PUT', block1, { ...from, 'x-ms-source-content-md5': md5('a,b\n1,2\n') });
    const none = { 'x-ms-copy-source': url('box/none') };
    await this.#do(404, 'PUT', 'box/copy', none);
    await this.#do(404, 'PUT', 'box/copy', { 'x-ms-copy-source': url('no-box/none') });
    await this.#do(404, 'PUT', 'box/copy', { ...none, 'x-ms-requires-sync': 'true' });
    await this.#do(404, 'PUT', 'box/copy', { ...none, ...block });
    await this.#do(404, 'PUT', block1, none);
  }

  async #appendBlobs(): Promise<void> {
    const none = { 'x-ms-copy-source': url('box/none') };
    for (const [name, more] of [
      ['log', {}],
      ['log-keyed', customerKey],
      ['log-scoped', scope],
    ] as const) {
      await this.#do(201, 'PUT', `box/${name}`, { 'x-ms-blob-type': 'AppendBlob', ...more });
      await this.#do(201, 'PUT', `box/${name}?comp=appendblock`, more, { body: 'text' });
      const from = { 'x-ms-copy-source': url('box/a'), ...more };
      await this.#do(201, 'PUT', `box/${name}?comp=appendblock`, from);
      await this.#do(201, 'PUT', `box/${name}?comp=appendblock`, {
        ...from,
        'x-ms-source-content-md5': md5('a,b\n1,2\n'),
      });
    }
    await this.#do(201, 'PUT', 'box/log?comp=appendblock', { 'Content-MD5': md5('text') }, { body: 'text' });
    await this.#do(404, 'PUT', 'box/log?comp=appendblock', none);
    await this.#do(200, 'PUT', 'box/log?comp=seal');
    await this.#do(202, 'PUT', 'box/log-copy', { 'x-ms-copy-source': url('box/log'), 'x-ms-seal-blob': 'true' });
    await this.#read('log');
  }

  async #pageBlobs(): Promise<void> {
    const write = { 'x-ms-page-write': 'update', 'x-ms-range': 'bytes=0-511' };
    for (const [name, more] of [
      ['disk', {}],
      ['disk-keyed', customerKey],
      ['disk-scoped', scope],
    ] as const) {
      const made = { 'x-ms-blob-type': 'PageBlob', 'x-ms-blob-content-length': '1024', ...more };
      await this.#do(201, 'PUT', `box/${name}`, made);
      await this.#do(201, 'PUT', `box/${name}?comp=page`, { ...write, ...more }, { body: page });
      const from = { 'x-ms-copy-source': url('box/disk'), 'x-ms-source-range': 'bytes=0-511', ...write, ...more };
      await this.#do(201, 'PUT', `box/${name}?comp=page`, from);
      await this.#do(201, 'PUT', `box/${name}?comp=page`, { ...from, 'x-ms-source-content-md5': md5(page) });
    }
    const clear = { ...write, 'x-ms-page-write': 'clear' };
    await this.#do(409, 'PUT', 'box/disk-keyed?comp=page', clear);
    await this.#do(201, 'PUT', 'box/disk-keyed?comp=page', { ...clear, ...customerKey });
    await this.#do(201, 'PUT', 'box/disk?comp=page', { ...write, 'Content-MD5': md5(page) }, { body: page });
    const none = { 'x-ms-copy-source': url('box/none'), 'x-ms-source-range': 'bytes=0-511', ...write };
    await this.#do(404, 'PUT', 'box/disk?comp=page', none);
    // Range is looked at where x-ms-range is not there.
    await this.#do(400, 'PUT', 'box/disk?comp=page', { 'x-ms-page-write': 'update' });
    const { 'x-ms-range': _, ...unranged } = none;
    await this.#do(400, 'PUT', 'box/disk?comp=page', unranged);
    await this.#do(200, 'PUT', 'box/disk?comp=properties', { 'x-ms-blob-content-length': '2048' });
    await this.#do(200, 'GET', 'box/disk?comp=pagelist');
    const { headers } = await this.#do(201, 'PUT', 'box/disk?comp=snapshot');
    await this.#do(200, 'GET', `box/disk?comp=pagelist&prevsnapshot=${headers['x-ms-snapshot']}`);
    const from = { 'x-ms-copy-source': url(`box/disk?snapshot=${headers['x-ms-snapshot']}`) };
    await this.#do(202, 'PUT', 'back/increment?comp=incrementalcopy', from);
    await this.#do(200, 'HEAD', 'back/increment');
    await this.#read('disk');
  }

  async #states(): Promise<void> {
    await this.#do(201, 'PUT', 'box/old', { ...block, 'x-ms-access-tier': 'Archive' }, { body: 'x' });
    await this.#do(202, 'PUT', 'box/old?comp=tier', { 'x-ms-access-tier': 'Hot', 'x-ms-rehydrate-priority': 'High' });
    await this.#do(200, 'HEAD', 'box/old');
    const { headers } = await this.#do(201, 'PUT', 'box/inferred', block, { body: 'x' });
    await this.#do(200, 'HEAD', 'box/inferred');
    await this.#do(202, 'DELETE', 'box/inferred');
    await this.#do(202, 'DELETE', `box/inferred?versionid=${headers['x-ms-version-id']}`);
    await this.#do(200, 'PUT', 'box/inferred?comp=undelete');
    const until = new Date(this.#surface.clock.now() + dayMs).toUTCString();
    await this.#do(200, 'PUT', 'box/a?comp=immutabilitypolicies', { 'x-ms-immutability-policy-until-date': until });
    await this.#do(200, 'PUT', 'box/a?comp=legalhold', { 'x-ms-legal-hold': 'true' });
    await this.#read('a');
    await this.#do(200, 'DELETE', 'box/a?comp=immutabilitypolicies');
    await this.#do(200, 'PUT', 'box/a?comp=legalhold', { 'x-ms-legal-hold': 'false' });
    await this.#do(400, 'PUT', 'box/a?comp=expiry', { 'x-ms-expiry-option': 'NeverExpire' });
  }

  /** Headers that are looked at only beside others, or instead of them. */
  async #refusals(): Promise<void> {
    const id = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa';
    for (const path of ['box/a?comp=lease', 'back?restype=container&comp=lease']) {
      await this.#do(409, 'PUT', path, {
        'x-ms-lease-action': 'change',
        'x-ms-lease-id': id,
        'x-ms-proposed-lease-id': id,
      });
    }
  }

  async #lists(): Promise<void> {
    await this.#do(200, 'GET', '?comp=list');
    await this.#do(200, 'GET', 'box?restype=container&comp=list');
    await this.#do(200, 'GET', "box?restype=container&comp=blobs&where=a='b'");
    await this.#do(200, 'GET', "?comp=blobs&where=a='b'");
  }
}
