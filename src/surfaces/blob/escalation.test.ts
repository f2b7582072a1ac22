// Rights that must not grow: by parameters that narrow nothing, by states that nobody decided about, by tags that come along.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assignRole, putRole } from '../../namespace/access.ts';
import { changeAccount } from '../../namespace/accounts.ts';
import { testAccount } from './call.testing.ts';
import { type Answered, sasFor, type TestClient, type WholeRequest, withClient } from './dispatch.testing.ts';
import { blobs, cause, contributor, oid, owner, reader, withTokens } from './entra.testing.ts';
import { operations } from './operations.ts';

const at = (path: string): string => `/${testAccount}/${path}`;
const mismatch = '403 AuthorizationPermissionMismatch';
const told = ({ status, code }: Answered): string => (code === undefined ? `${status}` : `${status} ${code}`);
const sas = (path: string, fields: Readonly<Record<string, string>>): string =>
  sasFor(at(path), { sv: '2022-11-02', sr: 'b', se: '2030-01-01T00:00:00Z', ...fields });
const source = (path: string): Record<string, string> => ({ 'x-ms-copy-source': `http://127.0.0.1:10000${at(path)}` });
const tagBody = (...names: readonly string[]): string =>
  `<Tags><TagSet>${names.map((name) => `<Tag><Key>${name}</Key><Value>x</Value></Tag>`).join('')}</TagSet></Tags>`;
const sync = { 'x-ms-requires-sync': 'true' };

describe('a right on a prefix or a directory', () => {
  const rows = operations.filter(({ level }) => level === 'container');
  const requests = rows.flatMap(({ name, method, restype, comp }): (WholeRequest & { name: string })[] => {
    const parameters = [`restype=${restype}`, comp && `comp=${comp}`, `where=${encodeURIComponent(`"k"='v'`)}`];
    const url = `${at('docs')}?${[...parameters, 'prefix=mine/'].filter(Boolean).join('&')}`;
    const actions = comp === 'lease' ? ['acquire', 'break'] : [''];
    return actions.map((action) => {
      const lease = { 'x-ms-lease-action': action, 'x-ms-lease-duration': '-1' };
      return { name, method, url, headers: { 'x-ms-blob-public-access': 'container', ...(action !== '' && lease) } };
    });
  });

  async function nothingHappened(client: TestClient): Promise<void> {
    const { status, headers } = await client.send({ method: 'HEAD', url: `${at('docs')}?restype=container` });
    assert.deepEqual(
      [status, headers['x-ms-blob-public-access'], headers['x-ms-lease-state']],
      [200, undefined, 'available'],
    );
    assert.equal((await client.send({ url: at('docs/secret/a') })).text, 'top');
  }

  test('is none on the container, whatever prefix comes with an operation', async () => {
    assert.ok(rows.length >= 17, `${rows.length}`);
    await withTokens(async ({ client, send, assign }) => {
      await client.put(at('docs/secret/a'), 'top', { 'x-ms-tags': 'k=v' });
      await assign(owner, { container: 'docs', prefix: 'mine/' });
      for (const { name, ...request } of requests) {
        const answered = await send(request);
        assert.ok(!answered.text.includes('secret/a'), name);
        if (name === 'ListBlobs') assert.equal(told(answered), '200');
        // An envelope: each request in it has a token of its own.
        else if (name === 'BlobBatch') assert.equal(answered.status, 400);
        else assert.equal(told(answered), mismatch, name);
      }
      const tags = `${at('docs')}?restype=container&comp=list&include=tags&prefix=`;
      assert.equal(told(await send({ url: `${tags}mine/` })), '200');
      assert.equal(told(await send({ url: tags })), mismatch);
      await nothingHappened(client);
    });
  });

  test('is none on the container by a signature for a directory either', async () => {
    await withClient(async (client) => {
      await client.put(at('docs/secret/a'), 'top', { 'x-ms-tags': 'k=v' });
      const directory = sas('docs/mine/x', { sr: 'd', sdd: '1', sp: 'racwdxltmeopif' });
      for (const { name, url, ...request } of requests) {
        const answered = await client.send({ ...request, url: `${url}&${directory}`, key: null });
        assert.ok(!answered.text.includes('secret/a'), name);
        // The directory is not even part of what is signed, so the signature is not for this request.
        assert.equal(told(answered), name === 'ListBlobs' ? '200' : '403 AuthenticationFailed', name);
      }
      await nothingHappened(client);
    });
  });
});

