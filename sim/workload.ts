// What a simulated client does next, drawn at random with an eye on what the model says there is to do.
import type { Random } from '../src/base/random.ts';
import { seededRandom } from '../src/base/random.ts';
import type { LeaseAction } from '../src/namespace/leases.ts';
import * as containerOperations from './container-operations.ts';
import type { EntryId, Guard, ListedBlock, Model } from './model.ts';
import type { Maker, Operation } from './operations.ts';
import * as operations from './operations.ts';
import * as pastOperations from './past-operations.ts';
import type { Shape } from './world.ts';

const containers = ['one', 'two', 'three'];
const names = ['a', 'b', 'a/b', 'a/c', 'a/b/c', 'a/b/d', 'deep/er/and/deeper', 'e/', '/f', 'é/ü', 'a.b', 'z'];
const leaseIds = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'];
const blockIds = ['b000', 'b001', 'b002', 'b003', 'b004'];
const accounts = ['first', 'second'];
const quotaBytes = 40_000;

// One store of random bytes: a content is a slice of it, so that no two look alike at any place that matters.
const noise = seededRandom(0x0b5e).bytes(4 * 1024 * 1024);

export class Workload {
  readonly #maker: Maker;
  readonly #random: Random;
  readonly #model: Model;
  readonly #shape: Shape;
  #made = 0;

  constructor(maker: Maker, model: Model, shape: Shape) {
    this.#maker = maker;
    this.#random = maker.random;
    this.#model = model;
    this.#shape = shape;
  }

