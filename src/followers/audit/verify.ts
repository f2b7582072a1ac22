// Finds what was removed from the audit log or changed in it: every hash, every file, every chain, against the anchors.
import type { Engine } from '../../metadata/engine.ts';
import { type Anchor, isWordKept, readAnchors, readFinished } from './anchors.ts';
import { isSealed, membersOf, type ParsedLine, parseLine } from './chain.ts';
import { type ListedFile, listFiles, readLines } from './files.ts';
import type { Head } from './record.ts';

export interface Finding {
  readonly chain?: string;
  readonly seq?: number;
  readonly file?: string;
  /** One line. */
  readonly what: string;
}

export interface Verified {
  readonly chains: number;
  readonly files: number;
  readonly records: number;
  /** Requests that are missing because the disk failed, as the log itself says. */
  readonly gapRecords: number;
  /** Chains whose last bytes a crash cut: written behind the last anchor, and never a whole record. */
  readonly torn: number;
}

interface Watch {
  readonly report: (finding: Finding) => void;
  /** By chain: records that are to have a certain hash, as others remember them. */
  readonly remembered: Map<string, Head[]>;
  /** What the log says that retention deleted: see `wordOf`. */
  readonly words: Set<string>;
}

/** Reads only. `heads` are points of chains that were noted elsewhere, such as in the server's log. */
export async function verifyAudit(
  engine: Pick<Engine, 'snapshot'>,
  root: string,
  heads: readonly Head[],
  report: (finding: Finding) => void,
  progress: (text: () => string) => void = () => undefined,
): Promise<Verified> {
  // Anchors first: files that grow meanwhile are ahead of them, and never behind.
  const { anchors, finished } = await placesOf(engine);
  const listed = await listFiles(root);
  for (const path of listed.foreign) report({ file: path, what: 'the log did not make this' });
  const watch: Watch = { report, remembered: new Map(), words: new Set() };
  for (const anchor of anchors.values()) remember(watch, anchor);
  for (const head of heads) remember(watch, head);
  await collectOthers(listed.chains, watch);

  const sum = { chains: 0, files: 0, records: 0, gapRecords: 0, torn: 0 };
  for (const chain of new Set([...anchors.keys(), ...listed.chains.keys(), ...watch.remembered.keys()])) {
    const files = listed.chains.get(chain) ?? [];
    // One that began meanwhile has its row before its first file.
    const anchor = anchors.get(chain) ?? (await anchorOf(engine, chain));
    if (anchor === undefined) {
      const what = files.length === 0 ? 'the chain is gone, which another names' : 'no chain of this store';
      report({ chain, ...(files[0] && { file: files[0].path }), what });
      continue;
    }
    const before = sum.records;
    const checked = await verifyChain(engine, anchor, files, watch, (records) => {
      progress(() => `${sum.chains} chains, ${before + records} records verified`);
    });
    sum.chains++;
    sum.files += files.length;
    sum.records += checked.records;
    sum.gapRecords += checked.gapRecords;
    if (checked.isTorn) sum.torn++;
  }
  await verifyTrims(engine, { anchors, finished }, watch);
  return sum;
}

interface Places {
  readonly anchors: ReadonlyMap<string, Anchor>;
  readonly finished: Awaited<ReturnType<typeof readFinished>>;
}

function placesOf(engine: Pick<Engine, 'snapshot'>): Promise<Places> {
  return engine.snapshot(async (view) => ({
    anchors: new Map((await readAnchors(view)).map((anchor) => [anchor.chain, anchor])),
    finished: await readFinished(view),
  }));
}

const wordOf = (chain: unknown, file: unknown, seq: unknown, hash: unknown): string =>
  JSON.stringify([chain, file, seq, hash]);

