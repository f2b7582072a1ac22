// The keys of encryption scopes, unwrapped by the customers' keys, held in memory for a short while, and never longer.
import type { Clock } from '../base/clock.ts';
import { type Envelope, type Sealer, type Unsealer, unwrapKey, wrapKey } from '../content/seal.ts';
import type { Engine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { decodeRecord } from './records.ts';

/** An encryption scope: which key of the customer protects it, and its own keys, wrapped by that one. */
export interface ScopeRecord {
  readonly source: KeySource;
  /** Of a key in a vault, without its version. */
  readonly keyUrl?: string;
  readonly state: 'enabled' | 'disabled';
  readonly createdMs: number;
  readonly modifiedMs: number;
  /** The last one seals what is written; the others open what was. */
  readonly keys: readonly ScopeKey[];
}

export type KeySource = 'local' | 'key-vault';

export interface ScopeKey {
  /** As envelopes name it: 16 bytes, in hexadecimal. */
  readonly id: string;
  /** Base64. */
  readonly wrapped: string;
  /** Of the customer's key. */
  readonly keyVersion: string;
  readonly createdMs: number;
}

export interface WrappedKey {
  readonly wrapped: Buffer;
  readonly keyVersion: string;
}

/** Where keys of customers are: in a vault, or in a file. Throws `KeyError`. */
export interface KeyProvider {
  /** Under the newest version of the customer's key. */
  wrap(keyUrl: string | undefined, key: Buffer): Promise<WrappedKey>;
  unwrap(keyUrl: string | undefined, key: WrappedKey): Promise<Buffer>;
  /** Makes a new version of the customer's key, where that is not the customer's own doing. */
  renew?(): Promise<void>;
}

/** Why a key is not to be had. All but the last stay so until somebody changes them. */
export type KeyProblem = 'key-not-found' | 'vault-not-found' | 'no-token' | 'scope-disabled' | 'unavailable';

/** A content's key is not to be had. The message names keys, and never holds one. */
export class KeyError extends Error {
  readonly code = 'KEY_REFUSED';
  readonly problem: KeyProblem;
  constructor(problem: KeyProblem, message: string) {
    super(message);
    this.problem = problem;
  }
}

/** A revoked key is noticed within this time, however busy its content is. */
const heldMs = 30_000;
/** From this age on a use has the key unwrapped again, beside what it does. */
const refreshMs = 15_000;
/** What a vault refused, or did not answer, is not asked for again within this time. */
const refusedMs = 1000;
const heldMax = 10_000;

interface Held {
  key: Buffer | undefined;
  sinceMs: number;
  pending: Promise<Buffer> | undefined;
  problem: KeyError | undefined;
  problemMs: number;
}

interface Known {
  readonly account: string;
  readonly scope: string;
  readonly record: ScopeRecord;
  /** Of the record; absent where only what it says is known. */
  readonly bytes?: Uint8Array;
}

export interface KeyringOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly providers: Readonly<Partial<Record<KeySource, KeyProvider>>>;
}

export class Keyring implements Unsealer {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #providers: KeyringOptions['providers'];
  readonly #held = new Map<string, Held>();
  /** By the ids of scopes' keys. */
  readonly #known = new Map<string, Known>();

  constructor(options: KeyringOptions) {
    this.#engine = options.engine;
    this.#clock = options.clock;
    this.#providers = options.providers;
  }

  /** Throws `KeyError` where the server has none of this kind. */
  provider(source: KeySource): KeyProvider {
    const provider = this.#providers[source];
    if (provider === undefined) throw new KeyError('unavailable', `keys of kind ${source} are not set up`);
    return provider;
  }

  /** What seals new content of a scope, from its record as it is now. Throws `KeyError`. */
  async sealer(account: string, scope: string, record: ScopeRecord): Promise<Sealer> {
    const newest = record.keys.at(-1) as ScopeKey;
    checkEnabled(scope, record);
    this.#known.set(newest.id, { account, scope, record });
    const key = await this.#unwrapped(newest.id, scope, record);
    return { kind: 'scope', keyId: Buffer.from(newest.id, 'hex'), wrap: (dataKey) => wrapKey(key, dataKey) };
  }

