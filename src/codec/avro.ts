// Avro 1.11: values of a schema to and from their binary encoding.
import { AvroError, AvroSink, AvroSource, fail } from './avro-bytes.ts';

export type AvroPrimitive = 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string';

/** `doc` and `default` are kept for readers of the schema; the encoding does not look at them. */
export interface AvroField {
  readonly name: string;
  readonly type: AvroSchema;
  readonly doc?: string;
  readonly default?: unknown;
}

interface Named {
  readonly name: string;
  readonly namespace?: string;
  readonly doc?: string;
}

/** A string is a primitive, or the full name of a type defined earlier in the same schema. */
export type AvroSchema =
  | string
  | readonly AvroSchema[]
  | (Named & { readonly type: 'record'; readonly fields: readonly AvroField[] })
  | (Named & { readonly type: 'enum'; readonly symbols: readonly string[]; readonly default?: string })
  | (Named & { readonly type: 'fixed'; readonly size: number })
  | { readonly type: 'array'; readonly items: AvroSchema }
  | { readonly type: 'map'; readonly values: AvroSchema }
  | {
      readonly type: AvroPrimitive;
      readonly logicalType?: string;
      readonly precision?: number;
      readonly scale?: number;
    };

type Names = ReadonlyMap<string, Resolved>;

/** A schema with the names in it looked up, so that encoding a value looks up nothing. */
type Resolved =
  | { readonly kind: AvroPrimitive }
  | { readonly kind: 'record'; readonly name: string; readonly fields: { name: string; type: Resolved }[] }
  | { readonly kind: 'enum'; readonly name: string; readonly symbols: readonly string[] }
  | { readonly kind: 'fixed'; readonly name: string; readonly size: number }
  | { readonly kind: 'array'; items: Resolved }
  | { readonly kind: 'map'; values: Resolved }
  | { readonly kind: 'union'; readonly branches: readonly Resolved[] };

const primitives: ReadonlySet<string> = new Set([
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
] satisfies AvroPrimitive[]);

/** A schema made ready once, for many values. */
export class AvroType {
  readonly #resolved: Resolved;

  constructor(schema: AvroSchema) {
    this.#resolved = resolve(schema, '', new Map());
  }

  encode(value: unknown): Buffer {
    const sink = new AvroSink();
    this.encodeInto(sink, value);
    return sink.take();
  }

