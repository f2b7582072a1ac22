// The whole table: every operation of the REST reference, and what is said of each of its headers and parameters.
import { blobs } from './all-blobs.ts';
import { containers, service } from './service-and-containers.ts';
import { typed } from './typed-blobs.ts';
import { type Documented, type Mark, namesOf } from './words.ts';

export const documented: readonly Documented[] = [...service, ...containers, ...blobs, ...typed];

const kinds = ['query', 'request', 'response'] as const;
export type Kind = (typeof kinds)[number];
export type Status = 'done' | Mark['status'];

export interface Item {
  readonly kind: Kind;
  readonly name: string;
  readonly mark: Mark | undefined;
}

/** Every parameter and header of an operation, with what is said of it. */
export function itemsOf(operation: Pick<Documented, Kind | 'marks'>): Item[] {
  return kinds.flatMap((kind) =>
    namesOf(operation[kind]).map((name) => ({ kind, name, mark: operation.marks?.[kind]?.[name] })),
  );
}

export const statusOf = ({ mark }: Item): Status => mark?.status ?? 'done';

export function statusOfOperation(operation: Documented): Status {
  if (operation.instead !== undefined) return 'not';
  const isWhole = operation.missing === undefined && itemsOf(operation).every(({ mark }) => mark === undefined);
  return isWhole ? 'done' : 'partial';
}

/** How many there are of each. */
export function count(statuses: readonly Status[]): Readonly<Record<Status, number>> {
  const counted = { done: 0, partial: 0, not: 0 };
  for (const status of statuses) counted[status]++;
  return counted;
}
