// What older versions sign and permit: signatures that older SDKs made, and every row of the table of differences.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { parseAccountKey, sign } from './account-key.ts';
import { authorize } from './authorize.ts';
import { parseSas } from './sas.ts';
import { type SignedRequest, sharedKeyStringToSign, verifySharedKey } from './shared-key.ts';
import { type SasOutcome, type SasTarget, type StoredAccessPolicy, sasStringToSign, verifySas } from './verify-sas.ts';
import { signingDifferences, signsAsBefore } from './version-differences.ts';

const account = 'devstoreaccount1';
const keyText = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
const key = parseAccountKey(keyText)!;
const nowMs = Date.UTC(2026, 0, 15, 12, 10);
const photos: SasTarget = { account, container: 'photos' };
const aTxt: SasTarget = { ...photos, blob: 'a.txt' };
const odd: SasTarget = { ...photos, blob: 'dir a/ü#%&+?.txt' };
const policy: StoredAccessPolicy = { id: 'policy-1', expiryMs: Date.UTC(2026, 1, 1), permissions: 'rl' };

function parseQuery(text: string): Map<string, string[]> {
  return new Map([...new URLSearchParams(text.replaceAll('+', '%2B'))].map(([name, value]) => [name, [value]]));
}

function verify(text: string, target: SasTarget, atMs = nowMs): SasOutcome | { kind: string } {
  const sas = parseSas(parseQuery(text));
  if (sas.kind !== 'service' && sas.kind !== 'account') return sas;
  return verifySas(sas, target, [key], [policy], { nowMs: atMs, clientIp: '168.1.5.65', protocol: 'http' });
}

/** By its documented parts, in their order. */
const byHand = (...parts: readonly string[]): string =>
  encodeURIComponent(createHmac('sha256', Buffer.from(keyText, 'base64')).update(parts.join('\n')).digest('base64'));

// Made by azure 0.7.19 (2012-02-12) and azure-storage 0.3.3, 0.10.0 and 2.10.7 of npm.
const within = 'st=2026-01-15T12%3A00%3A00Z&se=2026-01-15T12%3A50%3A00Z';
const until = 'se=2026-01-31T10%3A20%3A30Z';
const overrides = 'rscc=no-cache&rsct=text%2Fplain&rsce=gzip&rscl=de&rscd=attachment%3B%20filename%3D%22a%20b.txt%22';
const limited = 'sip=168.1.5.60-168.1.5.70&spr=https%2Chttp';
const ofAccount = `ss=bq&srt=sco&sp=rwdlac&${until}&spr=https%2Chttp`;
const bySdk: readonly (readonly [version: string, rest: string, signature: string, target: SasTarget])[] = [
  ['2012-02-12', `${until}&sp=r&sr=b`, '0sm5YixWhrToSEWrF1HJANOZNErh27OlZW50yxLNfiw=', aTxt],
  ['2012-02-12', `${until}&sp=rl&sr=c`, 'mGFdXSqtWbz16U07asl3sgzRJypJhPAp+3IYhRLyrnA=', photos],
  ['2012-02-12', 'sr=c&si=policy-1', 'oqJnlIqJYr1y8aCbSXLl+WFDagk0ZW7g1jF4Abgeh2w=', photos],
  ['2014-02-14', `${within}&sp=rw&sr=b`, 'bXmE1HMnFa5qtzSW0mNA0FyaT2nXx4E//dpuD25ezD8=', odd],
  ['2014-02-14', `${until}&sp=r&sr=b&${overrides}`, 'x/SgJvqFbhVL9KxayF/dXAcvmxsfz2z2xNotycq76NM=', aTxt],
  ['2014-02-14', `${until}&sp=rl&sr=c`, 'az03jysyCBNVoTrhwTEu9lWlPEvGTO8gRJEFEcbKI0A=', photos],
  ['2014-02-14', 'sr=c&si=policy-1', 'NjMeKIv5k1igF54ghL4Bj3QrvGF6GydvEgyAc/2L248=', photos],
  ['2015-04-05', `${within}&sp=rw&sr=b`, 'PfsxCWtUXtfy1Br04billfVI9Gz3pu9brwOc3n3kodg=', odd],
  ['2015-04-05', `${until}&sp=r&sr=b&${overrides}`, 'FInO6HZ06+cLe2F+Es+wm1HTJANUPK+ogUZFcM6AVwQ=', aTxt],
  ['2015-04-05', ofAccount, 'TnH1ojar+37jZ23MfYhR+PWCD6xUju2/bJ1vyBWDJG4=', { account }],
  ['2018-03-28', `${within}&sp=rw&sr=b`, 'T6g3BV6Rhm/5YoqvBpgL5chb6kwoTICbWCl/QJys6cI=', odd],
  ['2018-03-28', `${until}&sp=r&sr=b&${overrides}`, 'EzUC+MRge1Hb5qmmOw87BkvIcHyqLM2HNRN0p0fIzE8=', aTxt],
  ['2018-03-28', `${until}&sp=racwd&sr=b&${limited}`, 'xpWbhy8Ch/tt0OYQ4nZHAaxApEfFXwkNpUpES4ctHgA=', aTxt],
  ['2018-03-28', 'sr=c&si=policy-1', 'gSDhH8loD+Bzu+zYuFjgSJJ1oMbrelPde596xs86t9Y=', photos],
  ['2018-03-28', ofAccount, 'uepUg+oyBix77pCj+74CGEu+NGAJgrDCbOT4JMu/rs4=', { account }],
];

