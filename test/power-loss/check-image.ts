// A process that opens images, one after the other: fsck, then the checksum of every blob asked for.
import { checksumOf } from '../support/content.ts';

/** What open-store.ts does; another module can take its place. */
export type OpenStore = (dataDir: string) => Promise<{
  read(account: string, container: string, blob: string): Promise<Buffer | undefined>;
  fsck(): Promise<{ damage: string[]; orphans: number }>;
  /** What a server does behind its requests after a start: recovery, garbage, reclaim. Returns what it found damaged. */
  repair?(): Promise<string[]>;
  close(): Promise<void>;
}>;

export interface ImageQuestion {
  readonly dataDir: string;
  readonly account: string;
  readonly container: string;
  readonly blobs: readonly string[];
}

export type ImageAnswer =
  | {
      readonly kind: 'opened';
      readonly damage: string[];
      readonly orphans: number;
      readonly checksums: (string | null)[];
    }
  | { readonly kind: 'failed'; readonly message: string };

async function checksumsOf(
  store: Awaited<ReturnType<OpenStore>>,
  { account, container, blobs }: ImageQuestion,
): Promise<(string | null)[]> {
  const checksums: (string | null)[] = [];
  for (const blob of blobs) {
    const content = await store.read(account, container, blob);
    checksums.push(content === undefined ? null : checksumOf(content));
  }
  return checksums;
}

if (process.send !== undefined) {
  const { openStore } = (await import(process.argv[2] as string)) as { openStore: OpenStore };
  const answer = async (question: ImageQuestion): Promise<ImageAnswer> => {
    try {
      const store = await openStore(question.dataDir);
      try {
        const { damage, orphans } = await store.fsck();
        const checksums = await checksumsOf(store, question);
        if (store.repair !== undefined) {
          damage.push(...(await store.repair()).map((line) => `repair: ${line}`));
          damage.push(...(await store.fsck()).damage.map((line) => `after repair: ${line}`));
          const after = await checksumsOf(store, question);
          for (const [index, checksum] of checksums.entries())
            if (after[index] !== checksum) damage.push(`repair changed ${question.blobs[index]}`);
        }
        return { kind: 'opened', damage, orphans, checksums };
      } finally {
        await store.close();
      }
    } catch (error) {
      return { kind: 'failed', message: (error as Error).stack ?? String(error) };
    }
  };
  process.on('message', async (question: ImageQuestion) => process.send?.(await answer(question)));
}
