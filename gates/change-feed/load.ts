// Changes to many blobs at once, each with an order of its own, and what the feed must say of them.

// biome-ignore lint/suspicious/noExplicitAny: the gate installs the SDK itself, so its types are not there when the project is checked
export type Sdk = any;

export interface Done {
  readonly requestId: string;
  readonly type: string;
  readonly api: string;
  /** How many events it makes; undefined where the blob's state was in doubt. */
  readonly events: number | undefined;
  readonly etag?: string;
  readonly length?: number;
}

export interface Chain {
  readonly name: string;
  /** In the order in which they were made, all of them acknowledged. */
  readonly done: Done[];
  /** How many were cut off: each of them happened, or did not. */
  inDoubt: number;
}

type Step = 'put' | 'metadata' | 'headers' | 'tags' | 'snapshot' | 'blocks' | 'delete';

const cycle: readonly Step[] = ['put', 'metadata', 'put', 'snapshot', 'headers', 'blocks', 'tags', 'put', 'delete'];

export interface Load {
  readonly chains: readonly Chain[];
  /** Events that the feed has at least. */
  events: number;
  /** Goes on until `events` of them are reached; new requests go to the container that is given here. */
  run(container: Sdk, events: number): Promise<void>;
  /** From now on a failure is the server's end, until `run` is called again. */
  expectEnd(): void;
}

export function makeLoad(blobs: number): Load {
  const chains = Array.from({ length: blobs }, (_, i) => ({
    name: `${['a', 'b/c', 'ü ', 'd%2F'][i % 4]}${i}.txt`,
    done: [] as Done[],
    inDoubt: 0,
  }));
  const states = chains.map(() => ({ next: 0, snapshots: 0, isDoubtful: false }));
  let endExpected = false;
  const load: Load = {
    chains,
    events: 0,
    expectEnd() {
      endExpected = true;
    },
    async run(container, events) {
      endExpected = false;
      await Promise.all(
        chains.map(async (chain, i) => {
          const state = states[i] as (typeof states)[number];
          const blob = container.getBlockBlobClient(chain.name);
          while (load.events < events) {
            const step = cycle[(state.next + i) % cycle.length] as Step;
            // What the blob is now is not known, or it is not there: both end with a put.
            const needsBlob = state.next === 0 || state.isDoubtful || chain.done.at(-1)?.type === 'BlobDeleted';
            const taken: Step = needsBlob ? 'put' : step;
            try {
              const done = await take(blob, taken, state, chain.done.length);
              chain.done.push(done);
              load.events += done.events ?? 1;
              state.next++;
              if (taken === 'put') state.isDoubtful = false;
            } catch (error) {
              if (!endExpected) throw error;
              chain.inDoubt++;
              state.isDoubtful = true;
              // Snapshots may be one more, or gone: the next delete is counted by what it names.
              state.snapshots = Number.NaN;
              return;
            }
          }
        }),
      );
    },
  };
  return load;
}

async function take(blob: Sdk, step: Step, state: { snapshots: number }, nth: number): Promise<Done> {
  switch (step) {
    case 'put': {
      const body = `${nth}`.padEnd(20 + (nth % 50), '.');
      const answer = await blob.upload(body, body.length, { blobHTTPHeaders: { blobContentType: 'text/plain' } });
      return { ...said(answer), type: 'BlobCreated', api: 'PutBlob', events: 1, length: body.length };
    }
    case 'blocks': {
      const id = Buffer.from('block-1').toString('base64');
      await blob.stageBlock(id, 'blocks', 6);
      const answer = await blob.commitBlockList([id]);
      return { ...said(answer), type: 'BlobCreated', api: 'PutBlockList', events: 1, length: 6 };
    }
    case 'metadata': {
      const answer = await blob.setMetadata({ nth: `${nth}` });
      return { ...said(answer), type: 'BlobPropertiesUpdated', api: 'SetBlobMetadata', events: 1 };
    }
    case 'headers': {
      const answer = await blob.setHTTPHeaders({ blobContentType: `text/x-${nth}` });
      return { ...said(answer), type: 'BlobPropertiesUpdated', api: 'SetBlobProperties', events: 1 };
    }
    case 'tags': {
      const { requestId } = await blob.setTags({ nth: `${nth}` });
      return { requestId, type: 'BlobPropertiesUpdated', api: 'SetBlobTags', events: 1 };
    }
    case 'snapshot': {
      const { requestId } = await blob.createSnapshot();
      state.snapshots++;
      return { requestId, type: 'BlobSnapshotCreated', api: 'SnapshotBlob', events: 1 };
    }
    case 'delete': {
      const { requestId } = await blob.delete({ deleteSnapshots: 'include' });
      const events = Number.isNaN(state.snapshots) ? undefined : 1 + state.snapshots;
      state.snapshots = 0;
      return { requestId, type: 'BlobDeleted', api: 'DeleteBlob', events };
    }
  }
}

function said({ requestId, etag }: Sdk): { requestId: string; etag: string } {
  return { requestId, etag: etag.replaceAll('"', '') };
}
