// What is decided about and what is acted on is one state, wherever a blob's tags change in between.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeEntry } from '../../namespace/entries.ts';
import { testAccount } from './call.testing.ts';
import type { WholeRequest } from './dispatch.testing.ts';
import { type Bench, blobs, cause, owner, withTokens } from './entra.testing.ts';

const at = (name: string): string => `/${testAccount}/docs/${name}`;
const name = (of: string) => ({ account: testAccount, container: 'docs', name: of });
const source = 'public-source';
const secret = 'forbidden';

type Make = (to: string) => WholeRequest;
const put = (url: string, headers: Record<string, string> = {}, body = ''): WholeRequest => ({
  method: 'PUT',
  url,
  headers,
  body,
});
const from = (blob: string): Record<string, string> => ({ 'x-ms-copy-source': `http://127.0.0.1:10000${at(blob)}` });
const blue = { 'x-ms-tags': 'team=blue' };
const typed = (type: string): Record<string, string> => ({ 'x-ms-blob-type': type, ...blue });
const taken = '<Tags><TagSet><Tag><Key>team</Key><Value>blue</Value></Tag></TagSet></Tags>';

/** Operations on a blob that was `make`d; those that read show its metadata or its content. */
const operations: Readonly<Record<string, { readonly type?: string; readonly request: Make }>> = {
  get: { request: (to) => ({ url: at(to) }) },
  head: { request: (to) => ({ method: 'HEAD', url: at(to) }) },
  'get metadata': { request: (to) => ({ url: `${at(to)}?comp=metadata` }) },
  'get tags': { request: (to) => ({ url: `${at(to)}?comp=tags` }) },
  'get block list': { request: (to) => ({ url: `${at(to)}?comp=blocklist&blocklisttype=all` }) },
  'get page ranges': { type: 'PageBlob', request: (to) => ({ url: `${at(to)}?comp=pagelist` }) },
  delete: { request: (to) => ({ method: 'DELETE', url: at(to) }) },
  put: { request: (to) => put(at(to), typed('BlockBlob'), 'other') },
  'put block': { request: (to) => put(`${at(to)}?comp=block&blockid=MQ==`, {}, 'x') },
  'put block list': { request: (to) => put(`${at(to)}?comp=blocklist`, blue, '<BlockList></BlockList>') },
  'set metadata': { request: (to) => put(`${at(to)}?comp=metadata`, { 'x-ms-meta-a': 'b' }) },
  'set properties': { request: (to) => put(`${at(to)}?comp=properties`, { 'x-ms-blob-content-type': 'a/b' }) },
  'set tags': { request: (to) => put(`${at(to)}?comp=tags`, {}, taken) },
  'set tier': { request: (to) => put(`${at(to)}?comp=tier`, { 'x-ms-access-tier': 'Cool' }) },
  lease: {
    request: (to) => put(`${at(to)}?comp=lease`, { 'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '15' }),
  },
  snapshot: { request: (to) => put(`${at(to)}?comp=snapshot`) },
  'append block': { type: 'AppendBlob', request: (to) => put(`${at(to)}?comp=appendblock`, {}, 'x') },
  seal: { type: 'AppendBlob', request: (to) => put(`${at(to)}?comp=seal`) },
  'put page': {
    type: 'PageBlob',
    request: (to) =>
      put(`${at(to)}?comp=page`, { 'x-ms-page-write': 'update', 'x-ms-range': 'bytes=0-511' }, 'p'.repeat(512)),
  },
  resize: {
    type: 'PageBlob',
    request: (to) => put(`${at(to)}?comp=properties`, { 'x-ms-blob-content-length': '512' }),
  },
  copy: { request: (to) => put(at(to), { ...from(source), ...blue }) },
};

/** A copy reads what stands at `to`, and writes beside it. */
const copies: Readonly<Record<string, Make>> = {
  copy: (to) => put(at(`${to}-copy`), { ...from(to), ...blue }),
  'copy with tags': (to) => put(at(`${to}-copy`), { ...from(to), 'x-ms-copy-source-tag-option': 'COPY' }),
};

interface Stirred {
  /** Whether the blob was forbidden in the middle of the request. */
  readonly isForbidden: boolean;
  readonly answer: Awaited<ReturnType<Bench['send']>>;
}

/** Sends, and forbids the blob `to` behind the request's turn number `turn` at the engine. */
async function stirred({ client, send }: Bench, request: WholeRequest, to: string, turn: number): Promise<Stirred> {
  const { store } = client.surface;
  const { engine } = store;
  const { snapshot, transact } = engine;
  let turns = 0;
  let isForbidden = false;
  const forbid = async (): Promise<void> => {
    if (turns++ !== turn) return;
    Object.assign(engine, { snapshot, transact });
    const edit = <R extends object>(record: R): R => ({ ...record, tags: { team: 'red' }, metadata: { is: secret } });
    const outcome = await changeEntry(store, { ...name(to), conditions: {}, cause }, edit, {
      act: 'note',
      touches: false,
      ignoresLease: true,
    });
    isForbidden = outcome.kind === 'ok';
  };
  const stirring =
    (method: typeof snapshot) =>
    async (work: never): Promise<never> => {
      const result = await method.call(engine, work);
      await forbid();
      return result as never;
    };
  Object.assign(engine, { snapshot: stirring(snapshot), transact: stirring(transact as typeof snapshot) });
  const answer = await send(request);
  Object.assign(engine, { snapshot, transact });
  return { isForbidden, answer };
}

const turnsMax = 12;

async function withBlue(work: (bench: Bench) => Promise<void>): Promise<void> {
  await withTokens(async (bench) => {
    const condition =
      `@Resource[${blobs}/tags:team<$key_case_sensitive$>] StringEquals 'blue' OR ` +
      `@Request[${blobs}/tags:team<$key_case_sensitive$>] StringEquals 'blue' AND NOT ` +
      `@Resource[${blobs}/tags:team<$key_case_sensitive$>] StringEquals 'red'`;
    await bench.assign(owner, { condition });
    await work(bench);
  });
}

const make = (bench: Bench, to: string, type = 'BlockBlob') => {
  const length = type === 'PageBlob' ? { 'x-ms-blob-content-length': '512' } : {};
  return bench.client.send(
    put(at(to), { ...typed(type), ...length, 'x-ms-meta-is': 'allowed' }, type === 'BlockBlob' ? 'x' : ''),
  );
};

test('an operation acts on no blob that its decision would not have allowed', async () => {
  await withBlue(async (bench) => {
    await make(bench, source);
    for (const [label, { type, request }] of Object.entries(operations)) {
      const seen = new Set<string>();
      for (let turn = 0; turn < turnsMax; turn++) {
        const to = `${label.replaceAll(' ', '-')}-${turn}`;
        assert.equal((await make(bench, to, type)).status, 201);
        const { isForbidden, answer } = await stirred(bench, request(to), to, turn);
        const shown = `${JSON.stringify(answer.headers)}${answer.text}`;
        assert.ok(!shown.includes(secret), `${label} showed what is forbidden (turn ${turn})`);
        assert.ok(!answer.text.includes('red'), `${label} showed a forbidden tag (turn ${turn})`);
        if (!isForbidden) {
          assert.ok(answer.status < 300, `${label} was refused: ${answer.status} ${answer.text}`);
          continue;
        }
        seen.add(answer.status < 300 ? 'allowed' : `${answer.status} ${answer.code}`);
        const left = await bench.client.send({ method: 'HEAD', url: at(to) });
        assert.equal(left.headers['x-ms-meta-is'], secret, `${label} changed what is forbidden (turn ${turn})`);
      }
      // Each operation was caught between its decision and its act at least once, and refused.
      assert.ok(seen.has('403 AuthorizationPermissionMismatch'), `${label}: ${[...seen]}`);
    }
  });
});

test('a copy takes nothing from a source that its decision would not have allowed', async () => {
  await withBlue(async (bench) => {
    for (const [label, request] of Object.entries(copies)) {
      for (let turn = 0; turn < turnsMax; turn++) {
        const to = `${label.replaceAll(' ', '-')}-${turn}`;
        await make(bench, to);
        const { answer } = await stirred(bench, request(to), to, turn);
        const copied = await bench.client.send({ method: 'HEAD', url: at(`${to}-copy`) });
        if (answer.status < 300) assert.equal(copied.headers['x-ms-meta-is'], 'allowed', `${label} (turn ${turn})`);
        else assert.equal(copied.status, 404);
      }
    }
  });
});
