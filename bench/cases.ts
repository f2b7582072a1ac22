// The cases that the bench runs, their sizes in a quick and in a full run, and the aims they are held to.
import type { NameSet } from './job.ts';
import type { JobPlan } from './load.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export interface Scale {
  readonly name: 'quick' | 'full';
  readonly rounds: number;
  readonly measureMs: number;
  readonly warmMs: number;
  readonly blobs: Readonly<Record<number, number>>;
  readonly listNames: number;
  readonly growthNames: readonly number[];
  readonly deleteNames: number;
  /** What one window of writes may put on the disk. */
  readonly writeBytesMax: number;
  readonly diskBytes: number;
  readonly restarts: number;
  readonly cases: (name: string) => boolean;
}

const quickCases = new Set([
  'get-4k-c16',
  'get-4k-c64',
  'put-4k-c16',
  'put-4k-c64',
  'get-64k-c16',
  'put-64k-c16',
  'get-8m-c16',
  'put-8m-c16',
  'get-8m-c16-sealed',
  'put-8m-c16-sealed',
  'mixed-4k-c16',
  'list-c1',
  'put-block-list-c1',
  'delete-c16',
]);

export const scales: Readonly<Record<'quick' | 'full', Scale>> = {
  quick: {
    name: 'quick',
    rounds: 2,
    measureMs: 1500,
    warmMs: 300,
    blobs: { [4 * KiB]: 2000, [64 * KiB]: 500, [8 * MiB]: 16 },
    listNames: 10_000,
    growthNames: [1000, 10_000],
    deleteNames: 4000,
    writeBytesMax: 1024 * MiB,
    diskBytes: 256 * MiB,
    restarts: 1,
    cases: (name) => quickCases.has(name),
  },
  full: {
    name: 'full',
    rounds: 3,
    measureMs: 4000,
    warmMs: 700,
    blobs: { [4 * KiB]: 10_000, [64 * KiB]: 2000, [8 * MiB]: 64 },
    listNames: 100_000,
    growthNames: [10_000, 100_000, 1_000_000],
    deleteNames: 20_000,
    writeBytesMax: 3072 * MiB,
    diskBytes: 1024 * MiB,
    restarts: 3,
    cases: () => true,
  },
};

export type CaseKind = 'put' | 'get' | 'mixed' | 'list' | 'put-block-list' | 'delete';

export interface Case {
  readonly name: string;
  readonly kind: CaseKind;
  readonly sizeBytes: number;
  readonly connections: number;
  /** In a container with an encryption scope: of Causeway alone, beside the plain case of that name. */
  readonly sealed?: true;
}

export const sealedSuffix = '-sealed';

export const pageSize = 5000;
export const blocks = 1000;
export const blockBytes = 4 * KiB;
export const nameBytes = 64;
/** Azurite deletes so slowly that a smaller set outlasts the window. */
export const azuriteDeleteNames = 1000;
/** What Azurite holds for List is cut off here, and the table says how many names it held. */
export const azuriteFillMs = 300_000;

export const allCases: readonly Case[] = [
  ...sized('get', [1, 16, 64]),
  ...sized('put', [1, 16, 64]),
  { name: 'mixed-4k-c16', kind: 'mixed', sizeBytes: 4 * KiB, connections: 16 },
  { name: 'mixed-4k-c64', kind: 'mixed', sizeBytes: 4 * KiB, connections: 64 },
  { name: 'put-block-list-c1', kind: 'put-block-list', sizeBytes: 0, connections: 1 },
  { name: 'put-block-list-c4', kind: 'put-block-list', sizeBytes: 0, connections: 4 },
  { name: 'delete-c16', kind: 'delete', sizeBytes: 4 * KiB, connections: 16 },
  // The cases on many names come last: until then every server holds the same small set.
  { name: 'list-c1', kind: 'list', sizeBytes: nameBytes, connections: 1 },
  { name: 'list-c4', kind: 'list', sizeBytes: nameBytes, connections: 4 },
];

