// Recorded answers of the real service: the same requests, sent here, are answered the same, but for what stands in a list.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Gate, GateContext, GateRow } from '../gate.ts';
import { describeEnd, runProcess } from '../process.ts';

const directory = import.meta.dirname;
const recordings = join(directory, 'blob-answers.jsonl');
const percentLeast = 98;
/** In seconds, unless the full set is asked for: most pauses are there for clocks that tick in seconds. */
const pauseMaxS = 1;
/** Older versions have checks of their own (`older-clients`): here their requests are sent under this one. */
const lowestVersion = '2019-12-12';
const timeoutMs = 25 * 60_000;

interface Replayed {
  readonly entries: number;
  readonly equal: number;
  readonly left_out: readonly { readonly recording: string }[];
  readonly differences: readonly {
    readonly recording: string;
    readonly entry: number;
    readonly what: string;
    readonly recorded: string | null;
    readonly live: string | null;
  }[];
}

/** Entries (`recording#number`) that are answered otherwise, by the reason. */
interface Known {
  readonly reasons: readonly { readonly why: string; readonly entries: readonly string[] }[];
  /** What is only so because pauses are cut short. */
  readonly shortPauses: readonly string[];
}

export const gate: Gate = {
  name: 'recordings',
  slow: false,
  async run(context) {
    if (context.main === undefined) return [{ check: 'recordings', outcome: 'skip', detail: 'needs accounts', ms: 0 }];
    const startedMs = performance.now();
    const replayed = await replay(context, context.main.dataDir);
    const known = JSON.parse(await readFile(join(directory, 'differences.json'), 'utf8')) as Known;
    return rowsOf(replayed, known, context.all, performance.now() - startedMs);
  },
};

async function replay(context: GateContext, dataDir: string): Promise<Replayed> {
  const command = join(directory, '..', '..', 'bin', 'causeway');
  const words = [join(directory, 'replay.py'), recordings, '--json', '--endpoint', context.server.blob];
  words.push('--prepare', command, dataDir, '--lowest-version', lowestVersion);
  if (!context.all) words.push('--longest-wait', `${pauseMaxS}`);
  const result = await runProcess('python3', words, { timeoutMs });
  // 1 says that fewer were equal than it was asked for.
  if (result.code !== 0 && result.code !== 1) throw new Error(describeEnd('replay.py', result));
  return JSON.parse(result.stdout) as Replayed;
}

export function rowsOf(replayed: Replayed, known: Known, isFull: boolean, ms: number): GateRow[] {
  const expected = new Set(known.reasons.flatMap(({ entries }) => entries));
  if (!isFull) for (const entry of known.shortPauses) expected.add(entry);
  const found = new Map<string, string>();
  for (const { recording, entry, what, recorded, live } of replayed.differences) {
    const id = `${recording}#${entry}`;
    if (!found.has(id)) found.set(id, `${what}: recorded ${recorded ?? '(absent)'}, here ${live ?? '(absent)'}`);
  }
  const surprises = [...found].filter(([id]) => !expected.has(id)).map(([id, detail]) => `${id} ${detail}`);
  const mended = [...expected].filter((id) => !found.has(id));
  const percent = (100 * replayed.equal) / replayed.entries;
  const row = (check: string, problems: readonly string[], more = ''): GateRow => ({
    check,
    outcome: problems.length === 0 ? 'pass' : 'fail',
    detail: [more, ...problems.slice(0, 20)].filter((text) => text !== '').join('; '),
    ms,
  });
  return [
    row(
      'every recording was sent',
      replayed.left_out.map(({ recording }) => recording),
    ),
    row(
      `at least ${percentLeast} % of the answers are equal`,
      percent >= percentLeast ? [] : [`${percent.toFixed(2)} %`],
      `${replayed.equal} of ${replayed.entries}`,
    ),
    row('every difference has its reason in the list', surprises),
    row('every reason in the list is needed', mended),
  ];
}