test('what older SDKs signed is accepted, and under no other version', () => {
  for (const [version, rest, signature, target] of bySdk) {
    const signed = `${rest}&sig=${encodeURIComponent(signature)}`;
    assert.equal(verify(`sv=${version}&${signed}`, target).kind, 'ok', `${version} ${rest}`);
    for (const other of ['2013-08-15', '2015-02-21', '2017-11-09', '2021-12-02']) {
      if (other === version) continue;
      const { kind } = verify(`sv=${other}&${signed}`, target);
      assert(kind === 'sas-signature-mismatch' || kind === 'malformed', `${version} as ${other}: ${kind}`);
    }
    const unversioned = verify(signed, target).kind;
    assert(unversioned === 'sas-signature-mismatch' || unversioned === 'malformed', unversioned);
  }
});

const [start, expiry] = ['2026-01-15T12:00:00Z', '2026-01-15T13:00:00Z'];
const hour = `st=${start}&se=${expiry}`;
const grantOf = (text: string, target: SasTarget) => {
  const outcome = verify(text, target);
  assert(outcome.kind === 'ok' && 'grant' in outcome, outcome.kind);
  return outcome.grant;
};
const decided = (
  text: string,
  target: SasTarget,
  action: 'blob/read' | 'blob/break-lease',
  snapshot?: string,
): string => {
  const grant = grantOf(text, { ...target, ...(snapshot !== undefined && { snapshot }) });
  return authorize({ kind: 'sas', grant }, action, { ...target, ...(snapshot !== undefined && { snapshot }) }).kind;
};
const inBlob = '/blob/devstoreaccount1/photos/a.txt';
const bare = inBlob.slice('/blob'.length);
/** A service SAS for a blob as that version signs it, by hand. */
function ofBlob(version: string, sp = 'r', more: Readonly<Record<string, string>> = {}): string {
  const field = (name: string): string => more[name] ?? '';
  const over = ['rscc', 'rscd', 'rsce', 'rscl', 'rsct'].map(field);
  const first = [sp, start, expiry, version < '2015-02-21' ? bare : inBlob, ''];
  const parts =
    version === ''
      ? first
      : version < '2013-08-15'
        ? [...first, version]
        : version < '2015-04-05'
          ? [...first, version, ...over]
          : version < '2018-11-09'
            ? [...first, field('sip'), field('spr'), version, ...over]
            : [...first, field('sip'), field('spr'), version, 'b', '', ...over];
  const rest = Object.entries(more).map(([name, value]) => `&${name}=${encodeURIComponent(value)}`);
  return `${version === '' ? '' : `sv=${version}&`}${hour}&sp=${sp}&sr=b${rest.join('')}&sig=${byHand(...parts)}`;
}

function request(version: string, headers: Readonly<Record<string, string>>): SignedRequest {
  const all = { 'x-ms-version': version, 'x-ms-date': 'Thu, 15 Jan 2026 12:00:00 GMT', ...headers };
  return {
    method: 'PUT',
    rawPath: '/photos',
    query: new Map([['restype', ['container']]]),
    headers: all,
    account,
    version,
  };
}

