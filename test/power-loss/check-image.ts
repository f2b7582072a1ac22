// A process that opens images, one after the other: fsck, then the checksum of every blob asked for.
import { checksumOf } from '../support/content.ts';

/** What `src/store.testing.ts` exports as `openStore`. */
export type OpenStore = (dataDir: string) => Promise<{
  read(account: string, container: string, blob: string): Promise<Buffer | undefined>;
  fsck(): Promise<{ damage: string[]; orphans: number }>;
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

if (process.send !== undefined) {
  const { openStore } = (await import(process.argv[2] as string)) as { openStore: OpenStore };
  const answer = async ({ dataDir, account, container, blobs }: ImageQuestion): Promise<ImageAnswer> => {
    try {
      const store = await openStore(dataDir);
      try {
        const { damage, orphans } = await store.fsck();
        const checksums: (string | null)[] = [];
        for (const blob of blobs) {
          const content = await store.read(account, container, blob);
          checksums.push(content === undefined ? null : checksumOf(content));
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
