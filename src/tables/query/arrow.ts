// Arrow IPC streams (format version 5): the messages of a schema and of batches of records, in flatbuffers of their own.
import type { ArrowField } from './formats.ts';

/** `Type` of Schema.fbs. */
const typeId = { int64: 2, double: 3, string: 5, bool: 6, decimal: 7, 'timestamp[ms]': 10 } as const;
const headerId = { schema: 1, recordBatch: 3 } as const;
const metadataVersion = 4;

/** Values of one column, as the engine gives them: a decimal as its text. */
export type ArrowColumn = readonly (bigint | number | boolean | string | null)[];

/** The end of a stream. */
export const arrowEnd: Buffer = Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

export function arrowSchema(fields: readonly ArrowField[]): Buffer {
  const builder = new FlatBuilder();
  const children = fields.map((field) => fieldTable(builder, field));
  const vector = builder.offsets(children);
  const schema = builder.table([{ at: 1, offset: vector }]);
  return message(builder, headerId.schema, schema, 0, []);
}

export function arrowBatch(fields: readonly ArrowField[], columns: readonly ArrowColumn[], rows: number): Buffer {
  const body: Buffer[] = [];
  const nodes: [number, number][] = [];
  const buffers: [number, number][] = [];
  let length = 0;
  const add = (bytes: Buffer): void => {
    const padded = Math.ceil(bytes.length / 8) * 8;
    buffers.push([length, bytes.length]);
    body.push(bytes, Buffer.alloc(padded - bytes.length));
    length += padded;
  };
  fields.forEach((field, at) => {
    const values = columns[at] as ArrowColumn;
    const nulls = values.reduce((count: number, value) => (value === null ? count + 1 : count), 0);
    nodes.push([rows, nulls]);
    add(nulls === 0 ? Buffer.alloc(0) : bits(values, (value) => value !== null));
    for (const buffer of dataOf(field, values)) add(buffer);
  });
  const builder = new FlatBuilder();
  const bufferVector = builder.structs(buffers);
  const nodeVector = builder.structs(nodes);
  const batch = builder.table([
    { at: 0, long: BigInt(rows) },
    { at: 1, offset: nodeVector },
    { at: 2, offset: bufferVector },
  ]);
  return message(builder, headerId.recordBatch, batch, length, body);
}

/** Continuation mark, length, flatbuffer, padding to eight bytes, body. */
function message(builder: FlatBuilder, kind: number, header: number, bodyBytes: number, body: Buffer[]): Buffer {
  const root = builder.table([
    { at: 0, short: metadataVersion },
    { at: 1, byte: kind },
    { at: 2, offset: header },
    { at: 3, long: BigInt(bodyBytes) },
  ]);
  const flat = builder.finish(root);
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32LE(0xffff_ffff, 0);
  prefix.writeUInt32LE(flat.length, 4);
  return Buffer.concat([prefix, flat, ...body]);
}

function fieldTable(builder: FlatBuilder, field: ArrowField): number {
  const name = builder.text(field.name);
  const type = typeTable(builder, field);
  const children = builder.offsets([]);
  return builder.table([
    { at: 0, offset: name },
    { at: 1, byte: 1 },
    { at: 2, byte: typeId[field.type] },
    { at: 3, offset: type },
    { at: 5, offset: children },
  ]);
}

function typeTable(builder: FlatBuilder, field: ArrowField): number {
  switch (field.type) {
    case 'int64':
      // A width of 64 bits, with a sign.
      return builder.table([
        { at: 0, int: 64 },
        { at: 1, byte: 1 },
      ]);
    case 'double':
      return builder.table([{ at: 0, short: 2 }]);
    case 'decimal':
      return builder.table([
        { at: 0, int: field.precision },
        { at: 1, int: field.scale },
        { at: 2, int: 128 },
      ]);
    case 'timestamp[ms]':
      return builder.table([{ at: 0, short: 1 }]);
    case 'string':
    case 'bool':
      return builder.table([]);
  }
}

function dataOf(field: ArrowField, values: ArrowColumn): Buffer[] {
  switch (field.type) {
    case 'bool':
      return [bits(values, (value) => value === true)];
    case 'string':
      return textData(values as readonly (string | null)[]);
    case 'double':
      return [fixed(values, 8, (data, value, at) => data.writeDoubleLE(Number(value), at))];
    case 'int64':
    case 'timestamp[ms]':
      return [fixed(values, 8, (data, value, at) => data.writeBigInt64LE(BigInt(value as bigint), at))];
    case 'decimal':
      return [
        fixed(values, 16, (data, value, at) => {
          const unscaled = BigInt(String(value).replace('.', ''));
          data.writeBigUInt64LE(BigInt.asUintN(64, unscaled), at);
          data.writeBigInt64LE(BigInt.asIntN(64, unscaled >> 64n), at + 8);
        }),
      ];
  }
}

