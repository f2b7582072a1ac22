// A store for management commands: a memory engine and a clock that a test moves. They touch no content.
import type { Clock } from '../../base/clock.ts';
import { createIds } from '../../base/ids.ts';
import { seededRandom } from '../../base/random.ts';
import { MemoryEngine } from '../../metadata/memory-engine.ts';
import type { Store } from '../../namespace/store.ts';

export class ManualClock implements Clock {
  nowMs = Date.UTC(2026, 0, 1);
  now(): number {
    return this.nowMs;
  }
  async sleep(): Promise<void> {}
}

export function createManagementStore(): { store: Store; clock: ManualClock } {
  const clock = new ManualClock();
  const random = seededRandom(1);
  const content = new Proxy({} as Store['content'], {
    get: () => assertNever('a management command touched content'),
  });
  return {
    store: { engine: new MemoryEngine(), content, clock, wallClock: clock, random, ids: createIds(clock, random) },
    clock,
  };
}

function assertNever(message: string): never {
  throw new Error(message);
}
