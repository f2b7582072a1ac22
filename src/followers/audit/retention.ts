// Deletes whole files of the audit log for their age or for room, oldest first, and leaves word of each.
import { rmdir, unlink } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import type { Engine } from '../../metadata/engine.ts';
import { holdTask } from '../../namespace/tasks.ts';
import { type Anchor, moveAnchor, readAnchors } from './anchors.ts';
import { parseLine } from './chain.ts';
import { chainDirectory, type ListedFile, listFiles, readLines } from './files.ts';
import type { OwnRecord } from './record.ts';

export interface RetentionOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly root: string;
  readonly owner: string;
  readonly ageMs: number;
  readonly bytesMax: number;
  readonly pauseMs: number;
  /** The log that the word is left in. */
  readonly note: (record: OwnRecord) => void;
  readonly onError: (error: Error) => void;
}

const leaseMs = 60_000;

/** Until `stop` aborts; of all processes one does it at a time. */
export async function runRetention(options: RetentionOptions, stop: AbortSignal): Promise<void> {
  const { clock, owner, pauseMs, onError } = options;
  while (!stop.aborted) {
    await clock.sleep(pauseMs, stop);
    if (stop.aborted) return;
    await holdTask(options, { name: 'audit-retention', owner, leaseMs }, () => trimFiles(options)).catch(onError);
  }
}

/** Answers how many files went. The last file of a chain that may still grow stays. */
export async function trimFiles(options: RetentionOptions): Promise<number> {
  const { engine, clock, root, ageMs, bytesMax } = options;
  const { chains } = await listFiles(root);
  const anchors = new Map((await engine.snapshot(readAnchors)).map((anchor) => [anchor.chain, anchor]));
  const oldest = [...chains]
    .flatMap(([chain, files]) => files.map((file, at) => ({ chain, file, next: files[at + 1] })))
    .sort((a, b) => a.file.modifiedMs - b.file.modifiedMs || a.file.file - b.file.file);
  let bytes = oldest.reduce((sum, { file }) => sum + file.bytes, 0);
  let trimmed = 0;
  /** A file goes only after those before it in its chain. */
  const kept = new Set<string>();
  for (const { chain, file, next } of oldest) {
    const isDue = clock.now() - file.modifiedMs > ageMs || bytes > bytesMax;
    const anchor = anchors.get(chain);
    if (!isDue || kept.has(chain) || anchor === undefined || !(await trim(options, anchor, file, next))) {
      kept.add(chain);
      continue;
    }
    bytes -= file.bytes;
    trimmed++;
  }
  return trimmed;
}

async function trim(
  { engine, clock, root, note }: RetentionOptions,
  { chain, closed, seq, hash }: Anchor,
  { file, path }: ListedFile,
  next: ListedFile | undefined,
): Promise<boolean> {
  const from = next === undefined ? closed && { seq: seq + 1, hash, file: file + 1 } : await beginningOf(next);
  // A file whose follower was not anchored yet has its turn later.
  if (from === undefined || from.seq > seq + 1) return false;
  // The anchor says that it is gone before it is: a crash in between leaves a file too many, and no hole.
  await moveAnchor(engine, chain, { from });
  const TimeGenerated = new Date(clock.now()).toISOString();
  const LastSeq = from.seq - 1;
  note({ Type: 'AuditTrimmed', TimeGenerated, Chain: chain, File: file, LastSeq, LastHash: from.hash });
  await unlink(path);
  if (next === undefined) await rmdir(chainDirectory(root, chain));
  return true;
}

/** Where the chain goes on: the head of a file names the hash before it. */
async function beginningOf({ path, file }: ListedFile): Promise<Anchor['from'] | undefined> {
  for await (const line of readLines(path)) {
    const parsed = line.isWhole ? parseLine(line.bytes) : undefined;
    if (parsed === undefined) return undefined;
    const previous = /,"Previous":"([0-9a-f]{64})"/.exec(parsed.body.toString('utf8'))?.[1];
    return previous === undefined ? undefined : { seq: parsed.seq, hash: previous, file };
  }
  return undefined;
}
