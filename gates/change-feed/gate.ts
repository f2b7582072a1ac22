// Microsoft's SDK for the change feed reads what the server wrote while many changed blobs, and while it was killed.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Gate, GateContext, RunningServer } from '../gate.ts';
import { npmPackages } from '../install.ts';
import { runProcess } from '../process.ts';
import { recorder } from '../recorder.ts';
import { compare } from './compare.ts';
import { makeLoad, type Sdk } from './load.ts';

const feedPackage = '@azure/storage-blob-changefeed';
const blobPackage = '@azure/storage-blob';
const versions = { [feedPackage]: '12.0.0-preview.4', [blobPackage]: '12.34.0' } as const;
const hourMs = 3_600_000;
const feedName = '$blobchangefeed';
const changed = 'changed';

export const gate: Gate = {
  name: 'change-feed',
  slow: false,
  async run(context) {
    const folder = `change-feed-${versions[feedPackage]}`;
    const directory = await npmPackages(context, folder, versions);
    const require = createRequire(join(directory, 'package.json'));
    const blobSdk: Sdk = await import(pathToFileURL(require.resolve(blobPackage)).href);
    // Its entry for `require` is the one for Node.
    const feedSdk: Sdk = require(feedPackage);
    const stage = await Stage.open(context, blobSdk, feedSdk);
    const checks = recorder(context.log);
    const events = context.all ? 100_000 : 5000;
    const kills = context.all ? 3 : 1;
    const timeoutMs = context.all ? 900_000 : 180_000;
    const load = makeLoad(context.all ? 400 : 100);
    let read: Sdk[] = [];

    const ready = await checks.check('switched on, it has its container; off, the SDK says so', async () => {
      await assert.rejects(stage.read(), /hasn't been enabled/);
      await stage.account('change-feed=on');
      await stage.until(async () => await stage.feed().exists(), 'the container appears', 15_000);
      assert.deepEqual(await stage.read(), []);
      const shown = await names(stage.service().listContainers());
      assert.ok(!shown.includes(feedName), 'it is listed');
      const system = await names(stage.service().listContainers({ includeSystem: true }));
      assert.ok(system.includes(feedName), 'it is not listed with the system’s');
    });
    if (!ready) return checks.rows;
    await stage.container().create();

    const loaded = await checks.check(
      'changes go on while the server is killed in the middle, and while the hour changes',
      async () => {
        const started = performance.now();
        const killedAt: number[] = [];
        for (let kill = 1; kill <= kills; kill++) {
          await load.run(stage.container(), (events / 2) * (kill / kills));
          const running = load.run(stage.container(), events);
          load.expectEnd();
          await sleep(300);
          await stage.crash();
          await running;
          killedAt.push(load.events);
        }
        assert.ok(load.events < events * 0.75, 'the load ended before the crash');
        await load.run(stage.container(), events * 0.75);
        await stage.passHour();
        await load.run(stage.container(), events);
        const inDoubt = load.chains.reduce((sum, chain) => sum + chain.inDoubt, 0);
        assert.ok(inDoubt > 0, 'no change was cut off');
        const seconds = (performance.now() - started) / 1000;
        return `${load.events} events, ${Math.round(load.events / seconds)}/s with crashes and hours; killed at ${killedAt.join(', ')}`;
      },
      { timeoutMs },
    );
    if (!loaded) return checks.rows;

    await checks.check(
      'changes are in its files within seconds, before their hour is over',
      async () => {
        const started = performance.now();
        await stage.until(
          async () => (await stage.lag()) === 0 && (await stage.lagSeconds()) === 0,
          'the follower is at the end',
          120_000,
        );
        const manifests = await stage.manifests();
        assert.deepEqual(
          manifests.map(({ status }) => status),
          ['Finalized', 'Finalized', 'Publishing'],
        );
        return `caught up after ${Math.round(performance.now() - started)} ms`;
      },
      { timeoutMs },
    );

    await checks.check(
      'what is not complete is not read; when its hour is over, it is',
      async () => {
        const first = (await stage.read()).length;
        assert.ok(first > 0 && first < load.events, `${first} of ${load.events} events`);
        await stage.passHour();
        await stage.until(
          async () => (await stage.manifests()).every(({ status }) => status === 'Finalized'),
          'all segments are complete',
          60_000,
        );
      },
      { timeoutMs },
    );

    await checks.check(
      'every acknowledged change is there once, in the order of its blob',
      async () => {
        const started = performance.now();
        read = await stage.read();
        const seconds = (performance.now() - started) / 1000;
        return `${compare(load, changed, read)}; read at ${Math.round(read.length / seconds)}/s`;
      },
      { timeoutMs },
    );

    await checks.check('an event says what the service says', async () => {
      const event = read.find(({ data }) => data.api === 'PutBlob');
      const { data } = event;
      assert.equal(event.schemaVersion, 6);
      assert.match(
        event.topic,
        /^\/subscriptions\/.*\/providers\/Microsoft\.Storage\/storageAccounts\/devstoreaccount1$/,
      );
      assert.match(event.id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      assert.ok(event.eventTime instanceof Date);
      assert.equal(data.contentType, 'text/plain');
      assert.match(data.clientRequestId, /^[0-9a-f-]{36}$/);
      assert.match(data.containerVersion, /^[0-9A-F]{16}$/);
      const snapshot = read.find(({ eventType }) => eventType === 'BlobSnapshotCreated');
      assert.match(snapshot.data.snapshot, /^\d{4}-\d\d-\d\dT.*\.\d{7}Z$/);
    });

    await checks.check(
      'read by pages, each with a client of its own and the last one’s token, it is the same',
      async () => {
        const pageSize = context.all ? 5000 : 700;
        const paged: Sdk[] = [];
        let token: string | undefined;
        let pages = 0;
        do {
          // Without an end, what this SDK resumes by is lost after the second page: it takes no end for the year 1970.
          const changes = stage.changes({ end: new Date('2100-01-01') });
          const { value: page } = await changes.byPage({ continuationToken: token, maxPageSize: pageSize }).next();
          paged.push(...page.events);
          token = page.continuationToken === '' ? undefined : page.continuationToken;
          pages++;
          if (pages === 2) await stage.restart();
        } while (token !== undefined);
        assert.deepEqual(
          paged.map(({ id }) => id),
          read.map(({ id }) => id),
        );
        return `${pages} pages, with a restart between them`;
      },
      { timeoutMs },
    );

    await checks.check(
      'a start and an end choose segments',
      async () => {
        const times = (await stage.manifests())
          .map(({ begin }) => new Date(begin))
          .filter((t) => t.getFullYear() > 1601);
        const [first, second] = times as [Date, Date];
        const before = await stage.read({ end: second });
        const after = await stage.read({ start: second });
        assert.ok(before.length > 0 && after.length > 0);
        assert.deepEqual([...before, ...after], read);
        assert.ok(before.every(({ eventTime }) => eventTime >= first && eventTime < second));
        assert.ok(after.every(({ eventTime }) => eventTime >= second));
        assert.deepEqual(await stage.read({ end: first }), []);
        return `${before.length} and ${after.length} events`;
      },
      { timeoutMs },
    );

    await checks.check('nobody may write or delete in it', async () => {
      const feed = stage.feed();
      const file = feed.getBlockBlobClient('meta/segments.json');
      const refused = { statusCode: 403, code: 'InsufficientAccountPermissions' };
      await assert.rejects(file.upload('{}', 2), refused);
      await assert.rejects(file.delete(), refused);
      await assert.rejects(file.setMetadata({ a: 'b' }), refused);
      await assert.rejects(file.getBlobLeaseClient().acquireLease(15), refused);
      await assert.rejects(feed.getBlockBlobClient('new').upload('', 0), refused);
      await assert.rejects(feed.setMetadata({ a: 'b' }), refused);
      await assert.rejects(feed.delete(), refused);
      await assert.rejects(feed.create(), refused);
    });

    await checks.check('a copy of a file that is written leaves both whole', async () => {
      const blob = stage.container().getBlockBlobClient('late.txt');
      await blob.upload('1', 1);
      const open = async (): Promise<string> => {
        const listed = await names(stage.feed().listBlobsFlat({ prefix: 'log/' }));
        return listed.at(-1) as string;
      };
      const complete = (await stage.manifests()).length;
      await stage.until(async () => (await stage.manifests()).length > complete, 'a segment begins', 20_000);
      const source = stage.feed().getBlobClient(await open());
      const copy = stage.container().getBlobClient('copy.avro');
      await (await copy.beginCopyFromURL(source.url)).pollUntilDone();
      const { contentLength } = await copy.getProperties();
      await blob.upload('22', 2);
      await stage.until(async () => (await open()) !== source.name, 'the next file begins', 20_000);
      assert.equal((await copy.downloadToBuffer()).length, contentLength);
      await stage.passHour();
      await stage.until(
        async () => (await stage.manifests()).every(({ status }) => status === 'Finalized'),
        'the segment is complete',
        60_000,
      );
      const late = (await stage.read()).slice(read.length);
      assert.deepEqual(
        late.map(({ subject, data }) => [subject.split('/').at(-1), data.api]),
        [
          ['late.txt', 'PutBlob'],
          ['copy.avro', 'CopyBlob'],
          ['late.txt', 'PutBlob'],
        ],
      );
      read.push(...late);
    });

    await checks.check(
      'switched off, nothing is added, and all of it can be read',
      async () => {
        await stage.account('change-feed=off');
        await stage.container().getBlockBlobClient('after.txt').upload('1', 1);
        await sleep(4000);
        await stage.passHour();
        await sleep(4000);
        assert.equal((await stage.read()).length, read.length);
      },
      { timeoutMs },
    );

    await checks.check('fsck finds nothing', async () => {
      await stage.stop();
      const ran = await stage.causeway('fsck');
      assert.equal(ran.code, 0, ran.stdout.slice(-400));
    });
    return checks.rows;
  },
};

async function names(listed: AsyncIterable<{ name: string }>): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of listed) found.push(name);
  return found;
}

