// One client of the mixed load: it owns its names, sends one operation at a time, and notes each in the ledger.
import type { Answer, BlobClient } from './blob-client.ts';
import { contentOf } from './content.ts';
import type { BlobState, Ledger } from './ledger.ts';
import type { Seeded } from './seeded.ts';

/** A range of sizes, drawn as often as its weight says. */
export type SizeRange = readonly [weight: number, minBytes: number, maxBytes: number];

export interface LoadSizes {
  readonly put: readonly SizeRange[];
  readonly blocks: readonly SizeRange[];
}

export interface LoadCounts {
  operations: number;
  bytes: number;
  byKind: Record<string, number>;
}

/** An answer that no state of the service explains. */
export class WrongAnswer extends Error {}

interface StagedBlob {
  readonly state: BlobState & object;
  readonly ids: readonly string[];
  readonly blockBytes: number;
  readonly acknowledged: Set<string>;
}

let contentNumber = 0;

export class LoadClient {
  readonly #names: readonly string[];
  readonly #ledger: Ledger;
  readonly #random: Seeded;
  readonly #sizes: LoadSizes;
  readonly #counts: LoadCounts;
  readonly #staged = new Map<string, StagedBlob>();

  constructor(names: readonly string[], ledger: Ledger, random: Seeded, sizes: LoadSizes, counts: LoadCounts) {
    this.#names = names;
    this.#ledger = ledger;
    this.#random = random;
    this.#sizes = sizes;
    this.#counts = counts;
  }

  /** One operation. Throws `WrongAnswer`, or what the connection threw: then the operation is in doubt. */
  async step(client: BlobClient): Promise<void> {
    const [unfinished] = this.#staged.keys();
    if (unfinished !== undefined) return this.#finishBlocks(client, unfinished);
    const name = this.#random.pick(this.#names);
    const current = this.#ledger.current(name);
    const drawn = this.#random.next();
    if (current === 'absent') return drawn < 0.25 ? this.#startBlocks(client, name) : this.#put(client, name);
    if (drawn < 0.3) return this.#put(client, name);
    if (drawn < 0.42) return this.#startBlocks(client, name);
    if (drawn < 0.54) return this.#delete(client, name);
    if (drawn < 0.66) return this.#setMetadata(client, name, current);
    if (drawn < 0.76) return this.#copy(client, name);
    return this.#read(client, name, current);
  }

  /** Settles what was on its way when the server died, by reading it. */
  async settle(client: BlobClient): Promise<void> {
    for (const name of this.#names) {
      if (!this.#ledger.inDoubt(name)) continue;
      const found = await readState(client, name, this.#ledger.allowedNow(name));
      this.#ledger.settle(name, found);
      const staged = this.#staged.get(name);
      if (staged !== undefined && staged.state === found) this.#staged.delete(name);
    }
  }

  #count(kind: string, bytes: number): void {
    this.#counts.operations++;
    this.#counts.bytes += bytes;
    this.#counts.byKind[kind] = (this.#counts.byKind[kind] ?? 0) + 1;
  }

  #newState(ranges: readonly SizeRange[]): BlobState & object {
    const [, minBytes, maxBytes] = this.#random.pick(ranges.flatMap((range) => Array<SizeRange>(range[0]).fill(range)));
    const content = ++contentNumber;
    return { content, bytes: minBytes + this.#random.below(maxBytes - minBytes + 1), tag: `t${content}` };
  }

  async #put(client: BlobClient, name: string): Promise<void> {
    const state = this.#newState(this.#sizes.put);
    const acknowledge = this.#ledger.sending(name, state);
    expectStatus(await client.putBlob(name, contentOf(state.content, state.bytes), state.tag), 201, `Put Blob ${name}`);
    acknowledge();
    this.#count('put', state.bytes);
  }