function fixed(values: ArrowColumn, width: number, write: (data: Buffer, value: unknown, at: number) => void): Buffer {
  const data = Buffer.alloc(values.length * width);
  values.forEach((value, at) => {
    if (value !== null) write(data, value, at * width);
  });
  return data;
}

function bits(values: ArrowColumn, isSet: (value: ArrowColumn[number]) => boolean): Buffer {
  const data = Buffer.alloc(Math.ceil(values.length / 8));
  values.forEach((value, at) => {
    if (isSet(value)) data[at >> 3] = (data[at >> 3] as number) | (1 << (at & 7));
  });
  return data;
}

function textData(values: readonly (string | null)[]): Buffer[] {
  const offsets = Buffer.alloc((values.length + 1) * 4);
  const texts = values.map((value) => Buffer.from(value ?? ''));
  let length = 0;
  texts.forEach((bytes, at) => {
    length += bytes.length;
    offsets.writeInt32LE(length, (at + 1) * 4);
  });
  return [offsets, Buffer.concat(texts)];
}

type Slot = { readonly at: number } & (
  | { readonly offset: number }
  | { readonly byte: number }
  | { readonly short: number }
  | { readonly int: number }
  | { readonly long: bigint }
);

/** A flatbuffer from its end to its beginning, as the format asks: positions are counted from the end. */
class FlatBuilder {
  #bytes = Buffer.alloc(1024);
  #length = 0;

  /** The vector of references to what was built before. */
  offsets(targets: readonly number[]): number {
    this.#align(4, targets.length * 4);
    for (const target of targets.toReversed()) this.#int(this.#length + 4 - target);
    return this.#int(targets.length);
  }

  /** A vector of structures of two 64-bit numbers. */
  structs(pairs: readonly (readonly [number, number])[]): number {
    this.#align(8, pairs.length * 16);
    for (const [first, second] of pairs.toReversed()) {
      this.#long(BigInt(second));
      this.#long(BigInt(first));
    }
    return this.#int(pairs.length);
  }

  text(value: string): number {
    const bytes = Buffer.from(value);
    this.#align(4, bytes.length + 1);
    this.#put(Buffer.from([0]));
    this.#put(bytes);
    return this.#int(bytes.length);
  }

  table(slots: readonly Slot[]): number {
    const end = this.#length;
    const places = new Map<number, number>();
    // Wide values first, so that none needs padding between.
    for (const slot of [...slots].sort((one, other) => widthOf(other) - widthOf(one))) {
      this.#align(widthOf(slot), 0);
      places.set(slot.at, this.#slot(slot));
    }
    this.#align(4, 0);
    const start = this.#int(0);
    const count = slots.reduce((most, { at }) => Math.max(most, at + 1), 0);
    for (let at = count - 1; at >= 0; at--) {
      const place = places.get(at);
      this.#short(place === undefined ? 0 : start - place);
    }
    this.#short(start - end);
    const table = this.#short(4 + count * 2);
    // The table begins with how far back its list of places is.
    this.#bytes.writeInt32LE(table - start, this.#bytes.length - start);
    return start;
  }

  /** The whole buffer, with the root's place before it, in a multiple of eight bytes. */
  finish(root: number): Buffer {
    this.#align(8, 4);
    this.#int(this.#length + 4 - root);
    return Buffer.from(this.#bytes.subarray(this.#bytes.length - this.#length));
  }

  #slot(slot: Slot): number {
    if ('offset' in slot) return this.#int(this.#length + 4 - slot.offset);
    if ('byte' in slot) return this.#put(Buffer.from([slot.byte]));
    if ('short' in slot) return this.#short(slot.short);
    return 'int' in slot ? this.#int(slot.int) : this.#long(slot.long);
  }

  /** Zeros, so that what ends `behind` bytes further on begins at a multiple of `width`. */
  #align(width: number, behind: number): void {
    const odd = (this.#length + behind) % width;
    if (odd !== 0) this.#put(Buffer.alloc(width - odd));
  }

  #short(value: number): number {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16LE(value);
    return this.#put(bytes);
  }

  #int(value: number): number {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    return this.#put(bytes);
  }

  #long(value: bigint): number {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return this.#put(bytes);
  }

  #put(bytes: Buffer): number {
    if (this.#length + bytes.length > this.#bytes.length) {
      const larger = Buffer.alloc((this.#length + bytes.length) * 2);
      this.#bytes.copy(larger, larger.length - this.#length, this.#bytes.length - this.#length);
      this.#bytes = larger;
    }
    this.#length += bytes.length;
    bytes.copy(this.#bytes, this.#bytes.length - this.#length);
    return this.#length;
  }
}

function widthOf(slot: Slot): number {
  if ('byte' in slot) return 1;
  if ('short' in slot) return 2;
  return 'long' in slot ? 8 : 4;
}
