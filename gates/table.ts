// Compares a gate's rows with what its expected.json says, and writes them as a table.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { GateRow } from './gate.ts';

type Outcome = GateRow['outcome'];

interface Expectation {
  readonly outcome: Outcome;
  readonly why?: string;
}

type Expectations = ReadonlyMap<string, Expectation>;

export interface Verdict {
  readonly row: GateRow;
  /** Undefined for a check that expected.json does not have. */
  readonly expected: Expectation | undefined;
  readonly good: boolean;
}

export interface Judgement {
  readonly verdicts: readonly Verdict[];
  /** Checks that were expected and did not report. */
  readonly missing: readonly string[];
}

export async function readExpectations(path: string, all: boolean): Promise<Expectations> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}';
    throw error;
  });
  const sections = JSON.parse(text) as unknown;
  const result = new Map<string, Expectation>();
  for (const section of all ? ['default', 'all'] : ['default']) {
    for (const [check, value] of Object.entries(object(object(sections, path)[section] ?? {}, path))) {
      result.set(check, expectation(value, `${path}: "${check}"`));
    }
  }
  return result;
}

export function judge(rows: readonly GateRow[], expectations: Expectations): Judgement {
  const verdicts = rows.map((row) => {
    const expected = expectations.get(row.check);
    return { row, expected, good: expected?.outcome === row.outcome };
  });
  const reported = new Set(rows.map((row) => row.check));
  return { verdicts, missing: [...expectations.keys()].filter((check) => !reported.has(check)) };
}

export interface TableHead {
  readonly gate: string;
  readonly server: string;
  readonly set: 'default' | 'full';
}

export async function writeTable(path: string, head: TableHead, judgement: Judgement): Promise<void> {
  const counts = (outcome: Outcome): number =>
    judgement.verdicts.filter((verdict) => verdict.row.outcome === outcome).length;
  const lines = [
    `# ${head.gate}: ${head.set} set against ${head.server}`,
    '',
    `${counts('pass')} passed, ${counts('fail')} failed, ${counts('skip')} skipped, ${judgement.missing.length} missing.`,
    '',
    '| check | expected | outcome | ms | detail |',
    '| --- | --- | --- | ---: | --- |',
    ...judgement.verdicts.map(({ row, expected, good }) => {
      const expectedText = expected ? `${expected.outcome}${expected.why ? ` (${expected.why})` : ''}` : 'not listed';
      const cells = [row.check, expectedText, good ? row.outcome : `**${row.outcome}**`, String(Math.round(row.ms))];
      return `| ${[...cells, row.detail ?? ''].map(cell).join(' | ')} |`;
    }),
    ...judgement.missing.map((check) => `| ${cell(check)} | reported | **missing** | | |`),
    '',
  ];
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, lines.join('\n'));
}

/** Writes what happened as what is expected; reasons that were written by hand stay where the outcome is the same. */
export async function recordExpectations(path: string, rows: readonly GateRow[], all: boolean): Promise<void> {
  const earlier = await readExpectations(path, true);
  const earlierDefault = await readExpectations(path, false);
  const value = (row: GateRow): Outcome | Expectation => {
    const before = earlier.get(row.check);
    if (before?.outcome === row.outcome && before.why) return before;
    return row.outcome === 'pass' ? 'pass' : { outcome: row.outcome, why: row.detail ?? '' };
  };
  const entries = (chosen: readonly GateRow[]): Record<string, Outcome | Expectation> =>
    Object.fromEntries(chosen.map((row) => [row.check, value(row)]));
  const plain = (kept: Iterable<[string, Expectation]>): Record<string, Outcome | Expectation> =>
    Object.fromEntries([...kept].map(([check, was]) => [check, was.why ? was : was.outcome]));
  const sections = all
    ? {
        default: plain(earlierDefault),
        all: entries(rows.filter((row) => earlierDefault.get(row.check)?.outcome !== row.outcome)),
      }
    : { default: entries(rows), all: plain([...earlier].filter(([check]) => !earlierDefault.has(check))) };
  await writeFile(path, `${JSON.stringify(sections, undefined, 2)}\n`);
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ');
}

function object(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${where}: not an object`);
  return value as Record<string, unknown>;
}

function expectation(value: unknown, where: string): Expectation {
  if (value === 'pass') return { outcome: 'pass' };
  const { outcome, why } = object(value, where);
  if (outcome !== 'fail' && outcome !== 'skip') throw new Error(`${where}: the outcome is "pass", "fail" or "skip"`);
  if (typeof why !== 'string' || why === '') throw new Error(`${where}: a ${outcome} needs its "why"`);
  return { outcome, why };
}