  encodeInto(sink: AvroSink, value: unknown): void {
    write(this.#resolved, value, sink);
  }

  /** One value from `source`, which then stands behind it. */
  decode(source: AvroSource): unknown {
    return read(this.#resolved, source, 0);
  }
}

/**
 * A value in Avro's binary encoding, without a header. Records and maps are objects, `bytes` and `fixed` Uint8Arrays,
 * `long` a number or a bigint. A value of a union is encoded as its first branch that has the value's shape: null,
 * boolean, number (integers prefer `int` and `long`), string, bytes, array. An object of exactly one key that is the full
 * name of a record, enum or fixed of the union names that branch: `{ 'a.b.Name': value }`. Any other object is
 * the union's only record or map; with several of them it must name its branch.
 */
export function avroEncode(schema: AvroSchema, value: unknown): Buffer {
  return new AvroType(schema).encode(value);
}

/** The value that `avroEncode` made. Records of a union come back as `{ 'a.b.Name': value }` if it has several of them. */
export function avroDecode(schema: AvroSchema, bytes: Buffer): unknown {
  const source = new AvroSource(bytes);
  const value = new AvroType(schema).decode(source);
  if (source.remaining > 0) fail(`${source.remaining} bytes are left behind the value`);
  return value;
}

function resolve(schema: AvroSchema, namespace: string, names: Map<string, Resolved>): Resolved {
  if (typeof schema === 'string') {
    if (primitives.has(schema)) return { kind: schema as AvroPrimitive };
    return named(names, schema, namespace) ?? fail(`no type ${JSON.stringify(schema)} is defined before its use`);
  }
  if (isUnion(schema)) {
    return { kind: 'union', branches: schema.map((branch) => resolve(branch, namespace, names)) };
  }
  // A schema may have come with a file.
  if (typeof schema !== 'object' || schema === null) fail('a schema is a name, a list or an object');
  switch (schema.type) {
    case 'array':
      return { kind: 'array', items: resolve(schema.items, namespace, names) };
    case 'map':
      return { kind: 'map', values: resolve(schema.values, namespace, names) };
    case 'record': {
      const name = fullName(schema, namespace);
      const own = name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : '';
      const fields: { name: string; type: Resolved }[] = [];
      // Defined before its fields, which may contain it again.
      const record: Resolved = { kind: 'record', name, fields };
      define(names, name, record);
      for (const field of list<AvroField>(schema.fields))
        fields.push({ name: field.name, type: resolve(field.type, own, names) });
      return record;
    }
    case 'enum': {
      const name = fullName(schema, namespace);
      return define(names, name, { kind: 'enum', name, symbols: list<string>(schema.symbols) });
    }
    case 'fixed': {
      const name = fullName(schema, namespace);
      if (!Number.isSafeInteger(schema.size) || schema.size < 0) fail(`${name} has no size`);
      return define(names, name, { kind: 'fixed', name, size: schema.size });
    }
    default:
      if (!primitives.has(schema.type)) fail(`${JSON.stringify(schema.type)} is no type`);
      return { kind: schema.type };
  }
}

function list<T>(items: readonly T[]): readonly T[] {
  const good = Array.isArray(items) && items.every((item) => item !== null && item !== undefined);
  return good ? items : fail('fields and symbols are lists');
}

const isUnion = (schema: AvroSchema): schema is readonly AvroSchema[] => Array.isArray(schema);

function named(names: Names, name: string, namespace: string): Resolved | undefined {
  if (name.includes('.') || namespace === '') return names.get(name);
  return names.get(`${namespace}.${name}`) ?? names.get(name);
}

function fullName(schema: Named, namespace: string): string {
  if (typeof schema.name !== 'string' || schema.name === '') fail('a type has no name');
  if (schema.name.includes('.')) return schema.name;
  const own = schema.namespace ?? namespace;
  return own === '' ? schema.name : `${own}.${schema.name}`;
}

function define(names: Map<string, Resolved>, name: string, type: Resolved): Resolved {
  if (names.has(name)) fail(`${name} is defined twice`);
  names.set(name, type);
  return type;
}

function write(type: Resolved, value: unknown, sink: AvroSink): void {
  switch (type.kind) {
    case 'null':
      if (value !== null && value !== undefined) fail(`${describe(value)} is not null`);
      return;
    case 'boolean':
      if (typeof value !== 'boolean') fail(`${describe(value)} is no boolean`);
      sink.byte(value ? 1 : 0);
      return;
    case 'int':
      if (!isInteger(value) || value < -0x8000_0000 || value > 0x7fff_ffff) fail(`${describe(value)} is no int`);
      sink.long(value);
      return;
    case 'long':
      if (!isInteger(value)) fail(`${describe(value)} is no long`);
      sink.long(value);
      return;
    case 'float':
    case 'double':
      if (typeof value !== 'number') fail(`${describe(value)} is no ${type.kind}`);
      if (type.kind === 'float') sink.float(value);
      else sink.double(value);
      return;
    case 'bytes':
      if (!(value instanceof Uint8Array)) fail(`${describe(value)} is no bytes`);
      sink.bytes(value);
      return;
    case 'string':
      if (typeof value !== 'string') fail(`${describe(value)} is no string`);
      sink.string(value);
      return;
    case 'fixed':
      if (!(value instanceof Uint8Array) || value.length !== type.size) fail(`${describe(value)} is no ${type.name}`);
      sink.raw(value);
      return;
    case 'enum': {
      const at = typeof value === 'string' ? type.symbols.indexOf(value) : -1;
      if (at === -1) fail(`${describe(value)} is no symbol of ${type.name}`);
      sink.long(at);
      return;
    }
    case 'array':
      if (!Array.isArray(value)) fail(`${describe(value)} is no array`);
      if (value.length > 0) sink.long(value.length);
      for (const item of value) write(type.items, item, sink);
      sink.byte(0);
      return;
    case 'map': {
      if (!isObject(value)) fail(`${describe(value)} is no map`);
      const entries = Object.entries(value);
      if (entries.length > 0) sink.long(entries.length);
      for (const [key, item] of entries) {
        sink.string(key);
        write(type.values, item, sink);
      }
      sink.byte(0);
      return;
    }
    case 'record':
      if (!isObject(value)) fail(`${describe(value)} is no ${type.name}`);
      for (const field of type.fields) {
        try {
          write(field.type, value[field.name], sink);
        } catch (error) {
          throw error instanceof AvroError ? new AvroError(`${field.name}: ${error.message}`) : error;
        }
      }
      return;
    case 'union':
      writeUnion(type.branches, value, sink);
      return;
  }
}

function writeUnion(branches: readonly Resolved[], value: unknown, sink: AvroSink): void {
  if (isObject(value)) {
    const keys = Object.keys(value);
    const at = keys.length === 1 ? branches.findIndex((branch) => nameOf(branch) === keys[0]) : -1;
    const named = branches[at];
    if (named !== undefined) {
      sink.long(at);
      write(named, value[keys[0] as string], sink);
      return;
    }
    const objects = branches.filter(({ kind }) => kind === 'record' || kind === 'map');
    if (objects.length > 1) fail('the value does not name its branch of the union');
  }
  // An integer is a double only where the union has no integer.
  const at = branches.findIndex((branch) => fits(branch, value, false));
  const chosen = at === -1 ? branches.findIndex((branch) => fits(branch, value, true)) : at;
  const branch = branches[chosen];
  if (branch === undefined) fail(`${describe(value)} is of no branch of the union`);
  sink.long(chosen);
  write(branch, value, sink);
}

const nameOf = (type: Resolved): string | undefined => ('name' in type ? type.name : undefined);

function fits(type: Resolved, value: unknown, integersAsFloats: boolean): boolean {
  switch (type.kind) {
    case 'null':
      return value === null || value === undefined;
    case 'boolean':
      return typeof value === 'boolean';
    case 'int':
      return isInteger(value) && value >= -0x8000_0000 && value <= 0x7fff_ffff;
    case 'long':
      return isInteger(value);
    case 'float':
    case 'double':
      return typeof value === 'number' && (integersAsFloats || !isInteger(value));
    case 'string':
      return typeof value === 'string';
    case 'enum':
      return typeof value === 'string' && type.symbols.includes(value);
    case 'bytes':
      return value instanceof Uint8Array;
    case 'fixed':
      return value instanceof Uint8Array && value.length === type.size;
    case 'array':
      return Array.isArray(value);
    case 'map':
    case 'record':
      return isObject(value);
    case 'union':
      return false;
  }
}

const isInteger = (value: unknown): value is number | bigint =>
  typeof value === 'bigint' || (Number.isSafeInteger(value) && !Object.is(value, -0));

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

const describe = (value: unknown): string => (typeof value === 'object' ? 'an object' : String(value).slice(0, 64));

/** A value may hold itself, so damaged bytes could nest without end. */
const depthMax = 200;
/** Items may take no bytes at all, so a count alone is not believed. */
const emptyItemsMax = 100_000;

function read(type: Resolved, source: AvroSource, depth: number): unknown {
  if (depth > depthMax) fail('values are nested too deeply');
  switch (type.kind) {
    case 'null':
      return null;
    case 'boolean': {
      const byte = source.byte();
      return byte > 1 ? fail('a boolean is neither 0 nor 1') : byte === 1;
    }
    case 'int': {
      const value = source.long();
      return typeof value === 'number' && (value | 0) === value ? value : fail('an int is longer than 32 bits');
    }
    case 'long':
      return source.long();
    case 'float':
      return source.raw(4).readFloatLE();
    case 'double':
      return source.raw(8).readDoubleLE();
    case 'bytes':
      return source.bytes();
    case 'string':
      return source.string();
    case 'fixed':
      return source.raw(type.size);
    case 'enum':
      return type.symbols[source.size()] ?? fail(`a number is no symbol of ${type.name}`);
    case 'array':
      return [...readBlocks(source, () => read(type.items, source, depth + 1))];
    case 'map': {
      const pairs = readBlocks(source, () => [source.string(), read(type.values, source, depth + 1)] as const);
      return Object.fromEntries(pairs);
    }
    case 'record': {
      const fields = type.fields.map((field) => [field.name, read(field.type, source, depth + 1)] as const);
      return Object.fromEntries(fields);
    }
    case 'union': {
      const branch = type.branches[source.size()] ?? fail('a number is no branch of its union');
      const value = read(branch, source, depth + 1);
      const objects = type.branches.filter(({ kind }) => kind === 'record' || kind === 'map').length;
      return branch.kind === 'record' && objects > 1 ? { [branch.name]: value } : value;
    }
  }
}

function* readBlocks<T>(source: AvroSource, item: () => T): Generator<T> {
  let empty = 0;
  for (let count = source.size(); count !== 0; count = source.size()) {
    // A negative count is followed by the length of the block in bytes, for whoever skips it.
    if (count < 0) source.size();
    for (let i = Math.abs(count); i > 0; i--) {
      const before = source.remaining;
      yield item();
      if (source.remaining === before && ++empty > emptyItemsMax) fail('too many items that take no bytes');
    }
  }
}
