// Trees of files with awkward names and sizes: planned from a seed, written, and compared byte for byte with what came back.

import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rm, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface TreeFile {
  /** Relative, parts separated by "/". */
  readonly path: string;
  readonly size: number;
  /** Raised when the content is changed; part of what the content is derived from. */
  readonly version: number;
}

export type Tree = ReadonlyMap<string, TreeFile>;

export interface TreePlan {
  readonly seed: string;
  readonly files: number;
  /** Sizes that are in the tree whatever the seed, each once; the rest are small. */
  readonly largeSizes: readonly number[];
  readonly smallBytesMax: number;
}

const kibi = 1024;
const mebi = 1024 * kibi;

export const defaultPlan: TreePlan = {
  seed: 'causeway',
  files: 300,
  largeSizes: [40 * mebi, 16 * mebi + 1, 8 * mebi, 8 * mebi - 1, 8 * mebi + 1, mebi],
  smallBytesMax: 64 * kibi,
};

export const fullPlan: TreePlan = {
  seed: 'causeway',
  files: 2000,
  largeSizes: [300_000_000, 64 * mebi, 33 * mebi + 7, 16 * mebi + 1, 12_345_678, 8 * mebi, 8 * mebi - 1, 8 * mebi + 1],
  smallBytesMax: 128 * kibi,
};

// Around the edges where a client or a server changes its mind: pages, sectors, buffers, inline content.
const edgeSizes = [0, 0, 1, 511, 512, 513, 4095, 4096, 4097, 16_383, 16_384, 65_535, 65_536, 65_537, 262_144];

const wide = '長い名前の道'; // six characters: 18 bytes in UTF-8, 54 in an address

/** Names that other tools are known to trip over. All are legal on Linux and in a container. */
const oddNames: readonly string[] = [
  'plain.txt',
  'no extension',
  'two  spaces  inside.txt',
  'plus+plus.txt',
  'plus + space.txt',
  'percent%.txt',
  '100%',
  '%41.txt', // not "A.txt"
  'A.txt',
  '%2F.txt', // not a separator
  '%2e%2e',
  '%25.txt',
  '%zz.txt',
  '%',
  'space%20encoded.txt',
  'hash#fragment.txt',
  '#',
  'question?mark=1&x=2.txt',
  'ampersand&.txt',
  'semi;colon.txt',
  'equals=sign.txt',
  "quote's.txt",
  'double"quote.txt',
  'comma,at@bang!.txt',
  'dollar$root.txt',
  '(round)[square]{curly}.txt',
  'caret^tilde~backtick`.txt',
  'colon:pipe|.txt',
  'angle<less>.txt',
  'star*.txt',
  '-dash-first',
  '--recursive',
  '~tilde',
  '_underscore',
  '.hidden',
  '..two-leading-dots',
  '...',
  'trailing dot.',
  'trailing dots...',
  'a.b.c.d',
  'Case.txt',
  'case.txt',
  'CASE.TXT',
  'caf\u00e9.txt', // composed
  'cafe\u0301.txt', // the same to the eye, another name
  'Grüße aus Köln.txt',
  'Привет мир.txt',
  '日本語のファイル.txt',
  'مرحبا.txt', // right to left
  'हिन्दी.txt',
  'zalgo-a\u0300\u0316\u0301\u0317\u0302.txt',
  '😀.txt',
  'family-👨‍👩‍👧‍👦.txt',
  'flag-🇩🇪.txt',
  '\u{10348}-beyond-the-plane.txt',
  '\u{e000}-private-use.txt', // sorts before an emoji by code point, after it by UTF-16 unit
  'nbsp\u00a0space.txt',
  'zero\u200bwidth.txt',
  'dir with spaces/file with spaces.txt',
  'dir+plus/a+b.txt',
  'dir%41/%42.txt',
  'dir#hash/#.txt',
  'dir&;=/x.txt',
  'dir.with.dots/x.y',
  '.hidden-dir/.hidden-file',
  'ünïcödé/ñ/😀/文件.txt',
  'empty-dir-look-alike/.keep',
  // Siblings whose order changes with the rank of "/" (0x2f) among the neighbours "-" "." "0".
  'order/a/1',
  'order/a-/1',
  'order/a.txt',
  'order/a0',
  'order/a!',
  'order/A',
  'logs/2024/01/01/part-00000.parquet',
  'logs/2024/01/01/_SUCCESS',
  // AzCopy and rclone download to a temporary name that is up to 50 bytes longer, and a name on Linux has 255 bytes.
  'x'.repeat(200),
  `${'long-directory-name-'.repeat(10)}/${'long-file-name-'.repeat(13)}.bin`,
  `deep/${Array.from({ length: 60 }, (_, level) => `d${level}`).join('/')}/bottom.txt`,
  // Close to the 1,024 characters that a blob name may have, and nine times that in an address.
  `wide/${Array.from({ length: 14 }, () => wide.repeat(11)).join('/')}.txt`,
];

const oddPieces = "a|B|0| |+|%|%41|#|&|;|=|'|.|-|é|ß|日|😀|~|@".split('|');
const extensions = ['txt', 'json', 'csv', 'html', 'png', 'parquet', 'bin', 'gz'];