/** What went for age or room went with a word, which is there for as long as the file that it stands in. */
async function verifyTrims(
  engine: Pick<Engine, 'snapshot'>,
  { anchors, finished }: Places,
  { words, report }: Watch,
): Promise<void> {
  // A word that was deleted while files were read is not missed.
  const now = await placesOf(engine);
  for (const { chain, file, seq, hash, trimmed } of finished) {
    if (trimmed === undefined || !isWordKept(now.anchors, trimmed) || words.has(wordOf(chain, file, seq, hash)))
      continue;
    report({ chain, seq, what: `file ${file} was deleted for its age or for room, and the log does not say so` });
  }
  const ends = new Set(finished.filter(({ trimmed }) => trimmed).map((f) => wordOf(f.chain, f.file, f.seq, f.hash)));
  for (const { chain, from } of anchors.values()) {
    if (from.file === 1 || ends.has(wordOf(chain, from.file - 1, from.seq - 1, from.hash))) continue;
    report({
      chain,
      seq: from.seq - 1,
      what: `files before file ${from.file} are gone, which retention did not delete`,
    });
  }
}

async function anchorOf(engine: Pick<Engine, 'snapshot'>, chain: string): Promise<Anchor | undefined> {
  return (await engine.snapshot(readAnchors)).find((each) => each.chain === chain);
}

function remember({ remembered }: Watch, { chain, seq, hash }: Head): void {
  const known = remembered.get(chain);
  if (known === undefined) remembered.set(chain, [{ chain, seq, hash }]);
  else known.push({ chain, seq, hash });
}

/** What the openings of chains say of those that were there before them. */
async function collectOthers(chains: ReadonlyMap<string, readonly ListedFile[]>, watch: Watch): Promise<void> {
  for (const [first] of chains.values()) {
    if (first === undefined) continue;
    for await (const line of linesOf(first.path)) {
      const others = membersOf(line.bytes)?.Others;
      if (Array.isArray(others)) for (const other of others) if (isHead(other)) remember(watch, other);
      break;
    }
  }
}

function isHead(value: unknown): value is Head {
  const head = value as Partial<Head> | null;
  return (
    typeof head === 'object' &&
    typeof head?.chain === 'string' &&
    typeof head.seq === 'number' &&
    typeof head.hash === 'string'
  );
}