interface Manifest {
  readonly begin: string;
  readonly status: string;
}

/** The server under a clock that this gate moves, and clients of it as it runs now. */
class Stage {
  readonly #context: GateContext;
  readonly #blobSdk: Sdk;
  readonly #feedSdk: Sdk;
  readonly #clockFile: string;
  #aheadMs: number;
  #server!: RunningServer;

  static async open(context: GateContext, blobSdk: Sdk, feedSdk: Sdk): Promise<Stage> {
    const stage = new Stage(context, blobSdk, feedSdk);
    await writeFile(stage.#clockFile, `${stage.#aheadMs}`);
    await stage.#start(undefined);
    return stage;
  }

  private constructor(context: GateContext, blobSdk: Sdk, feedSdk: Sdk) {
    this.#context = context;
    this.#blobSdk = blobSdk;
    this.#feedSdk = feedSdk;
    this.#clockFile = join(context.workDir, 'clock');
    // Five minutes past an hour: no hour ends before the gate says so.
    this.#aheadMs = hourMs - (Date.now() % hourMs) + 5 * 60_000;
  }

  async #start(dataDir: string | undefined): Promise<void> {
    this.#server = await this.#context.startServer({
      name: 'feed',
      ...(dataDir !== undefined && { dataDir }),
      args: ['--set', 'clockSkewMs=86400000', '--set', 'changeFeedFlushMs=500', '--set', 'requestLog=false'],
      env: {
        NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, 'clock.mjs')).href}`,
        CAUSEWAY_GATE_CLOCK: this.#clockFile,
      },
    });
  }

  /** SIGKILL, and a start on what is left. */
  async crash(): Promise<void> {
    await this.#server.kill();
    await this.#start(this.#server.dataDir);
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.#start(this.#server.dataDir);
  }

  async stop(): Promise<void> {
    assert.equal(await this.#server.stop(), 0);
  }

  async passHour(): Promise<void> {
    this.#aheadMs += hourMs;
    await writeFile(this.#clockFile, `${this.#aheadMs}`);
    await sleep(300);
  }

  causeway(...words: readonly string[]): ReturnType<typeof runProcess> {
    const command = join(import.meta.dirname, '..', '..', 'bin', 'causeway');
    return runProcess(command, [...words, '--data', this.#server.dataDir], { timeoutMs: 120_000 });
  }

  async account(...settings: readonly string[]): Promise<void> {
    const ran = await this.causeway('account', 'set', this.#server.access.account, ...settings);
    if (ran.code !== 0) throw new Error(`account set ended with ${ran.code}: ${ran.stderr}${ran.stdout}`);
  }

  #client(sdk: Sdk, maker: string): Sdk {
    const { account, key, blob } = this.#server.access;
    const credential = new this.#blobSdk.StorageSharedKeyCredential(account, key);
    return new sdk[maker](`${blob}/${account}`, credential, { retryOptions: { maxTries: 1 } });
  }

  service(): Sdk {
    return this.#client(this.#blobSdk, 'BlobServiceClient');
  }

  container(): Sdk {
    return this.service().getContainerClient(changed);
  }

  feed(): Sdk {
    return this.service().getContainerClient(feedName);
  }

  changes(options: object = {}): Sdk {
    const { account, key, blob } = this.#server.access;
    const connection = `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${key};BlobEndpoint=${blob}/${account};`;
    return this.#feedSdk.BlobChangeFeedClient.fromConnectionString(connection).listChanges(options);
  }

  async read(options: object = {}): Promise<Sdk[]> {
    const events: Sdk[] = [];
    for await (const event of this.changes(options)) events.push(event);
    return events;
  }

  async manifests(): Promise<Manifest[]> {
    const feed = this.feed();
    const found: Manifest[] = [];
    for (const name of await names(feed.listBlobsFlat({ prefix: 'idx/segments/' }))) {
      found.push(JSON.parse((await feed.getBlobClient(name).downloadToBuffer()).toString()) as Manifest);
    }
    return found;
  }

  lag(): Promise<number> {
    return this.#metric('causeway_follower_lag_records');
  }

  lagSeconds(): Promise<number> {
    return this.#metric('causeway_follower_lag_seconds');
  }

  async #metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.#server.access.admin}/metrics`)).text();
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${name}{follower="change-feed"}`));
    return line === undefined ? Number.NaN : Number(line.split(' ').at(-1));
  }

  async until(holds: () => Promise<boolean>, what: string, timeoutMs: number): Promise<void> {
    const started = performance.now();
    while (!(await holds())) {
      if (performance.now() - started > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
      await sleep(100);
    }
  }
}
