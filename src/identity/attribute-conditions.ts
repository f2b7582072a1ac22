// Attribute conditions of role assignments (Azure ABAC, condition version 2.0): the grammar, and what one says of a request.
import { parseIsoTime } from '../codec/http-date.ts';
import { type Attribute, type AttributeFacts, type Found, findAttribute } from './attributes.ts';
import { matchesPattern } from './patterns.ts';

/**
 * `unknown`: it depends on something that the resource or the request does not have; whatever is built on it can only
 * become true by another part. `needs-blob`: it depends on the blob that is there, which nobody has looked at yet.
 */
export type Truth = boolean | 'unknown' | 'needs-blob';

export type ConditionOutcome =
  | { readonly kind: 'condition'; readonly condition: Condition }
  | { readonly kind: 'malformed'; readonly reason: string; readonly at: number };

export type Condition =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Condition[] }
  | { readonly kind: 'not'; readonly part: Condition }
  | { readonly kind: 'action'; readonly pattern: string }
  | { readonly kind: 'suboperation'; readonly name: string }
  | { readonly kind: 'exists'; readonly attribute: Attribute }
  | {
      readonly kind: 'compare';
      readonly attribute: Attribute;
      readonly quantifier: Quantifier | undefined;
      readonly compare: Comparison;
      readonly right: readonly string[] | Attribute;
    };

type Quantifier = 'anyofany' | 'allofany' | 'anyofall' | 'allofall';
type Comparison = (left: string, right: string) => boolean;

const charactersMax = 8 * 1024;
const depthMax = 32;
const partsMax = 256;

const lower = (text: string): string => text.toLowerCase();
const on =
  (read: (text: string) => number | undefined, compare: (left: number, right: number) => boolean): Comparison =>
  (left, right) => {
    const [a, b] = [read(left), read(right)];
    return a !== undefined && b !== undefined && compare(a, b);
  };
const numberOf = (text: string): number | undefined => (/^-?\d{1,15}$/.test(text) ? Number(text) : undefined);
const isTruth = (text: string): boolean => /^(?:true|false)$/i.test(text);

function ordered(name: string, read: (text: string) => number | undefined): [string, Comparison][] {
  return [
    [`${name}Equals`, on(read, (a, b) => a === b)],
    [`${name}NotEquals`, on(read, (a, b) => a !== b)],
    [`${name}LessThan`, on(read, (a, b) => a < b)],
    [`${name}LessThanEquals`, on(read, (a, b) => a <= b)],
    [`${name}GreaterThan`, on(read, (a, b) => a > b)],
    [`${name}GreaterThanEquals`, on(read, (a, b) => a >= b)],
  ];
}

function textual(name: string, compare: Comparison): [string, Comparison][] {
  return [
    [`String${name}`, compare],
    [`StringNot${name}`, (a, b) => !compare(a, b)],
    [`String${name}IgnoreCase`, (a, b) => compare(lower(a), lower(b))],
    [`StringNot${name}IgnoreCase`, (a, b) => !compare(lower(a), lower(b))],
  ];
}

const comparisons: ReadonlyMap<string, Comparison> = new Map(
  [
    ...textual('Equals', (a, b) => a === b),
    ...textual('StartsWith', (a, b) => a.startsWith(b)),
    ...textual('Like', matchesPattern),
    ...ordered('Numeric', numberOf),
    ...ordered('DateTime', parseIsoTime),
    ['BoolEquals', (a, b) => isTruth(a) && isTruth(b) && lower(a) === lower(b)] as [string, Comparison],
    ['BoolNotEquals', (a, b) => isTruth(a) && isTruth(b) && lower(a) !== lower(b)] as [string, Comparison],
    ['GuidEquals', (a, b) => lower(a) === lower(b)] as [string, Comparison],
    ['GuidNotEquals', (a, b) => lower(a) !== lower(b)] as [string, Comparison],
  ].map(([name, compare]) => [lower(name as string), compare as Comparison]),
);

class Malformed extends Error {
  readonly at: number;
  constructor(reason: string, at: number) {
    super(reason);
    this.at = at;
  }
}