const malformedIn = (text: string): string => {
  const parsed = parseSas(parseQuery(`${text}&sig=${'A'.repeat(43)}%3D`));
  return parsed.kind === 'malformed' ? parsed.parameter : parsed.kind;
};
const delegated = `${hour}&sp=r&sr=b&skoid=${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}&sktid=${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}&skt=${start}&ske=${expiry}&sks=b&skv=2020-02-10`;

/** Under the version before a row's, and under its own. */
const rows: Record<keyof typeof signingDifferences, (before: string, since: string) => void> = {
  emptyLength: (before, since) => {
    const lines = (version: string): string | undefined =>
      sharedKeyStringToSign(request(version, { 'content-length': '0' }), 'SharedKey').split('\n')[3];
    assert.deepEqual([lines(before), lines(since)], ['0', '']);
    const none = sharedKeyStringToSign(request(before, {}), 'SharedKey').split('\n')[3];
    assert.equal(none, '', 'a request without a length signs none');
  },
  emptyHeaders: (before, since) => {
    const signs = (version: string): boolean =>
      sharedKeyStringToSign(request(version, { 'x-ms-meta-a': '' }), 'SharedKey').includes('x-ms-meta-a:\n');
    assert.deepEqual([signs(before), signs(since)], [false, true]);
  },
  signedVersion: (_, since) => {
    assert.equal(verify(ofBlob(''), aTxt).kind, 'ok');
    const long = `st=${start}&se=2026-01-15T13:00:01Z&sp=r&sr=b`;
    const tooLong = byHand('r', start, '2026-01-15T13:00:01Z', bare, '');
    assert.equal(verify(`${long}&sig=${tooLong}`, aTxt).kind, 'sas-not-in-time');
    const fromNow = byHand('r', '', '2026-01-15T13:10:00Z', bare, '');
    assert.equal(verify(`se=2026-01-15T13:10:00Z&sp=r&sr=b&sig=${fromNow}`, aTxt).kind, 'ok');
    assert.equal(
      verify(`se=2026-01-15T13:10:00Z&sp=r&sr=b&sig=${fromNow}`, aTxt, nowMs - 1000).kind,
      'sas-not-in-time',
    );
    const byPolicy = byHand('', '', '', '/devstoreaccount1/photos', 'policy-1');
    assert.equal(verify(`sr=c&si=policy-1&sig=${byPolicy}`, photos).kind, 'ok');
    const signed = byHand('r', start, '2026-01-15T13:00:01Z', bare, '', since);
    assert.equal(verify(`sv=${since}&${long}&sig=${signed}`, aTxt).kind, 'ok');
    for (const sv of ['2011-08-18', '2009-07-17']) assert.equal(malformedIn(`sv=${sv}&${hour}&sp=r&sr=b`), 'sv');
  },
  overrides: (before, since) => {
    const more = { rsct: 'text/html' };
    assert.deepEqual(grantOf(ofBlob(before, 'r', more), aTxt).overrides, {});
    assert.deepEqual(grantOf(ofBlob(since, 'r', more), aTxt).overrides, { 'content-type': 'text/html' });
  },
  // Of the request's version, not of the signature: see the surface's own test.
  ownVersion: () => undefined,
  serviceInResource: (before, since) => {
    for (const version of [before, since]) assert.equal(verify(ofBlob(version), aTxt).kind, 'ok');
  },
  addressAndProtocol: (before, since) => {
    for (const version of [before, since]) assert.equal(verify(ofBlob(version), aTxt).kind, 'ok');
    assert.equal(verify(ofBlob(since, 'r', { sip: '168.1.5.65' }), aTxt).kind, 'ok');
    assert.equal(verify(`${ofBlob(since)}&sip=168.1.5.65`, aTxt).kind, 'sas-signature-mismatch');
  },
  accountSas: (before, since) => {
    assert.equal(malformedIn(`sv=${before}&ss=b&srt=o&${hour}&sp=r`), 'sv');
    assert.equal(malformedIn(`ss=b&srt=o&${hour}&sp=r`), 'sv');
    assert.equal(malformedIn(`sv=${since}&ss=b&srt=o&${hour}&sp=r`), 'account');
  },
  // As the answer is the surface's: see its own test.
  refusals: () => undefined,
  deleteBreaksLease: (before, since) => {
    assert.equal(decided(ofBlob(before, 'd'), aTxt, 'blob/break-lease'), 'denied');
    assert.equal(decided(ofBlob(before, 'w'), aTxt, 'blob/break-lease'), 'allowed');
    assert.equal(decided(ofBlob(since, 'd'), aTxt, 'blob/break-lease'), 'allowed');
  },
  resourceAndTime: (before, since) => {
    const at = '2026-01-10T01:02:03.1234567Z';
    assert.equal(decided(ofBlob(before), aTxt, 'blob/read', at), 'allowed');
    assert.equal(decided(ofBlob(since), aTxt, 'blob/read', at), 'denied');
    assert.equal(malformedIn(`sv=${before}&${hour}&sp=r&sr=bs`), 'sr');
  },
  delegation: (before, since) => {
    assert.equal(malformedIn(`sv=${before}&${delegated}`), 'sv');
    assert.equal(malformedIn(delegated), 'sv');
    assert.equal(malformedIn(`sv=${since}&${delegated}`), 'delegated');
  },
  versionScope: (before, since) => {
    assert.equal(malformedIn(`sv=${before}&${hour}&sp=r&sr=bv`), 'sr');
    assert.equal(malformedIn(`sv=${since}&${hour}&sp=r&sr=bv`), 'service');
  },
  directoryScope: (before, since) => {
    assert.equal(malformedIn(`sv=${before}&${hour}&sp=r&sr=d&sdd=1`), 'sr');
    assert.equal(malformedIn(`sv=${since}&${hour}&sp=r&sr=d&sdd=1`), 'service');
  },
  objectIds: (before, since) => {
    const scid = '&scid=00000000-0000-0000-0000-000000000000';
    assert.equal(malformedIn(`sv=${before}&${delegated}${scid}`), 'scid');
    assert.equal(malformedIn(`sv=${since}&${delegated}${scid}`), 'delegated');
  },
  encryptionScope: (before, since) => {
    assert.equal(malformedIn(`sv=${before}&${hour}&sp=r&sr=b&ses=one`), 'ses');
    assert.equal(malformedIn(`sv=${since}&${hour}&sp=r&sr=b&ses=one`), 'service');
  },
  delegatedUser: (before, since) => {
    const sduoid = '&sduoid=00000000-0000-0000-0000-000000000000';
    assert.equal(malformedIn(`sv=${before}&${delegated}${sduoid}`), 'sduoid');
    assert.equal(malformedIn(`sv=${since}&${delegated}${sduoid}`), 'delegated');
  },
  signedRequest: (before, since) => {
    assert.equal(malformedIn(`sv=${before}&${delegated}&srh=range`), 'srh');
    assert.equal(malformedIn(`sv=${since}&${delegated}&srh=range`), 'delegated');
  },
};

