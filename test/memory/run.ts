// The memory of workers under a large blob: `bin/node test/memory/run.ts [--gib 10] [--connections 64] [--workers 2]`.
// Put Block over many connections at once, Put Block List, the whole of it read back by ranges, each against its checksum.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Server } from '../server/program.ts';
import { accountSas, developmentAccount, developmentKey } from '../support/sas.ts';

const { values } = parseArgs({
  options: {
    gib: { type: 'string', default: '10' },
    connections: { type: 'string', default: '64' },
    workers: { type: 'string', default: '2' },
  },
});
const mebibyte = 1024 * 1024;
const residentBytesMax = 400 * mebibyte;
const blockBytes = 8 * mebibyte;
const blocks = Math.ceil((Number(values.gib) * 1024 * mebibyte) / blockBytes);
const connections = Number(values.connections);
const answerTimeoutMs = 120_000;
const sampleMs = 200;

/** Noise; each block is a window of it that begins elsewhere, with its number in front, so that no two are the same. */
const noise = (() => {
  const bytes = Buffer.alloc(blockBytes + blocks * 512);
  let filled = createHash('sha512').update('memory').digest();
  for (let at = 0; at < bytes.length; at += filled.length) {
    if (at % mebibyte === 0) filled = createHash('sha512').update(filled).digest();
    filled.copy(bytes, at);
    bytes.writeUInt32LE(at, at);
  }
  return bytes;
})();

function* partsOf(block: number): Generator<Buffer> {
  const head = Buffer.alloc(512);
  head.writeUInt32LE(block, 0);
  yield head;
  const from = block * 512;
  for (let at = 512; at < blockBytes; at += 256 * 1024)
    yield noise.subarray(from + at, from + Math.min(blockBytes, at + 256 * 1024));
}

function checksumOf(block: number): string {
  const hash = createHash('sha1');
  for (const part of partsOf(block)) hash.update(part);
  return hash.digest('hex');
}

const blockId = (block: number): string => Buffer.from(String(block).padStart(6, '0')).toString('base64');

class Client {
  readonly #base: URL;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: connections });
  readonly #sas = accountSas(developmentAccount, developmentKey, new Date(Date.now() + 24 * 3_600_000));

  constructor(base: URL) {
    this.#base = base;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Sends at the pace of the server; answers the status and the SHA-1 of what came back. */
  send(
    method: string,
    path: string,
    query: string,
    headers: Record<string, string>,
    body: Iterable<Buffer>,
  ): Promise<{ status: number; sum: string; bytes: number }> {
    return new Promise((resolve, reject) => {
      const { hostname: host, port } = this.#base;
      const sent = request(
        {
          ...{ host, port, method, agent: this.#agent },
          path: `/${developmentAccount}${path}?${query}${query === '' ? '' : '&'}${this.#sas}`,
          headers: { 'x-ms-version': '2022-11-02', ...headers },
        },
        (response) => {
          const hash = createHash('sha1');
          let bytes = 0;
          response.on('data', (part: Buffer) => {
            hash.update(part);
            bytes += part.length;
          });
          response.on('error', reject);
          response.on('end', () => resolve({ status: response.statusCode ?? 0, sum: hash.digest('hex'), bytes }));
        },
      );
      sent.setTimeout(answerTimeoutMs, () => sent.destroy(new Error('no answer')));
      sent.on('error', reject);
      const parts = body[Symbol.iterator]();
      const go = (): void => {
        for (;;) {
          const { done, value } = parts.next();
          if (done === true) return void sent.end();
          if (!sent.write(value)) return void sent.once('drain', go);
        }
      };
      go();
    });
  }
}

/** What the kernel says of a process, in bytes. */
function memoryOf(pid: number): { resident: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return { resident: of('VmRSS'), peak: of('VmHWM') };
}

async function inParallel(work: (block: number) => Promise<void>): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    for (let block = next++; block < blocks; block = next++) await work(block);
  };
  await Promise.all(Array.from({ length: connections }, one));
}

