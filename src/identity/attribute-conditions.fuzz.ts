// Fuzzes the conditions of role assignments: no text makes the parser throw, hang, or let in what it does not understand.
import assert from 'node:assert/strict';
import { type Condition, evaluateCondition, parseCondition } from './attribute-conditions.ts';
import type { AttributeFacts } from './attributes.ts';
import { matchesPattern } from './patterns.ts';

interface FuzzRandom {
  below(n: number): number;
  bytes(n: number): Buffer;
}

const blobs = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs';
const words = [
  ...['(', ')', '{', '}', '!', ',', ':', "'", '\\', '&&', '||', ' AND ', ' OR ', ' NOT ', '\n', '@', '[', ']'],
  ...[
    `ActionMatches{'${blobs}/read'}`,
    "SubOperationMatches{'Blob.List'}",
    'Exists ',
    'ForAnyOfAnyValues:',
    'ForAllOfAllValues:',
  ],
  ...[`@Resource[${blobs}:path]`, `@Request[${blobs}:prefix]`, `@Resource[${blobs}/tags:A<$key_case_sensitive$>]`],
  ...[`@Resource[${blobs}/tags&$keys$&]`, '@Environment[UtcNow]', `@Resource[${blobs}:isCurrentVersion]`],
  ...[
    ' StringEquals ',
    ' StringNotLike ',
    ' BoolEquals ',
    ' DateTimeLessThan ',
    ' NumericEquals ',
    "'a'",
    "{'a','b'}",
    'true',
    '12',
  ],
];

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  while (Date.now() < deadlineMs) {
    for (let i = 0; i < 200; i++) {
      const text = textOf(random);
      const parsed = parseCondition(text);
      if (parsed.kind === 'malformed') assert(parsed.at >= 0 && parsed.reason !== '', text);
      else checkTruth(parsed.condition, factsOf(random), text);
      checkPattern(random);
    }
    await new Promise(setImmediate);
  }
}

function textOf(random: FuzzRandom): string {
  if (random.below(8) === 0) return random.bytes(random.below(200)).toString('latin1');
  let text = '';
  for (let n = random.below(24); n >= 0; n--) text += words[random.below(words.length)];
  return text;
}

function factsOf(random: FuzzRandom): AttributeFacts {
  const some = <T>(value: T): T | undefined => (random.below(2) === 0 ? value : undefined);
  return {
    account: 'acct',
    action: `${blobs}/read`,
    subOperations: random.below(2) === 0 ? ['Blob.List'] : [],
    container: 'photos',
    path: some('a/b'),
    snapshot: some('2026-01-01T00:00:00Z'),
    version: some('2026-01-01T00:00:00Z'),
    blob: some({ tags: { A: 'a', B: '' }, isCurrentVersion: true }),
    request: { prefix: 'a' },
    nowMs: some(0),
  };
}

/** A condition and its negation are never both met, and neither is while the blob would have to be looked at. */
function checkTruth(condition: Condition, facts: AttributeFacts, text: string): void {
  const truth = evaluateCondition(condition, facts);
  const negated = evaluateCondition({ kind: 'not', part: condition }, facts);
  assert.deepEqual(negated, typeof truth === 'boolean' ? !truth : truth, text);
  if (facts.blob !== undefined) assert.notEqual(truth, 'needs-blob', text);
}

/** Against the obvious, slow way. */
function checkPattern(random: FuzzRandom): void {
  const letters = ['a', 'b', '*', '?', '\\'];
  const word = (n: number): string => Array.from({ length: random.below(n) }, () => letters[random.below(5)]).join('');
  const [text, pattern] = [word(7), word(7)];
  assert.equal(matchesPattern(text, pattern), matchesSlowly(text, pattern), `${text} ${pattern}`);
}

function matchesSlowly(text: string, pattern: string): boolean {
  if (pattern === '') return text === '';
  if (pattern[0] === '*')
    return matchesSlowly(text, pattern.slice(1)) || (text !== '' && matchesSlowly(text.slice(1), pattern));
  const isEscape = pattern[0] === '\\' && /^[*?\\]$/.test(pattern[1] ?? '');
  const wanted = isEscape ? pattern[1] : pattern[0];
  const fits = text !== '' && (wanted === text[0] || (wanted === '?' && !isEscape));
  return fits && matchesSlowly(text.slice(1), pattern.slice(isEscape ? 2 : 1));
}
