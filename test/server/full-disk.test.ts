// A disk that fills up: writes are refused, reads go on, nothing acknowledged is lost, and room makes writes work again.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { SqliteReader } from '../../src/metadata/sqlite-file.ts';
import { SqliteStore } from '../../src/metadata/sqlite-store.ts';
import { checksumOf, contentOf } from '../support/content.ts';
import { causeway, eventually, Server, temporaryDirectory } from './program.ts';

const diskBytes = 160 * 1024 * 1024;
// The log of the metadata may be as long as its checkpoint limit (32 MiB) before it is taken up, which needs room itself.
const reserveBytes = 48 * 1024 * 1024;
const settings = ['segmentBytes=8388608', 'scanIntervalMs=100', 'reclaimGraceMs=0'];
const mounted: string[] = [];

// Before the directory is removed: hooks run in the order of their registration.
after(() => {
  for (const directory of mounted) spawnSync('sh', ['-c', 'umount --lazy "$1"', 'sh', directory]);
});
const work = temporaryDirectory();

/** A small file system of its own, or why there is none. */
function mountSmall(name: string): { readonly directory: string } | { readonly missing: string } {
  if (process.platform !== 'linux') return { missing: 'needs Linux' };
  if (process.getuid?.() !== 0) return { missing: 'only root may mount a small file system' };
  const directory = join(work, name);
  const image = join(work, `${name}.img`);
  mkdirSync(directory);
  writeFileSync(image, '');
  truncateSync(image, diskBytes);
  const attempts = [
    ['mkfs.ext4 -q -F "$1" && mount -o loop "$1" "$2"', image],
    ['mount -t tmpfs -o size="$1" tmpfs "$2"', `${diskBytes}`],
  ] as const;
  const problems: string[] = [];
  for (const [script, first] of attempts) {
    const done = spawnSync('sh', ['-c', script, 'sh', first, directory], { encoding: 'utf8', timeout: 20_000 });
    if (done.status === 0) {
      mounted.push(directory);
      return { directory };
    }
    problems.push((done.stderr ?? '').trim());
  }
  return { missing: `no small file system can be mounted: ${problems.join('; ')}` };
}

/** Takes what room is left, to the last block. */
function fillUp(path: string): void {
  const file = openSync(path, 'a');
  try {
    for (let bytes = 1 << 20; bytes >= 512; ) {
      try {
        if (writeSync(file, Buffer.alloc(bytes, 1)) < bytes) bytes >>= 1;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        bytes >>= 1;
      }
    }
  } finally {
    closeSync(file);
  }
}

test('metadata on a full disk: checkpoints wait for room, and what was committed is there after a stop', async (t) => {
  const mount = mountSmall('metadata');
  if ('missing' in mount) return t.skip(mount.missing);
  const path = join(mount.directory, 'meta.db');
  const filler = join(mount.directory, 'filler');
  const open = () =>
    new SqliteStore({
      path,
      cacheBytes: 1 << 20,
      queueBytesMax: 1 << 26,
      checkpointBytes: 1 << 16,
      onBroken: (error) => assert.fail(error),
    });
  const committed = new Map<string, Buffer>();
  let number = 0;
  let store = open();
  const commit = async (): Promise<boolean> => {
    const name = `key ${++number}`;
    const value = Buffer.alloc(1000 + (number % 7) * 900, number);
    const op = { kind: 'put', key: Buffer.from(name), value } as const;
    const outcome = await store.committer.commit({ seq: 2 ** 40, reads: [], ranges: [], ops: [op] });
    if (outcome.kind === 'committed') committed.set(name, value);
    else assert.equal(outcome.kind === 'failed' && outcome.code, 'ENOSPC');
    return outcome.kind === 'committed';
  };
  const check = (): void => {
    const reader = new SqliteReader(path, 1 << 20, false);
    reader.begin();
    for (const [name, value] of committed) {
      const found = reader.get(Buffer.from(name));
      assert.ok(found !== undefined && value.equals(found), name);
    }
    reader.close();
  };
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 40; index++) assert.ok(await commit());
    fillUp(filler);
    let refused = 0;
    for (let index = 0; index < 200; index++) if (!(await commit())) refused++;
    assert.ok(refused > 50, `${refused} refused`);
    check();
    if (round > 0) {
      store.close();
      store = open();
      check();
    }
    rmSync(filler);
    assert.ok(await commit());
    check();
    if (round === 1) {
      store.close();
      store = open();
      check();
    }
  }
  store.close();
});

