// Avro 1.11: numbers, texts and bytes, gathered by whoever encodes and taken apart by whoever decodes.

/** A schema or a value that cannot be encoded is a mistake of the caller; bytes that do not decode are damaged. */
export class AvroError extends Error {
  readonly code = 'AVRO';
}

export function fail(problem: string): never {
  throw new AvroError(problem);
}

/** Where encoded bytes gather. */
export class AvroSink {
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was gathered; the sink is empty again. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.allocUnsafe(256);
    this.#length = 0;
    return taken;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  /** A variable-length zig-zag number of up to 64 bits. */
  long(value: number | bigint): void {
    if (typeof value === 'number' && value >= -0x4000_0000 && value < 0x4000_0000) {
      let rest = (value << 1) ^ (value >> 31);
      while (rest > 0x7f) {
        this.byte((rest & 0x7f) | 0x80);
        rest >>>= 7;
      }
      this.byte(rest);
      return;
    }
    const wide = BigInt(value);
    if (BigInt.asIntN(64, wide) !== wide) fail(`${wide} is no 64-bit integer`);
    let rest = BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n));
    while (rest > 0x7fn) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest));
  }

  float(value: number): void {
    this.#room(4);
    this.#length = this.#bytes.writeFloatLE(value, this.#length);
  }

  double(value: number): void {
    this.#room(8);
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
  }

  /** Bytes as they are, without their length. */
  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  bytes(bytes: Uint8Array): void {
    this.long(bytes.length);
    this.raw(bytes);
  }

  string(text: string): void {
    const length = Buffer.byteLength(text);
    this.long(length);
    this.#room(length);
    this.#length += this.#bytes.write(text, this.#length);
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** Bytes that are decoded from the front. */
export class AvroSource {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    return byte === undefined ? fail('the bytes end within a value') : byte;
  }

  /** A number if it is a safe integer, a bigint otherwise. */
  long(): number | bigint {
    let low = 0;
    let shift = 0;
    let byte = this.byte();
    for (; byte > 0x7f && shift < 21; byte = this.byte(), shift += 7) low |= (byte & 0x7f) << shift;
    if (byte <= 0x7f) {
      const raw = low | (byte << shift);
      return (raw >>> 1) ^ -(raw & 1);
    }
    let wide = BigInt(low) | (BigInt(byte & 0x7f) << BigInt(shift));
    do {
      shift += 7;
      if (shift > 63) fail('a number is longer than 64 bits');
      byte = this.byte();
      wide |= BigInt(byte & 0x7f) << BigInt(shift);
    } while (byte > 0x7f);
    wide = BigInt.asUintN(64, wide);
    const value = BigInt.asIntN(64, (wide >> 1n) ^ -(wide & 1n));
    const short = Number(value);
    return Number.isSafeInteger(short) ? short : value;
  }

  /** A count or a length, of which none is beyond what a buffer can hold. */
  size(): number {
    const size = this.long();
    return typeof size === 'bigint' ? fail('a length is beyond every bound') : size;
  }

  raw(length: number): Buffer {
    if (length < 0 || length > this.remaining) fail('the bytes end within a value');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  bytes(): Buffer {
    return this.raw(this.size());
  }

  string(): string {
    return this.bytes().toString();
  }
}