  async #startBlocks(client: BlobClient, name: string): Promise<void> {
    const state = this.#newState(this.#sizes.blocks);
    const count = 1 + this.#random.below(6);
    const ids = Array.from({ length: count }, (_, index) =>
      Buffer.from(`${String(state.content).padStart(8, '0')}-${index}`).toString('base64'),
    );
    const blockBytes = Math.ceil(state.bytes / count);
    this.#staged.set(name, { state, ids, blockBytes, acknowledged: new Set() });
    await this.#finishBlocks(client, name);
  }

  /** An acknowledged block is not sent again, whatever happened since: committing it is how it is read back. */
  async #finishBlocks(client: BlobClient, name: string): Promise<void> {
    const { state, ids, blockBytes, acknowledged } = this.#staged.get(name) as StagedBlob;
    const content = contentOf(state.content, state.bytes);
    const open = ids.map((id, index) => ({ id, index })).filter(({ id }) => !acknowledged.has(id));
    const sendBlock = async ({ id, index }: { id: string; index: number }): Promise<void> => {
      const block = content.subarray(index * blockBytes, (index + 1) * blockBytes);
      if (block.length === 0) return;
      expectStatus(await client.putBlock(name, id, block), 201, `Put Block ${name}`);
      acknowledged.add(id);
      this.#ledger.staged(name, id);
    };
    const sent = await Promise.allSettled(open.map(sendBlock));
    for (const block of sent) if (block.status === 'rejected') throw block.reason;
    this.#ledger.committing(name);
    const acknowledge = this.#ledger.sending(name, state);
    const committed = ids.filter((id) => acknowledged.has(id));
    expectStatus(await client.putBlockList(name, committed, state.tag), 201, `Put Block List ${name}`);
    acknowledge();
    this.#staged.delete(name);
    this.#count('blocks', state.bytes);
  }

  async #delete(client: BlobClient, name: string): Promise<void> {
    const acknowledge = this.#ledger.sending(name, 'absent');
    expectStatus(await client.deleteBlob(name), 202, `Delete Blob ${name}`);
    acknowledge();
    this.#count('delete', 0);
  }

  async #setMetadata(client: BlobClient, name: string, current: BlobState & object): Promise<void> {
    const acknowledge = this.#ledger.sending(name, { ...current, tag: `m${++contentNumber}` });
    expectStatus(await client.setMetadata(name, `m${contentNumber}`), 200, `Set Blob Metadata ${name}`);
    acknowledge();
    this.#count('metadata', 0);
  }

  async #copy(client: BlobClient, name: string): Promise<void> {
    const source = this.#random.pick(this.#names);
    const state = this.#ledger.current(source);
    if (source === name || state === 'absent') return this.#put(client, name);
    const acknowledge = this.#ledger.sending(name, state);
    expectStatus(await client.copyBlob(name, source), 202, `Copy Blob ${source} to ${name}`);
    acknowledge();
    this.#count('copy', state.bytes);
  }

  async #read(client: BlobClient, name: string, current: BlobState & object): Promise<void> {
    if (this.#random.chance(0.5) && current.bytes > 0) {
      const from = this.#random.below(current.bytes);
      const to = from + this.#random.below(current.bytes - from);
      const answer = await client.getBlob(name, `bytes=${from}-${to}`);
      expectStatus(answer, 206, `Get Blob ${name}`);
      if (!answer.body.equals(contentOf(current.content, current.bytes).subarray(from, to + 1)))
        throw new WrongAnswer(`Get Blob ${name}: bytes ${from}-${to} are not those of content ${current.content}`);
    } else {
      await readState(client, name, [current]);
    }
    this.#count('read', current.bytes);
  }
}

/** Reads a blob and says which of the allowed states it is in; throws `WrongAnswer` if it is in none. */
export async function readState(client: BlobClient, name: string, allowed: readonly BlobState[]): Promise<BlobState> {
  const answer = await client.getBlob(name);
  const found = allowed.find((state) => {
    if (state === 'absent') return answer.status === 404;
    if (answer.status !== 200 || answer.headers['x-ms-meta-tag'] !== state.tag) return false;
    return answer.body.equals(contentOf(state.content, state.bytes));
  });
  if (found === undefined) {
    const seen = `${answer.status}, ${answer.body.length} bytes, tag ${answer.headers['x-ms-meta-tag']}`;
    const error = answer.status === 200 ? '' : ` ${answer.body.toString('utf8', 0, 300)}`;
    throw new WrongAnswer(`${name} is ${seen}${error}; allowed: ${JSON.stringify(allowed)}`);
  }
  return found;
}

function expectStatus(answer: Answer, status: number, what: string): void {
  if (answer.status === status) return;
  throw new WrongAnswer(`${what}: ${answer.status} instead of ${status}: ${answer.body.toString('utf8', 0, 400)}`);
}
