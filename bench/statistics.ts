// Medians of rounds.
import type { Measurement } from './load.ts';

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return 0;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] as number)) / 2;
}

export function perSecond(one: Measurement): number {
  return (one.operations * 1000) / one.elapsedMs;
}

/** Each figure is the median of its own; peaks and errors are the largest and the sum. */
export function medianOf(rounds: readonly Measurement[]): Measurement {
  const last = rounds.at(-1) as Measurement;
  const of = (pick: (one: Measurement) => number): number => median(rounds.map(pick));
  // Scaled to one second, so that rounds that ended early at their limit weigh as much as the others.
  const operations = of(perSecond);
  return {
    ...last,
    elapsedMs: 1000,
    operations,
    bytes: of((one) => (one.bytes * 1000) / one.elapsedMs),
    p50Ms: of((one) => one.p50Ms),
    p99Ms: of((one) => one.p99Ms),
    serverCpuMs: of((one) => one.serverCpuMs / one.operations) * operations,
    clientCpuMs: of((one) => one.clientCpuMs / one.elapsedMs) * 1000,
    othersShare: of((one) => one.othersShare),
    memoryTreeBytes: Math.max(...rounds.map((one) => one.memoryTreeBytes)),
    memoryProcessBytes: Math.max(...rounds.map((one) => one.memoryProcessBytes)),
    errors: rounds.reduce((sum, one) => sum + one.errors, 0),
    firstError: rounds.find((one) => one.firstError !== undefined)?.firstError,
  };
}
