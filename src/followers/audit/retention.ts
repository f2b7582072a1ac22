// Deletes whole files of the audit log for their age or for room, oldest first, and leaves word of each.
//
// Age and size are what the log knew of a file when it finished it: times and sizes of the directory are not asked, for
// whoever may touch files there could make the server delete what only the server may.
import { rmdir, unlink } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import type { Engine } from '../../metadata/engine.ts';
import { holdTask } from '../../namespace/tasks.ts';
import {
  type Anchor,
  type FinishedFile,
  forgetFile,
  isWordKept,
  readAnchors,
  readFinished,
  trimFile,
} from './anchors.ts';
import { isSealed, parseLine } from './chain.ts';
import { chainDirectory, filePath, readLines } from './files.ts';
import type { OwnRecord } from './record.ts';

export interface RetentionOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly root: string;
  /** The chain of the log that the word is left in. */
  readonly owner: string;
  readonly ageMs: number;
  readonly bytesMax: number;
  readonly pauseMs: number;
  /** Leaves the word; answers, when it is on the disk, a record that it came behind, and undefined if it never is. */
  readonly note: (record: OwnRecord) => Promise<number | undefined>;
  readonly onError: (error: Error) => void;
}

const leaseMs = 60_000;

/** Until `stop` aborts; of all processes one does it at a time. */
export async function runRetention(options: RetentionOptions, stop: AbortSignal): Promise<void> {
  const { clock, owner, pauseMs, onError } = options;
  const stopped = new Promise<undefined>((resolve) => stop.addEventListener('abort', () => resolve(undefined)));
  // A disk that fails does not hold up the end.
  const note: RetentionOptions['note'] = (record) => Promise.race([options.note(record), stopped]);
  while (!stop.aborted) {
    await clock.sleep(pauseMs, stop);
    if (stop.aborted) return;
    const trim = () => trimFiles({ ...options, note });
    await holdTask(options, { name: 'audit-retention', owner, leaseMs }, trim).catch(onError);
  }
}

/** Answers how many files went. A file that may still grow stays, and one that is not as it was finished. */
export async function trimFiles(options: RetentionOptions): Promise<number> {
  const { engine, clock, ageMs, bytesMax, onError } = options;
  const { anchors, finished } = await engine.snapshot(async (view) => ({
    anchors: new Map((await readAnchors(view)).map((anchor) => [anchor.chain, anchor])),
    finished: await readFinished(view),
  }));
  await clearTrimmed(options, anchors, finished);
  const oldest = finished
    .filter(({ trimmed }) => trimmed === undefined)
    .sort((a, b) => a.lastMs - b.lastMs || a.file - b.file);
  let bytes = oldest.reduce((sum, each) => sum + each.bytes, 0) + openBytes(anchors, finished);
  let trimmed = 0;
  /** A file goes only after those before it in its chain. */
  const nextFile = new Map([...anchors].map(([chain, { from }]) => [chain, from]));
  for (const file of oldest) {
    const { chain } = file;
    const from = nextFile.get(chain);
    const isDue = clock.now() - file.lastMs > ageMs || bytes > bytesMax;
    // One whose end was not anchored yet has its turn later.
    if (!isDue || from?.file !== file.file || file.seq > (anchors.get(chain) as Anchor).seq) continue;
    const outcome = await trim(options, file, from, anchors.get(chain)?.closed === true);
    if (outcome === 'trimmed') {
      bytes -= file.bytes;
      trimmed++;
      nextFile.set(chain, { seq: file.seq + 1, hash: file.hash, file: file.file + 1 });
      continue;
    }
    if (outcome === 'later') break;
    onError(new Error(`file ${file.file} of the audit chain ${chain} is not as it was written: the chain is kept`));
    // Others do not go to make room for what is left of it.
    bytes -= oldest.reduce((sum, each) => sum + (each.chain === chain && each.file >= file.file ? each.bytes : 0), 0);
    nextFile.delete(chain);
  }
  return trimmed;
}

/** Of the files that chains grow in, as far as they are anchored. */
function openBytes(anchors: ReadonlyMap<string, Anchor>, finished: readonly FinishedFile[]): number {
  const known = new Set(finished.map(({ chain, file }) => `${chain} ${file}`));
  let sum = 0;
  for (const { chain, file, bytes } of anchors.values()) if (!known.has(`${chain} ${file}`)) sum += bytes;
  return sum;
}

/** What a crash left of files that were trimmed, and rows of those whose word was itself in a file that is gone. */
async function clearTrimmed(
  { engine, root }: RetentionOptions,
  anchors: ReadonlyMap<string, Anchor>,
  finished: readonly FinishedFile[],
): Promise<void> {
  for (const file of finished) {
    if (file.trimmed === undefined) continue;
    await unlinkIfThere(filePath(root, file.chain, file.file));
    const isLast = anchors.get(file.chain)?.from.file === file.file + 1;
    if (!isLast && !isWordKept(anchors, file.trimmed)) await forgetFile(engine, file);
  }
}

async function trim(
  { engine, clock, root, owner, note }: RetentionOptions,
  finished: FinishedFile,
  from: Anchor['from'],
  isClosed: boolean,
): Promise<'trimmed' | 'changed' | 'later'> {
  const { chain, file, seq, hash } = finished;
  const path = filePath(root, chain, file);
  if (!(await isAsFinished(path, finished, from))) return 'changed';
  const TimeGenerated = new Date(clock.now()).toISOString();
  // The word first, then the anchor, then the file: a crash in between leaves a word or a file too many, and no hole.
  const after = await note({
    Type: 'AuditTrimmed',
    TimeGenerated,
    Chain: chain,
    File: file,
    LastSeq: seq,
    LastHash: hash,
  });
  if (after === undefined || !(await trimFile(engine, finished, { by: owner, after }))) return 'later';
  await unlinkIfThere(path);
  // A torn file may be left in it.
  if (isClosed) await rmdir(chainDirectory(root, chain)).catch(() => undefined);
  return 'trimmed';
}

/** Only what `verify` has nothing to say about goes: the rest is evidence. */
async function isAsFinished(path: string, finished: FinishedFile, from: Anchor['from']): Promise<boolean> {
  let { hash } = from;
  let seq = from.seq - 1;
  try {
    for await (const line of readLines(path)) {
      const parsed = line.isWhole ? parseLine(line.bytes) : undefined;
      if (parsed === undefined || parsed.seq !== seq + 1 || !isSealed(parsed, hash)) return false;
      ({ seq, hash } = parsed);
      if (seq === finished.seq) return hash === finished.hash;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return false;
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
