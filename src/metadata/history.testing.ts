// Histories of concurrent transactions: random ones are run and recorded, then checked for strict serializability.
import type { Random } from '../base/random.ts';
import { idOf } from './byte-order.ts';
import type { Engine, Txn, Value, View } from './engine.ts';

/**
 * One transaction that was acknowledged. Every key holds the list of those that appended to it, so what a transaction
 * saw tells which writers it came after, and which before.
 */
interface Done {
  readonly id: number;
  /** Ticks of one clock: who ended before another started stands before it. */
  readonly start: number;
  readonly end: number;
  readonly seen: readonly (readonly [key: string, list: readonly number[]])[];
  readonly appended: readonly string[];
}

export interface History {
  readonly done: readonly Done[];
  /** What each key holds at the end. */
  readonly final: ReadonlyMap<string, readonly number[]>;
}

export type Verdict = { kind: 'serializable' } | { kind: 'violation'; what: string };

const keyNames = ['a', 'b', 'c', 'd', 'e', 'f'];

const keyBytes = (name: string) => Buffer.from(`history/${name}`);
const nameOf = (key: Uint8Array) => idOf(key).slice('history/'.length);
const listOf = (value: Value | undefined): number[] =>
  value === undefined ? [] : JSON.parse(Buffer.from(value).toString());

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Lets others in between two steps, for a random while. */
async function pause(random: Random): Promise<void> {
  const turns = random.below(4);
  for (let turn = 0; turn < turns; turn += 1) await tick();
}

type Seen = [key: string, list: readonly number[]];

/** A scan says something about every key it passed, also about those that are not there. */
async function scanned(view: View, random: Random): Promise<Seen[]> {
  const from = random.below(keyNames.length);
  const to = from + random.below(keyNames.length + 1 - from);
  const limit = 1 + random.below(keyNames.length);
  const reverse = random.below(2) === 1;
  const range = { start: keyBytes(keyNames[from] as string), end: keyBytes(keyNames[to] ?? '~') };
  const items = await view.scan(range, { limit, reverse });
  const found = new Map(items.map((item) => [nameOf(item.key), listOf(item.value)]));
  const last = items.length === limit ? nameOf((items.at(-1) as { key: Uint8Array }).key) : undefined;
  const passed = keyNames
    .slice(from, to)
    .filter((name) => last === undefined || (reverse ? name >= last : name <= last));
  return passed.map((name) => [name, found.get(name) ?? []]);
}

async function readSome(view: View, random: Random): Promise<Seen[]> {
  const names = [0, 1].map(() => keyNames[random.below(keyNames.length)] as string);
  switch (random.below(3)) {
    case 0:
      return [[names[0] as string, listOf(await view.get(keyBytes(names[0] as string)))]];
    case 1: {
      const values = await view.getMany(names.map(keyBytes));
      return names.map((name, place) => [name, listOf(values[place])]);
    }
    default:
      return scanned(view, random);
  }
}

/** Reads some keys, appends to some; sometimes to one because another has nothing yet, as real programs do. */
async function work(txn: Txn, id: number, random: Random): Promise<Pick<Done, 'seen' | 'appended'>> {
  const seen: Seen[] = [];
  const appended: string[] = [];
  const steps = 1 + random.below(4);
  for (let step = 0; step < steps; step += 1) {
    const name = keyNames[random.below(keyNames.length)] as string;
    if (random.below(2) === 0) {
      seen.push(...(await readSome(txn, random)));
    } else if (!appended.includes(name)) {
      const list = listOf(await txn.get(keyBytes(name)));
      await pause(random);
      txn.put(keyBytes(name), Buffer.from(JSON.stringify([...list, id])));
      seen.push([name, list]);
      appended.push(name);
    }
    await pause(random);
  }
  return { seen: seen.map(([name, list]) => [name, list.filter((writer) => writer !== id)]), appended };
}