  /** By the scope's record as it is now: one that is disabled opens nothing more, in whichever process. */
  dataKey(envelope: Envelope): Buffer | undefined | Promise<Buffer | undefined> {
    const id = envelope.keyId.toString('hex');
    const known = this.#known.get(id);
    if (known === undefined) return this.#lookUp(id, envelope);
    const bytes = this.#engine.get(keys.scope(known.account, known.scope));
    return bytes instanceof Promise
      ? bytes.then((read) => this.#openBy(read, id, known, envelope))
      : this.#openBy(bytes, id, known, envelope);
  }

  #openBy(
    bytes: Uint8Array | undefined,
    id: string,
    known: Known,
    envelope: Envelope,
  ): Buffer | undefined | Promise<Buffer | undefined> {
    if (bytes === undefined) return this.#lookUp(id, envelope);
    if (known.bytes !== undefined && (known.bytes === bytes || Buffer.compare(known.bytes, bytes) === 0))
      return this.#open(id, known, envelope);
    const record = decodeRecord<ScopeRecord>(bytes);
    if (!record.keys.some((key) => key.id === id)) return this.#lookUp(id, envelope);
    const newer = { ...known, record, bytes };
    this.#known.set(id, newer);
    return this.#open(id, newer, envelope);
  }

  #open(id: string, known: Known, envelope: Envelope): Buffer | undefined | Promise<Buffer | undefined> {
    checkEnabled(known.scope, known.record);
    const key = this.#unwrapped(id, known.scope, known.record);
    return key instanceof Promise ? key.then((k) => unwrapKey(k, envelope.wrapped)) : unwrapKey(key, envelope.wrapped);
  }

  async #lookUp(id: string, envelope: Envelope): Promise<Buffer | undefined> {
    const found = await this.#engine.snapshot(async (view): Promise<Known | undefined> => {
      // There are few scopes, and each key is looked for once.
      for (const row of await view.scan(keys.allScopes(), { limit: heldMax })) {
        const record = decodeRecord<ScopeRecord>(row.value);
        if (record.keys.some((key) => key.id === id)) return { ...keys.scopeOf(row.key), record, bytes: row.value };
      }
      return undefined;
    });
    if (found === undefined) {
      this.#known.delete(id);
      throw new KeyError('key-not-found', `no encryption scope has the key ${id}`);
    }
    if (this.#known.size >= heldMax) this.#known.clear();
    this.#known.set(id, found);
    return await this.#open(id, found, envelope);
  }

  #unwrapped(id: string, scope: string, record: ScopeRecord): Buffer | Promise<Buffer> {
    const nowMs = this.#clock.now();
    if (this.#held.size >= heldMax) this.#held.clear();
    let held = this.#held.get(id);
    if (held === undefined) {
      held = { key: undefined, sinceMs: 0, pending: undefined, problem: undefined, problemMs: 0 };
      this.#held.set(id, held);
    }
    const age = nowMs - held.sinceMs;
    if (held.key !== undefined && age >= 0 && age < heldMs) {
      if (age >= refreshMs && !isRecent(held, nowMs)) this.#load(held, id, scope, record).catch(() => undefined);
      return held.key;
    }
    held.key = undefined;
    if (held.problem !== undefined && isRecent(held, nowMs)) throw held.problem;
    return this.#load(held, id, scope, record);
  }

  /** One at a time for a key. What the vault says of it counts from when it was asked. */
  #load(held: Held, id: string, scope: string, record: ScopeRecord): Promise<Buffer> {
    held.pending ??= (async () => {
      const askedMs = this.#clock.now();
      try {
        const stored = record.keys.find((key) => key.id === id) as ScopeKey;
        const wrapped = { wrapped: Buffer.from(stored.wrapped, 'base64'), keyVersion: stored.keyVersion };
        const key = await this.provider(record.source).unwrap(record.keyUrl, wrapped);
        held.key = key;
        held.sinceMs = askedMs;
        held.problem = undefined;
        return key;
      } catch (error) {
        const problem =
          error instanceof KeyError ? error : new KeyError('unavailable', `the key of scope ${scope}: ${error}`);
        held.problem = problem;
        held.problemMs = this.#clock.now();
        // Refused is refused, also for what an earlier answer allowed; without an answer, that stands for its time.
        if (problem.problem !== 'unavailable') held.key = undefined;
        throw problem;
      } finally {
        held.pending = undefined;
      }
    })();
    return held.pending;
  }
}

function isRecent(held: Held, nowMs: number): boolean {
  return held.problem !== undefined && nowMs >= held.problemMs && nowMs - held.problemMs < refusedMs;
}

function checkEnabled(scope: string, record: ScopeRecord): void {
  if (record.state === 'disabled') throw new KeyError('scope-disabled', `the encryption scope ${scope} is disabled`);
}
