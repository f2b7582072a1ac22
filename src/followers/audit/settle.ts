// Ends the chains that a crash left open: what their processes wrote behind the last anchor is anchored too.
import type { Engine } from '../../metadata/engine.ts';
import { type Anchor, finishFile, moveAnchor, readAnchors } from './anchors.ts';
import { isSealed, parseLine } from './chain.ts';
import { filePath, readLines } from './files.ts';

/** For a server that starts: nobody writes a chain now. A tail that was torn by the crash stays as it is. */
export async function settleChains(engine: Engine, root: string, nowMs: number): Promise<void> {
  const anchors = await engine.snapshot(readAnchors);
  for (const anchor of anchors) {
    if (anchor.closed === true) continue;
    const { chain, ...found } = await endOf(root, anchor);
    // Its last record is no younger than that.
    if (found.bytes > 0) await finishFile(engine, { chain, ...found, lastMs: nowMs });
    await moveAnchor(engine, chain, { ...found, closed: true });
  }
}

/** How far the records behind the anchor go on from it. What is wrong before the anchor is left to be found by `verify`. */
async function endOf(root: string, anchor: Anchor): Promise<Pick<Anchor, 'chain' | 'seq' | 'hash' | 'file' | 'bytes'>> {
  let { seq, hash, file, bytes } = anchor;
  for (;;) {
    let grown = false;
    try {
      for await (const line of readLines(filePath(root, anchor.chain, file), bytes)) {
        const parsed = line.isWhole ? parseLine(line.bytes) : undefined;
        if (parsed === undefined || parsed.seq !== seq + 1 || !isSealed(parsed, hash)) break;
        ({ seq, hash } = parsed);
        bytes = line.offset + line.bytes.length + 1;
        grown = true;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    if (!grown && file !== anchor.file) break;
    const next = await firstOf(filePath(root, anchor.chain, file + 1));
    if (next === undefined || next.seq !== seq + 1 || !isSealed(next, hash)) break;
    file++;
    bytes = 0;
  }
  return { chain: anchor.chain, seq, hash, file, bytes };
}

async function firstOf(path: string): Promise<ReturnType<typeof parseLine>> {
  try {
    for await (const line of readLines(path)) return line.isWhole ? parseLine(line.bytes) : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return undefined;
}
