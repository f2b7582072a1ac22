// Storage Analytics logs: for an account that asks for them, its requests as lines of the blobs of `$logs`.
import { dayMs } from '../../base/clock.ts';
import { createContainer } from '../../namespace/containers.ts';
import { putEntry } from '../../namespace/entries.ts';
import { listEntries } from '../../namespace/list.ts';
import type { Store } from '../../namespace/store.ts';
import { deleteEntry } from '../../namespace/times.ts';
import type { AuditRecord } from './record.ts';
import { formatStorageLog, type LogVersion } from './storage-log-format.ts';

export const logsContainer = '$logs';

/** What Set Blob Service Properties asks for. */
export interface LoggingWanted {
  readonly version: string;
  readonly read: boolean;
  readonly write: boolean;
  readonly delete: boolean;
  readonly retention: { readonly enabled: boolean; readonly days?: number };
}

export interface StorageLogsOptions {
  readonly store: Store;
  /** The longest that a line waits for its blob. */
  readonly flushMs: number;
  readonly onError: (error: Error) => void;
}

const blobBytesMax = 4 * 1024 * 1024;
const pendingBytesMax = 32 * 1024 * 1024;
const numberMax = 999_999;
const expiryPauseMs = 60 * 60 * 1000;

/** The lines of one account and hour. */
interface Pending {
  readonly account: string;
  readonly hour: string;
  lines: string[];
  bytes: number;
  startMs: number;
  endMs: number;
  readonly types: Set<'read' | 'write' | 'delete'>;
  readonly version: LogVersion;
  retention: LoggingWanted['retention'];
}

