// The grammar of "Query acceleration SQL language reference": text into a tree. Nothing of the text goes any further.
import {
  type AggregateFunction,
  type Arithmetic,
  aggregateFunctions,
  type CastType,
  castTypes,
  type DatePart,
  dateParts,
  type Expression,
  type FromStep,
  type Item,
  type Name,
  type Query,
  QueryError,
  type ScalarFunction,
  type Step,
  scalarFunctions,
} from './ast.ts';
import { type Token, tokenize } from './lexer.ts';
import { castNames, comparisonOf, reserved } from './words.ts';

/** Each level is a call of the parser, and of whoever walks the tree. */
const depthMax = 100;
const listMax = 10_000;
/** Operands of one chain of AND or OR. */
const logicMax = 1000;
/** "Query acceleration SQL language reference": more need `*`. */
export const itemsMax = 49;
const splitBytesMin = 10 * 1024 * 1024;

/** Throws `QueryError` for what the grammar does not have. */
export function parseQuery(text: string): Query {
  return new Parser(tokenize(text)).query();
}

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  query(): Query {
    this.#expectWord('select');
    const select = this.#select();
    this.#expectWord('from');
    const from = this.#from();
    const alias = this.#alias();
    const where = this.#word('where') ? this.#expression() : undefined;
    const limit = this.#word('limit') ? this.#whole() : undefined;
    this.#symbol(';');
    if (this.#peek().kind !== 'end') this.#unexpected();
    if (select.kind === 'split' && (where !== undefined || limit !== undefined || from.length > 0)) {
      throw new QueryError('sys.split is of the whole blob');
    }
    const named = alias !== undefined && { alias };
    return { select, from, ...named, ...(where !== undefined && { where }), ...(limit !== undefined && { limit }) };
  }

  #select(): Query['select'] {
    if (this.#symbol('*')) return { kind: 'all' };
    if (this.#isWord('sys') && this.#peek(1).text === '.') return this.#split();
    const items: Item[] = [];
    do {
      items.push(this.#item());
      if (items.length > itemsMax) throw new QueryError(`more than ${itemsMax} expressions are selected`);
    } while (this.#symbol(','));
    return { kind: 'items', items };
  }

  #split(): Query['select'] {
    this.#next += 2;
    this.#expectWord('split');
    this.#expectSymbol('(');
    const at = this.#peek().at;
    const bytes = this.#whole();
    if (bytes < splitBytesMin) throw new QueryError(`the size of sys.split is at least ${splitBytesMin}`, at);
    this.#expectSymbol(')');
    return { kind: 'split', bytes };
  }

  #item(): Item {
    const value = this.#expression();
    const named = this.#word('as');
    const token = this.#peek();
    const isName = token.kind === 'quoted' || (token.kind === 'word' && !reserved.has(token.text.toLowerCase()));
    if (!isName) return named ? this.#unexpected() : { value };
    this.#next++;
    return { value, name: token.text };
  }

  #from(): FromStep[] {
    const table = this.#peek();
    if (table.kind !== 'word' || table.text.toLowerCase() !== 'blobstorage') {
      throw new QueryError('the table is BlobStorage', table.at);
    }
    this.#next++;
    const steps: FromStep[] = [];
    // The whole blob is a list of records.
    if (this.#symbol('[')) {
      this.#expectSymbol('*');
      this.#expectSymbol(']');
      for (;;) {
        if (this.#symbol('.')) steps.push(this.#name());
        else if (!this.#symbol('[')) break;
        else {
          steps.push(this.#symbol('*') ? { kind: 'each' } : { kind: 'index', index: this.#whole() });
          this.#expectSymbol(']');
        }
      }
      if (steps.length > depthMax) throw new QueryError('the path is too long', table.at);
    }
    return steps;
  }

  #alias(): string | undefined {
    const named = this.#word('as');
    const token = this.#peek();
    if (token.kind !== 'word' || reserved.has(token.text.toLowerCase())) return named ? this.#unexpected() : undefined;
    this.#next++;
    return token.text;
  }

  #expression(): Expression {
    if (++this.#depth > depthMax) throw new QueryError('the expression is nested too deeply', this.#peek().at);
    const value = this.#or();
    this.#depth--;
    return value;
  }

  #or(): Expression {
    let left = this.#and();
    for (let chain = 0; this.#word('or'); chain++)
      left = { kind: 'or', left, right: this.#chained(chain, this.#and, logicMax) };
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    for (let chain = 0; this.#word('and'); chain++)
      left = { kind: 'and', left, right: this.#chained(chain, this.#not, logicMax) };
    return left;
  }

  /** A chain of operators nests to the left as deep as it is long. */
  #chained(chain: number, operand: () => Expression, most = depthMax): Expression {
    if (chain >= most) throw new QueryError('the expression is nested too deeply', this.#peek().at);
    return operand.call(this);
  }

  #not(): Expression {
    if (!this.#word('not')) return this.#comparison();
    if (++this.#depth > depthMax) throw new QueryError('the expression is nested too deeply', this.#peek().at);
    const value = this.#not();
    this.#depth--;
    return { kind: 'not', value };
  }

  #comparison(): Expression {
    const left = this.#sum();
    const token = this.#peek();
    const operator = token.kind === 'symbol' ? comparisonOf[token.text] : undefined;
    if (operator !== undefined) {
      this.#next++;
      return { kind: 'compare', operator, left, right: this.#sum() };
    }
    if (this.#word('is')) return this.#is(left);
    const negated = this.#word('not');
    const test = this.#test(left);
    if (test === undefined) return negated ? this.#unexpected() : left;
    return negated ? { kind: 'not', value: test } : test;
  }

  #is(value: Expression): Expression {
    const negated = this.#word('not');
    let test: Expression;
    if (this.#word('null')) test = { kind: 'is-null', value };
    else if (this.#word('missing')) test = { kind: 'is-missing', value };
    else return this.#unexpected();
    return negated ? { kind: 'not', value: test } : test;
  }

  #test(value: Expression): Expression | undefined {
    if (this.#word('like')) {
      const pattern = this.#sum();
      const mark = this.#word('escape') ? this.#text() : undefined;
      if (mark !== undefined && [...mark].length !== 1) throw new QueryError('ESCAPE takes one character');
      return { kind: 'like', value, pattern, ...(mark !== undefined && { escape: mark }) };
    }
    if (this.#word('in')) {
      this.#expectSymbol('(');
      return { kind: 'in', value, list: this.#list(1, listMax) };
    }
    if (this.#word('between')) {
      const least = this.#sum();
      this.#expectWord('and');
      return {
        kind: 'and',
        left: { kind: 'compare', operator: '>=', left: value, right: least },
        right: { kind: 'compare', operator: '<=', left: value, right: this.#sum() },
      };
    }
    return undefined;
  }

  #sum(): Expression {
    let left = this.#product();
    for (let chain = 0; ; chain++) {
      if (this.#symbol('||')) left = { kind: 'concat', left, right: this.#chained(chain, this.#product) };
      else {
        const operator = this.#symbol('+') ? '+' : this.#symbol('-') ? '-' : undefined;
        if (operator === undefined) return left;
        left = { kind: 'arithmetic', operator, left, right: this.#chained(chain, this.#product) };
      }
    }
  }

  #product(): Expression {
    let left = this.#unary();
    for (let chain = 0; ; chain++) {
      const token = this.#peek();
      if (token.kind !== 'symbol' || !'*/%'.includes(token.text)) return left;
      this.#next++;
      const right = this.#chained(chain, this.#unary);
      left = { kind: 'arithmetic', operator: token.text as Arithmetic, left, right };
    }
  }

  #unary(): Expression {
    const isNegative = this.#symbol('-');
    if (!isNegative && !this.#symbol('+')) return this.#primary();
    if (++this.#depth > depthMax) throw new QueryError('the expression is nested too deeply', this.#peek().at);
    const value = this.#unary();
    this.#depth--;
    if (!isNegative) return value;
    if (value.kind === 'int' || value.kind === 'float') return { ...value, value: -value.value } as Expression;
    return { kind: 'negate', value };
  }

  #primary(): Expression {
    const token = this.#peek();
    switch (token.kind) {
      case 'string':
        this.#next++;
        return { kind: 'string', value: token.text };
      case 'number':
        this.#next++;
        return numberOf(token.text, token.whole, token.at);
      case 'quoted':
        return this.#field();
      case 'symbol': {
        if (!this.#symbol('(')) return this.#unexpected();
        const value = this.#expression();
        this.#expectSymbol(')');
        return value;
      }
      case 'word':
        return this.#afterWord(token.text.toLowerCase());
      case 'end':
        return this.#unexpected();
    }
  }

  #afterWord(lower: string): Expression {
    if (lower === 'true' || lower === 'false') {
      this.#next++;
      return { kind: 'boolean', value: lower === 'true' };
    }
    if (this.#word('null')) return { kind: 'null' };
    const isCall = this.#peek(1).kind === 'symbol' && this.#peek(1).text === '(';
    if (isCall) {
      this.#next += 2;
      return this.#call(lower);
    }
    return reserved.has(lower) ? this.#unexpected() : this.#field();
  }

  #field(): Expression {
    const first = this.#name();
    const steps: Step[] = [];
    while (steps.length <= depthMax) {
      if (this.#symbol('.')) steps.push(this.#name());
      else if (this.#symbol('[')) {
        steps.push({ kind: 'index', index: this.#whole() });
        this.#expectSymbol(']');
      } else {
        return { kind: 'field', steps: [first, ...steps] };
      }
    }
    throw new QueryError('the path is too long', this.#peek().at);
  }

  /** A function; its opening parenthesis is behind. */
  #call(name: string): Expression {
    if ((aggregateFunctions as readonly string[]).includes(name) || name === 'average') {
      return this.#aggregate(name === 'average' ? 'avg' : (name as AggregateFunction));
    }
    if (Object.hasOwn(scalarFunctions, name)) {
      const [least, most] = scalarFunctions[name as ScalarFunction];
      return { kind: 'call', name: name as ScalarFunction, list: this.#list(least, most) };
    }
    const special = this.#special(name);
    if (special === undefined) throw new QueryError(`there is no function ${name}`, this.#peek(-2).at);
    this.#expectSymbol(')');
    return special;
  }

  #special(name: string): Expression | undefined {
    switch (name) {
      case 'cast': {
        const value = this.#expression();
        this.#expectWord('as');
        return { kind: 'cast', value, type: this.#castType() };
      }
      case 'substring': {
        const value = this.#expression();
        const separator = this.#word('from') ? 'for' : ',';
        if (separator === ',') this.#expectSymbol(',');
        const start = this.#expression();
        const more = separator === ',' ? this.#symbol(',') : this.#word('for');
        return { kind: 'substring', value, start, ...(more && { length: this.#expression() }) };
      }
      case 'trim':
        return this.#trim();
      case 'date_add':
      case 'date_diff': {
        const part = this.#datePart();
        this.#expectSymbol(',');
        const first = this.#expression();
        this.#expectSymbol(',');
        const second = this.#expression();
        return name === 'date_add'
          ? { kind: 'date-add', part, quantity: first, value: second }
          : { kind: 'date-diff', part, left: first, right: second };
      }
      case 'extract': {
        const token = this.#peek();
        const zone = (['timezone_hour', 'timezone_minute'] as const).find((part) => this.#word(part));
        const part = zone ?? this.#datePart();
        if (!this.#word('from')) throw new QueryError('EXTRACT takes a part FROM a timestamp', token.at);
        return { kind: 'extract', part, value: this.#expression() };
      }
      case 'to_string': {
        const value = this.#expression();
        this.#expectSymbol(',');
        return { kind: 'to-string', value, format: this.#text() };
      }
      default:
        return undefined;
    }
  }

  #aggregate(name: AggregateFunction): Expression {
    if (name === 'count' && this.#symbol('*')) {
      this.#expectSymbol(')');
      return { kind: 'aggregate', name };
    }
    const value = this.#expression();
    this.#expectSymbol(')');
    return { kind: 'aggregate', name, value };
  }

  #trim(): Expression {
    const side = (['both', 'leading', 'trailing'] as const).find((each) => this.#word(each));
    if (side !== undefined && this.#word('from')) return { kind: 'trim', side, value: this.#expression() };
    const first = this.#expression();
    if (this.#word('from')) {
      return { kind: 'trim', side: side ?? 'both', characters: first, value: this.#expression() };
    }
    return { kind: 'trim', side: side ?? 'both', value: first };
  }

  #castType(): CastType {
    const token = this.#peek();
    const name = token.text.toLowerCase();
    const type = castNames[name] ?? castTypes.find((each) => each === name);
    if (token.kind !== 'word' || type === undefined) throw new QueryError('CAST has no such type', token.at);
    this.#next++;
    return type;
  }

  #datePart(): DatePart {
    const token = this.#peek();
    const part = dateParts.find((each) => each === token.text.toLowerCase());
    const fits = token.kind === 'word' || token.kind === 'string' || token.kind === 'quoted';
    if (!fits || part === undefined) throw new QueryError(`a part of a date is ${dateParts.join(', ')}`, token.at);
    this.#next++;
    return part;
  }

  /** Expressions up to the closing parenthesis. */
  #list(least: number, most: number): Expression[] {
    const { at } = this.#peek();
    const list: Expression[] = [];
    if (this.#symbol(')')) {
      if (least > 0) throw new QueryError('too few arguments', at);
      return list;
    }
    do {
      list.push(this.#expression());
      if (list.length > most) throw new QueryError('too many arguments', at);
    } while (this.#symbol(','));
    this.#expectSymbol(')');
    if (list.length < least) throw new QueryError('too few arguments', at);
    return list;
  }

  #name(): Name {
    const token = this.#peek();
    if (token.kind !== 'word' && token.kind !== 'quoted') return this.#unexpected();
    this.#next++;
    return { kind: 'name', name: token.text, quoted: token.kind === 'quoted' };
  }

  #text(): string {
    const token = this.#peek();
    if (token.kind !== 'string') return this.#unexpected();
    this.#next++;
    return token.text;
  }

  #whole(): number {
    const token = this.#peek();
    if (token.kind !== 'number' || !token.whole) return this.#unexpected();
    const value = Number(token.text);
    if (!Number.isSafeInteger(value)) throw new QueryError('the number is too large', token.at);
    this.#next++;
    return value;
  }

  #peek(ahead = 0): Token {
    const at = Math.min(Math.max(this.#next + ahead, 0), this.#tokens.length - 1);
    return this.#tokens[at] as Token;
  }

  #isWord(lower: string): boolean {
    const token = this.#peek();
    return token.kind === 'word' && token.text.toLowerCase() === lower;
  }

  #word(lower: string): boolean {
    if (!this.#isWord(lower)) return false;
    this.#next++;
    return true;
  }

  #symbol(text: string): boolean {
    const token = this.#peek();
    if (token.kind !== 'symbol' || token.text !== text) return false;
    this.#next++;
    return true;
  }

  #expectWord(lower: string): void {
    if (!this.#word(lower)) throw new QueryError(`${lower.toUpperCase()} is expected`, this.#peek().at);
  }

  #expectSymbol(text: string): void {
    if (!this.#symbol(text)) throw new QueryError(`"${text}" is expected`, this.#peek().at);
  }

  #unexpected(): never {
    const token = this.#peek();
    const what = token.kind === 'end' ? 'the end' : JSON.stringify(token.text.slice(0, 64));
    throw new QueryError(`${what} is not expected here`, token.at);
  }
}

function numberOf(text: string, whole: boolean, at: number): Expression {
  if (whole) {
    const value = BigInt(text);
    // One more than the largest, for the smallest there is with its sign.
    if (value <= 2n ** 63n) return { kind: 'int', value };
  }
  const value = Number(text);
  if (!Number.isFinite(value)) throw new QueryError('the number is too large', at);
  return { kind: 'float', value };
}
