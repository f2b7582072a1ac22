// Avro 1.11 object container files (codec "null"): a header with the schema, then blocks of values.
import { type AvroSchema, AvroType } from './avro.ts';
import { AvroError, AvroSink, AvroSource } from './avro-bytes.ts';

const magic = Buffer.from('Obj\u0001', 'latin1');
const syncBytes = 16;

/** Makes the bytes of a file: the header first, then any number of blocks. It keeps nothing. */
export class AvroFileWriter {
  readonly #type: AvroType;
  readonly #schema: string;
  readonly #sync: Buffer;
  readonly #metadata: Readonly<Record<string, string>>;

  /** `sync` are 16 random bytes of the file's own. Names of `metadata` that begin with `avro.` are Avro's. */
  constructor(
    schema: AvroSchema,
    options: { readonly sync: Buffer; readonly metadata?: Readonly<Record<string, string>> },
  ) {
    if (options.sync.length !== syncBytes) throw new AvroError('a sync marker has 16 bytes');
    this.#type = new AvroType(schema);
    this.#schema = JSON.stringify(schema);
    this.#sync = Buffer.from(options.sync);
    this.#metadata = { ...options.metadata };
  }

  header(): Buffer {
    const sink = new AvroSink();
    sink.raw(magic);
    const entries = Object.entries({ ...this.#metadata, 'avro.codec': 'null', 'avro.schema': this.#schema });
    sink.long(entries.length);
    for (const [name, value] of entries) {
      sink.string(name);
      sink.string(value);
    }
    sink.byte(0);
    sink.raw(this.#sync);
    return sink.take();
  }

  /** One block; of no values it is no bytes. */
  block(values: readonly unknown[]): Buffer {
    if (values.length === 0) return Buffer.alloc(0);
    const content = new AvroSink();
    for (const value of values) this.#type.encodeInto(content, value);
    const sink = new AvroSink();
    sink.long(values.length);
    sink.long(content.length);
    sink.raw(content.take());
    sink.raw(this.#sync);
    return sink.take();
  }
}

export interface AvroFile {
  readonly schema: AvroSchema;
  readonly metadata: Readonly<Record<string, string>>;
  readonly sync: Buffer;
  /** Where each block begins, with how many values it has: what a cursor into the file can name. */
  readonly blocks: readonly { readonly at: number; readonly count: number }[];
  readonly values: readonly unknown[];
}

/** The values of a whole file. Throws `AvroError` for what is none. */
export function* readAvroFile(bytes: Buffer): Generator<unknown> {
  const { source, type, sync } = open(bytes);
  for (const block of readBlocks(source, sync, bytes.length)) yield* values(type, block);
}

/** A whole file with what its header says. */
export function openAvroFile(bytes: Buffer): AvroFile {
  const { source, type, sync, schema, metadata } = open(bytes);
  const blocks = [...readBlocks(source, sync, bytes.length)];
  return { schema, metadata, sync, blocks, values: blocks.flatMap((block) => [...values(type, block)]) };
}

function open(bytes: Buffer) {
  const source = new AvroSource(bytes);
  if (!source.raw(Math.min(magic.length, bytes.length)).equals(magic)) throw new AvroError('not an Avro file');
  const metadata = new AvroType({ type: 'map', values: 'bytes' }).decode(source) as Record<string, Buffer>;
  const sync = source.raw(syncBytes);
  const codec = metadata['avro.codec']?.toString() ?? 'null';
  if (codec !== 'null') throw new AvroError(`the codec ${JSON.stringify(codec)} is not read`);
  const schema = parseSchema(metadata['avro.schema']?.toString() ?? '');
  const texts = Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, value.toString()]));
  return { source, type: new AvroType(schema), sync, schema, metadata: texts };
}

function parseSchema(text: string): AvroSchema {
  try {
    return JSON.parse(text) as AvroSchema;
  } catch (error) {
    throw new AvroError('the schema is no JSON', { cause: error });
  }
}

interface Block {
  readonly at: number;
  readonly count: number;
  readonly content: Buffer;
}

function* readBlocks(source: AvroSource, sync: Buffer, length: number): Generator<Block> {
  while (source.remaining > 0) {
    const at = length - source.remaining;
    const count = source.size();
    const content = source.bytes();
    if (count < 0) throw new AvroError('a block has less than no values');
    if (!source.raw(syncBytes).equals(sync)) throw new AvroError('a block does not end in the sync marker');
    yield { at, count, content };
  }
}

function* values(type: AvroType, { count, content }: Block): Generator<unknown> {
  const source = new AvroSource(content);
  for (let i = 0; i < count; i++) yield type.decode(source);
  if (source.remaining > 0) throw new AvroError('a block is longer than its values');
}
