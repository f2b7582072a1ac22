// One seed: a random life of the store, with crashes, checked against the model at every answer and after every start.
import { seededRandom } from '../src/base/random.ts';
import { keys } from '../src/metadata/keys.ts';
import { changeAccount, createAccount } from '../src/namespace/accounts.ts';
import { dueWork } from '../src/namespace/background.ts';
import { doDue } from '../src/namespace/due.ts';
import { emptyOnce } from '../src/namespace/emptying.ts';
import { expireUploads, trimJournal } from '../src/namespace/expiry.ts';
import { fsck } from '../src/namespace/fsck.ts';
import { processGarbage } from '../src/namespace/garbage.ts';
import { listEntries } from '../src/namespace/list.ts';
import { pruneOnce } from '../src/namespace/prune.ts';
import { reclaimOnce } from '../src/namespace/reclaim.ts';
import { decodeRecord, type SegmentRecord } from '../src/namespace/records.ts';
import { recoverSegments } from '../src/namespace/recover.ts';
import { rowsOf } from '../src/namespace/references.ts';
import type { Store } from '../src/namespace/store.ts';
import { Model } from './model.ts';
import {
  account,
  modelContainer,
  modelEntry,
  modelNames,
  modelStates,
  observeContainer,
  observeEntry,
} from './observe.ts';
import { type Answer, cause, type Operation, senderGone } from './operations.ts';
import { excludes, isFault, retireUnmoved, shorten } from './rules.ts';
import { Schedule } from './schedule.ts';
import { Workload } from './workload.ts';
import { type Shape, World } from './world.ts';

/** What is switched off, so that the simulation shows that it would notice. */
export type Break = 'sync' | 'order' | 'reclaim' | undefined;

export interface SeedResult {
  readonly seed: number;
  /** Undefined: all is well. */
  readonly violation: string | undefined;
  readonly trace: number;
  readonly counts: Counts;
}

export interface Counts {
  operations: number;
  crashes: number;
  faults: number;
  movedExtents: number;
  deletedSegments: number;
  orphans: number;
  maybe: number;
}

export interface SimulateOptions {
  readonly seed: number;
  readonly breaks?: Break;
  readonly log?: (line: string) => void;
}

const graceMs = 5_000;
const inFlightMax = 5;
const dayMs = 86_400_000;

class Violation extends Error {}

export async function simulate(options: SimulateOptions): Promise<SeedResult> {
  const life = new Life(options);
  let violation: string | undefined;
  try {
    await life.run();
  } catch (error) {
    violation = error instanceof Violation ? error.message : ((error as Error).stack ?? String(error));
  }
  const { counts, schedule } = life;
  return { seed: options.seed, violation, trace: schedule.trace, counts };
}

interface Flight {
  readonly operation: Operation;
  readonly startMs: number;
  readonly faultsBefore: number;
  /** Of an unlocked read: all that stood since it began. */
  readonly stood: Set<string>;
}

/** An unlocked read that saw what nobody acknowledged yet; one of these writes must turn out to have made it. */
interface Unexplained {
  readonly flight: Flight;
  readonly seen: string;
  readonly writes: Set<Flight>;
}

class Life {
  readonly schedule: Schedule;
  readonly counts: Counts = {
    operations: 0,
    crashes: 0,
    faults: 0,
    movedExtents: 0,
    deletedSegments: 0,
    orphans: 0,
    maybe: 0,
  };
  readonly #options: SimulateOptions;
  readonly #random;
  readonly #model = new Model();
  readonly #world: World;
  readonly #workload: Workload;
  #flights: Flight[] = [];
  #unexplained: Unexplained[] = [];
  #violation: string | undefined;
  /** Background steps that run, by name. */
  readonly #steps = new Set<string>();
  #generation = 0;

  constructor(options: SimulateOptions) {
    const { seed, breaks } = options;
    this.#options = options;
    this.#random = seededRandom(seed);
    this.schedule = new Schedule(seededRandom(seed ^ 0x71e));
    const shape = this.#shape();
    this.#world = new World(seed, this.schedule, shape, breaks === 'reclaim' ? undefined : breaks);
    this.#workload = new Workload({ schedule: this.schedule, random: this.#random }, this.#model, shape);
  }

