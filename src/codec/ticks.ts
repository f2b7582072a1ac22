// Times of 100 nanoseconds, as the Blob service names snapshots and versions: `2024-01-31T08:15:30.1234567Z`.

/** 100 ns units since 1970. */
export type Ticks = bigint;

export const ticksAMs = 10_000n;

export function formatTicks(ticks: Ticks): string {
  const ms = ticks / ticksAMs;
  const rest = `${ticks % ticksAMs}`.padStart(4, '0');
  return `${new Date(Number(ms)).toISOString().slice(0, -1)}${rest}Z`;
}

const form = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?Z$/;

/** Undefined for what is no such time, from 1970 on. */
export function parseTicks(text: string): Ticks | undefined {
  const parts = form.exec(text);
  if (parts === null) return undefined;
  const ms = Date.parse(`${parts[1]}Z`);
  if (Number.isNaN(ms) || ms < 0) return undefined;
  return BigInt(ms) * ticksAMs + BigInt((parts[2] ?? '').padEnd(7, '0'));
}
