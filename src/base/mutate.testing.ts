// Broken variants of good input, for fuzzing: cut, doubled, swapped, flipped, and sprinkled with what parsers stumble over.

export interface FuzzRandom {
  /** A whole number from 0 up to, and without, `n`. */
  below(n: number): number;
  bytes(n: number): Buffer;
}

export function pick<T>(random: FuzzRandom, items: readonly T[]): T {
  return items[random.below(items.length)] as T;
}

const spice = [
  ...['', ' ', '\t', '\r\n', '\n', '\r', '\0', '"', "'", '<', '>', '&', '=', '?', '#', '/', '\\', ':', ';', ',', '+'],
  ...['%', '%00', '%2F', '%2f', '%5C', '%2e%2e', '..', '%c0%af', '%ff', '%', '%zz', '%u0041', '\ufeff', '\u2028'],
  ...['-1', '0', '1', '00', '1e9', '0x10', '4294967296', '9007199254740993', '99999999999999999999', 'NaN', '.5'],
  ...['\ud800', '\u{1f600}', 'é', 'ı', 'K', '__proto__', 'constructor', 'toString', 'null', 'undefined', 'true'],
] as const;

/** A few changes, rarely none; `words` are put in like the rest of what is known to hurt. */
export function mutate(random: FuzzRandom, text: string, words: readonly string[] = []): string {
  let changed = text;
  for (let turns = random.below(5); turns > 0; turns--) changed = mutateOnce(random, changed, words);
  return changed;
}

function mutateOnce(random: FuzzRandom, text: string, words: readonly string[]): string {
  const at = random.below(text.length + 1);
  const end = Math.min(text.length, at + 1 + random.below(12));
  switch (random.below(8)) {
    case 0:
      return text.slice(0, at) + text.slice(end);
    case 1:
      return text.slice(0, end) + text.slice(at);
    case 2:
      return text.slice(0, at);
    case 3:
      return text.slice(0, at) + random.bytes(1 + random.below(4)).toString('latin1') + text.slice(end);
    case 4:
      return text.slice(0, at) + pick(random, spice).repeat(1 + random.below(3)) + text.slice(at);
    case 5:
      return text.slice(0, at) + text.slice(at, end).repeat(1 + random.below(200)) + text.slice(end);
    case 6: {
      const from = random.below(text.length + 1);
      return text.slice(0, at) + text.slice(from, from + random.below(20)) + text.slice(end);
    }
    default:
      return words.length === 0 ? text : text.slice(0, at) + pick(random, words) + text.slice(at);
  }
}

/** The same for bytes. */
export function mutateBytes(random: FuzzRandom, bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  for (let turns = 1 + random.below(4); turns > 0 && changed.length > 0; turns--) {
    const at = random.below(changed.length);
    if (random.below(2) === 0) changed[at] = (changed[at] as number) ^ (1 << random.below(8));
    else changed.set(random.bytes(Math.min(4, changed.length - at)), at);
  }
  return random.below(4) === 0 ? changed.subarray(0, random.below(changed.length + 1)) : changed;
}

/** Runs one case after another until the deadline; a case that fails says what it was given. */
export async function fuzzCases(
  deadlineMs: number,
  work: () => { readonly input: unknown; check(): void },
): Promise<void> {
  while (Date.now() < deadlineMs) {
    for (let i = 0; i < 50; i++) {
      const { input, check } = work();
      const startedMs = performance.now();
      try {
        check();
      } catch (error) {
        throw new Error(`given ${JSON.stringify(input)?.slice(0, 4000)}`, { cause: error });
      }
      const tookMs = performance.now() - startedMs;
      if (tookMs > slowMs) throw new Error(`${tookMs} ms for ${JSON.stringify(input)?.slice(0, 4000)}`);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A parser that takes longer for a few kilobytes can be made to take minutes; a busy machine takes no second. */
const slowMs = 2000;