  next(): Operation {
    const random = this.#random;
    const id = this.#entry();
    const hasQuota = (this.#model.containers.get(id.container)?.quotaBytes ?? 0) > 0;
    const mark = `${this.#made++}`;
    if (this.#model.containers.size > 0 && random.below(5) === 0) return this.#past(id, hasQuota);
    const roll = random.below(100);
    if (this.#model.containers.size === 0 || roll < 3) {
      return containerOperations.makeContainer(
        this.#pick(containers),
        random.below(4) === 0 ? quotaBytes : 0,
        mark,
        this.#model.mode.versioning && random.below(2) === 0,
      );
    }
    if (roll < 28) return operations.put(this.#maker, id, this.#guard(id), this.#bytes(), mark, hasQuota);
    if (roll < 30) {
      return operations.putInPart(this.#maker, id, this.#bytes(), random.below(2) === 0 ? 'short' : 'cut', hasQuota);
    }
    if (roll < 33) return operations.glance(id);
    if (roll < 40) return operations.read(id, this.#range(id));
    if (roll < 48) return operations.remove(id, this.#guard(id), random.below(2) === 0, hasQuota);
    if (roll < 60) return this.#stage(id, hasQuota);
    if (roll < 70) return operations.commit(id, this.#guard(id), this.#blockList(id), mark, hasQuota);
    if (roll < 78) return operations.copy(this.#source(), id, this.#guard(id), mark, hasQuota);
    if (roll < 83) {
      const from = this.#source();
      return operations.stageFrom(
        this.#maker,
        from,
        this.#range(from) ?? { offset: 0, length: 100 },
        id,
        this.#pick(blockIds),
        hasQuota,
      );
    }
    if (roll < 87)
      return operations.change(id, this.#guard(id), mark, random.below(2) === 0 ? 'metadata' : 'headers', hasQuota);
    if (roll < 90) return operations.lease(id, this.#leaseAction());
    if (roll < 94) return operations.list(id.container, this.#listShape(), 1 + random.below(6));
    if (roll < 95) return containerOperations.removeContainer(id.container);
    if (roll < 97) return containerOperations.editContainer(id.container, mark, this.#quota(id.container));
    if (roll < 98) return containerOperations.leaseOnContainer(id.container, this.#leaseAction());
    const account = this.#pick(accounts);
    return random.below(2) === 0
      ? containerOperations.newKey(account)
      : containerOperations.makeAccount(account, [`k${mark}`, `l${mark}`]);
  }

  /** What is about the past and about tags. */
  #past(id: EntryId, hasQuota: boolean): Operation {
    const random = this.#random;
    const found = this.#model.containers.get(id.container);
    const named = [...(found?.past.keys() ?? [])];
    const kept = named.length > 0 && random.below(5) > 0 ? { ...id, name: this.#pick(named) } : id;
    const index = random.below(this.#model.past(kept).length + (random.below(6) === 0 ? 1 : 0) || 1);
    switch (random.below(9)) {
      case 0:
      case 1:
        return pastOperations.snapshot(id, hasQuota);
      case 2:
        return pastOperations.removePast(kept, index, hasQuota);
      case 3:
      case 4:
        return pastOperations.readOfPast(kept, index);
      case 5:
        return pastOperations.undelete(kept);
      case 6:
        if (found?.isProtected !== true) return pastOperations.snapshot(id, hasQuota);
        return pastOperations.hold(kept, random.below(2) === 0 ? undefined : index, random.below(3) > 0);
      case 7:
        return pastOperations.tag(id, { mark: `${random.below(3)}`, ...(random.below(2) === 0 && { other: 'x' }) });
      default:
        return pastOperations.find(id.container, `${random.below(3)}`);
    }
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#random.below(items.length)] as T;
  }

  #entry(): EntryId {
    return { container: this.#pick(containers), name: this.#pick(names) };
  }

  /** Mostly a name that has something. */
  #source(): EntryId {
    const container = this.#pick(containers);
    const there = [...(this.#model.containers.get(container)?.entries.keys() ?? [])];
    return there.length > 0 && this.#random.below(8) > 0 ? { container, name: this.#pick(there) } : this.#entry();
  }

  #guard(id: EntryId): Guard {
    const random = this.#random;
    const entry = this.#model.entry(id);
    const condition = random.below(12);
    return {
      leaseId:
        entry?.lease !== undefined && random.below(8) > 0
          ? entry.lease.id
          : random.below(24) === 0
            ? leaseIds[0]
            : undefined,
      ifMatch: condition === 0 ? entry?.etag : condition === 1 ? '0xNONE' : undefined,
      ifNoneMatch: condition === 2 ? '*' : undefined,
    };
  }

  #size(): number {
    const random = this.#random;
    switch (random.below(10)) {
      case 0:
        return 0;
      case 1:
      case 2:
        return this.#shape.inlineBytesMax - 2 + random.below(5);
      case 3:
      case 4:
      case 5:
        return 1 + random.below(8 * 1024);
      case 6:
        return 64 * 1024 - 3 + random.below(6);
      case 7:
        return this.#shape.contentBytesMax - random.below(Math.floor(this.#shape.contentBytesMax / 2));
      default:
        return 1 + random.below(1024);
    }
  }

  #bytes(size = this.#size()): Buffer {
    const length = Math.max(0, size);
    const from = this.#random.below(noise.length - length);
    return noise.subarray(from, from + length);
  }

  #range(id: EntryId): { offset: number; length: number } | undefined {
    const length = this.#model.entry(id)?.bytes.length ?? 0;
    if (length === 0 || this.#random.below(3) === 0) return undefined;
    const offset = this.#random.below(length);
    return { offset, length: 1 + this.#random.below(length - offset + 10) };
  }

  #stage(id: EntryId, hasQuota: boolean): Operation {
    const block = this.#pick(blockIds);
    const before = this.#model.upload(id)?.blocks.get(Buffer.from(block).toString('base64'));
    let bytes = this.#bytes(this.#random.below(4) === 0 ? this.#size() : 1 + this.#random.below(3000));
    // Staged blocks can only be told apart by their length until they are committed.
    if (bytes.length === before?.length) bytes = this.#bytes(bytes.length + 1);
    const lease = this.#model.entry(id)?.lease?.id;
    return operations.stage(this.#maker, id, lease, block, bytes, hasQuota);
  }

  /** Now and then a long one, whose pieces stand in rows of their own. */
  #blockList(id: EntryId): ListedBlock[] {
    const random = this.#random;
    const staged = [...(this.#model.upload(id)?.blocks.keys() ?? [])];
    const committed = this.#model.entry(id)?.blocks?.map((block) => block.id) ?? [];
    const known = [...staged, ...committed];
    if (random.below(16) === 0) known.push(Buffer.from('none').toString('base64'));
    if (known.length === 0) return [];
    const length = random.below(5) === 0 ? 33 + random.below(30) : random.below(7);
    return Array.from({ length }, () => {
      const block = this.#pick(known);
      const mayBe: ListedBlock['from'][] = ['latest'];
      if (staged.includes(block) || random.below(16) === 0) mayBe.push('uncommitted');
      if (committed.includes(block) || random.below(16) === 0) mayBe.push('committed');
      return { id: block, from: this.#pick(mayBe) };
    });
  }

  #leaseAction(): LeaseAction {
    const random = this.#random;
    const durationS = random.below(2) === 0 ? -1 : 15 + random.below(45);
    const actions: LeaseAction[] = [
      { action: 'acquire', durationS, proposedId: this.#pick(leaseIds) },
      { action: 'renew', id: this.#pick(leaseIds) },
      { action: 'change', id: this.#pick(leaseIds), proposedId: this.#pick(leaseIds) },
      { action: 'release', id: this.#pick(leaseIds) },
      { action: 'break', periodS: random.below(2) * 10 },
      { action: 'break' },
    ];
    return this.#pick(actions);
  }

  #listShape(): { prefix: string; delimiter: string; uncommitted: boolean } {
    return {
      prefix: this.#pick(['', '', 'a', 'a/', 'a/b', 'a/b/', '/', 'é']),
      delimiter: this.#pick(['', '/', '/', 'b', 'é']),
      uncommitted: this.#random.below(2) === 0,
    };
  }

  /** Not below what is there, where what is refused would depend on more than one name. */
  #quota(container: string): number {
    const random = this.#random;
    return random.below(2) === 0 ? 0 : Math.max(quotaBytes, this.#model.usedBytes(container) + random.below(5000));
  }
}