const inMiB = (bytes: number): string => `${Math.round(bytes / mebibyte)} MiB`;
const directory = mkdtempSync(join(tmpdir(), 'causeway-memory-'));
const { bavail, bsize } = statfsSync(directory);
if (bavail * bsize < blocks * blockBytes * 1.1 + 512 * mebibyte) {
  rmSync(directory, { recursive: true });
  throw new Error(`${inMiB(blocks * blockBytes)} do not fit in ${tmpdir()}`);
}
const server = await Server.start({
  data: join(directory, 'data'),
  workers: Number(values.workers),
  settings: ['requestLog=false'],
});
const client = new Client(server.blob);
const workers = server.workers();
const primary = server.program.child.pid as number;
let highest = 0;
const timer = setInterval(() => {
  for (const pid of workers) highest = Math.max(highest, memoryOf(pid).resident);
}, sampleMs);

async function phase(name: string, work: () => Promise<void>): Promise<void> {
  const startedMs = performance.now();
  await work();
  const seconds = (performance.now() - startedMs) / 1000;
  const peaks = workers.map((pid) => inMiB(memoryOf(pid).peak)).join(', ');
  const speed = Math.round((blocks * blockBytes) / mebibyte / seconds);
  console.log(
    `${name.padEnd(6)} ${seconds.toFixed(1)} s, ${speed} MiB/s; peak of workers ${peaks}; primary ${inMiB(memoryOf(primary).peak)}`,
  );
}

function expect(status: number, wanted: number, what: string): void {
  if (status !== wanted) throw new Error(`${what}: ${status}`);
}

try {
  console.log(
    `${blocks} blocks of ${inMiB(blockBytes)}, ${connections} connections, ${workers.length} workers; ` +
      `at the start ${workers.map((pid) => inMiB(memoryOf(pid).peak)).join(', ')}`,
  );
  expect(
    (await client.send('PUT', '/box', 'restype=container', { 'content-length': '0' }, [])).status,
    201,
    'container',
  );
  await phase('write', async () => {
    await inParallel(async (block) => {
      const query = `comp=block&blockid=${encodeURIComponent(blockId(block))}`;
      const headers = { 'content-length': `${blockBytes}` };
      const { status } = await client.send('PUT', '/box/large', query, headers, partsOf(block));
      expect(status, 201, `block ${block}`);
    });
    const latest = Array.from({ length: blocks }, (_, block) => `<Latest>${blockId(block)}</Latest>`).join('');
    const list = Buffer.from(`<?xml version="1.0" encoding="utf-8"?><BlockList>${latest}</BlockList>`);
    const headers = { 'content-length': `${list.length}` };
    expect((await client.send('PUT', '/box/large', 'comp=blocklist', headers, [list])).status, 201, 'block list');
  });
  await phase('read', async () => {
    await inParallel(async (block) => {
      const headers = { 'x-ms-range': `bytes=${block * blockBytes}-${(block + 1) * blockBytes - 1}` };
      const { status, sum, bytes } = await client.send('GET', '/box/large', '', headers, []);
      expect(status, 206, `range ${block}`);
      if (bytes !== blockBytes || sum !== checksumOf(block)) throw new Error(`block ${block} came back as another one`);
    });
  });
  const missing = workers.filter((pid) => !server.workers().includes(pid));
  if (missing.length > 0) throw new Error(`a worker ended while it was measured\n${server.program.err.slice(-2000)}`);
  const peak = Math.max(highest, ...workers.map((pid) => memoryOf(pid).peak));
  const metrics = (await server.fromAdmin('/metrics')).body.toString();
  for (const name of ['nodejs_external_memory_bytes', 'nodejs_heap_size_used_bytes']) {
    const sample = new RegExp(`^${name}(\\{.*\\})? (.*)$`, 'm').exec(metrics);
    if (sample !== null) console.log(`${name} of all workers: ${inMiB(Number(sample[2]))}`);
  }
  console.log(`highest resident memory of a worker: ${inMiB(peak)}, limit ${inMiB(residentBytesMax)}`);
  process.exitCode = peak < residentBytesMax ? 0 : 1;
} finally {
  clearInterval(timer);
  client.close();
  await server.stop().catch(() => undefined);
  server.program.kill();
  rmSync(directory, { recursive: true, force: true });
}
