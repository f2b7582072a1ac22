// Everything that a store can be asked, and what it answers: each answer a line of text, or a refusal that says damage.
import { createHash } from 'node:crypto';
import { extentFootprint, type LogPiece, type Place } from '../../src/content/extent.ts';
import { ContentDamageError, type ReadChunk } from '../../src/content/reader.ts';
import { DamageError, type Item } from '../../src/metadata/engine.ts';
import { after } from '../../src/metadata/keys.ts';
import { getAccount, listAccounts } from '../../src/namespace/accounts.ts';
import { getContainer, listContainers } from '../../src/namespace/containers.ts';
import { allPieces } from '../../src/namespace/contents.ts';
import { getEntry } from '../../src/namespace/entries.ts';
import { placesNow } from '../../src/namespace/garbage.ts';
import { listEntries } from '../../src/namespace/list.ts';
import { readContent, readShortContent } from '../../src/namespace/read.ts';
import { readUpload, stagedBlocks } from '../../src/namespace/staged.ts';
import type { Store } from '../../src/namespace/store.ts';
import { getBlockLists } from '../../src/namespace/uploads.ts';
import { account, containers } from './small-store.ts';

export interface Question {
  readonly text: string;
  readonly kind: 'metadata' | 'content';
  readonly ask: (store: Store) => Promise<string>;
  /** Of content: where the extents lie that it is read from. */
  readonly extents: readonly (Place & { readonly length: number })[];
}

export interface Answered {
  readonly refused: number;
  /** Answers that are neither right nor a refusal for damage. */
  readonly wrong: readonly string[];
}

const pageLimit = 60;
const shownMax = 300;

export const isDamage = (error: unknown): boolean =>
  error instanceof DamageError || error instanceof ContentDamageError;

/** Asks all of `questions` whose answers stand in `right`, in the same order. */
export async function askAll(
  store: Store,
  questions: readonly Question[],
  right: ReadonlyMap<Question, string>,
): Promise<Answered> {
  let refused = 0;
  const wrong: string[] = [];
  for (const question of questions) {
    try {
      const answer = await question.ask(store);
      if (answer !== right.get(question)) wrong.push(`${question.text}: ${answer.slice(0, shownMax)}`);
    } catch (error) {
      if (isDamage(error)) refused++;
      else wrong.push(`${question.text} failed, but not for damage: ${(error as Error).stack}`);
    }
  }
  return { refused, wrong };
}

/** What can be asked of this store, with its answers. */
export async function questionsOf(store: Store): Promise<Map<Question, string>> {
  const questions: Question[] = [
    metadata('the accounts', async (from) => [await listAccounts(from), await getAccount(from, account)]),
    metadata('the containers', (from) => listContainers(from, account, { prefix: '', from: '', limit: 100 })),
    metadata('all rows', allRows),
  ];
  for (const container of containers) {
    const name = { account, container };
    questions.push(
      metadata(`container ${container}`, (from) => getContainer(from, { ...name, conditions: {} })),
      metadata(`the flat list of ${container}`, (from) => listAll(from, container, undefined)),
      metadata(`the list of ${container} by /`, (from) => listAll(from, container, '/')),
    );
    for (const listed of await listAll(store, container, undefined)) {
      const entry = { ...name, name: listed.name, conditions: {} };
      const lists = await getBlockLists(store, entry);
      if (lists.kind === 'ok' && lists.committed.length + lists.uncommitted.length > 0)
        questions.push(metadata(`blocks of ${listed.name}`, (from) => getBlockLists(from, entry)));
      if (lists.kind === 'ok' && lists.uncommitted.length > 0)
        questions.push(await stagedQuestion(store, container, listed.name));
      if (listed.kind !== 'entry') continue;
      questions.push(metadata(`entry ${listed.name}`, (from) => getEntry(from, entry)));
      const pieces = await store.engine.snapshot((view) => allPieces(view, listed.entry.record));
      const extents = await extentsOf(store, pieces);
      const ask = (from: Store) => contentAnswer(from, container, listed.name);
      questions.push({ text: `content of ${listed.name}`, kind: 'content', extents, ask });
    }
  }
  const answers = new Map<Question, string>();
  for (const question of questions) answers.set(question, await question.ask(store));
  return answers;
}

