// What the audit log promises: a record of everything, in order, without gaps that nobody sees, on disks that fail too.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../base/clock.ts';
import { moveAnchor } from './anchors.ts';
import { Bench, recordOf } from './audit.testing.ts';
import type { AuditLog } from './audit-log.ts';
import { exportAudit } from './export.ts';
import { type RetentionOptions, trimFiles } from './retention.ts';
import { settleChains } from './settle.ts';

async function until(holds: () => boolean, what: string): Promise<void> {
  const started = performance.now();
  while (!holds()) {
    if (performance.now() - started > 10_000) throw new Error(`not in time: ${what}`);
    await sleep(2);
  }
}

async function namesIn(bench: Bench): Promise<string[]> {
  const names: string[] = [];
  for await (const line of exportAudit(bench.root, { format: 'jsonl' })) {
    names.push((JSON.parse(line) as { CorrelationId: string }).CorrelationId);
  }
  return names;
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, n) => `r${n}`);

/** Several small files of a chain that is over. */
async function filled(bench: Bench): Promise<void> {
  const log = bench.log({ fileBytesMax: 2000 });
  const before = timesWritten(bench, 'r3');
  for (const name of numbered(40)) {
    log.note(recordOf(name));
    // What is written at once stands in one file.
    if (name.endsWith('3')) await until(() => timesWritten(bench, name) > before, `${name} is written`);
  }
  await log.close();
}

