// The files of the container $blobchangefeed: their names, and what its manifests say ("Change feed", Specifications).
import { schemaVersion } from './schema.ts';

export const feedContainer = '$blobchangefeed';

/** Segments are of whole hours: clients read no more of a segment's path, and resume by it. */
export const segmentMs = 3_600_000;

export const avroType = 'avro/binary';
export const jsonType = 'application/json';

export const segmentsPath = 'meta/segments.json';
/** Made with the container, and always empty. */
export const firstSegmentPath = 'idx/segments/1601/01/01/0000/meta.json';
export const firstSegmentMs = Date.UTC(1601, 0, 1);

export function segmentOf(ms: number): number {
  return Math.floor(ms / segmentMs) * segmentMs;
}

function pathOfTime(ms: number): string {
  const [year, month, rest] = new Date(ms).toISOString().split('-') as [string, string, string];
  return `${year}/${month}/${rest.slice(0, 2)}/${rest.slice(3, 5)}${rest.slice(6, 8)}`;
}

export function manifestPath(beginMs: number): string {
  return `idx/segments/${pathOfTime(beginMs)}/meta.json`;
}

/** All of an account's events are in one shard: they are in the order of the changes, whichever blob they are of. */
export function shardPath(beginMs: number): string {
  return `log/00/${pathOfTime(beginMs)}/`;
}

export function filePath(beginMs: number, file: number): string {
  return `${shardPath(beginMs)}${`${file}`.padStart(5, '0')}.avro`;
}

interface Written {
  readonly nowMs: number;
  /** Tells writes apart; nothing reads it. */
  readonly activity: string;
}

export interface Manifest extends Written {
  readonly beginMs: number;
  readonly status: 'Publishing' | 'Finalized';
  readonly isEmpty?: boolean;
  readonly etag: string;
}

export function manifest({ beginMs, status, isEmpty = false, etag, nowMs, activity }: Manifest): Buffer {
  return json({
    version: 0,
    begin: new Date(beginMs),
    intervalSecs: segmentMs / 1000,
    status,
    config: {
      version: 1,
      configVersionEtag: etag.toLowerCase(),
      numShards: isEmpty ? 0 : 1,
      recordsFormat: 'avro',
      formatSchemaVersion: schemaVersion,
      shardDistFnVersion: 1,
    },
    chunkFilePaths: isEmpty ? [] : [`${feedContainer}/${shardPath(beginMs)}`],
    storageDiagnostics: diagnostics({ nowMs, activity }, {}),
  });
}

/** Every segment that begins before `consumableMs` is complete and does not change any more. */
export function segmentsFile(consumableMs: number, written: Written): Buffer {
  const lastConsumable = new Date(consumableMs);
  return json({
    version: 0,
    lastConsumable,
    storageDiagnostics: diagnostics(written, { lfz: lastConsumable }),
  });
}

function diagnostics({ nowMs, activity }: Written, data: Readonly<Record<string, unknown>>): object {
  return { version: 0, lastModifiedTime: new Date(nowMs), data: { aid: activity, ...data } };
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value, undefined, 2));
}