test('a full disk refuses writes and nothing else', async (t) => {
  const mount = mountSmall('disk');
  if ('missing' in mount) return t.skip(mount.missing);
  const data = join(mount.directory, 'data');
  const filler = join(mount.directory, 'filler');
  const acknowledged = new Map<string, string>();
  let number = 0;
  let server = await Server.start({ data, settings });
  const statuses = new Map<string, number>();
  const put = async (name: string, bytes: number): Promise<number> => {
    const content = contentOf(++number, bytes);
    const { status, headers } = await server.put(`/box/${name}`, content);
    const seen = `${status} ${headers['x-ms-error-code'] ?? ''}`;
    statuses.set(seen, (statuses.get(seen) ?? 0) + 1);
    if (status === 201) acknowledged.set(name, checksumOf(content));
    return status;
  };
  const readAll = async (): Promise<void> => {
    for (const [name, checksum] of acknowledged) {
      const { status, body } = await server.call({ path: `/box/${name}` });
      assert.equal(status, 200, name);
      assert.equal(checksumOf(body), checksum, name);
    }
    const { body } = await server.call({ path: '/box', query: 'restype=container&comp=list' });
    assert.equal(body.toString().match(/<Name>/g)?.length ?? 0, acknowledged.size);
  };
  try {
    await server.createContainer('box');
    // What an operator has at hand when there is nothing left to delete: a delete writes too.
    writeFileSync(filler, Buffer.alloc(reserveBytes));
    // Until a large one does not fit any more.
    for (let index = 0; index < 400 && (await put(`large-${index}`, 400_000)) === 201; index++);
    assert.ok(acknowledged.size > 100, `${acknowledged.size} fit`);
    fillUp(filler);
    for (let index = 0; index < 60; index++)
      await put(`${index % 2 === 0 ? 'small' : 'inline'}-${index}`, 50 + (index % 2) * 30_000);
    const clients = Array.from({ length: 8 }, (_, client) => put(`together-${client}`, 5000));
    await Promise.all(clients);
    for (let index = 0; index < 3; index++) await put(`huge-${index}`, 3_000_000);
    const kinds = [...statuses.keys()].sort();
    assert.deepEqual(kinds, ['201 ', '503 ServerBusy'], JSON.stringify([...statuses]));
    assert.ok((statuses.get('503 ServerBusy') ?? 0) > 10, JSON.stringify([...statuses]));
    await readAll();
    const ready = async (): Promise<string> => {
      const { status, body } = await server.fromAdmin('/readyz');
      return `${status} ${body.toString().trim()}`;
    };
    await eventually(async () => /^503 .*disk: refused/s.test(await ready()), 'readiness tells it');
    assert.equal((await server.fromAdmin('/metrics')).status, 200);

    // Stopped and started again on the full disk: it serves what it has, or says why it cannot.
    const code = await server.stop();
    assert.equal(code, 0, server.program.err.slice(-3000));
    const started = await Server.start({ data, settings }).catch((error: Error) => error);
    if (started instanceof Error) {
      const refused = await causeway('serve', '--dev', '--data', data, '--blob-port', '0', '--admin-port', '0');
      assert.equal(refused.code, 2, refused.err);
      assert.match(refused.err, /^causeway: data: [^\n]*full\n$/);
    } else {
      server = started;
      await readAll();
      assert.equal(await server.stop(), 0);
    }

    // Room is made, and then more of it by deletes.
    rmSync(filler);
    server = await Server.start({ data, settings });
    await eventually(async () => (await ready()) === '200 ready', 'readiness tells that there is room');
    await readAll();
    const freeBytes = (): number => {
      const { bavail, bsize } = statfsSync(mount.directory);
      return bavail * bsize;
    };
    const freeBefore = freeBytes();
    const names = [...acknowledged.keys()].filter((name) => name.startsWith('large'));
    for (const name of names.slice(0, names.length / 2)) {
      const isGone = async (): Promise<boolean> => {
        const { status } = await server.call({ method: 'DELETE', path: `/box/${name}` });
        assert.ok(status === 202 || status === 503, `${name}: ${status}`);
        return status === 202;
      };
      await eventually(isGone, `${name} is deleted`);
      acknowledged.delete(name);
    }
    const more = (): string =>
      spawnSync('sh', ['-c', `df ${mount.directory}; ls -la ${data}/content ${data}/metadata`], { encoding: 'utf8' })
        .stdout;
    await eventually(() => freeBytes() > freeBefore + 20_000_000, 'the space of what was deleted', 60_000, more);
    for (let index = 0; index < 5; index++) assert.equal(await put(`again-${index}`, 3_000_000), 201);
    await readAll();
    assert.equal(await server.stop(), 0);
    server = await Server.start({ data, settings });
    assert.equal(await put('after a restart', 100_000), 201);
    await readAll();
    assert.equal(await server.stop(), 0);
    const { code: found, out } = await causeway('fsck', '--data', data);
    assert.equal(found, 0, out);
  } finally {
    server.program.kill();
  }
});
