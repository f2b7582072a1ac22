// The versions of the Blob service's REST API that are spoken here, and how one is chosen.

/** "Versioning for Azure Storage" and "Previous Azure Storage versions": every documented one from 2009-09-19 on, in order. */
export const versions = [
  '2009-09-19',
  '2011-08-18',
  '2012-02-12',
  '2013-08-15',
  '2014-02-14',
  '2015-02-21',
  '2015-04-05',
  '2015-07-08',
  '2015-12-11',
  '2016-05-31',
  '2017-04-17',
  '2017-07-29',
  '2017-11-09',
  '2018-03-28',
  '2018-11-09',
  '2019-02-02',
  '2019-07-07',
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

/** Of a request that says nothing of itself and names no version ("Versioning for Azure Storage", anonymous access). */
export const anonymousVersion: string = oldest;

/** The version that is meant where no header names one: the nearest that is spoken here, for nobody asked for just that. */
export function impliedVersion(text: string | undefined, otherwise: string): string {
  if (text === undefined || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return otherwise;
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