export function planTree(plan: TreePlan): Tree {
  const random = randomFrom(plan.seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const tree = new Map<string, TreeFile>();
  const sizes = [...edgeSizes];
  const sizeOfSmall = (): number => sizes.shift() ?? Math.floor((plan.smallBytesMax + 1) ** random()) - 1;
  const add = (path: string, size: number): void => {
    tree.set(path, { path, size, version: 1 });
  };
  for (const path of oddNames) add(path, sizeOfSmall());
  for (const size of plan.largeSizes) add(`large/${size} bytes.bin`, size);
  for (let n = 0; tree.size < plan.files; n += 1) {
    const folder = `data/part ${Math.floor(random() * 20)}/${pick(['x', 'y+z', 'ü'])}`;
    const odd = Array.from({ length: 6 }, () => pick(oddPieces)).join('');
    add(n % 4 === 0 ? `odd/${n}${odd}` : `${folder}/file-${n}.${pick(extensions)}`, sizeOfSmall());
  }
  return tree;
}

export function totalBytes(tree: Tree): number {
  return [...tree.values()].reduce((sum, file) => sum + file.size, 0);
}

/** Writes the files with a fixed modification time, so that a sync compares what the check means it to compare. */
export async function writeTree(directory: string, files: Iterable<TreeFile>, modified: Date): Promise<void> {
  for (const file of files) {
    const path = join(directory, file.path);
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(path, 'w');
    try {
      for (const chunk of contentOf(file)) await handle.writeFile(chunk);
    } finally {
      await handle.close();
    }
    await utimes(path, modified, modified);
  }
}

/** Raises the version of some files, adds some and drops some; says which were dropped. */
export function changeTree(tree: Tree): { tree: Tree; written: TreeFile[]; dropped: string[] } {
  const next = new Map(tree);
  const written: TreeFile[] = [];
  const dropped: string[] = [];
  let index = 0;
  for (const file of tree.values()) {
    index += 1;
    if (file.size > mebi) continue;
    if (index % 11 === 0) {
      next.delete(file.path);
      dropped.push(file.path);
    } else if (index % 7 === 0) {
      // Every second change keeps the size: only the time says that it is another content.
      const size = index % 2 === 0 ? file.size : file.size + 17;
      written.push({ ...file, size, version: file.version + 1 });
    }
  }
  for (const name of ['new file.txt', 'new dir/new %41 file.txt', 'new dir/ünïcödé 😀.bin']) {
    written.push({ path: name, size: 12_345, version: 1 });
  }
  for (const file of written) next.set(file.path, file);
  return { tree: next, written, dropped };
}

export async function dropFiles(directory: string, paths: Iterable<string>): Promise<void> {
  for (const path of paths) await rm(join(directory, path));
}

/** Where a directory differs from the tree: names, sizes, every byte, and SHA-256. Empty when it is the same. */
export async function differences(directory: string, tree: Tree): Promise<string[]> {
  const found = new Set(await namesBelow(directory));
  const result: string[] = [];
  for (const name of found) if (!tree.has(name)) result.push(`unexpected: ${JSON.stringify(name)}`);
  for (const file of tree.values()) {
    if (!found.has(file.path)) result.push(`missing: ${JSON.stringify(file.path)}`);
    else {
      const difference = await fileDifference(join(directory, file.path), file);
      if (difference) result.push(`${JSON.stringify(file.path)}: ${difference}`);
    }
  }
  return result;
}

export async function expectTree(directory: string, tree: Tree): Promise<string> {
  const wrong = await differences(directory, tree);
  if (wrong.length > 0) throw new Error(`${wrong.length} differences: ${wrong.slice(0, 5).join('; ')}`);
  return `${tree.size} files, ${totalBytes(tree)} bytes the same`;
}

export function expectNames(found: Iterable<string>, expected: Iterable<string>): void {
  const have = new Set(found);
  const want = new Set(expected);
  const missing = [...want].filter((name) => !have.has(name)).map((name) => `missing ${JSON.stringify(name)}`);
  const extra = [...have].filter((name) => !want.has(name)).map((name) => `unexpected ${JSON.stringify(name)}`);
  const wrong = [...missing, ...extra];
  if (wrong.length > 0) throw new Error(`${wrong.length} names differ: ${wrong.slice(0, 5).join('; ')}`);
}

/** The SHA-256 of what a file of the tree holds. */
function sha256Of(file: TreeFile): string {
  const hash = createHash('sha256');
  for (const chunk of contentOf(file)) hash.update(chunk);
  return hash.digest('hex');
}

async function fileDifference(path: string, file: TreeFile): Promise<string | undefined> {
  const expected = contentOf(file)[Symbol.iterator]();
  const hash = createHash('sha256');
  let want: Buffer = Buffer.alloc(0);
  let offset = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: mebi }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    for (let at = 0; at < chunk.length; ) {
      if (want.length === 0) {
        const next = expected.next();
        if (next.done) return `longer than ${file.size} bytes`;
        want = next.value;
      }
      const length = Math.min(want.length, chunk.length - at);
      if (chunk.compare(want, 0, length, at, at + length) !== 0) return `other bytes from ${offset} on`;
      want = want.subarray(length);
      at += length;
      offset += length;
    }
  }
  if (offset !== file.size) return `${offset} bytes instead of ${file.size}`;
  return hash.digest('hex') === sha256Of(file) ? undefined : 'another SHA-256';
}

async function namesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
}

/** The content in chunks: a key stream of its path and version, so that no two files or versions share a run of bytes. */
function* contentOf(file: TreeFile): Generator<Buffer> {
  const key = createHash('sha256').update(`${file.version}:${file.path}`).digest().subarray(0, 16);
  const stream = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(Math.min(mebi, file.size));
  for (let left = file.size; left > 0; left -= zeros.length) {
    yield stream.update(left < zeros.length ? zeros.subarray(0, left) : zeros);
  }
}

function randomFrom(seed: string): () => number {
  let state = createHash('sha256').update(seed).digest().readUInt32LE(0);
  // mulberry32: small, and good enough to choose names with.
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
