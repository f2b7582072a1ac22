// Expressions over index tags: of `x-ms-if-tags`, and of Find Blobs by Tags, which knows fewer operators and `@container`.

export type TagComparison = '=' | '<>' | '>' | '>=' | '<' | '<=';

export type TagExpression =
  | { readonly kind: 'compare'; readonly tag: string; readonly comparison: TagComparison; readonly value: string }
  | { readonly kind: 'and' | 'or'; readonly left: TagExpression; readonly right: TagExpression };

export type Tags = Readonly<Record<string, string>>;

/** Values compare as text, by the bytes of UTF-8; a tag that is not there satisfies only `<>`. */
export function matchesTags(expression: TagExpression, tags: Tags | undefined): boolean {
  switch (expression.kind) {
    case 'and':
      return matchesTags(expression.left, tags) && matchesTags(expression.right, tags);
    case 'or':
      return matchesTags(expression.left, tags) || matchesTags(expression.right, tags);
    case 'compare': {
      const { tag, comparison, value } = expression;
      const found = tags !== undefined && Object.hasOwn(tags, tag) ? tags[tag] : undefined;
      if (found === undefined) return comparison === '<>';
      return compares(comparison, Buffer.compare(Buffer.from(found), Buffer.from(value)));
    }
  }
}

function compares(comparison: TagComparison, order: number): boolean {
  switch (comparison) {
    case '=':
      return order === 0;
    case '<>':
      return order !== 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
  }
}

export type ParsedTags<T> =
  | ({ readonly kind: 'ok' } & T)
  | { readonly kind: 'invalid'; readonly at: number | undefined; readonly problem: string };

/** A condition on tags ("Specifying conditional headers", x-ms-if-tags): AND, OR, parentheses, six operators. */
export function parseTagCondition(text: string): ParsedTags<{ readonly expression: TagExpression }> {
  return parse(text, (parser) => {
    const expression = parser.or();
    if (parser.comparisons > comparisonsMax)
      throw new Problem(undefined, `there can be at most ${comparisonsMax} comparisons`);
    return { expression };
  });
}

export interface TagQuery {
  /** One comparison at least; all must hold. */
  readonly comparisons: readonly { readonly tag: string; readonly comparison: TagComparison; readonly value: string }[];
  readonly container: string | undefined;
}

/** The `where` of Find Blobs by Tags: comparisons but `<>`, joined by AND, one of them perhaps `@container = 'name'`. */
export function parseTagQuery(text: string): ParsedTags<TagQuery> {
  return parse(text, (parser) => parser.query());
}

class Problem extends Error {
  readonly at: number | undefined;
  constructor(at: number | undefined, problem: string) {
    super(problem);
    this.at = at;
  }
}

const charactersMax = 32 * 1024;
const depthMax = 32;
/** Of a condition: what a tree of them may have in depth. */
const comparisonsMax = 1000;
/** Of a query: as many as a blob may have. */
const queriedTagsMax = 10;

function parse<T>(text: string, read: (parser: Parser) => T): ParsedTags<T> {
  try {
    if (text.length > charactersMax) throw new Problem(undefined, `there can be at most ${charactersMax} characters`);
    const parser = new Parser(tokens(text), text.length);
    const found = read(parser);
    parser.end();
    return { kind: 'ok', ...found };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { kind: 'invalid', at: error.at, problem: error.message };
  }
}

interface Token {
  readonly kind: 'name' | 'text' | 'word' | 'comparison' | 'mark';
  readonly text: string;
  /** From 1 on. */
  readonly at: number;
}

const pattern = /\s*(?:"([^"]*)"|'((?:[^']|'')*)'|(<>|>=|<=|=|>|<)|([()])|(@?[A-Za-z_][A-Za-z0-9_]*))/y;

function tokens(text: string): Token[] {
  const found: Token[] = [];
  const end = text.trimEnd().length;
  pattern.lastIndex = 0;
  while (pattern.lastIndex < end) {
    const from = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) throw new Problem(from + 1, 'unexpected character');
    const at = pattern.lastIndex - match[0].trimStart().length + 1;
    const [, name, value, comparison, mark, word] = match;
    if (name !== undefined) found.push({ kind: 'name', text: name, at });
    else if (value !== undefined) found.push({ kind: 'text', text: value.replaceAll("''", "'"), at });
    else if (comparison !== undefined) found.push({ kind: 'comparison', text: comparison, at });
    else if (mark !== undefined) found.push({ kind: 'mark', text: mark, at });
    else found.push({ kind: 'word', text: word as string, at });
  }
  return found;
}

