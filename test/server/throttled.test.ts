// Limits of requests and bytes a second: how they are refused, whom they hold for, and that the SDKs get through.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, headOf, Server, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const perS = 20;
const burstS = 3;
const blob = { 'x-ms-blob-type': 'BlockBlob' } as const;

function refusedOf(answers: readonly Answer[]): Answer[] {
  return answers.filter(({ status }) => status === 503);
}

describe('an account with a limit of requests', () => {
  let server: Server;
  before(async () => {
    server = await Server.start({ data: join(work, 'requests'), workers: 1, settings: [`accountRequestsPerS=${perS}`] });
    assert.equal((await server.createContainer('box')).status, 201);
  });
  after(async () => {
    assert.equal(await server.stop(), 0);
  });

  test('gets its burst, and then ServerBusy with Retry-After in Azure’s form', async () => {
    await sleep(burstS * 1000 + 200);
    const answers: Answer[] = [];
    for (let i = 0; i < 150; i++) answers.push(await server.call({ path: '/box', query: 'restype=container' }));
    const served = answers.filter(({ status }) => status === 200).length;
    assert.ok(served >= perS * burstS && served < 130, `${served} of 150 at once`);
    const refused = refusedOf(answers);
    assert.equal(served + refused.length, 150);
    for (const { headers, body } of refused) {
      assert.equal(headers['x-ms-error-code'], 'ServerBusy');
      const seconds = Number(headers['retry-after']);
      assert.ok(seconds >= 1 && seconds <= 4, `${headers['retry-after']}`);
      assert.ok(headers['x-ms-request-id']);
      assert.match(body.toString(), /<Code>ServerBusy<\/Code><Message>Operations per second is over the account limit\./);
    }
    // Not all of them at the same second.
    assert.ok(new Set(refused.map(({ headers }) => headers['retry-after'])).size > 1);
  });

  test('is not used up by those who only name it', async () => {
    await sleep(burstS * 1000 + 200);
    for (let i = 0; i < perS * burstS * 2; i++) {
      const key = Buffer.alloc(64, 1).toString('base64');
      assert.equal((await server.call({ path: '/box', query: 'restype=container', key })).status, 403);
    }
    assert.equal((await server.call({ path: '/box', query: 'restype=container' })).status, 200);
  });
});