const isRead = `ActionMatches{'${blobs}/read'}`;
const unlessSecret = `(!(${isRead}) OR (NOT Exists @Resource[${blobs}/tags:Secret<$key_case_sensitive$>]))`;

describe('the state that is decided about', () => {
  test('is the state that is read: an empty parameter means the current one', async () => {
    await withTokens(async ({ client, tell, assign }) => {
      await assign(owner, { container: 'docs', condition: unlessSecret });
      await client.put(at('docs/a'), 'top', { 'x-ms-tags': 'Secret=yes' });
      await client.put(at('docs/b'), 'open');
      for (const query of ['', '?versionid=', '?snapshot=', '?VERSIONID=']) {
        assert.equal(await tell({ url: at(`docs/a${query}`) }), mismatch, query);
        assert.equal(await tell({ url: at(`docs/b${query}`) }), '200', query);
        const copy = { method: 'PUT', url: at('docs/c') };
        assert.equal(await tell({ ...copy, headers: source(`docs/a${query}`) }), '403 CannotVerifyCopySource', query);
        assert.equal(await tell({ ...copy, headers: source(`docs/b${query}`) }), '202', query);
      }
    });
  });

  test('is that of a version or snapshot in any form that its time can be written', async () => {
    await withTokens(async ({ client, tell, assign }) => {
      const { store, clock } = client.surface;
      assert.equal((await changeAccount(store, testAccount, { settings: { versioning: true } }, cause)).kind, 'ok');
      await assign(owner, { container: 'docs', condition: unlessSecret });
      let shortened = 0;
      for (let i = 0; i < 200 && shortened < 2; i++) {
        clock.advance(1);
        const { headers } = await client.put(at('docs/a'), 'top', { 'x-ms-tags': 'Secret=yes' });
        const taken = await client.send({ method: 'PUT', url: at('docs/a?comp=snapshot') });
        await client.put(at('docs/a'), 'open');
        for (const [name, time] of [
          ['versionid', `${headers['x-ms-version-id']}`],
          ['snapshot', `${taken.headers['x-ms-snapshot']}`],
        ] as const) {
          if (!time.endsWith('0Z')) continue;
          shortened++;
          for (const one of [time, time.replace(/0+Z$/, 'Z')]) {
            assert.equal((await client.send({ url: at(`docs/a?${name}=${one}`) })).text, 'top');
            assert.equal(await tell({ url: at(`docs/a?${name}=${one}`) }), mismatch, one);
          }
        }
      }
      assert.equal(shortened, 2);
      assert.equal(await tell({ url: at('docs/a') }), '200');
    });
  });

  test('is what a signature for one state is compared with', async () => {
    await withClient(async (client) => {
      const { store } = client.surface;
      await changeAccount(store, testAccount, { settings: { versioning: true } }, cause);
      const { headers } = await client.put(at('docs/a'), 'old');
      await client.put(at('docs/a'), 'new');
      const blob = sas('docs/a', { sp: 'rw' });
      const get = (query: string) => client.send({ url: `${at('docs/a')}?${query}&${blob}`, key: null });
      assert.equal((await get('versionid=')).text, 'new');
      assert.equal(told(await get(`versionid=${headers['x-ms-version-id']}`)), '403 AuthorizationFailure');
      // What is done to the current state only does not take the name of another.
      const block = `comp=block&blockid=MQ%3D%3D&versionid=${headers['x-ms-version-id']}`;
      const staged = await client.send({ method: 'PUT', url: `${at('docs/a')}?${block}`, body: 'x' });
      assert.equal(told(staged), '400 UnsupportedQueryParameter');
    });
  });

  test('is what chooses the right to delete it', async () => {
    await withClient(async (client) => {
      await client.put(at('docs/a'), 'kept');
      const remove = (query: string, sp: string) =>
        client.send({ method: 'DELETE', url: `${at('docs/a')}?${query}&${sas('docs/a', { sp })}`, key: null });
      for (const query of ['versionid=', 'snapshot=', 'versionid', 'VersionId=&snapshot'])
        for (const sp of ['x', 'y', 'xy'])
          assert.ok([400, 403].includes((await remove(query, sp)).status), `${query} ${sp}`);
      for (const sp of ['x', 'd', 'y', 'dxy'])
        assert.ok([400, 403].includes((await remove('deletetype=', sp)).status), sp);
      assert.equal((await client.send({ url: at('docs/a') })).text, 'kept');
      assert.equal(told(await remove('versionid=', 'd')), '202');
    });
  });
});

