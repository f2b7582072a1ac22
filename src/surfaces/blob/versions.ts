// The versions of the Blob service's REST API that are spoken here, and how one is chosen.

/** "Versioning for the Azure Storage services": every documented version from 2019-12-12 on, in order. */
const versions = [
  '2019-12-12',
  '2020-02-10',
  '2020-04-08',
  '2020-06-12',
  '2020-08-04',
  '2020-10-02',
  '2020-12-06',
  '2021-02-12',
  '2021-04-10',
  '2021-06-08',
  '2021-08-06',
  '2021-10-04',
  '2021-12-02',
  '2022-11-02',
  '2023-01-03',
  '2023-05-03',
  '2023-08-03',
  '2023-11-03',
  '2024-02-04',
  '2024-05-04',
  '2024-08-04',
  '2024-11-04',
  '2025-01-05',
  '2025-05-05',
  '2025-07-05',
  '2025-11-05',
  '2026-02-06',
  '2026-04-06',
  '2026-06-06',
  '2026-10-06',
] as const;

export const newestVersion: string = versions.at(-1) as string;
const oldest: string = versions[0];
const known: ReadonlySet<string> = new Set(versions);

/** The version that is meant where no header names one: the nearest that is spoken here, for nobody asked for just that. */
export function impliedVersion(text: string | undefined): string {
  if (text === undefined || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return newestVersion;
  return versions.findLast((version) => version <= text) ?? oldest;
}

/**
 * The version that a request is served as. One that is newer than all known ones is served as the newest (refused if
 * `strict`): an SDK's next release must not break whoever runs this. Undefined: refuse it.
 */
export function chooseVersion(asked: string, strict: boolean): string | undefined {
  if (known.has(asked)) return asked;
  if (!/^\d{4}-\d{2}-\d{2}$/.test(asked) || asked < oldest || strict) return undefined;
  return asked > newestVersion ? newestVersion : undefined;
}