test('every difference in what is signed holds until its version, and no longer', () => {
  const versions = ['2012-02-12', ...Object.values(signingDifferences).map(({ since }) => since)].sort();
  for (const [name, check] of Object.entries(rows)) {
    const { since } = signingDifferences[name as keyof typeof rows];
    const before = versions.findLast((version) => version < since) ?? '2009-09-19';
    assert(signsAsBefore(before, name as keyof typeof rows) && !signsAsBefore(since, name as keyof typeof rows), name);
    check(before, since);
  }
});

test('a request that azure-storage 0.3.3 of npm signed without a body is accepted', () => {
  const headers = {
    'x-ms-client-request-id': '000659b0-ec24-11f1-9f1e-95952d886b49',
    'x-ms-date': 'Sun, 29 Nov 2026 18:37:58 GMT',
    'content-type': '',
    'content-length': '0',
  };
  const authorization = 'SharedKey devstoreaccount1:w1Jls5GDsNqnhWQ1RzQYFPCRkPS+c8Sxc6Qdj1Jo1g0=';
  const verdict = (version: string): string => {
    const one = { ...request('2014-02-14', headers), version };
    return verifySharedKey(one, authorization, [key], Date.UTC(2026, 10, 29, 18, 38), 900_000).kind;
  };
  assert.deepEqual([verdict('2014-02-14'), verdict('2015-02-21')], ['ok', 'signature-mismatch']);
});

test('the layouts by hand are those of the code', () => {
  for (const version of ['', '2012-02-12', '2013-08-15', '2015-02-21', '2015-04-05', '2018-11-09']) {
    const parsed = parseSas(parseQuery(ofBlob(version)));
    assert(parsed.kind === 'service');
    assert.equal(parsed.fields.sig, sign(sasStringToSign(parsed, aTxt), key).toString('base64'), version);
  }
});