describe('tags', () => {
  const take = { 'x-ms-copy-source-tag-option': 'COPY' };
  const copy = (from: string, headers: Readonly<Record<string, string>> = {}): WholeRequest => ({
    method: 'PUT',
    url: at('docs/target'),
    headers: { ...source(from), ...headers },
  });
  const tagsOf = async (client: TestClient, path: string): Promise<string> =>
    (await client.send({ url: at(`${path}?comp=tags`) })).text;

  test('come along with a copy only for who may read them there and set them here', async () => {
    await withTokens(async ({ client, tell, assign }) => {
      await client.put(at('docs/a'), 'x', { 'x-ms-tags': 'Project=x' });
      await assign(contributor);
      assert.equal(await tell(copy('docs/a')), '202');
      assert.equal(await tell(copy('docs/a', take)), '403 CannotVerifyCopySource');
      await role(client, 'tag-reader', [`${blobs}/tags/read`]);
      assert.equal(await tell(copy('docs/a', take)), mismatch);
      assert.ok(!(await tagsOf(client, 'docs/target')).includes('<Tag>'));
      await role(client, 'tag-writer', [`${blobs}/tags/write`]);
      assert.equal(await tell(copy('docs/a', take)), '202');
      assert.ok((await tagsOf(client, 'docs/target')).includes('<Key>Project</Key>'));
    });
  });

  test('that come along with a copy are the tags that a condition speaks of', async () => {
    await withTokens(async ({ client, tell, assign }) => {
      const writes = `ActionMatches{'${blobs}/tags/write'}`;
      const only = `@Request[${blobs}/tags&$keys$&] ForAllOfAnyValues:StringEquals {'Project'}`;
      await assign(owner, { container: 'docs', condition: `(!(${writes}) OR (${only}))` });
      await client.put(at('docs/good'), 'x', { 'x-ms-tags': 'Project=x' });
      await client.put(at('docs/bad'), 'x', { 'x-ms-tags': 'Project=x&Other=x' });
      assert.equal(await tell(copy('docs/bad', take)), mismatch);
      assert.equal(told(await client.send({ url: at('docs/target') })), '404 BlobNotFound');
      assert.equal(await tell(copy('docs/good', take)), '202');
    });
  });

  test('that come along with a copy replace nothing where such tags may only be set on what is new', async () => {
    await withTokens(async ({ client, tell, assign }) => {
      const unlessTagged = `NOT Exists @Request[${blobs}/tags:Secret<$key_case_sensitive$>]`;
      const writes = `ActionMatches{'${blobs}/write'}`;
      await assign(owner, { container: 'docs', condition: `(!(${writes}) OR (${unlessTagged}))` });
      await client.put(at('docs/a'), 'x', { 'x-ms-tags': 'Secret=x' });
      await role(client, 'adder', [`${blobs}/add/action`, `${blobs}/tags/write`]);
      assert.equal(await tell(copy('docs/a', take)), '202');
      assert.equal(await tell(copy('docs/a', take)), '403 UnauthorizedBlobOverwrite');
      assert.equal(await tell(copy('docs/a')), '202');
    });
  });

  test('come along by signatures that may read and set them, and by no others', async () => {
    await withClient(async (client) => {
      await client.put(at('docs/a'), 'x', { 'x-ms-tags': 'k=v' });
      const by = async (from: string, to: string, headers: Readonly<Record<string, string>>): Promise<string> => {
        const request = copy(`docs/a?${sas('docs/a', { sp: from })}`, { ...sync, ...headers });
        return told(
          await client.send({ ...request, url: `${request.url}?${sas('docs/target', { sp: to })}`, key: null }),
        );
      };
      assert.equal(await by('r', 'cwt', take), '403 CannotVerifyCopySource');
      assert.equal(await by('rt', 'cw', take), mismatch);
      assert.equal(told(await client.send({ url: at('docs/target') })), '404 BlobNotFound');
      assert.equal(await by('rt', 'cwt', take), '202');
      const asked = { 'x-ms-source-if-tags': `"k" = 'v'` };
      assert.equal(await by('r', 'cw', asked), '403 CannotVerifyCopySource');
      assert.equal(await by('rt', 'cw', asked), '202');
      assert.equal(await by('rt', 'cw', { 'x-ms-source-if-tags': `"k" = 'w'` }), '412 CannotVerifyCopySource');
    });
  });

  test('of a source are not told by conditions on them', async () => {
    await withTokens(async ({ client, tell, assign }) => {
      await client.put(at('docs/a'), 'x', { 'x-ms-tags': 'Project=Secret' });
      await assign(contributor);
      for (const value of ['Secret', 'Nope'])
        assert.equal(
          await tell(copy('docs/a', { 'x-ms-source-if-tags': `"Project" = '${value}'` })),
          '403 CannotVerifyCopySource',
        );
    });
  });

  test('are listed only for who may read them, however include is written', async () => {
    await withTokens(async ({ client, send, assign }) => {
      await client.put(at('docs/a'), 'x', { 'x-ms-tags': 'Project=Secret' });
      await assign(reader);
      const list = `${at('docs')}?restype=container&comp=list&include=`;
      for (const include of ['tags', '%20tags', 'TAGS+', 'metadata,%09tags', 'metadata&include=tags', ',,tags,'])
        assert.equal(told(await send({ url: `${list}${include}` })), mismatch, include);
      assert.equal(told(await send({ url: `${list}metadata&include=copy` })), '200');
    });
  });

  test('are decided about as they are stored: of the body, and of no header beside it', async () => {
    await withTokens(async ({ client, tell, assign }) => {
      const only = `@Request[${blobs}/tags&$keys$&] ForAllOfAnyValues:StringEquals {'Project'}`;
      const writes = ['tags/write', 'write', 'add/action']
        .map((one) => `ActionMatches{'${blobs}/${one}'}`)
        .join(' OR ');
      await assign(owner, { container: 'docs', condition: `(!(${writes}) OR (${only}))` });
      await client.put(at('docs/a'), 'x');
      const set = (body: string, headers = {}) => ({ method: 'PUT', url: at('docs/a?comp=tags'), body, headers });
      const forged = { 'x-ms-tags': 'Project=x' };
      assert.equal(await tell(set(tagBody('Project'))), '204');
      for (const body of [tagBody('Other'), tagBody('Project', 'Other'), '<Tags>', 'x'.repeat(20_000)])
        for (const headers of [{}, forged]) assert.equal(await tell(set(body, headers)), mismatch, body.slice(0, 80));
      assert.ok(!(await tagsOf(client, 'docs/a')).includes('Other'));
      // Set Blob Metadata sets no tags, whatever a header says.
      assert.equal(await tell({ method: 'PUT', url: at('docs/a?comp=metadata'), headers: forged }), mismatch);
      const put = { 'x-ms-blob-type': 'BlockBlob' };
      assert.equal(await tell({ method: 'PUT', url: at('docs/b'), headers: { ...put, ...forged } }), '201');
      assert.equal(await tell({ method: 'PUT', url: at('docs/b'), headers: put }), mismatch);
    });
  });

  test('are not asked about by nobody, nor by who may only set them', async () => {
    await withTokens(async ({ client, tell }) => {
      await client.container('public', { 'x-ms-blob-public-access': 'container' });
      await client.put(at('public/a'), 'x', { 'x-ms-tags': 'k=v' });
      const anonymous = (headers = {}) => client.send({ url: at('public/a'), key: null, headers });
      assert.equal(told(await anonymous()), '200');
      for (const value of ['v', 'w'])
        assert.equal((await anonymous({ 'x-ms-if-tags': `"k" = '${value}'` })).status, 401, value);
      const list = `${at('public')}?restype=container&comp=list`;
      assert.equal((await client.send({ url: list, key: null })).status, 200);
      assert.equal((await client.send({ url: `${list}&include=tags`, key: null })).status, 401);
      await role(client, 'tag-writer', [`${blobs}/tags/write`]);
      const set = (headers = {}) => ({ method: 'PUT', url: at('public/a?comp=tags'), body: tagBody('k'), headers });
      for (const name of ['x-ms-if-tags', 'x-ms-blob-if-tags'])
        assert.equal(await tell(set({ [name]: `"k" = 'w'` })), mismatch, name);
      assert.equal(await tell(set()), '204');
    });
  });

  async function role(client: TestClient, name: string, dataActions: readonly string[]): Promise<void> {
    const { store } = client.surface;
    const made = { name, actions: [], notActions: [], dataActions, notDataActions: [] };
    assert.equal((await putRole(store, testAccount, made, cause)).kind, 'ok');
    const assigned = { principal: oid, role: name, isBuiltIn: false };
    assert.equal((await assignRole(store, testAccount, assigned, cause)).kind, 'ok');
  }
});
