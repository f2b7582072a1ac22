// The whole server with a scope of a key vault: the key is had by the server's own identity, and what its loss does.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { BlobClient } from '../support/blob-client.ts';
import { CausewayServer, causewayCommand } from '../support/causeway-server.ts';
import { hasOpenssl, makeAuthority, makeCertificate } from '../support/certificates.ts';
import { startIssuer } from '../support/issuer.ts';
import { KeyVaultStandIn } from '../support/key-vault.ts';

const run = promisify(execFile);

test('content under a key of a vault, through the server', { skip: !hasOpenssl() }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-key-vault-'));
  const authority = makeAuthority(directory);
  const certificate = makeCertificate(authority, directory);
  const clientId = randomUUID();
  const secret = 's3cret-of-the-server';
  const tls = { key: certificate.key, cert: certificate.certificate };
  await using issuer = await startIssuer({ clients: [{ clientId, oid: randomUUID(), secret }], tls });
  const audienceOf = (token: string): unknown =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).aud;
  await using vault = await KeyVaultStandIn.start(
    certificate,
    (token) => audienceOf(token) === 'https://vault.azure.net',
    issuer.tenant,
  );
  vault.rotate('customer');
  writeFileSync(join(directory, 'secret'), secret);
  const identity = {
    kind: 'client-secret',
    tenantId: issuer.tenant,
    clientId,
    secretFile: join(directory, 'secret'),
    authorityHost: issuer.url,
    caFile: authority.certificatePath,
  };
  writeFileSync(join(directory, 'identity.json'), JSON.stringify(identity));
  const dataDir = join(directory, 'data');
  const start = () =>
    CausewayServer.start({
      dataDir,
      workers: 2,
      settings: [`outboundIdentityFile=${join(directory, 'identity.json')}`, 'keyVaultAnyHost=true'],
      environment: { NODE_EXTRA_CA_CERTS: authority.certificatePath },
    });
  const scope = async (...words: string[]): Promise<string> =>
    (await run(causewayCommand, ['scope', ...words, '--data', dataDir], { timeout: 30_000 })).stdout;
  let server = await start();
  let client = new BlobClient(server.blobUrl, 2);
  const restart = async (): Promise<void> => {
    client.close();
    await server.stop();
    server = await start();
    client = new BlobClient(server.blobUrl, 2);
  };
  try {
    const account = client.account;
    await scope('create', account, 'one', '--key-vault-key', `${vault.url}/keys/customer`);
    await client.createContainer('docs');
    const body = randomBytes(3 * 1024 * 1024);
    const sealed = { 'x-ms-blob-type': 'BlockBlob', 'x-ms-encryption-scope': 'one' };
    const put = await client.call({ method: 'PUT', path: 'docs/a', headers: sealed, body });
    assert.deepEqual([put.status, put.headers['x-ms-encryption-scope']], [201, 'one'], put.body.toString());
    assert((await client.getBlob('docs/a')).body.equals(body));
    const segments = () =>
      readdirSync(join(dataDir, 'content')).map((name) => readFileSync(join(dataDir, 'content', name)));

    await restart();
    const before = Buffer.concat(segments());
    vault.rotate('customer');
    assert.match(await scope('rotate', account, 'one'), /0{31}2/);
    await restart();
    assert((await client.getBlob('docs/a')).body.equals(body));
    assert.equal(Buffer.concat(segments()).indexOf(before.subarray(4096, 8192)), 4096);

    vault.setEnabled('customer', false);
    await restart();
    for (const range of [undefined, 'bytes=100-200']) {
      const refused = await client.getBlob('docs/a', range);
      assert.deepEqual(
        [refused.status, refused.headers['x-ms-error-code']],
        [403, 'KeyVaultEncryptionKeyNotFound'],
        server.output(),
      );
    }
    assert.equal((await client.call({ method: 'PUT', path: 'docs/b', headers: sealed, body })).status, 403);
    vault.setEnabled('customer', true);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    assert((await client.getBlob('docs/a')).body.equals(body));
    const said = server.output();
    assert(said.includes('/keys/customer'), 'the log names the key');
    assert(!said.includes(secret) && !said.includes('eyJ'), 'and neither secrets nor tokens');
    assert.deepEqual(vault.complaints, []);
    assert(vault.calls.some((call) => call.startsWith('unwrapkey customer') && call.endsWith('2')));
  } finally {
    client.close();
    await server.kill();
    rmSync(directory, { recursive: true });
  }
});
