// The text of a query as tokens.
import { QueryError } from './ast.ts';

export type Token =
  | { readonly kind: 'word' | 'quoted' | 'string' | 'symbol'; readonly text: string; readonly at: number }
  | { readonly kind: 'number'; readonly text: string; readonly at: number; readonly whole: boolean }
  | { readonly kind: 'end'; readonly text: ''; readonly at: number };

/** "Query Blob Contents": the longest expression. */
export const expressionCharactersMax = 256 * 1024;
const tokensMax = 50_000;

const space = /\s+/y;
const word = /[\p{L}_$][\p{L}\p{N}_$]*/uy;
const number = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y;
const symbol = /<>|!=|<=|>=|\|\||[=<>+\-*/%(),.;[\]]/y;

export function tokenize(text: string): Token[] {
  if (text.length > expressionCharactersMax) throw new QueryError('the expression is too long');
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  while (at < text.length) {
    const blank = take(space);
    if (blank !== undefined) {
      at += blank.length;
      continue;
    }
    const token = nextToken(text, at, take);
    tokens.push(token.token);
    at = token.end;
    if (tokens.length > tokensMax) throw new QueryError('the expression has too many parts', at);
  }
  tokens.push({ kind: 'end', text: '', at });
  return tokens;
}

function nextToken(
  text: string,
  at: number,
  take: (pattern: RegExp) => string | undefined,
): { readonly token: Token; readonly end: number } {
  const first = text[at];
  if (first === "'" || first === '"') {
    const { value, end } = delimited(text, at, first);
    return { token: { kind: first === "'" ? 'string' : 'quoted', text: value, at }, end };
  }
  const name = take(word);
  if (name !== undefined) return { token: { kind: 'word', text: name, at }, end: at + name.length };
  const digits = take(number);
  if (digits !== undefined) {
    const end = at + digits.length;
    // `1abc` is neither a number nor a name.
    word.lastIndex = end;
    if (word.test(text)) throw new QueryError(`a number is followed by a name`, end);
    return { token: { kind: 'number', text: digits, at, whole: /^\d+$/.test(digits) }, end };
  }
  const sign = take(symbol);
  if (sign !== undefined) return { token: { kind: 'symbol', text: sign, at }, end: at + sign.length };
  throw new QueryError(
    `an unexpected character ${JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0))}`,
    at,
  );
}

/** Text between quotes, in which a doubled quote stands for one. */
function delimited(text: string, start: number, quote: string): { readonly value: string; readonly end: number } {
  let value = '';
  let at = start + 1;
  for (;;) {
    const close = text.indexOf(quote, at);
    if (close === -1) throw new QueryError('a quote is not closed', start);
    value += text.slice(at, close);
    if (text[close + 1] !== quote) {
      if (value.includes('\0')) throw new QueryError('a text has a character of number zero', start);
      return { value, end: close + 1 };
    }
    value += quote;
    at = close + 2;
  }
}
