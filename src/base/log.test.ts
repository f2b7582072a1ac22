// Tests of the log: what a line holds and never holds, and a stderr that is slow, stuck or gone.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createLogger, type Logger, type RequestLine, withoutSecrets } from './log.ts';
import type { LogSink } from './log-sink.ts';

const settings = { logLevel: 'info', requestLog: true } as const;
const request: RequestLine = {
  requestId: 'e5b3f1d2',
  account: 'ann',
  operation: 'PutBlob',
  status: 201,
  bytesIn: 4096,
  bytesOut: 0,
  durationMs: 1.25,
};

/** Keeps what it is given; `held` keeps its callbacks too, as a pipe does that nobody reads. */
class MemorySink implements LogSink {
  readonly batchBytes = 4096;
  readonly batches: string[] = [];
  readonly waiting: (() => void)[] = [];
  held = false;
  write(lines: string, done: () => void): void {
    this.batches.push(lines);
    if (this.held) this.waiting.push(done);
    else done();
  }
  writeLast(lines: string): void {
    this.batches.push(lines);
  }
  get lines(): Record<string, unknown>[] {
    const text = this.batches.join('').trimEnd();
    return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line));
  }
}

async function logged(use: (log: Logger) => void, overrides = {}): Promise<Record<string, unknown>[]> {
  const sink = new MemorySink();
  const log = createLogger({ ...settings, ...overrides }, sink, { role: 'worker' });
  use(log);
  await log.close();
  return sink.lines;
}

describe('a line', () => {
  test('of a request is one JSON object with what was done', async () => {
    const before = Date.now();
    const [line, ...more] = await logged((log) => log.request(request));
    assert.deepEqual(more, []);
    const { time, ...rest } = line ?? {};
    assert.ok(typeof time === 'number' && time >= before && time <= Date.now());
    assert.deepEqual(rest, { level: 'info', pid: process.pid, role: 'worker', ...request, msg: 'request' });
  });
  test('of a request is left out when the setting says so', async () => {
    assert.deepEqual(await logged((log) => log.request(request), { requestLog: false }), []);
  });
  test('below the level is left out', async () => {
    const lines = await logged(
      (log) => {
        log.info({}, 'no');
        log.warn({}, 'yes');
        log.child({ a: 1 }).debug({}, 'no');
      },
      { logLevel: 'warn' },
    );
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ['yes'],
    );
  });
  test('of a child has its fields, and an error its stack and cause', async () => {
    const [line] = await logged((log) => {
      log.child({ part: 'reclaim' }).error({ err: new Error('outer', { cause: new Error('inner') }) }, 'failed');
    });
    assert.equal(line?.part, 'reclaim');
    assert.match(JSON.stringify(line?.err), /log\.test\.ts.*inner/);
  });
  test('cannot be split by what is in it', async () => {
    const lines = await logged((log) => log.info({ name: 'a\nb\r{"x":1}\u2028' }, 'c\nd'));
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.name, 'a\nb\r{"x":1}\u2028');
  });
});

describe('a secret is not logged', () => {
  test('in the path of a request, whatever else is in it', async () => {
    for (const path of [
      '/c/sig=YWJj',
      '/c/%3Fsig%3DYWJj',
      '/c/"&sig=YWJj',
      '/c/Bearer YWJj',
      '/c/%3BAccountKey%3DYWJj%3D',
      '/%20Bearer%20YWJj',
      '/c/x%2520SharedKey%2520ann%253AYWJj',
    ]) {
      const [line] = await logged((log) => log.request({ ...request, path, client: '::1' }));
      assert.equal(line?.client, '::1');
      assert.match(String(line?.path), /\[secret\]$/, path);
    }
    const [line] = await logged((log) => log.request({ ...request, path: '/c/a b"\\' }));
    assert.equal(line?.path, '/c/a b"\\');
  });
  const secret = 'c2VjcmV0LXNlY3JldA==';
  const cases: [what: string, fields: object, message?: string][] = [
    ['as a header', { headers: { Authorization: `SharedKey ann:${secret}` } }],
    ['as the header of a copy', { headers: { 'x-ms-copy-source-authorization': `Bearer ${secret}` } }],
    ['as an account key', { account: { name: 'ann', key1: secret } }],
    ['with a quote in it', { token: `a"b\\"${secret}` }],
    ['in a URL', { url: `http://127.0.0.1/ann/c/b?sv=2020-02-10&sig=${secret}&se=2030` }],
    ['in an encoded URL', { url: `http://127.0.0.1/?source=http%3A%2F%2Fx%3Fsig%3D${secret}` }],
    ['in a URL encoded twice', { url: `?source=x%253Fse%253D1%2526sig%253D${secret}` }],
    ['in a connection string', {}, `AccountName=ann;AccountKey=${secret};BlobEndpoint=http://127.0.0.1/ann`],
    ['in an error', { err: new Error(`refused: SharedKeyLite ann:${secret}`) }],
    ['in JSON in a message', {}, JSON.stringify({ name: 'ann', accountKey: secret, b: 1 })],
  ];
  for (const [what, fields, message] of cases) {
    test(what, async () => {
      const [line] = await logged((log) => log.info(fields, message ?? 'text'));
      assert.ok(line !== undefined);
      const text = JSON.stringify(line);
      assert.ok(!text.includes(secret), text);
      assert.ok(text.includes('[secret]'), text);
    });
  }
  test('and the rest of the line stays as it is', () => {
    const line = '{"url":"/ann/c/b?sv=2020-02-10&sig=abc%3D&se=2030","key1":"k","design":"b","keys":"c"}\n';
    const expected = line.replace('abc%3D', '[secret]').replace('"k"', '"[secret]"');
    assert.equal(withoutSecrets(line), expected);
  });
});