/** Never throws. What this does not understand is malformed: nothing of a condition is ever passed over. */
export function parseCondition(text: string): ConditionOutcome {
  try {
    return { kind: 'condition', condition: new Parser(text).whole() };
  } catch (error) {
    if (error instanceof Malformed) return { kind: 'malformed', reason: error.message, at: error.at };
    throw error;
  }
}

const word = /[A-Za-z][A-Za-z0-9]*/y;
const space = /[ \t\r\n]*/y;
const number = /-?\d{1,15}(?![\w.])/y;

class Parser {
  readonly #text: string;
  #at = 0;
  #parts = 0;

  constructor(text: string) {
    if (text.length > charactersMax) throw new Malformed(`longer than ${charactersMax} characters`, charactersMax);
    this.#text = text;
  }

  whole(): Condition {
    const condition = this.#or(0);
    if (this.#at < this.#text.length) throw this.#malformed('something follows the condition');
    return condition;
  }

  #or(depth: number): Condition {
    if (depth > depthMax) throw this.#malformed(`nested deeper than ${depthMax}`);
    const parts = [this.#and(depth)];
    while (this.#word('OR') || this.#sign('||')) parts.push(this.#and(depth));
    return parts.length === 1 ? (parts[0] as Condition) : { kind: 'or', parts };
  }

  #and(depth: number): Condition {
    const parts = [this.#not(depth)];
    while (this.#word('AND') || this.#sign('&&')) parts.push(this.#not(depth));
    return parts.length === 1 ? (parts[0] as Condition) : { kind: 'and', parts };
  }

  #not(depth: number): Condition {
    if (depth > depthMax) throw this.#malformed(`nested deeper than ${depthMax}`);
    if (this.#sign('!') || this.#word('NOT')) return { kind: 'not', part: this.#not(depth + 1) };
    if (!this.#sign('(')) return this.#primary();
    const inner = this.#or(depth + 1);
    this.#expect(')');
    return inner;
  }

  #primary(): Condition {
    if (++this.#parts > partsMax) throw this.#malformed(`more than ${partsMax} expressions`);
    if (this.#word('ActionMatches')) return { kind: 'action', pattern: this.#single() };
    if (this.#word('SubOperationMatches')) return { kind: 'suboperation', name: this.#single() };
    if (this.#word('NotExists')) return { kind: 'not', part: { kind: 'exists', attribute: this.#attribute() } };
    if (this.#word('Exists')) return { kind: 'exists', attribute: this.#attribute() };
    return this.#comparison();
  }

  #comparison(): Condition {
    const attribute = this.#attribute();
    const start = this.#at;
    let name = this.#anyWord();
    let quantifier: Quantifier | undefined;
    const quantified = /^For(Any|All)Of(Any|All)Values$/i.exec(name);
    if (quantified !== null) {
      quantifier = lower(`${quantified[1]}of${quantified[2]}`) as Quantifier;
      this.#expect(':');
      name = this.#anyWord();
    }
    const compare = comparisons.get(lower(name));
    if (compare === undefined) throw new Malformed('an operator is expected that is known', start);
    const right = this.#right();
    const isMany = attribute.many || (!('read' in right) && right.length > 1) || ('read' in right && right.many);
    if (isMany && quantifier === undefined)
      throw new Malformed('several values need ForAnyOfAnyValues or the like', start);
    return { kind: 'compare', attribute, quantifier, compare, right };
  }

  #right(): readonly string[] | Attribute {
    this.#skip();
    if (this.#text[this.#at] === '@') return this.#attribute();
    if (!this.#sign('{')) return [this.#value()];
    const values = [this.#value()];
    while (this.#sign(',')) values.push(this.#value());
    if (values.length > partsMax) throw this.#malformed(`more than ${partsMax} values`);
    this.#expect('}');
    return values;
  }

  #value(): string {
    this.#skip();
    if (this.#text[this.#at] === "'") return this.#string();
    const digits = this.#match(number);
    if (digits !== undefined) return digits;
    for (const truth of ['true', 'false']) if (this.#word(truth)) return truth;
    throw this.#malformed('a value is expected');
  }

  #single(): string {
    this.#expect('{');
    this.#skip();
    const text = this.#string();
    this.#expect('}');
    return text;
  }

  #string(): string {
    if (this.#text[this.#at] !== "'") throw this.#malformed('a text in single quotes is expected');
    let out = '';
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      const character = this.#text[at] as string;
      if (character === "'") {
        this.#at = at + 1;
        return out;
      }
      // Of a pattern's escapes only the quote is the grammar's; the others are the pattern's own.
      if (character === '\\' && this.#text[at + 1] === "'") out += this.#text[++at];
      else out += character;
    }
    throw this.#malformed('a text has no end');
  }

  #attribute(): Attribute {
    this.#skip();
    const start = this.#at;
    if (this.#text[this.#at] !== '@') throw this.#malformed('an attribute is expected');
    this.#at++;
    const source = this.#match(word) ?? '';
    this.#expect('[');
    const end = this.#text.indexOf(']', this.#at);
    if (end === -1) throw this.#malformed('an attribute has no end');
    const attribute = findAttribute(source, this.#text.slice(this.#at, end).trim());
    if (typeof attribute === 'string') throw new Malformed(attribute, start);
    this.#at = end + 1;
    return attribute;
  }

  #anyWord(): string {
    this.#skip();
    const found = this.#match(word);
    if (found === undefined) throw this.#malformed('an operator is expected');
    return found;
  }

  #word(wanted: string): boolean {
    this.#skip();
    const before = this.#at;
    if (lower(this.#match(word) ?? '') === lower(wanted)) return true;
    this.#at = before;
    return false;
  }

  #sign(wanted: string): boolean {
    this.#skip();
    if (!this.#text.startsWith(wanted, this.#at)) return false;
    this.#at += wanted.length;
    this.#skip();
    return true;
  }

  #expect(sign: string): void {
    if (!this.#sign(sign)) throw this.#malformed(`"${sign}" is expected`);
  }

  #skip(): void {
    this.#match(space);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #malformed(reason: string): Malformed {
    return new Malformed(reason, this.#at);
  }
}

/** What the condition says of a request for one data action. Whoever decides lets in for `true` alone. */
export function evaluateCondition(condition: Condition, facts: AttributeFacts): Truth {
  switch (condition.kind) {
    case 'and':
      return fold(condition.parts, facts, false);
    case 'or':
      return fold(condition.parts, facts, true);
    case 'not': {
      const inner = evaluateCondition(condition.part, facts);
      return typeof inner === 'boolean' ? !inner : inner;
    }
    case 'action':
      return matchesPattern(lower(facts.action), lower(condition.pattern));
    case 'suboperation':
      return facts.subOperations.some((one) => lower(one) === lower(condition.name));
    case 'exists': {
      const found = condition.attribute.read(facts);
      return found === 'needs-blob' ? found : found !== undefined && found.length > 0;
    }
    case 'compare': {
      const left = condition.attribute.read(facts);
      const right = 'read' in condition.right ? condition.right.read(facts) : condition.right;
      return compareAll(left, right, condition.quantifier, condition.compare);
    }
  }
}

/** `decisive` decides alone, whatever the others are. */
function fold(parts: readonly Condition[], facts: AttributeFacts, decisive: boolean): Truth {
  let result: Truth = !decisive;
  for (const part of parts) {
    const truth = evaluateCondition(part, facts);
    if (truth === decisive) return decisive;
    if (truth === 'needs-blob' || (truth === 'unknown' && result !== 'needs-blob')) result = truth;
  }
  return result;
}

function compareAll(left: Found, right: Found, given: Quantifier | undefined, compare: Comparison): Truth {
  if (left === 'needs-blob' || right === 'needs-blob') return 'needs-blob';
  if (left === undefined || right === undefined || left.length === 0 || right.length === 0) return 'unknown';
  // A tag's name may fit several that differ in case only: which of them is meant nobody said.
  if (given === undefined && (left.length > 1 || right.length > 1)) return 'unknown';
  const quantifier = given ?? 'anyofany';
  const one = (value: string): boolean =>
    quantifier.endsWith('any')
      ? right.some((other) => compare(value, other))
      : right.every((other) => compare(value, other));
  return quantifier.startsWith('any') ? left.some(one) : left.every(one);
}
