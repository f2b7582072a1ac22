// Checks of `azure-storage` of npm, whichever of its versions is given; prints one JSON row a line.
// Its older versions know an account by its host name only: every name is this machine here.
import assert from 'node:assert/strict';
import dns from 'node:dns';
import { createRequire } from 'node:module';

const [folder, label] = process.argv.slice(2);
const { GATE_BLOB, GATE_ACCOUNT, GATE_KEY } = process.env;
const lookup = dns.lookup;
dns.lookup = (_host, ...rest) => lookup('127.0.0.1', ...rest);
const azure = createRequire(`${folder}/package.json`)('azure-storage');
const host = `http://${GATE_ACCOUNT}.blob.gate:${new URL(GATE_BLOB).port}`;
const service = azure.createBlobService(GATE_ACCOUNT, GATE_KEY, host);
const container = `older-${label.replaceAll('.', '-')}`;

/** The last argument of every method is its callback. */
const on = (client, method, ...words) =>
  new Promise((resolve, reject) => {
    client[method](...words, (error, result) => (error ? reject(error) : resolve(result)));
  });
const ask = (method, ...words) => on(service, method, ...words);

async function check(name, work) {
  const started = performance.now();
  const row = { check: `azure-storage ${label} of npm: ${name}`, outcome: 'pass' };
  try {
    const detail = await work();
    if (typeof detail === 'string') row.detail = detail;
  } catch (error) {
    row.outcome = 'fail';
    row.detail = `${error.code ?? ''} ${error.message}`;
  }
  process.stdout.write(`${JSON.stringify({ ...row, ms: performance.now() - started })}\n`);
}