function timesWritten(bench: Bench, name: string): number {
  let times = 0;
  if (!existsSync(bench.root)) return times;
  for (const file of readdirSync(bench.root, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    times += readFileSync(join(file.parentPath, file.name), 'utf8').split(`"CorrelationId":"${name}"`).length - 1;
  }
  return times;
}

function retentionOf(bench: Bench, log: AuditLog, changed: Partial<RetentionOptions> = {}): RetentionOptions {
  return {
    engine: bench.engine,
    clock: systemClock,
    root: bench.root,
    owner: 'one',
    ageMs: 3_600_000,
    bytesMax: 2 ** 40,
    pauseMs: 1,
    note: (record) => log.noteOwn(record),
    onError: assert.ifError,
    ...changed,
  };
}

describe('an audit log', { timeout: 60_000 }, () => {
  test('keeps every record in order, over several files', async () => {
    using bench = new Bench();
    const log = bench.log({ fileBytesMax: 4000 });
    for (const name of numbered(60)) {
      log.note(recordOf(name));
      if (name.endsWith('5')) await sleep(5);
    }
    await log.close();
    const { sum, findings } = await bench.verify();
    assert.deepEqual(findings, []);
    assert.ok(sum.files > 2, `${sum.files} files`);
    assert.deepEqual(await namesIn(bench), numbered(60));
    // The head that was told last is the end of the chain.
    const files = readdirSync(join(bench.root, bench.heads[0]?.chain as string)).sort();
    const last = readFileSync(join(bench.root, bench.heads[0]?.chain as string, files.at(-1) as string), 'utf8');
    assert.ok(last.endsWith(`"Hash":"${bench.heads.at(-1)?.hash}"}\n`));
  });

  test('keeps what is too long for a line in short, and verifies', async () => {
    using bench = new Bench();
    const log = bench.log({ queueBytesMax: 2 ** 25 });
    log.note(recordOf('before'));
    log.note({ ...recordOf('long'), UserAgentHeader: 'x'.repeat(3 * 2 ** 20), AuthorizationDetails: [{ a: 'y' }] });
    log.note({ ...recordOf('fits'), UserAgentHeader: 'x'.repeat(900_000) });
    log.note(recordOf('after'));
    await log.close();
    assert.deepEqual((await bench.verify()).findings, []);
    assert.deepEqual(await namesIn(bench), ['before', 'long', 'fits', 'after']);
  });

  test('that is full makes requests wait, and drops nothing', async () => {
    using bench = new Bench();
    const held = Promise.withResolvers<void>();
    bench.hold = held.promise;
    const log = bench.log({ queueRecordsMax: 10 });
    let noted = 0;
    let waited = 0;
    const request = async (name: string): Promise<void> => {
      const room = log.room();
      if (room !== undefined) {
        waited++;
        assert.equal(await room, true);
      }
      log.note(recordOf(name));
      noted++;
    };
    const all = numbered(10).map(request);
    await until(() => noted === 10, 'ten records');
    await sleep(20);
    all.push(...numbered(30).map((name) => request(`w${name}`)));
    await sleep(20);
    assert.ok(noted < 40, `${noted} of 40 did not wait`);
    held.resolve();
    await Promise.all(all);
    await log.close();
    assert.ok(waited > 0);
    assert.equal((await namesIn(bench)).length, 40);
    assert.deepEqual((await bench.verify()).findings, []);
  });

  test('on a disk that fails writes what it kept when the disk is well again, and refuses only when it is full', async () => {
    using bench = new Bench();
    const log = bench.log({ queueRecordsMax: 10 });
    log.note(recordOf('before'));
    await until(() => bench.heads.length === 1, 'the first write');
    bench.failure = Object.assign(new Error('no space'), { code: 'ENOSPC' });
    log.note(recordOf('kept'));
    await until(() => bench.errors.length === 1, 'the failure');
    assert.equal(log.room(), undefined);
    for (const name of numbered(10)) log.note(recordOf(name));
    assert.equal(await log.room(), false);
    bench.failure = undefined;
    await until(() => log.room() === undefined, 'room again');
    await log.close();
    assert.deepEqual(await namesIn(bench), ['before', 'kept', ...numbered(10)]);
    assert.deepEqual((await bench.verify()).findings, []);
  });

  test('that goes on without its disk records how many records are missing', async () => {
    using bench = new Bench();
    const log = bench.log({ queueRecordsMax: 5, onFailure: 'continue' });
    bench.failure = new Error('input/output error');
    for (const name of numbered(5)) log.note(recordOf(name));
    await until(() => bench.errors.length === 1, 'the failure');
    for (const name of ['lost', 'lost', 'lost']) {
      const room = log.room();
      assert.equal(room === undefined || (await room), true);
      log.note(recordOf(name));
    }
    bench.failure = undefined;
    await log.close();
    const { sum, findings } = await bench.verify();
    assert.deepEqual([findings, sum.gapRecords], [[], 3]);
    assert.deepEqual(await namesIn(bench), numbered(5));
  });

  test('that was left open is closed by the next run with all that it had written', async () => {
    using bench = new Bench();
    const log = bench.log();
    log.note(recordOf('a'));
    await until(() => bench.heads.length === 1, 'the first write');
    await settleChains(bench.engine, bench.root, Date.now());
    const next = bench.log();
    next.note(recordOf('b'));
    await next.close();
    assert.deepEqual((await bench.verify()).findings, []);
    // The chain is over: what is written to it later was not there.
    log.note(recordOf('late'));
    await log.close();
    const { findings } = await bench.verify();
    assert.deepEqual(
      findings.map(({ what }) => /this was added|was anchored/.test(what)),
      findings.map(() => true),
    );
  });

  test('loses its oldest files to retention, and verify knows; a file that goes otherwise is found', async () => {
    using bench = new Bench();
    const old = bench.log({ fileBytesMax: 2000 });
    for (const name of numbered(40)) {
      old.note(recordOf(name));
      if (name.endsWith('3')) await sleep(5);
    }
    await old.close();
    const owner = 'f'.repeat(32);
    const log = bench.log({ fileBytesMax: 2000, chain: owner });
    const retention = retentionOf(bench, log, { owner, bytesMax: 6000 });
    const chain = readdirSync(bench.root)[0] as string;
    const files = () => readdirSync(join(bench.root, chain)).sort();
    const before = files().length;
    const trimmed = await trimFiles(retention);
    assert.ok(trimmed > 1, `${trimmed} files`);
    assert.deepEqual((await bench.verify()).findings, []);
    assert.equal(files().length, before - trimmed);
    const names = await namesIn(bench);
    assert.deepEqual(names, numbered(40).slice(40 - names.length));
    await log.close();
    assert.deepEqual((await bench.verify()).findings, []);
    rmSync(join(bench.root, chain, files()[0] as string));
    assert.match((await bench.verify()).findings[0]?.what ?? '', /is missing|are missing/);
    // All of a chain that is over may go.
    assert.equal(await trimFiles({ ...retention, ageMs: -1, onError: () => undefined }), 0);
  });

  test('goes whole where all of it is old, and its words with it', async () => {
    using bench = new Bench();
    await filled(bench);
    const owner = 'f'.repeat(32);
    const log = bench.log({ chain: owner });
    const files = readdirSync(bench.root).flatMap((chain) => readdirSync(join(bench.root, chain))).length;
    assert.equal(await trimFiles(retentionOf(bench, log, { owner, ageMs: -1 })), files);
    assert.deepEqual(readdirSync(bench.root), [owner]);
    await log.close();
    assert.deepEqual((await bench.verify()).findings, []);
    const next = bench.log({ chain: 'e'.repeat(32) });
    assert.equal(await trimFiles(retentionOf(bench, next, { owner: 'e'.repeat(32), ageMs: -1 })), 1);
    assert.equal(await trimFiles(retentionOf(bench, next, { owner: 'e'.repeat(32) })), 0);
    await next.close();
    assert.deepEqual(readdirSync(bench.root), ['e'.repeat(32)]);
    assert.deepEqual((await bench.verify()).findings, []);
  });

  test('loses nothing for what the directory says of ages and sizes', async () => {
    using bench = new Bench();
    await filled(bench);
    const chain = readdirSync(bench.root)[0] as string;
    const paths = readdirSync(join(bench.root, chain)).map((name) => join(bench.root, chain, name));
    for (const path of paths) utimesSync(path, new Date(0), new Date(0));
    const sparse = join(bench.root, chain, '99999999.log');
    writeFileSync(sparse, '');
    truncateSync(sparse, 2 ** 40);
    const log = bench.log();
    assert.equal(await trimFiles(retentionOf(bench, log)), 0);
    rmSync(sparse);
    let exported = 0;
    for await (const _ of exportAudit(bench.root, { format: 'jsonl', fromMs: Date.now() - 60_000 })) exported++;
    assert.equal(exported, 40);
    await log.close();
    assert.deepEqual((await bench.verify()).findings, []);
  });

  test('keeps what was changed, however old it is, and makes no room for it with others', async () => {
    using bench = new Bench();
    await filled(bench);
    const chain = readdirSync(bench.root)[0] as string;
    const [, second] = readdirSync(join(bench.root, chain)).sort();
    const path = join(bench.root, chain, second as string);
    writeFileSync(path, readFileSync(path, 'utf8').replace('"AccountName":"acc"', '"AccountName":"abc"'));
    await filled(bench);
    const owner = 'f'.repeat(32);
    const log = bench.log({ chain: owner });
    const errors: Error[] = [];
    const retention = retentionOf(bench, log, { owner, bytesMax: 7000, onError: (error) => errors.push(error) });
    // The first file, which is as it was; then none of this chain, and of the others no more than there is no room for.
    const trimmed = await trimFiles(retention);
    assert.ok(readdirSync(join(bench.root, chain)).includes(second as string));
    assert.match(errors[0]?.message ?? '', /is not as it was written/);
    assert.ok(trimmed >= 1, `${trimmed}`);
    const others = readdirSync(bench.root).filter((other) => other !== chain && other !== owner);
    assert.ok(readdirSync(join(bench.root, others[0] as string)).length >= 2);
    await log.close();
    const { findings } = await bench.verify();
    assert.deepEqual([findings.length, /was changed/.test(findings[0]?.what ?? '')], [1, true]);
  });

  test('that lost files without a word of it is found', async () => {
    using bench = new Bench();
    await filled(bench);
    const log = bench.log();
    await trimFiles(retentionOf(bench, log, { bytesMax: 4000, note: async () => 0 }));
    await log.close();
    const { findings } = await bench.verify();
    assert.ok(findings.length >= 1);
    for (const { what } of findings)
      assert.match(what, /was deleted for its age or for room, and the log does not say/);
  });

  test('that lost files by a moved anchor is found', async () => {
    using bench = new Bench();
    await filled(bench);
    const chain = readdirSync(bench.root)[0] as string;
    const [first, second] = readdirSync(join(bench.root, chain)).sort();
    const head = readFileSync(join(bench.root, chain, second as string), 'utf8').split('\n')[0] as string;
    const { Seq: seq, Previous: hash } = JSON.parse(head) as { Seq: number; Previous: string };
    await moveAnchor(bench.engine, chain, { from: { seq, hash, file: 2 } });
    rmSync(join(bench.root, chain, first as string));
    const { findings } = await bench.verify();
    assert.match(findings[0]?.what ?? '', /files before file 2 are gone, which retention did not delete/);
  });

  test('whose file was left open by a crash loses it too when its time has come', async () => {
    using bench = new Bench();
    const log = bench.log();
    log.note(recordOf('a'));
    await until(() => bench.heads.length === 1, 'the first write');
    await settleChains(bench.engine, bench.root, Date.now() - 1000);
    const owner = 'f'.repeat(32);
    const next = bench.log({ chain: owner });
    assert.equal(await trimFiles(retentionOf(bench, next, { owner, ageMs: 500 })), 1);
    await next.close();
    assert.deepEqual((await bench.verify()).findings, []);
    await log.close();
  });
});

test('a word of the log is told only when it is on the disk', async () => {
  using bench = new Bench();
  const held = Promise.withResolvers<void>();
  const log = bench.log();
  log.note(recordOf('a'));
  await until(() => bench.heads.length === 1, 'the first write');
  bench.hold = held.promise;
  let after: number | undefined;
  const word = { Type: 'AuditGap', TimeGenerated: '', Records: 1, From: '', To: '' } as const;
  const told = log.noteOwn(word).then((seq) => {
    after = seq;
  });
  await sleep(30);
  assert.equal(after, undefined);
  held.resolve();
  await told;
  assert.equal(after, 2);
  bench.failure = new Error('no space');
  const never = log.noteOwn(word);
  await log.close();
  assert.equal(await never, undefined);
  assert.equal(await log.noteOwn(word), undefined);
});