function metadata(text: string, ask: (store: Store) => Promise<unknown>): Question {
  return { text, kind: 'metadata', extents: [], ask: async (store) => JSON.stringify(await ask(store)) };
}

export async function readName(store: Store, container: string, name: string): Promise<Buffer | undefined> {
  const found = await getEntry(store, { account, container, name, conditions: {} });
  if (found.kind !== 'ok') return undefined;
  const { entry } = found;
  const { length } = entry.record;
  // As Get Blob reads.
  return (await readShortContent(store, entry, 0, length)) ?? (await whole(readContent(store, entry, 0, length)));
}

async function contentAnswer(store: Store, container: string, name: string): Promise<string> {
  const content = await readName(store, container, name);
  return content === undefined ? 'not found' : `${content.length} bytes, ${checksum(content)}`;
}

/** Blocks that wait under a name are read as a commit of them would be. */
async function stagedQuestion(store: Store, container: string, name: string): Promise<Question> {
  const piecesOf = async (from: Store): Promise<LogPiece[]> => {
    const found = await getContainer(from, { account, container, conditions: {} });
    if (found.kind !== 'ok') return [];
    return from.engine.snapshot(async (view) => {
      const upload = await readUpload(view, Buffer.from(found.record.id, 'hex'), name);
      return [...(await stagedBlocks(view, upload)).values()].flatMap((block) => block.pieces);
    });
  };
  const ask = async (from: Store): Promise<string> => {
    const pieces = await piecesOf(from);
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    return `${length} bytes, ${checksum(await whole(from.content.read(pieces, 0, length)))}`;
  };
  return {
    text: `staged blocks of ${name}`,
    kind: 'content',
    extents: await extentsOf(store, await piecesOf(store)),
    ask,
  };
}

async function extentsOf(store: Store, pieces: readonly LogPiece[]): Promise<Question['extents']> {
  const places = await store.engine.snapshot((view) => placesNow(view, pieces));
  return places.map((place, index) => ({
    ...place,
    length: extentFootprint((pieces[index] as LogPiece).extentLength),
  }));
}

async function listAll(store: Store, container: string, delimiter: string | undefined) {
  const items = [];
  for (let from: string | undefined = ''; from !== undefined; ) {
    const query = { account, container, prefix: '', delimiter, from, limit: pageLimit, uncommitted: true };
    const page = await listEntries(store, query);
    if (page.kind !== 'ok') throw new Error(`the list of ${container}: ${page.kind}`);
    items.push(...page.items);
    from = page.next;
  }
  return items;
}

/** Every row of the metadata, also what no read of a name looks at, by a walk and each by its key. */
function allRows(store: Store): Promise<string> {
  return store.engine.snapshot(async (view) => {
    const hash = createHash('sha256');
    let rows: Item[];
    let count = 0;
    let start: Uint8Array = Buffer.of(0);
    do {
      rows = await view.scan({ start, end: Buffer.of(0xff) }, { limit: 500 });
      const found = await view.getMany(rows.map(({ key }) => key));
      for (const [index, { key, value }] of rows.entries()) {
        const again = found[index];
        if (again === undefined || Buffer.compare(again, value) !== 0)
          return `${Buffer.from(key).toString('hex')} is not found`;
        hash.update(`${key.length} ${value.length} `).update(key).update(value);
        start = after(key);
      }
      count += rows.length;
    } while (rows.length === 500);
    return `${count} rows, ${hash.digest('hex')}`;
  });
}

async function whole(chunks: AsyncIterable<ReadChunk>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) {
    parts.push(Buffer.from(chunk.bytes));
    chunk.release();
  }
  return Buffer.concat(parts);
}

function checksum(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