async function readOnly(view: View, random: Random): Promise<Pick<Done, 'seen' | 'appended'>> {
  const seen: Seen[] = [];
  for (let step = 0; step < 3; step += 1) {
    seen.push(...(await readSome(view, random)));
    await pause(random);
  }
  return { seen, appended: [] };
}

/** Runs `clients` at a time until `count` transactions are done. Starts by emptying the keys. */
export async function runHistory(engine: Engine, random: Random, count: number, clients: number): Promise<History> {
  await engine.transact((txn) => txn.deleteRange({ start: keyBytes(''), end: keyBytes('~') }));
  const done: Done[] = [];
  let clock = 0;
  let given = 0;
  const client = async () => {
    while (given < count) {
      given += 1;
      const id = given;
      clock += 1;
      const start = clock;
      const result =
        random.below(4) === 0
          ? await engine.snapshot((view) => readOnly(view, random))
          : await engine.transact((txn) => work(txn, id, random));
      clock += 1;
      done.push({ id, start, end: clock, ...result });
      await pause(random);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const values = await engine.snapshot((view) => view.getMany(keyNames.map(keyBytes)));
  return { done, final: new Map(keyNames.map((name, place) => [name, listOf(values[place])])) };
}

/**
 * Strictly serializable means: some order of all transactions explains everything seen, and keeps who ended before
 * another started before it. That is so exactly when "must stand before" has no cycle.
 */
export function checkHistory(history: History): Verdict {
  const violation = (what: string): Verdict => ({ kind: 'violation', what });
  const ids = new Set(history.done.map(({ id }) => id));
  for (const [name, list] of history.final) {
    if (new Set(list).size !== list.length) return violation(`key ${name} holds a writer twice: ${list}`);
    const stranger = list.find((id) => !ids.has(id));
    if (stranger !== undefined) return violation(`key ${name} holds ${stranger}, which was not acknowledged`);
  }
  const before = new Map<number, Set<number>>(history.done.map(({ id }) => [id, new Set()]));
  const edge = (from: number | undefined, to: number | undefined) => {
    if (from !== undefined && to !== undefined && from !== to) before.get(from)?.add(to);
  };
  for (const list of history.final.values()) for (const [place, id] of list.entries()) edge(list[place - 1], id);
  for (const { id, seen, appended } of history.done) {
    for (const name of appended) {
      if (!history.final.get(name)?.includes(id)) return violation(`the update of ${name} by ${id} is lost`);
    }
    for (const [name, list] of seen) {
      const final = (history.final.get(name) ?? []).filter((writer) => writer !== id);
      if (list.some((writer, place) => final[place] !== writer)) {
        return violation(`${id} saw ${list} in ${name}, which came to hold ${final}`);
      }
      edge(list.at(-1), id);
      edge(id, final[list.length]);
    }
  }
  for (const first of history.done) {
    for (const second of history.done) if (first.end < second.start) edge(first.id, second.id);
  }
  const cycle = findCycle(before);
  return cycle === undefined
    ? { kind: 'serializable' }
    : violation(`each must stand before the next: ${cycle.join(' ')}`);
}

function findCycle(before: ReadonlyMap<number, ReadonlySet<number>>): number[] | undefined {
  const finished = new Set<number>();
  for (const root of before.keys()) {
    const path = [{ id: root, next: (before.get(root) ?? new Set()).values() }];
    const onPath = new Set([root]);
    while (!finished.has(root)) {
      const top = path.at(-1) as { id: number; next: IterableIterator<number> };
      const { value, done } = top.next.next();
      if (done === true) {
        finished.add(top.id);
        onPath.delete(top.id);
        path.pop();
      } else if (onPath.has(value)) {
        const ids = path.map(({ id }) => id);
        return [...ids.slice(ids.indexOf(value)), value];
      } else if (!finished.has(value)) {
        onPath.add(value);
        path.push({ id: value, next: (before.get(value) ?? new Set()).values() });
      }
    }
  }
  return undefined;
}