/** A file that retention deletes meanwhile has no lines. */
async function* linesOf(path: string): ReturnType<typeof readLines> {
  try {
    yield* readLines(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

interface Checked {
  records: number;
  gapRecords: number;
  isTorn: boolean;
}

async function verifyChain(
  engine: Pick<Engine, 'snapshot'>,
  before: Anchor,
  files: readonly ListedFile[],
  watch: Watch,
  walked: (records: number) => void,
): Promise<Checked> {
  const { chain } = before;
  const walk = new ChainWalk(before, watch);
  for (const file of files) {
    if (file.file >= before.from.file) await walk.file(file);
    walked(walk.records);
  }
  // What retention deleted while it was read is no finding.
  const now = (await anchorOf(engine, chain)) ?? before;
  for (const finding of walk.findings) if (finding.seq >= now.from.seq) watch.report(finding);
  const from = Math.max(walk.seq + 1, now.from.seq);
  const to = Math.max(...(watch.remembered.get(chain) ?? []).map(({ seq }) => seq));
  if (from <= to) {
    const missing = from === to ? `record ${to} is` : `records ${from} to ${to} are`;
    const file = walk.path && { file: walk.path };
    watch.report({ chain, seq: from, ...file, what: `the end was cut: ${missing} missing` });
  }
  return { records: walk.records, gapRecords: walk.gapRecords, isTorn: walk.isTorn };
}

/** Walks the records of one chain from where its anchor says that they begin. */
class ChainWalk {
  readonly #anchor: Anchor;
  readonly #remembered: ReadonlyMap<number, readonly string[]>;
  readonly #words: Set<string>;
  readonly findings: (Finding & { readonly seq: number })[] = [];
  /** The last record that was read, and its hash as it stands there; unknown behind a hole. */
  seq: number;
  #hash: string | undefined;
  #fileNumber: number;
  path: string | undefined;
  records = 0;
  gapRecords = 0;
  isTorn = false;

  constructor(anchor: Anchor, { remembered, words }: Watch) {
    this.#anchor = anchor;
    this.#words = words;
    this.seq = anchor.from.seq - 1;
    this.#hash = anchor.from.hash;
    this.#fileNumber = anchor.from.file - 1;
    const bySeq = new Map<number, string[]>();
    for (const { seq, hash } of remembered.get(anchor.chain) ?? []) {
      bySeq.set(seq, [...(bySeq.get(seq) ?? []), hash]);
    }
    this.#remembered = bySeq;
  }

  async file({ file, path }: ListedFile): Promise<void> {
    this.path = path;
    if (file !== this.#fileNumber + 1) this.#find(this.seq + 1, `file ${this.#fileNumber + 1} is missing`);
    this.#fileNumber = file;
    let isFirst = true;
    for await (const line of linesOf(path)) {
      const parsed = line.isWhole ? parseLine(line.bytes) : undefined;
      if (parsed === undefined) {
        this.#unreadable();
        continue;
      }
      if (this.isTorn) this.#tornInside();
      const members = isFirst || line.bytes.includes('"Type":"Audit') ? membersOf(line.bytes) : undefined;
      if (isFirst) this.#header(members, file);
      else if (members?.Type === 'AuditFile') this.#find(parsed.seq, 'the head of a file within another');
      if (members?.Type === 'AuditTrimmed') {
        this.#words.add(wordOf(members.Chain, members.File, members.LastSeq, members.LastHash));
      }
      if (members?.Type === 'AuditGap' && typeof members.Records === 'number') this.gapRecords += members.Records;
      this.#record(parsed);
      isFirst = false;
    }
  }

  #header(members: Readonly<Record<string, unknown>> | undefined, file: number): void {
    if (members?.Type !== 'AuditFile') this.#find(this.seq + 1, 'the file does not begin with its head');
    else if (members.Chain !== this.#anchor.chain || members.File !== file) {
      this.#find(this.seq + 1, `the file is file ${String(members.File)} of chain ${String(members.Chain)}`);
    }
  }

  #record(record: ParsedLine): void {
    const expected = this.seq + 1;
    if (record.seq !== expected) {
      const removed =
        record.seq === expected + 1 ? `record ${expected} is` : `records ${expected} to ${record.seq - 1} are`;
      this.#find(expected, record.seq > expected ? `${removed} missing` : `record ${record.seq} stands in its place`);
      this.#hash = undefined;
    }
    if (this.#hash !== undefined && !isSealed(record, this.#hash)) {
      this.#find(record.seq, 'the record, or what stands before it, was changed');
    }
    const { seq, closed } = this.#anchor;
    if (closed === true && record.seq > seq)
      this.#find(record.seq, `the chain ended with record ${seq}: this was added`);
    for (const hash of this.#remembered.get(record.seq) ?? []) {
      if (hash !== record.hash) {
        this.#find(record.seq, 'the record is not the one that was anchored: records up to it were rewritten');
        break;
      }
    }
    this.seq = record.seq;
    this.#hash = record.hash;
    this.records++;
  }

  /** Bytes that are no record: the last write of a process that was killed may leave some, behind its last anchor. */
  #unreadable(): void {
    if (this.seq >= this.#anchor.seq) this.isTorn = true;
    else {
      this.#find(this.seq + 1, 'the record cannot be read');
      this.seq++;
      this.#hash = undefined;
    }
  }

  #tornInside(): void {
    this.isTorn = false;
    this.#find(this.seq + 1, 'bytes that are no record stand between records');
  }

  #find(seq: number, what: string): void {
    this.findings.push({ chain: this.#anchor.chain, seq, ...(this.path && { file: this.path }), what });
  }
}
