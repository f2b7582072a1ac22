// What every engine must do: one suite, run on each of them.
import { checkCountersAndStamps, checkReadsAndWrites } from './conformance-data.testing.ts';
import { checkDurability, checkIsolation } from './conformance-isolation.testing.ts';
import { checkOn, type Subject } from './conformance-subject.testing.ts';

export function engineConformance(name: string, make: () => Promise<Subject>): void {
  const check = checkOn(make);
  checkReadsAndWrites(name, check);
  checkCountersAndStamps(name, check);
  checkIsolation(name, check);
  checkDurability(name, check);
}
