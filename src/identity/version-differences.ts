// What older versions sign, and what their signatures may: every difference, by the version that ended it.

/** Under versions before `since`, `before` holds. */
export interface Difference {
  readonly since: string;
  readonly before: string;
  /** The page of the REST reference that says so. */
  readonly source: string;
}

const serviceSas = 'Create a service SAS';
const delegationSas = 'Create a user delegation SAS';
const sharedKey = 'Authorize with Shared Key';

/** Versions of Shared Key are those of the request (`x-ms-version`), versions of a SAS are its `sv`. */
export const signingDifferences = {
  emptyLength: {
    since: '2015-02-21',
    before: 'Shared Key signs a Content-Length of 0 as "0"; later as an empty line',
    source: sharedKey,
  },
  emptyHeaders: {
    since: '2016-05-31',
    before: 'Shared Key leaves x-ms- headers without a value out of the string to sign',
    source: 'Version 2016-05-31',
  },
  signedVersion: {
    since: '2012-02-12',
    before: 'a SAS has no sv; without a stored access policy it lives for an hour at most',
    source: serviceSas,
  },
  overrides: {
    since: '2013-08-15',
    before: 'a SAS does not sign rscc, rscd, rsce, rscl and rsct, and they set nothing',
    source: serviceSas,
  },
  ownVersion: {
    since: '2014-02-14',
    before: 'sv is also the version that the request is served as; x-ms-version and api-version are ignored',
    source: 'Previous Azure Storage versions',
  },
  serviceInResource: {
    since: '2015-02-21',
    before: 'the resource that a SAS signs begins with the account and not with /blob',
    source: serviceSas,
  },
  addressAndProtocol: { since: '2015-04-05', before: 'a SAS does not sign sip and spr', source: serviceSas },
  accountSas: { since: '2015-04-05', before: 'there is no account SAS', source: 'Create an account SAS' },
  refusals: {
    since: '2015-04-05',
    before: 'what a SAS does not permit is answered 404, later 403',
    source: 'Shared access signature error codes',
  },
  deleteBreaksLease: {
    since: '2017-07-29',
    before: 'the permission to delete (d) does not permit to break a lease',
    source: 'Version 2017-07-29',
  },
  resourceAndTime: {
    since: '2018-11-09',
    before: 'a SAS does not sign sr and the time of a snapshot; one for a blob (sr=b) is one for its snapshots',
    source: serviceSas,
  },
  delegation: { since: '2018-11-09', before: 'there is no user delegation SAS', source: delegationSas },
  versionScope: { since: '2019-12-12', before: 'there is no SAS for a version (sr=bv)', source: serviceSas },
  directoryScope: { since: '2020-02-10', before: 'there is no SAS for a directory (sr=d)', source: serviceSas },
  objectIds: { since: '2020-02-10', before: 'a SAS does not sign saoid, suoid and scid', source: delegationSas },
  encryptionScope: { since: '2020-12-06', before: 'a SAS does not sign ses', source: serviceSas },
  delegatedUser: { since: '2025-07-05', before: 'a SAS does not sign skdutid and sduoid', source: delegationSas },
  signedRequest: { since: '2026-04-06', before: 'a SAS does not sign srh and srq', source: delegationSas },
} as const satisfies Record<string, Difference>;

/** The version of a SAS that does not name one. */
export const unversionedSas = '2009-07-17';

/** Whether under `version` the row's `before` holds. */
export function signsAsBefore(version: string, difference: keyof typeof signingDifferences): boolean {
  return version < signingDifferences[difference].since;
}
