// Records on their way to the disk, as bytes beside the heap: strings that wait would be copied by every collection.

const chunkBytes = 256 * 1024;
/** Kept for the next records, so that memory is not asked for and given back all the time. */
const sparesMax = 8;

/** The JSON of some records, one behind the other. */
export interface RecordChunk {
  readonly bytes: Buffer;
  /** Where each of them ends. */
  readonly ends: readonly number[];
}

interface Chunk extends RecordChunk {
  readonly ends: number[];
  end: number;
}

export class RecordQueue {
  #chunks: Chunk[] = [];
  readonly #spares: Buffer[] = [];
  records = 0;
  bytes = 0;

  push(json: string): void {
    let chunk = this.#chunks.at(-1);
    // A character is three bytes at the most; where that might not fit, they are counted.
    if (chunk === undefined || chunk.bytes.length - chunk.end < json.length * 3) {
      const needed = Buffer.byteLength(json);
      if (chunk === undefined || chunk.bytes.length - chunk.end < needed) {
        chunk = { bytes: this.#room(needed), ends: [], end: 0 };
        this.#chunks.push(chunk);
      }
    }
    const written = chunk.bytes.write(json, chunk.end);
    chunk.end += written;
    chunk.ends.push(chunk.end);
    this.records++;
    this.bytes += written;
  }

  /** Whole chunks, the oldest first, until there are about as many records. To be given back when they are done with. */
  take(recordsWanted: number): RecordChunk[] {
    let count = 0;
    let records = 0;
    for (const chunk of this.#chunks) {
      if (records >= recordsWanted) break;
      records += chunk.ends.length;
      this.bytes -= chunk.end;
      count++;
    }
    this.records -= records;
    return this.#chunks.splice(0, count);
  }

  giveBack(chunks: readonly RecordChunk[]): void {
    for (const { bytes } of chunks) {
      if (bytes.length === chunkBytes && this.#spares.length < sparesMax) this.#spares.push(bytes);
    }
  }

  #room(needed: number): Buffer {
    if (needed > chunkBytes) return Buffer.allocUnsafeSlow(needed);
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(chunkBytes);
  }
}

/** Records of which there are few, in the same form. */
export function chunkOf(...jsons: readonly string[]): RecordChunk {
  let end = 0;
  const ends = jsons.map((json) => {
    end += Buffer.byteLength(json);
    return end;
  });
  return { bytes: Buffer.from(jsons.join('')), ends };
}