  async run(): Promise<void> {
    const lives = 2 + this.#random.below(3);
    await this.#world.open();
    await this.#setMode();
    for (let life = 0; life < lives; life++) {
      await this.#live(15 + this.#random.below(50));
      if (this.#random.below(6) === 0) await this.#restart();
      else await this.#crash(this.#random.below(3) === 0 ? 'kill' : 'power');
      await this.#verify(life === lives - 1 || this.#random.below(2) === 0);
    }
    await this.#live(15);
    await this.#drain();
    this.#world.setFaults(0);
    await this.#settle();
    await this.#verify(true);
    await this.#checkNothingIsLeft();
  }

  async #setMode(): Promise<void> {
    const mode = { versioning: this.#random.below(2) === 0, softDelete: this.#random.below(2) === 0 };
    this.#model.mode = mode;
    const settings = { versioning: mode.versioning, ...(mode.softDelete && { softDeleteDays: 1 }) };
    const store = this.#store();
    await this.schedule.until(createAccount(store, account, ['k', 'l'], cause));
    await this.schedule.until(changeAccount(store, account, { settings }, cause));
  }

  /** Most seeds have segments of a few contents; some have contents of more than one slot. */
  #shape(): Shape {
    const inlineBytesMax = this.#random.below(3) === 0 ? 0 : 256;
    return this.#random.below(10) === 0
      ? { segmentBytes: 3 << 20, inlineBytesMax, contentBytesMax: 2_500_000 }
      : { segmentBytes: 256 << 10, inlineBytesMax, contentBytesMax: 120_000 };
  }

  async #live(operations: number): Promise<void> {
    const random = this.#random;
    if (random.below(3) === 0) this.#world.setFaults(100 + random.below(400));
    let left = operations;
    while (left > 0) {
      const roll = random.below(100);
      if (roll < 40 && this.#flights.length < inFlightMax) {
        if (this.#start(this.#workload.next())) left--;
      } else if (roll < 50) this.#background();
      else if (roll === 50 && random.below(3) === 0) this.#world.disk.isFull = !this.#world.disk.isFull;
      else if (roll === 51 && this.#flights.length === 0) this.schedule.advance(random.below(30_000));
      await this.#turn();
    }
  }

  async #turn(): Promise<void> {
    await this.schedule.turn(this.#flights.length > 0 || this.#steps.size > 0);
    if (this.#violation !== undefined) throw new Violation(this.#violation);
  }

  async #drain(): Promise<void> {
    this.#world.disk.isFull = false;
    while (this.#flights.length > 0 || this.#steps.size > 0) await this.#turn();
  }

  #fail(what: string): void {
    this.#violation ??= what;
  }

  #log(line: string): void {
    this.#options.log?.(`${this.schedule.now() % 1e7} ${line}`);
  }

