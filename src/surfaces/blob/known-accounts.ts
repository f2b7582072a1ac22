// Accounts as requests see them: read from the newest picture by each request, decoded once as long as their bytes stand.
import { type AccountKey, parseAccountKey } from '../../identity/account-key.ts';
import { NetworkPolicy } from '../../identity/network.ts';
import { getAccess } from '../../namespace/access.ts';
import { accountBytes } from '../../namespace/accounts.ts';
import { type AccessRecord, type AccountRecord, decodeRecord } from '../../namespace/records.ts';
import type { Awaitable, Store } from '../../namespace/store.ts';

export interface KnownAccount {
  readonly record: AccountRecord;
  readonly keys: readonly AccountKey[];
  readonly network: NetworkPolicy;
  /** Read when it is first asked for: a change of it changes the account's bytes as well. */
  access?: AccessRecord;
}

interface Decoded {
  readonly bytes: Uint8Array;
  readonly known: KnownAccount;
}

const decodedMax = 1000;

/**
 * No change waits for a clock: what a command or a request changed is what every request that begins after its answer is
 * decided by, in whichever process. A request asks once for the account of its address and goes by that to its end.
 */
export class KnownAccounts {
  readonly #store: Store;
  readonly #decoded = new Map<string, Decoded>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Undefined for an account that is not there. */
  read(name: string): Awaitable<KnownAccount | undefined> {
    const bytes = accountBytes(this.#store, name);
    return bytes instanceof Promise ? bytes.then((read) => this.#decode(name, read)) : this.#decode(name, bytes);
  }

  /** Roles and who has them, at least as new as the account. */
  async access(name: string, known: KnownAccount): Promise<AccessRecord> {
    known.access ??= await getAccess(this.#store, name);
    return known.access;
  }

  #decode(name: string, bytes: Uint8Array | undefined): KnownAccount | undefined {
    if (bytes === undefined) {
      this.#decoded.delete(name);
      return undefined;
    }
    const before = this.#decoded.get(name);
    if (before !== undefined && (before.bytes === bytes || Buffer.compare(before.bytes, bytes) === 0)) {
      return before.known;
    }
    const record = decodeRecord<AccountRecord>(bytes);
    const parsed = record.keys.map((key) => parseAccountKey(key)).filter((key) => key !== undefined);
    const known = { record, keys: parsed, network: new NetworkPolicy(record.settings?.networkRules) };
    if (this.#decoded.size >= decodedMax) this.#decoded.clear();
    this.#decoded.set(name, { bytes, known });
    return known;
  }
}
