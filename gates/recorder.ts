// Collects a gate's rows: runs each check in a bounded time, and turns what it throws into a failed row.

import type { GateRow } from './gate.ts';

export interface Recorder {
  readonly rows: GateRow[];
  /** True when the check passed, so that checks that build on it can be skipped. */
  check(
    name: string,
    // biome-ignore lint/suspicious/noConfusingVoidType: a check that returns nothing is the usual one
    work: (signal: AbortSignal) => Promise<string | void>,
    options?: { timeoutMs?: number },
  ): Promise<boolean>;
  skip(name: string, why: string): void;
  add(row: GateRow): void;
}

const checkTimeoutMsDefault = 120_000;
const detailLengthMax = 600;

export function recorder(log: (line: string) => void): Recorder {
  const rows: GateRow[] = [];
  const add = (given: GateRow): void => {
    if (rows.some((other) => other.check === given.check)) throw new Error(`two checks are named "${given.check}"`);
    const row = given.detail === undefined ? given : { ...given, detail: oneLine(given.detail) };
    rows.push(row);
    log(`${row.outcome.padEnd(4)} ${row.check} (${Math.round(row.ms)} ms)${row.detail ? `: ${row.detail}` : ''}`);
  };
  return {
    rows,
    add,
    skip: (check, why) => add({ check, outcome: 'skip', detail: why, ms: 0 }),
    async check(check, work, options = {}) {
      const timeoutMs = options.timeoutMs ?? checkTimeoutMsDefault;
      const started = performance.now();
      const abort = new AbortController();
      const { promise: late, reject } = Promise.withResolvers<never>();
      const timer = setTimeout(() => {
        const error = new Error(`no end after ${timeoutMs} ms`);
        abort.abort(error);
        reject(error);
      }, timeoutMs);
      const running = work(abort.signal);
      // After a timeout nobody waits for the work any more; its late failure must not end the process.
      running.catch(() => {});
      try {
        const detail = await Promise.race([running, late]);
        const ms = performance.now() - started;
        add(typeof detail === 'string' ? { check, outcome: 'pass', detail, ms } : { check, outcome: 'pass', ms });
        return true;
      } catch (error) {
        const detail = error instanceof Error ? error.message : String(error);
        add({ check, outcome: 'fail', detail, ms: performance.now() - started });
        return false;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function oneLine(text: string): string {
  const line = withoutSecrets(text).replaceAll(/\s+/g, ' ').trim();
  return line.length > detailLengthMax ? `${line.slice(0, detailLengthMax)}...` : line;
}

/** Signatures and keys never reach a table or a log, whichever tool printed them. */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(/\b(sig|AccountKey|SharedAccessSignature)=[^&\s;"']+/gi, '$1=...')
    .replaceAll(/\b(SharedKey(?:Lite)?|Bearer) [^\s"']+/gi, '$1 ...');
}