function sized(kind: 'put' | 'get', connections: readonly number[]): Case[] {
  const sizes = [
    ['4k', 4 * KiB],
    ['64k', 64 * KiB],
    ['8m', 8 * MiB],
  ] as const;
  return sizes.flatMap(([label, sizeBytes]) =>
    connections.flatMap((count): Case[] => {
      const plain = { name: `${kind}-${label}-c${count}`, kind, sizeBytes, connections: count };
      if (label !== '8m' || count !== 16) return [plain];
      return [plain, { ...plain, name: `${plain.name}${sealedSuffix}`, sealed: true }];
    }),
  );
}

/** The blobs that GETs of a size read. */
export function preloaded(scale: Scale, sizeBytes: number, sealed = false): NameSet {
  return {
    container: `get-${sizeBytes}${sealed ? sealedSuffix : ''}`,
    first: 0,
    count: scale.blobs[sizeBytes] ?? 0,
    stride: 1,
  };
}

/** Many names of little content, with room between them. */
export function manyNames(count: number): NameSet {
  return { container: `names-${nameBytes}`, first: 0, count, stride: 1000 };
}

/** The timed job of a case; `container` is what it writes to, `names` what it reads or deletes. */
export function planOf(one: Case, scale: Scale, container: string, names: NameSet): JobPlan {
  const operationsMax =
    one.kind === 'put' || one.kind === 'mixed'
      ? Math.ceil(scale.writeBytesMax / one.sizeBytes)
      : Number.MAX_SAFE_INTEGER;
  const { warmMs, measureMs } = scale;
  const common = { container, connections: one.connections, warmMs, measureMs, operationsMax };
  switch (one.kind) {
    case 'put':
      return { ...common, kind: 'put', sizeBytes: one.sizeBytes, spread: undefined };
    case 'get':
      return { ...common, kind: 'get', sizeBytes: one.sizeBytes, names };
    case 'mixed':
      return { ...common, kind: 'mixed', sizeBytes: one.sizeBytes, names, getShare: 0.7 };
    case 'list':
      return { ...common, kind: 'list', pageSize, names };
    case 'put-block-list':
      return { ...common, kind: 'put-block-list', blocks, blockBytes };
    case 'delete':
      return { ...common, warmMs: 0, kind: 'delete', names };
  }
}

export function fillPlan(names: NameSet, sizeBytes: number, skip: number, timeMs: number): JobPlan {
  const connections = sizeBytes >= MiB ? 4 : 32;
  const common = { warmMs: 0, measureMs: timeMs, operationsMax: Number.MAX_SAFE_INTEGER };
  return { ...common, kind: 'fill', container: names.container, connections, sizeBytes, names, skip };
}

export function verifyPlan(names: NameSet, sizeBytes: number, samples: number): JobPlan {
  const common = { warmMs: 0, measureMs: 60_000, operationsMax: Number.MAX_SAFE_INTEGER };
  return {
    ...common,
    kind: 'verify',
    container: names.container,
    connections: Math.min(8, samples),
    sizeBytes,
    names,
    samples,
  };
}

export interface Aim {
  readonly case: string;
  readonly against: 'azurite' | 'bare';
  readonly factor: number;
}

export const aims: readonly Aim[] = [
  ...['get-4k-c16', 'get-4k-c64', 'put-4k-c16', 'put-4k-c64'].map((name) => aim(name, 'azurite', 10)),
  ...['put-8m-c1', 'put-8m-c16', 'put-8m-c64'].flatMap((name) => [aim(name, 'azurite', 4), aim(name, 'bare', 0.6)]),
  ...['get-8m-c1', 'get-8m-c16', 'get-8m-c64'].flatMap((name) => [aim(name, 'azurite', 2), aim(name, 'bare', 0.6)]),
  ...['list-c1', 'list-c4'].map((name) => aim(name, 'azurite', 20)),
];
export const growthFactorMax = 1.5;
/** What encryption leaves of the throughput. */
export const sealedShareMin = 0.75;

function aim(name: string, against: 'azurite' | 'bare', factor: number): Aim {
  return { case: name, against, factor };
}
