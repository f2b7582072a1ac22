// What the conformance suite works with: an engine under test, and short ways to ask it.
import { type TestContext, test } from 'node:test';
import type { Engine, Key, Range, Txn, Value, View } from './engine.ts';

/** An engine under test, empty at first. */
export interface Subject {
  readonly engine: Engine;
  /** Closes the engine and opens what it holds again. */
  readonly reopen?: () => Promise<Engine>;
  /** Keeps commits from becoming durable until the function it returns is called. */
  readonly holdFlush?: () => () => void;
  /** Removes what the subject used; engines are disposed of before. */
  readonly remove?: () => Promise<void>;
}

export const key = (text: string): Key => Buffer.from(text, 'latin1');
export const value = (text: string): Value => Buffer.from(text, 'latin1');
export const everything: Range = { start: Buffer.of(0), end: Buffer.alloc(8, 0xff) };
export const shown = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('latin1');

export async function read(engine: Engine, text: string): Promise<string | undefined> {
  return shown(await engine.snapshot((view) => view.get(key(text))));
}

export async function scan(view: View, range: Range, limit: number, reverse = false): Promise<string[]> {
  const items = await view.scan(range, { limit, reverse });
  return items.map((item) => `${shown(item.key)}=${shown(item.value)}`);
}

export const putAll = (engine: Engine, items: Record<string, string>) =>
  engine.transact((txn) => {
    for (const [id, text] of Object.entries(items)) txn.put(key(id), value(text));
  });

export const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** Lets each of `count` parties through when all have come, or after a second (an engine may let only one in). */
function barrier(count: number): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let come = 0;
  return async () => {
    come += 1;
    if (come === count) resolve();
    const timer = setTimeout(resolve, 1000);
    await promise;
    clearTimeout(timer);
  };
}

/** Runs the works at once; on the first run of each, all have read before any goes on to write. */
export async function race(
  engine: Engine,
  works: ((txn: Txn, meet: () => Promise<void>) => Promise<void>)[],
): Promise<void> {
  const meet = barrier(works.length);
  await Promise.all(
    works.map((work) => {
      let runs = 0;
      return engine.transact((txn) => {
        runs += 1;
        return work(txn, runs === 1 ? meet : async () => {});
      });
    }),
  );
}

export type Check = (title: string, body: (engine: Engine, subject: Subject, t: TestContext) => Promise<void>) => void;

/** How a test of the suite is made: each has a subject of its own. */
export function checkOn(make: () => Promise<Subject>): Check {
  return (title, body) => {
    test(title, { timeout: 60_000 }, async (t) => {
      const subject = await make();
      try {
        await body(subject.engine, subject, t);
      } finally {
        await subject.engine[Symbol.asyncDispose]();
        await subject.remove?.();
      }
    });
  };
}