test('what is over the limit is refused before its body is sent, and asked for none', async () => {
  const settings = ['accountRequestsPerS=1'];
  const server = await Server.start({ data: join(work, 'unsent'), workers: 1, settings });
  try {
    for (let i = 0; i < 2 * burstS; i++) await server.createContainer('box');
    for (const [more, body] of [
      [{ expect: '100-continue' }, ''],
      [{}, ''],
      [{}, 'the beginning of it'],
    ] as const) {
      const connection = await server.connection();
      const headers = { ...blob, ...more };
      connection.socket.write(headOf(server, { method: 'PUT', path: '/box/unsent', headers }, 1_000_000) + body);
      await connection.until(/^HTTP\/1\.1 503 [\s\S]*<\/Error>/);
      assert.doesNotMatch(connection.received, /100 Continue/);
      connection.socket.destroy();
    }
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

describe('an account with a limit of bytes', () => {
  test('may send one large upload, and pays for it before the next', async () => {
    const server = await Server.start({
      data: join(work, 'bytes'),
      workers: 1,
      settings: ['accountBytesPerS=1000000'],
    });
    try {
      assert.equal((await server.createContainer('box')).status, 201);
      assert.equal((await server.put('/box/large', Buffer.alloc(5_000_000))).status, 201);
      const refused = await server.put('/box/next', Buffer.alloc(10));
      assert.equal(refused.status, 503);
      assert.match(refused.body.toString(), /Ingress is over the account limit/);
      const read = await server.call({ path: '/box/large' });
      assert.equal(read.status, 503);
      assert.match(read.body.toString(), /Egress is over the account limit/);
      await sleep(3500);
      assert.equal((await server.put('/box/next', Buffer.alloc(10))).status, 201);
    } finally {
      assert.equal(await server.stop(), 0);
    }
  });
});

test('one identity that floods leaves the rest of its account what it has', async () => {
  const settings = ['accountRequestsPerS=1000', `principalRequestsPerS=${perS}`];
  const server = await Server.start({ data: join(work, 'principal'), workers: 1, settings });
  try {
    assert.equal((await server.createContainer('open', { headers: { 'x-ms-blob-public-access': 'blob' } })).status, 201);
    assert.equal((await server.put('/open/blob', Buffer.from('x'))).status, 201);
    const url = `${server.blob.origin}/devstoreaccount1/open/blob`;
    const statuses: number[] = [];
    for (let i = 0; i < 100; i++) {
      const response = await fetch(url);
      await response.arrayBuffer();
      statuses.push(response.status);
    }
    assert.ok(statuses.includes(503) && statuses.includes(200), `${statuses}`);
    assert.equal((await server.call({ path: '/open', query: 'restype=container' })).status, 200);
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

// The clients are installed by the gates; where they are not, the gates prove it.
const cache = join(import.meta.dirname, '..', '..', '.cache');
const jsSdk = join(cache, 'js-sdk-12.34.0');
const pythonSdk = join(cache, 'python-sdk-12.31.1');

interface SdkRun {
  readonly uploaded: number;
  readonly failed: number;
  readonly firstFailure?: string;
}

const jsUploads = `
  const { BlobServiceClient } = require('@azure/storage-blob');
  const container = BlobServiceClient.fromConnectionString(process.env.CONNECTION).getContainerClient('box');
  const uploads = Array.from({ length: 100 }, (_, i) =>
    container.getBlockBlobClient('js ' + i).upload('hello ' + i, Buffer.byteLength('hello ' + i)));
  Promise.allSettled(uploads).then((all) => {
    const failed = all.filter((one) => one.status === 'rejected');
    console.log(JSON.stringify({
      uploaded: all.length - failed.length,
      failed: failed.length,
      firstFailure: failed[0] && String(failed[0].reason),
    }));
  });
`;

const pythonUploads = `
import json, os
from concurrent.futures import ThreadPoolExecutor
from azure.storage.blob import BlobServiceClient
container = BlobServiceClient.from_connection_string(os.environ['CONNECTION']).get_container_client('box')
def upload(i):
    try:
        container.upload_blob('py %d' % i, b'hello %d' % i, overwrite=True)
        return None
    except Exception as error:
        return str(error)
with ThreadPoolExecutor(100) as pool:
    failed = [x for x in pool.map(upload, range(100)) if x is not None]
print(json.dumps({'uploaded': 100 - len(failed), 'failed': len(failed), 'firstFailure': failed[0] if failed else None}))
`;

function runClient(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string>,
): Promise<SdkRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, timeout: 110_000 });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.on('error', reject);
    child.on('close', () => {
      try {
        resolve(JSON.parse(out) as SdkRun);
      } catch {
        reject(new Error(`${out}${err}`));
      }
    });
  });
}

describe(`100 uploads at once through a limit of ${perS} requests a second`, () => {
  const python = join(pythonSdk, 'venv', 'bin', 'python');
  const clients: [name: string, isThere: boolean, run: (connection: string) => Promise<SdkRun>][] = [
    [
      'the JavaScript SDK',
      existsSync(jsSdk),
      (CONNECTION) => runClient(process.execPath, ['-e', jsUploads], jsSdk, { CONNECTION }),
    ],
    [
      'the Python SDK',
      existsSync(python),
      (CONNECTION) => runClient(python, ['-c', pythonUploads], work, { CONNECTION }),
    ],
  ];
  for (const [name, isThere, run] of clients) {
    test(name, { skip: !isThere && 'the gates have not installed it' }, async (t) => {
      const settings = [`accountRequestsPerS=${perS}`];
      const server = await Server.start({ data: join(work, name), workers: 2, settings });
      try {
        assert.equal((await server.createContainer('box')).status, 201);
        const { connectionString } = accountOf(server);
        const started = performance.now();
        const ran = await run(connectionString);
        const tookS = (performance.now() - started) / 1000;
        const busy = server.logLines().filter((line) => line.includes('"status":503')).length;
        t.diagnostic(`${JSON.stringify(ran)} in ${tookS.toFixed(1)} s, ${busy} times refused`);
        assert.equal(ran.uploaded, 100, ran.firstFailure);
        assert.ok(busy > 0, 'nothing was throttled');
      } finally {
        assert.equal(await server.stop(), 0);
      }
    });
  }
});

function accountOf(server: Server): { connectionString: string } {
  const name = 'devstoreaccount1';
  const key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
  const endpoint = `${server.blob.origin}/${name}`;
  const connectionString = `DefaultEndpointsProtocol=http;AccountName=${name};AccountKey=${key};BlobEndpoint=${endpoint};`;
  return { connectionString };
}
