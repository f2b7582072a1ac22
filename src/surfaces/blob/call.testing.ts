// Calls as the dispatcher makes them, over a store in memory, for tests of single operations.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { createIds } from '../../base/ids.ts';
import { seededRandom } from '../../base/random.ts';
import { ContentStore } from '../../content/content-store.ts';
import { fileDisk } from '../../content/file-disk.ts';
import { MemoryEngine } from '../../metadata/memory-engine.ts';
import { createAccount } from '../../namespace/accounts.ts';
import { createCatalog } from '../../namespace/segments.ts';
import type { Store } from '../../namespace/store.ts';
import type { Answer } from '../http/answer.ts';
import type { RequestBody } from '../http/body.ts';
import { holdNobody } from '../http/hold.ts';
import type { BatchPart, BlobSettings, Call, ContainerCall } from './call.ts';
import { BlobError } from './errors.ts';
import { parseQuery } from './request.ts';
import { newestVersion } from './versions.ts';

export const testAccount = 'devstoreaccount1';

/** A clock that stands still until it is told to go on. */
export interface TestClock extends Clock {
  advance(ms: number): void;
}

export interface TestSurface extends AsyncDisposable {
  readonly store: Store;
  readonly clock: TestClock;
}

/** A store of its own with the development account; its segments lie in a directory that goes with it. */
export async function openTestSurface(): Promise<TestSurface> {
  const directory = await mkdtemp(join(tmpdir(), 'causeway-blob-'));
  let nowMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
  const clock: TestClock = {
    now: () => nowMs,
    // Others get their turn: what polls would keep them from it.
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
    advance: (ms) => {
      nowMs += ms;
    },
  };
  const random = seededRandom(1);
  const engine = new MemoryEngine();
  const content = new ContentStore({
    disk: fileDisk,
    directory,
    catalog: createCatalog(engine, clock),
    clock,
    random,
    segmentBytes: 64 * 1024 * 1024,
    inlineBytesMax: 4096,
    slotsMax: 4,
    readBuffersMax: 2,
  });
  const store: Store = {
    engine,
    content,
    clock,
    wallClock: clock,
    ids: createIds(clock, random),
    random,
  };
  await createAccount(store, testAccount, ['a2V5', 'a2V5Mg=='], { by: 'test', requestId: 'none' });
  return {
    store,
    clock,
    async [Symbol.asyncDispose]() {
      await content.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export interface TestRequest {
  readonly method?: string;
  readonly container?: string;
  readonly blob?: string;
  /** As on the wire, after the question mark. */
  readonly query?: string;
  /** Names in any case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly version?: string;
  readonly runPart?: (part: BatchPart) => Promise<Answer>;
}

export const testSettings: BlobSettings = {
  strictVersions: false,
  bodyBytesMax: 2 ** 40,
  commitTimeoutMs: 30_000,
  clockSkewMs: 900_000,
  entraTenants: [],
  entraAuthority: 'https://login.microsoftonline.com',
  entraAudiences: [],
  stallTimeoutMs: 10_000,
  copySourceHosts: [],
  data: '',
  queriesMax: 1,
  queryQueueMax: 2,
  queryTimeoutMs: 20_000,
  queryBytesMax: 2 ** 30,
  queryMemoryBytes: 2 ** 28,
};

export function serviceCall(surface: TestSurface, request: TestRequest = {}): Call {
  const { container, blob } = request;
  const headers: Record<string, string> = { host: '127.0.0.1:10000' };
  for (const [name, value] of Object.entries(request.headers ?? {})) headers[name.toLowerCase()] = value;
  const path = [testAccount, container, blob].filter((part) => part !== undefined).map(encodeURIComponent);
  return {
    method: request.method ?? 'GET',
    rawPath: `/${path.join('/')}`,
    query: parseQuery(request.query ?? ''),
    headers,
    rawHeaders: Object.entries(request.headers ?? {}).flat(),
    target: { account: testAccount, container, blob },
    body: bodyOf(request.body),
    store: surface.store,
    settings: testSettings,
    requestId: '00000000-0000-0000-0000-000000000001',
    version: request.version ?? newestVersion,
    nowMs: surface.clock.now(),
    peer: { address: '127.0.0.1', protocol: 'http' },
    cause: { by: 'test', requestId: '00000000-0000-0000-0000-000000000001' },
    principal: { kind: 'account-key', account: testAccount },
    allowed: { onlyIfNew: false },
    accountSettings: {},
    openSource: async () => {
      throw new BlobError('CannotVerifyCopySource');
    },
    authorizeTags: async () => ({ onlyIfNew: false }),
    hold: holdNobody,
    runPart:
      request.runPart ??
      (async () => {
        throw new Error('this test runs no parts');
      }),
  };
}

export function containerCall(surface: TestSurface, container: string, request: TestRequest = {}): ContainerCall {
  return serviceCall(surface, { ...request, container }) as ContainerCall;
}

function bodyOf(body: string | Buffer = ''): RequestBody {
  const bytes = Buffer.from(body);
  const whole = async (bytesMax: number): Promise<Buffer | undefined> => (bytes.length > bytesMax ? undefined : bytes);
  async function* chunks(): AsyncGenerator<Buffer, void, undefined> {
    if (bytes.length > 0) yield bytes;
  }
  const failAfter = (): void => undefined;
  const drain = async (): Promise<boolean> => true;
  return { bytes: 0, whole, drain, failAfter, [Symbol.asyncIterator]: chunks } as unknown as RequestBody;
}

/** The code that a call is refused with; "none" where it is not. */
export async function refusal(answer: Promise<Answer>): Promise<string> {
  try {
    await answer;
    return 'none';
  } catch (error) {
    if (error instanceof BlobError) return error.errorCode;
    throw error;
  }
}
