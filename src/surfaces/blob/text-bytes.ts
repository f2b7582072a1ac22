// UTF-8 bytes of many small strings, one after the other.

/**
 * One string of megabytes costs more than its bytes: every part of it lives until it is flattened, and a single character
 * beyond Latin-1 doubles it.
 */
export class TextBytes {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  write(text: string): void {
    // No character takes more than three bytes for each of its code units.
    const most = this.#length + text.length * 3;
    if (most > this.#bytes.length) this.#grow(most);
    this.#length += this.#bytes.write(text, this.#length);
  }

  end(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(most: number): void {
    const grown = Buffer.allocUnsafe(Math.max(most, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