  #store(): Store {
    return this.#world.stores[this.#random.below(this.#world.stores.length)] as Store;
  }

  /** Starts it, unless something under way excludes it. */
  #start(operation: Operation): boolean {
    const held = this.#flights.flatMap((flight) => flight.operation.locks);
    if (operation.locks.some((lock) => held.some((other) => excludes(lock, other)))) return false;
    const flight: Flight = {
      operation,
      startMs: this.schedule.now(),
      faultsBefore: this.#world.faults,
      stood: new Set(),
    };
    this.#flights.push(flight);
    if (operation.isUnlocked) flight.stood.add(this.#standing(operation));
    this.counts.operations++;
    this.#log(`start ${operation.label}`);
    const generation = this.#generation;
    const ended = (work: () => void): void => {
      if (generation !== this.#generation) return;
      this.#flights = this.#flights.filter((one) => one !== flight);
      work();
      this.#explain(flight);
    };
    operation.run(this.#store()).then(
      (answer) => ended(() => this.#answered(flight, answer)),
      (error) => ended(() => this.#threw(flight, error)),
    );
    return true;
  }

  #standing(operation: Operation): string {
    const { kind, seen } = operation.expect(this.#model, this.schedule.now());
    return `${kind} ${seen}`;
  }

  #glanced(flight: Flight, seen: string): void {
    flight.stood.add(this.#standing(flight.operation));
    if (!flight.stood.has(seen)) this.#unexplained.push({ flight, seen, writes: new Set(this.#flights) });
  }

  /** What `ended` did is known now: for reads under way, and for those that saw it before its own caller knew. */
  #explain(ended: Flight): void {
    for (const { operation, stood } of this.#flights) if (operation.isUnlocked) stood.add(this.#standing(operation));
    this.#unexplained = this.#unexplained.filter(({ flight, seen, writes }) => {
      if (this.#standing(flight.operation) === seen) return false;
      writes.delete(ended);
      if (writes.size === 0) this.#fail(`${flight.operation.label}: saw ${shorten(seen)}, which nobody made`);
      return writes.size > 0;
    });
  }

  #answered(flight: Flight, answer: Answer): void {
    const { operation, startMs, faultsBefore } = flight;
    const { label } = operation;
    this.#log(`${answer.kind} ${label}`);
    for (const char of answer.kind) this.schedule.note(char.charCodeAt(0));
    if (answer.kind === 'no-space' && this.#world.faults > faultsBefore) return;
    if (operation.isUnlocked) {
      this.#glanced(flight, `${answer.kind} ${answer.seen}`);
      return;
    }
    // A lease may run out while the operation is under way.
    let expected = operation.expect(this.#model, this.schedule.now());
    if (expected.kind !== answer.kind) expected = operation.expect(this.#model, startMs);
    if (expected.kind !== answer.kind) {
      this.#fail(`${label}: answered ${answer.kind}, and ${expected.kind} was expected`);
      return;
    }
    if (expected.seen !== answer.seen) {
      this.#fail(`${label}: saw ${shorten(answer.seen)}, and ${shorten(expected.seen)} was expected`);
      return;
    }
    if (answer.kind === 'ok') expected.apply({ etag: answer.etag, lease: answer.lease, nowMs: this.schedule.now() });
  }

  /** Nothing may have changed; and nothing may fail but for the disk's sake. */
  #threw({ operation, faultsBefore }: Flight, error: Error): void {
    this.#log(`threw ${operation.label}: ${error.message}`);
    if (error.message === senderGone || (this.#world.faults > faultsBefore && isFault(error))) return;
    this.#fail(`${operation.label}: ${error.stack}`);
  }

  #background(): void {
    const random = this.#random;
    const steps: [string, (store: Store) => Promise<unknown>][] = [
      ['garbage', (store) => processGarbage(store, { graceMs, rowsMax: 1 + random.below(20) })],
      ['garbage', (store) => processGarbage(store, { graceMs, rowsMax: 100 })],
      ['reclaim', (store) => this.#reclaim(store)],
      ['reclaim', (store) => this.#reclaim(store)],
      ['recover', (store) => this.#recover(store)],
      ['prune', (store) => pruneOnce(store, { rowsMax: 1 + random.below(4) })],
      ['empty', (store) => emptyOnce(store, { rowsMax: 1 + random.below(6) })],
      ['due', (store) => doDue(store, dueWork(store), { rowsMax: 20 })],
      ['uploads', (store) => expireUploads(store, { ageMs: 7 * dayMs })],
      ['journal', (store) => trimJournal(store, { ageMs: 60_000, rowsMax: 20 })],
    ];
    if (this.#options.breaks === 'reclaim') steps.push(['sabotage', (store) => retireUnmoved(store)]);
    const [name, step] = steps[random.below(steps.length)] as (typeof steps)[number];
    // Two at once, as when the lease of a task ran out under a worker that goes on.
    const slot = random.below(4) === 0 ? `${name}, again` : name;
    if (this.#steps.has(slot)) return;
    this.#steps.add(slot);
    this.#log(`step ${slot}`);
    const generation = this.#generation;
    const faultsBefore = this.#world.faults;
    step(this.#store()).then(
      () => {
        if (generation === this.#generation) this.#steps.delete(slot);
      },
      (error) => {
        if (generation !== this.#generation) return;
        this.#steps.delete(slot);
        this.#log(`step ${slot} threw ${(error as Error).message}`);
        if (this.#world.faults === faultsBefore || !isFault(error)) this.#fail(`${slot}: ${(error as Error).stack}`);
      },
    );
  }

  async #reclaim(store: Store): Promise<number> {
    const counts = await reclaimOnce(store, {
      segmentBytes: this.#world.shape.segmentBytes,
      smallMax: 2,
      graceMs,
      damagePauseMs: 60_000,
      onDamage: (segment, what) => this.#fail(`reclaim found damage in segment ${segment}: ${what}`),
    });
    this.counts.movedExtents += counts.movedExtents;
    this.counts.deletedSegments += counts.deleted;
    return counts.retired + counts.deleted;
  }

  async #recover(store: Store): Promise<void> {
    const counts = await recoverSegments(store, {
      below: this.#world.recoverBelow,
      onDamage: (segment, what) => this.#fail(`recovery found damage in segment ${segment}: ${what}`),
    });
    this.counts.orphans += counts.orphans;
  }

  async #restart(): Promise<void> {
    await this.#drain();
    this.#world.setFaults(0);
    this.#log('restart');
    await this.#world.close();
    await this.#world.open();
  }

  /** Everything stops where it stands; what was under way has happened whole or not at all. */
  async #crash(kind: 'kill' | 'power'): Promise<void> {
    for (let turns = this.#random.below(30); turns > 0; turns--) await this.#turn();
    this.#log(`crash: ${kind}`);
    this.counts.crashes++;
    this.counts.faults = this.#world.faults;
    this.#generation++;
    const lost = this.#flights;
    this.#flights = [];
    this.#unexplained = [];
    this.#steps.clear();
    this.#world.crash(kind);
    this.#world.setFaults(0);
    await this.#world.open();
    const store = this.#store();
    for (const flight of lost) await this.#resolve(store, flight);
  }

  async #resolve(store: Store, { operation, startMs }: Flight): Promise<void> {
    const { observe, print, label } = operation;
    if (observe === undefined || print === undefined) return;
    const observed = await this.schedule.until(observe(store));
    if (observed.print === print(this.#model)) return;
    this.counts.maybe++;
    const before = print(this.#model);
    const expected = operation.expect(this.#model, startMs);
    if (expected.kind === 'ok')
      expected.apply({ etag: observed.etag, lease: observed.lease, nowMs: this.schedule.now() });
    if (observed.print !== print(this.#model)) {
      throw new Violation(
        `${label} was cut off: there is ${observed.print}, before was ${before}, then ${print(this.#model)}`,
      );
    }
    this.#log(`happened: ${label}`);
  }

  /** Everything that the model holds, and nothing else. */
  async #verify(withFsck: boolean): Promise<void> {
    const store = this.#store();
    const { schedule } = this;
    for (const container of ['one', 'two', 'three']) {
      const observed = await schedule.until(observeContainer(store, container));
      const expected = modelContainer(this.#model, container);
      if (observed.print !== expected)
        throw new Violation(`container ${container}: ${observed.print}, not ${expected}`);
      if (expected === 'nothing') continue;
      const query = { account, container, prefix: '', delimiter: undefined, from: '', limit: 1000, uncommitted: true };
      const page = await schedule.until(listEntries(store, query));
      const names = page.kind === 'ok' ? page.items.map((item) => item.name) : [page.kind];
      const wanted = modelNames(this.#model, container);
      if (names.join('|') !== wanted.join('|')) {
        throw new Violation(`container ${container} lists ${names.join('|')}, not ${wanted.join('|')}`);
      }
      const states = await schedule.until(this.#listStates(store, container));
      const kept = modelStates(this.#model, container);
      if (states.join('|') !== kept.join('|')) {
        throw new Violation(`container ${container} lists the states ${states.join('|')}, not ${kept.join('|')}`);
      }
      const all = new Set([...wanted, ...(this.#model.containers.get(container)?.past.keys() ?? [])]);
      for (const name of all) {
        const id = { container, name };
        const seen = await schedule.until(observeEntry(store, id));
        const print = modelEntry(this.#model, id);
        if (seen.print !== print) throw new Violation(`${container}/${name}: ${seen.print}, not ${print}`);
        const etag = this.#model.entry(id)?.etag;
        if (seen.etag !== etag) throw new Violation(`${container}/${name}: ETag ${seen.etag}, not ${etag}`);
      }
    }
    if (!withFsck) return;
    const lines: string[] = [];
    const result = await schedule.until(fsck(store, (line) => lines.push(line)));
    if (result.damage > 0) throw new Violation(`fsck: ${lines.join('; ')}`);
  }

  /** Every state of every name, a few to a page. */
  async #listStates(store: Store, container: string): Promise<string[]> {
    const past = { snapshots: true, versions: true, deleted: true, versionsOnly: false, alone: false };
    const query = { account, container, prefix: '', delimiter: undefined, limit: 3, uncommitted: false, past };
    const states: string[] = [];
    for (let from = ''; ; ) {
      const page = await listEntries(store, { ...query, from });
      if (page.kind !== 'ok') return [page.kind];
      for (const item of page.items) {
        if (item.kind !== 'entry') continue;
        const state = item.entry.record.past;
        const shown = state === undefined ? '' : ` ${state.kind}${state.deletedMs === undefined ? '' : '!'}`;
        states.push(`${item.name}${shown}`);
      }
      if (page.next === undefined) return states;
      from = page.next;
    }
  }

  /** Time passes and the background does all that there is to do. */
  async #settle(): Promise<void> {
    const { schedule } = this;
    const store = this.#store();
    schedule.advance(9 * dayMs);
    await schedule.until(this.#recover(store));
    await schedule.until(expireUploads(store, { ageMs: 7 * dayMs }));
    for (const container of this.#model.containers.values()) container.uploads.clear();
    await schedule.until(doDue(store, dueWork(store), { rowsMax: 10_000 }));
    this.#model.purge();
    for (let quiet = 0; quiet < 2; ) {
      schedule.advance(2 * graceMs);
      const garbage = await schedule.until(processGarbage(store, { graceMs, rowsMax: 1000 }));
      const emptied = await schedule.until(emptyOnce(store, { rowsMax: 1000 }));
      const pruned = await schedule.until(pruneOnce(store, { rowsMax: 1000 }));
      const reclaimed = await schedule.until(this.#reclaim(store));
      const journal = await schedule.until(trimJournal(store, { ageMs: 1000, rowsMax: 1000 }));
      const work = garbage.rows + emptied.rows + emptied.containers + pruned.looked + reclaimed + journal.records;
      quiet = work === 0 ? quiet + 1 : 0;
    }
  }

  /** Nothing waits any more, no directory is empty, and what is dropped has been reclaimed. */
  async #checkNothingIsLeft(): Promise<void> {
    const waiting = {
      garbage: keys.allGarbage(),
      prune: keys.allPrune(),
      emptying: keys.allEmptying(),
      journal: keys.journalAll(),
    };
    await this.schedule.until(
      this.#world.engine.snapshot(async (view) => {
        for (const [what, range] of Object.entries(waiting)) {
          if ((await view.scan(range, { limit: 1 })).length > 0) throw new Violation(`at the end there is ${what}`);
        }
        for await (const { key, value } of rowsOf(view, keys.entries())) {
          if (!keys.isDirectory(key)) continue;
          const { id } = decodeRecord<{ id: string }>(value);
          const children = await view.scan(keys.children(Buffer.from(id, 'hex')), { limit: 1 });
          const past = await view.scan(keys.pastBelow(Buffer.from(id, 'hex')), { limit: 1 });
          if (children.length === 0 && past.length === 0) throw new Violation('at the end there is an empty directory');
        }
        for await (const { value } of rowsOf(view, keys.segments())) {
          if (decodeRecord<SegmentRecord>(value).state === 'retired')
            throw new Violation('at the end there is a retired segment');
        }
      }),
    );
  }
}