/** As the service says of its own: best effort. What is not written yet is lost with its process; the audit log is not. */
export class StorageLogs {
  readonly #options: StorageLogsOptions;
  #pending = new Map<string, Pending>();
  #bytes = 0;
  /** The next number of each account and hour, as far as this process knows. */
  readonly #numbers = new Map<string, number>();
  /** When old logs of an account were last deleted. */
  readonly #expired = new Map<string, number>();
  #flushing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StorageLogsOptions) {
    this.#options = options;
  }

  /** `wanted` is what the account asked for when the request came. */
  note(record: AuditRecord, wanted: LoggingWanted): void {
    const account = record.AccountName;
    if (account !== undefined) this.#add(wanted, account, record);
  }

  /** Writes what waits. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const pending = this.#pending;
    this.#pending = new Map();
    this.#bytes = 0;
    this.#flushing = this.#flushing.then(async () => {
      for (const each of pending.values()) {
        await this.#write(each).catch(this.#options.onError);
        await this.#expire(each).catch(this.#options.onError);
      }
    });
    return this.#flushing;
  }

  #add(wanted: LoggingWanted, account: string, record: AuditRecord): void {
    const type = typeOf(record);
    if (!wanted[type] || this.#bytes > pendingBytesMax) return;
    const version = wanted.version === '2.0' ? '2.0' : '1.0';
    const hour = hourOf(record.TimeGenerated);
    const id = `${account} ${hour} ${version}`;
    const atMs = Date.parse(record.TimeGenerated);
    let pending = this.#pending.get(id);
    if (pending === undefined) {
      const { retention } = wanted;
      pending = {
        account,
        hour,
        lines: [],
        bytes: 0,
        startMs: atMs,
        endMs: atMs,
        types: new Set(),
        version,
        retention,
      };
      this.#pending.set(id, pending);
    }
    const line = formatStorageLog(record, version);
    pending.lines.push(line);
    pending.bytes += line.length;
    this.#bytes += line.length;
    pending.startMs = Math.min(pending.startMs, atMs);
    pending.endMs = Math.max(pending.endMs, atMs);
    pending.types.add(type);
    pending.retention = wanted.retention;
    if (pending.bytes >= blobBytesMax) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), this.#options.flushMs).unref();
  }

  /** Behind the last log of an hour: found by its name, in twenty reads of one name each at the most. */
  async #firstFree(account: string, hour: string): Promise<number> {
    let least = 0;
    let most = numberMax + 1;
    for (let asked = 0; least < most; asked = (least + most) >> 1) {
      const page = await listEntries(this.#options.store, {
        account,
        container: logsContainer,
        prefix: `blob/${hour}/`,
        delimiter: undefined,
        from: nameOf(hour, asked),
        limit: 1,
        uncommitted: false,
      });
      const name = page.kind === 'ok' ? page.items[0]?.name : undefined;
      if (name === undefined) most = asked;
      else least = Math.max(asked, Number(/(\d{6})\.log$/.exec(name)?.[1] ?? asked)) + 1;
    }
    return least;
  }

  /** Under the first number of its hour that is free: every process writes blobs of its own. */
  async #write({ account, hour, lines, startMs, endMs, types, version }: Pending): Promise<void> {
    const { store } = this.#options;
    const cause = { by: 'StorageAnalytics', requestId: '' };
    const bytes = Buffer.from(lines.join(''));
    const metadata = {
      LogType: (['read', 'write', 'delete'] as const).filter((type) => types.has(type)).join(','),
      StartTime: secondOf(startMs),
      EndTime: secondOf(endMs),
      LogVersion: version,
    };
    const id = `${account} ${hour}`;
    if (this.#numbers.size > 1000) this.#numbers.clear();
    for (let number = this.#numbers.get(id) ?? (await this.#firstFree(account, hour)); number <= numberMax; number++) {
      this.#numbers.set(id, number + 1);
      const outcome = await putEntry(store, {
        account,
        container: logsContainer,
        name: nameOf(hour, number),
        conditions: { ifNoneMatch: '*' },
        cause,
        attributes: { type: 'block', headers: { contentType: 'text/plain' }, metadata },
        body: { chunks: chunksOf(bytes), length: bytes.length, lengthMax: bytes.length, wantMd5: true },
      });
      switch (outcome.kind) {
        case 'ok':
          return;
        case 'container-not-found': {
          const made = await createContainer(store, {
            account,
            container: logsContainer,
            metadata: {},
            publicAccess: 'none',
            cause,
          });
          if (made.kind !== 'ok' && made.kind !== 'container-exists') throw new Error(`$logs: ${made.kind}`);
          number--;
          break;
        }
        case 'entry-exists':
        case 'condition-not-met':
          break;
        default:
          throw new Error(`a log of ${account} could not be written: ${outcome.kind}`);
      }
    }
    throw new Error(`${account} has no free log in ${hour}`);
  }

  /** Deletes the logs that the account wants no longer; the names are in the order of their hours. */
  async #expire({ account, retention }: Pending): Promise<void> {
    const { store } = this.#options;
    const nowMs = store.clock.now();
    if (!retention.enabled || nowMs - (this.#expired.get(account) ?? 0) < expiryPauseMs) return;
    this.#expired.set(account, nowMs);
    const before = `blob/${hourOf(new Date(nowMs - (retention.days ?? 1) * dayMs).toISOString())}`;
    const container = { account, container: logsContainer };
    const cause = { by: 'StorageAnalytics', requestId: '' };
    for (let from: string | undefined = 'blob/'; from !== undefined; ) {
      const page = await listEntries(store, {
        ...container,
        prefix: 'blob/',
        delimiter: undefined,
        from,
        limit: 1000,
        uncommitted: false,
      });
      if (page.kind !== 'ok') return;
      for (const { name } of page.items) {
        if (name >= before) return;
        await deleteEntry(store, { ...container, name, conditions: {}, cause, snapshots: 'include' });
      }
      from = page.next;
    }
  }
}

const hourOf = (isoTime: string): string => `${isoTime.slice(0, 13).replace(/[-T]/g, '/')}00`;
const nameOf = (hour: string, number: number): string => `blob/${hour}/${`${number}`.padStart(6, '0')}.log`;
const secondOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

async function* chunksOf(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

function typeOf({ Category }: AuditRecord): 'read' | 'write' | 'delete' {
  if (Category === 'StorageRead') return 'read';
  return Category === 'StorageDelete' ? 'delete' : 'write';
}