function allCharacters({ text, at }: Token): void {
  const other = /[^A-Za-z0-9 +\-./:=_]/u.exec(text)?.[0];
  if (other !== undefined) throw new Problem(at, `'${other}' not permitted in tag name or value`);
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #length: number;
  #next = 0;
  #depth = 0;
  comparisons = 0;

  constructor(found: readonly Token[], length: number) {
    this.#tokens = found;
    this.#length = length;
  }

  or(): TagExpression {
    let left = this.and();
    while (this.#takeWord('or')) left = { kind: 'or', left, right: this.and() };
    return left;
  }

  and(): TagExpression {
    let left = this.one();
    while (this.#takeWord('and')) left = { kind: 'and', left, right: this.one() };
    return left;
  }

  one(): TagExpression {
    if (this.#peek()?.text === '(' && this.#peek()?.kind === 'mark') {
      this.#next++;
      if (++this.#depth > depthMax) throw this.#problem('it is nested too deep');
      const inner = this.or();
      if (this.#peek()?.text !== ')') throw this.#problem('a parenthesis is not closed');
      this.#next++;
      this.#depth--;
      return inner;
    }
    return { kind: 'compare', ...this.#comparison() };
  }

  query(): TagQuery {
    const comparisons: TagQuery['comparisons'][number][] = [];
    let container: string | undefined;
    do {
      const token = this.#peek();
      if (token?.kind === 'word' && token.text.toLowerCase() === '@container') {
        this.#next++;
        const { comparison, value } = this.#rest();
        if (comparison !== '=') throw this.#problem('@container is compared by = only');
        if (container !== undefined) throw this.#problem('@container is given twice');
        container = value;
      } else {
        const one = this.#comparison();
        if (one.comparison === '<>') throw this.#problem('<> is not served here');
        comparisons.push(one);
      }
    } while (this.#takeWord('and'));
    if (comparisons.length === 0) throw this.#problem('it compares no tag');
    if (new Set(comparisons.map(({ tag }) => tag)).size > queriedTagsMax) {
      throw new Problem(undefined, `there can be at most ${queriedTagsMax} unique tags in a query`);
    }
    return { comparisons, container };
  }

  end(): void {
    if (this.#next < this.#tokens.length) throw this.#problem('something follows the expression');
  }

  #comparison(): { tag: string; comparison: TagComparison; value: string } {
    const token = this.#peek();
    if (token?.kind !== 'name' && token?.kind !== 'word') throw this.#problem('the name of a tag is expected');
    this.#next++;
    const tag = token.text;
    if (token.kind === 'word' && tag.startsWith('@')) throw new Problem(token.at, `unsupported parameter '${tag}'`);
    if (tag.length < 1 || tag.length > 128) {
      throw new Problem(token.at, 'tag must be between 1 and 128 characters in length');
    }
    allCharacters(token);
    this.comparisons++;
    return { tag, ...this.#rest() };
  }

  #rest(): { comparison: TagComparison; value: string } {
    const comparison = this.#peek();
    if (comparison?.kind !== 'comparison') throw this.#problem('a comparison is expected');
    this.#next++;
    const value = this.#peek();
    if (value?.kind !== 'text') throw this.#problem('a value in single quotes is expected');
    if (value.text.length > 256) throw this.#problem('tag value must be between 0 and 256 characters in length');
    allCharacters(value);
    this.#next++;
    return { comparison: comparison.text as TagComparison, value: value.text };
  }

  #takeWord(word: string): boolean {
    const token = this.#peek();
    if (token?.kind !== 'word' || token.text.toLowerCase() !== word) return false;
    this.#next++;
    return true;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#next];
  }

  #problem(text: string): Problem {
    return new Problem(this.#peek()?.at ?? this.#length + 1, text);
  }
}