await check('a container is made once', async () => {
  await ask('createContainer', container);
  await assert.rejects(ask('createContainer', container), { code: 'ContainerAlreadyExists' });
  const { etag } = await ask('getContainerProperties', container);
  assert.match(etag, /^"0x/);
});

await check('text goes up and comes back, and an empty blob', async () => {
  const name = 'dir a/ü#%&+.txt';
  await ask('createBlockBlobFromText', container, name, 'hello');
  assert.equal(await ask('getBlobToText', container, name), 'hello');
  await ask('createBlockBlobFromText', container, 'empty', '');
  const { contentLength } = await ask('getBlobProperties', container, 'empty');
  assert.equal(`${contentLength}`, '0');
});

await check('blocks become a blob, and their sums are checked', async () => {
  const options = { useTransactionalMD5: true };
  for (const [id, text] of [
    ['AAAA', 'one'],
    ['BBBB', 'two'],
  ]) {
    await ask('createBlockFromText', id, container, 'blocks', text, options);
  }
  await ask('commitBlocks', container, 'blocks', { LatestBlocks: ['AAAA', 'BBBB'] });
  assert.equal(await ask('getBlobToText', container, 'blocks'), 'onetwo');
  const { CommittedBlocks } = await ask('listBlocks', container, 'blocks', 'committed');
  assert.equal(CommittedBlocks.length, 2);
});

await check('metadata and content headers are kept', async () => {
  await ask('setBlobMetadata', container, 'blocks', { one: '1' });
  await ask('setBlobProperties', container, 'blocks', { contentType: 'text/x-test', contentLanguage: 'de' });
  const found = await ask('getBlobProperties', container, 'blocks');
  const { contentType = found.contentType } = found.contentSettings ?? {};
  assert.equal(contentType, 'text/x-test');
  const { metadata } = await ask('getBlobMetadata', container, 'blocks');
  assert.deepEqual({ ...metadata }, { one: '1' });
});

await check('blobs are listed in pages and below a prefix', async () => {
  for (let n = 0; n < 5; n++) await ask('createBlockBlobFromText', container, `list/${n}`, `${n}`);
  const names = [];
  let token = null;
  do {
    const page = await ask('listBlobsSegmentedWithPrefix', container, 'list/', token, { maxResults: 2 });
    names.push(...page.entries.map(({ name }) => name));
    token = page.continuationToken;
  } while (token);
  assert.deepEqual(names, ['list/0', 'list/1', 'list/2', 'list/3', 'list/4']);
  const { entries } = await ask('listBlobsSegmentedWithPrefix', container, 'list/0', null);
  const [{ etag, lease, properties }] = entries;
  assert.match(etag ?? properties.etag, /0x/);
  assert.equal(lease?.status ?? properties.leasestatus, 'unlocked');
});

await check('containers are listed', async () => {
  const { entries } = await ask('listContainersSegmentedWithPrefix', container, null);
  assert.deepEqual(
    entries.map(({ name }) => name),
    [container],
  );
});

await check('a page blob is written and its ranges are listed', async () => {
  await ask('createPageBlob', container, 'pages', 1024);
  const { Readable } = await import('node:stream');
  await ask('createPagesFromStream', container, 'pages', Readable.from([Buffer.alloc(512, 'p')]), 512, 1023, {});
  const ranges = await ask('listPageRanges', container, 'pages', {});
  assert.deepEqual(
    ranges.map(({ start, end }) => [start, end]),
    [[512, 1023]],
  );
});

await check('a lease keeps others from writing', async () => {
  const { id } = await ask('acquireLease', container, 'blocks', { leaseDuration: 15 });
  await assert.rejects(ask('createBlockBlobFromText', container, 'blocks', 'x'), { code: 'LeaseIdMissing' });
  await ask('renewLease', container, 'blocks', id);
  await ask('createBlockBlobFromText', container, 'blocks', 'by its holder', { leaseId: id });
  await ask('releaseLease', container, 'blocks', id);
  await assert.rejects(ask('renewLease', container, 'blocks', id));
});

await check('a snapshot and a copy keep what was there', async () => {
  const snapshot = await ask('createBlobSnapshot', container, 'blocks');
  const source = service.getUrl(container, 'blocks');
  const copied = await ask('startCopyBlob', source, container, 'copied');
  assert.equal(copied.copyStatus ?? copied.copy.status, 'success');
  await ask('createBlockBlobFromText', container, 'blocks', 'other');
  const id = snapshot.snapshotId ?? snapshot.snapshot ?? snapshot;
  assert.equal(await ask('getBlobToText', container, 'blocks', { snapshotId: id }), 'by its holder');
  assert.equal(await ask('getBlobToText', container, 'copied'), 'by its holder');
});

await check('a signature reads and does not write', async () => {
  const Expiry = new Date(Date.now() + 600_000);
  const token = service.generateSharedAccessSignature(container, 'copied', {
    AccessPolicy: { Permissions: 'r', Expiry },
  });
  const reader = azure.createBlobServiceWithSas(host, token);
  assert.equal(await on(reader, 'getBlobToText', container, 'copied'), 'by its holder');
  await assert.rejects(on(reader, 'createBlockBlobFromText', container, 'copied', 'x'));
  return /sv=([\d-]+)/.exec(token)?.[1];
});

await check('a stored policy signs, and a public container is read by anybody', async () => {
  const Expiry = new Date(Date.now() + 600_000);
  const policy = { AccessPolicy: { Permissions: 'rl', Expiry } };
  if (label.startsWith('0.')) await ask('setContainerAcl', container, [{ ...policy, Id: 'readers' }], 'blob');
  else await ask('setContainerAcl', container, { readers: policy.AccessPolicy }, { publicAccessLevel: 'blob' });
  const token = service.generateSharedAccessSignature(container, '', { Id: 'readers' });
  const reader = azure.createBlobServiceWithSas(host, token);
  const { entries } = await on(reader, 'listBlobsSegmented', container, null);
  assert.ok(entries.length > 5);
  const anonymous = azure.createBlobServiceAnonymous(host);
  assert.equal(await on(anonymous, 'getBlobToText', container, 'copied'), 'by its holder');
});

await check('the service’s properties are read and set', async () => {
  const properties = await ask('getServiceProperties');
  assert.ok(properties.HourMetrics ?? properties.Logging);
  const CorsRule = [
    {
      AllowedMethods: ['GET'],
      AllowedOrigins: ['http://a.example'],
      AllowedHeaders: ['*'],
      ExposedHeaders: ['*'],
      MaxAgeInSeconds: 5,
    },
  ];
  await ask('setServiceProperties', { Cors: { CorsRule } });
  const [rule] = (await ask('getServiceProperties')).Cors.CorsRule;
  assert.deepEqual([].concat(rule.AllowedOrigins), ['http://a.example']);
  await ask('setServiceProperties', { Cors: {} });
});

await check('everything is deleted', async () => {
  await ask('deleteBlob', container, 'copied');
  await assert.rejects(ask('deleteBlob', container, 'blocks'), { code: 'SnapshotsPresent' });
  await ask('deleteContainer', container);
});