describe('the buffer', () => {
  test('gathers whole lines into writes that a pipe takes at once', async () => {
    const sink = new MemorySink();
    const log = createLogger(settings, sink);
    for (let i = 0; i < 1000; i++) log.request({ ...request, requestId: String(i), account: 'ü'.repeat(i % 50) });
    log.info({ long: 'x'.repeat(10_000) }, 'long');
    await log.close();
    assert.deepEqual(
      sink.lines.slice(0, -1).map(({ requestId }) => requestId),
      Array.from({ length: 1000 }, (_, i) => String(i)),
    );
    const long = sink.batches.filter((batch) => Buffer.byteLength(batch) > sink.batchBytes);
    assert.equal(long.length, 1);
    assert.ok(sink.batches.every((batch) => batch.endsWith('\n')));
    assert.ok(sink.batches.length < 120, `${sink.batches.length} writes`);
  });
  test('is written soon even when nothing follows', async () => {
    const sink = new MemorySink();
    const log = createLogger(settings, sink);
    log.info({}, 'alone');
    assert.equal(sink.lines.length, 0);
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.equal(sink.lines[0]?.msg, 'alone');
    await log.close();
  });
  test('has a bound, keeps the oldest, and says how many it dropped', async () => {
    const sink = new MemorySink();
    sink.held = true;
    const log = createLogger(settings, sink);
    for (let i = 0; i < 20_000; i++) log.request({ ...request, requestId: String(i) });
    assert.ok(log.dropped > 10_000 && log.dropped < 20_000, String(log.dropped));
    const closing = log.close(20_000);
    sink.held = false;
    for (const done of sink.waiting.splice(0)) done();
    await closing;
    const kept = sink.lines.filter(({ msg }) => msg === 'request');
    assert.equal(kept.length, 20_000 - log.dropped);
    assert.equal(kept.at(-1)?.requestId, String(kept.length - 1));
    const reports = sink.lines.filter(({ msg }) => msg === 'log lines were dropped');
    assert.deepEqual(
      reports.map(({ count }) => count),
      [log.dropped],
    );
  });
  test('does not keep a process that is closing it', async () => {
    const sink = new MemorySink();
    sink.held = true;
    const log = createLogger(settings, sink);
    log.info({}, 'stuck');
    const startedMs = performance.now();
    await log.close(50);
    assert.ok(performance.now() - startedMs < 2000);
  });
});

describe('stderr', () => {
  const load = `
    import { createLogger } from ${JSON.stringify(import.meta.resolve('./log.ts'))};
    const log = createLogger({ logLevel: 'info', requestLog: true });
    const count = Number(process.argv[1]);
    let worstMs = 0;
    for (let i = 0; i < count; ) {
      const startedMs = performance.now();
      for (const end = i + 100; i < end; i++) log.info({ i }, 'x'.repeat(100));
      worstMs = Math.max(worstMs, performance.now() - startedMs);
      await new Promise(setImmediate);
    }
    await log.close(300);
    console.log(JSON.stringify({ dropped: log.dropped, worstMs }));
    process.exit(7);`;
  const run = (count: number, stderr: 'pipe' | number) =>
    spawn(process.execPath, ['--input-type=module', '--eval', load, String(count)], {
      stdio: ['ignore', 'pipe', stderr],
    });
  const ended = async (child: ReturnType<typeof run>) => {
    let out = '';
    child.stdout?.on('data', (chunk) => (out += chunk));
    const guard = setTimeout(() => child.kill('SIGKILL'), 30_000);
    const [code] = await new Promise<[number | null]>((resolve) => child.once('close', (status) => resolve([status])));
    clearTimeout(guard);
    assert.equal(code, 7, 'the process ended by itself');
    return JSON.parse(out) as { dropped: number; worstMs: number };
  };
  const indexes = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { i: number }).i);

  test('that is read gets every line in order', async () => {
    const child = run(3000, 'pipe');
    let text = '';
    child.stderr?.on('data', (chunk) => (text += chunk));
    assert.equal((await ended(child)).dropped, 0);
    assert.deepEqual(
      indexes(text),
      Array.from({ length: 3000 }, (_, i) => i),
    );
  });
  test('that is a file gets every line in order', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'causeway-log-'));
    const path = join(directory, 'log');
    const file = openSync(path, 'w');
    try {
      assert.equal((await ended(run(3000, file))).dropped, 0);
      assert.deepEqual(
        indexes(readFileSync(path, 'utf8')),
        Array.from({ length: 3000 }, (_, i) => i),
      );
    } finally {
      closeSync(file);
      rmSync(directory, { recursive: true });
    }
  });
  test('that nobody reads neither stops the process nor keeps it from exiting', async () => {
    const child = run(30_000, 'pipe');
    child.stderr?.pause();
    const exited = new Promise((resolve) => child.once('exit', resolve));
    // 'close' waits for the end of stderr, which comes only when it is read.
    void exited.then(() => child.stderr?.resume());
    const { dropped, worstMs } = await ended(child);
    assert.ok(dropped > 10_000, String(dropped));
    assert.ok(worstMs < 1000, String(worstMs));
  });
  test('that was closed by its reader does not stop the process', async () => {
    const child = run(3000, 'pipe');
    child.stderr?.destroy();
    await ended(child);
  });
});
