// The command that makes shared access signatures: by a key of the account, or in the name of a user of Entra ID.
import { createSecretKey } from 'node:crypto';
import { z } from 'zod';
import { parseIsoTime } from '../../codec/http-date.ts';
import { parseTicks } from '../../codec/ticks.ts';
import { type AccountKey, parseAccountKey } from '../../identity/account-key.ts';
import { delegationKeyMsMax, delegationKeyValue, delegationTime } from '../../identity/delegation-key.ts';
import { parseIpRange } from '../../identity/ip-range.ts';
import { madeSasVersion, makeSas } from '../../identity/make-sas.ts';
import { formatPermissions, parsePermissions } from '../../identity/permissions.ts';
import type { SasParameter } from '../../identity/sas.ts';
import type { SasTarget } from '../../identity/verify-sas.ts';
import { getAccount } from '../../namespace/accounts.ts';
import { resolveBlobName } from '../../namespace/blob-name.ts';
import { getContainer } from '../../namespace/containers.ts';
import { openDelegation } from '../../namespace/delegation.ts';
import type { AccountRecord, StoredPolicy } from '../../namespace/records.ts';
import {
  accountField,
  type CommandContext,
  type CommandOutcome,
  command,
  containerField,
  isoTime,
  made,
  objectIdField,
  type Refused,
  refusalOf,
  refuse,
} from './command.ts';
import { resourceUrl } from './endpoints.ts';

const ipExpected = 'an IPv4 address, or a range such as 10.0.0.1-10.0.0.9';
const timeExpected = 'must be a time such as 2026-01-31T12:00:00Z, or how long from now: 30m, 12h, 7d';
const durationForm = /^(\d{1,6})([smhdw])$/;
const unitMs = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 } as const;
const timeField = z
  .string(timeExpected)
  .refine((text) => durationForm.test(text) || parseIsoTime(text) !== undefined, timeExpected)
  .optional();
const stateField = (what: string) =>
  z
    .string(`must be ${what}`)
    .refine((text) => parseTicks(text) !== undefined, `must be ${what}, such as 2026-01-31T12:00:00.1234567Z`)
    .optional();
const text = (what: string, max: number) => z.string(`must be ${what}`).min(1).max(max).optional();

const input = z.strictObject({
  account: accountField,
  container: containerField.optional(),
  blob: text('the name of a blob', 1024).refine(
    (name) => name === undefined || resolveBlobName(name) !== undefined,
    'names nothing in the container',
  ),
  snapshot: stateField('the time of a snapshot'),
  versionId: stateField('the id of a version'),
  permissions: z
    .string('must be letters')
    .refine(
      (letters) => letters !== '' && parsePermissions(letters) !== undefined,
      'must be letters of racwdxyltfmeopi',
    )
    .optional(),
  expiry: timeField,
  start: timeField,
  ip: text(ipExpected, 40).refine(
    (range) => range === undefined || parseIpRange(range) !== undefined,
    `must be ${ipExpected}`,
  ),
  httpsOnly: z.boolean('must be true or false').default(false),
  policy: text('the id of a stored access policy', 64),
  resourceTypes: z
    .string('must be letters of s, c and o')
    .regex(/^[sco]{1,3}$/, 'must be letters of s (service), c (container) and o (object)')
    .optional(),
  key: z.enum(['1', '2'], 'must be 1 or 2').optional(),
  principal: objectIdField.optional(),
  tenant: objectIdField.optional(),
});
type Input = z.output<typeof input>;

/** Where nothing is said: enough to read, for an hour. */
const defaultExpiry = '1h';
const defaultPermissions = { account: 'rl', container: 'rl', blob: 'r' } as const;

/** Of fields that say nothing where they are given; the first that is wrong decides. */
const needs: readonly (readonly [field: keyof Input, isWrong: (given: Input) => boolean, what: string])[] = [
  ['blob', ({ container, blob }) => blob !== undefined && container === undefined, 'needs a container'],
  ['snapshot', ({ blob, snapshot }) => snapshot !== undefined && blob === undefined, 'needs a blob'],
  ['versionId', ({ blob, versionId }) => versionId !== undefined && blob === undefined, 'needs a blob'],
  ['versionId', ({ snapshot, versionId }) => versionId !== undefined && snapshot !== undefined, 'not with a snapshot'],
  ['policy', ({ container, policy }) => policy !== undefined && container === undefined, 'needs a container'],
  [
    'resourceTypes',
    (given) => given.resourceTypes !== undefined && given.container !== undefined,
    'only of an account',
  ],
  ['principal', ({ container, principal }) => principal !== undefined && container === undefined, 'needs a container'],
  ['tenant', ({ principal, tenant }) => principal !== undefined && tenant === undefined, 'is needed with a principal'],
  ['tenant', ({ principal, tenant }) => principal === undefined && tenant !== undefined, 'needs a principal'],
  ['policy', ({ principal, policy }) => principal !== undefined && policy !== undefined, 'not with a principal'],
  ['key', ({ principal, key }) => principal !== undefined && key !== undefined, 'not with a principal'],
];

export const sasCreate = command({
  name: 'sas create',
  method: 'POST',
  path: '/v1/accounts/{account}/sas',
  summary: 'makes a shared access signature, which nothing keeps',
  input,
  async run(context, given) {
    const wrong = needs.find(([, isWrong]) => isWrong(given));
    if (wrong !== undefined) return refuse('InvalidInput', `${wrong[0]}: ${wrong[2]}`);
    const { account, container } = given;
    const record = await getAccount(context.store, account);
    if (record === undefined) return refusalOf('account-not-found', { account });
    if (given.principal === undefined && record.settings?.sharedKeyAccess === false)
      return refuse('SettingsConflict', 'shared-key-access is off: only signatures of a principal are taken');
    const policy = await policyOf(context, given);
    if (policy?.kind === 'refused') return policy;
    if (container !== undefined && policy === undefined)
      return refusalOf('container-not-found', { account, container });
    const terms = termsOf(given, policy?.policy, context.store.wallClock.now());
    if (terms.kind === 'refused') return terms;
    const signing = await signingOf(context, given, record, terms);
    return signing.kind === 'refused' ? signing : answer(context, given, terms, signing);
  },
});

/** Undefined without such a container. */
async function policyOf(
  { store }: CommandContext,
  { account, container, policy: id }: Input,
): Promise<{ readonly kind: 'found'; readonly policy: StoredPolicy | undefined } | Refused | undefined> {
  if (container === undefined) return undefined;
  const found = await getContainer(store, { account, container, conditions: {} });
  if (found.kind !== 'ok') return undefined;
  const policy = found.record.policies.find((one) => one.id === id);
  if (id !== undefined && policy === undefined)
    return refuse('AccessPolicyNotFound', `the container ${container} has no stored access policy of that id`);
  return { kind: 'found', policy };
}

interface Terms {
  readonly kind: 'terms';
  /** '' where the policy says it. */
  readonly permissions: string;
  readonly startMs: number | undefined;
  readonly expiryMs: number | undefined;
}

/** What a policy says a signature must not say too; what it leaves out, the signature says. */
function termsOf(given: Input, policy: StoredPolicy | undefined, nowMs: number): Terms | Refused {
  for (const [field, stored] of [
    ['permissions', policy?.permission],
    ['start', policy?.start],
    ['expiry', policy?.expiry],
  ] as const) {
    if ((stored ?? '') !== '' && given[field] !== undefined)
      return refuse('InvalidInput', `${field}: the stored access policy says it already`);
  }
  const level = given.container === undefined ? 'account' : given.blob === undefined ? 'container' : 'blob';
  const letters = given.permissions ?? ((policy?.permission ?? '') === '' ? defaultPermissions[level] : '');
  const startMs = given.start === undefined ? undefined : timeOf(given.start, nowMs);
  const expiry = given.expiry ?? ((policy?.expiry ?? '') === '' ? defaultExpiry : undefined);
  const expiryMs = expiry === undefined ? undefined : timeOf(expiry, Math.max(nowMs, startMs ?? nowMs));
  if (expiryMs !== undefined && expiryMs <= Math.max(nowMs, startMs ?? nowMs))
    return refuse('InvalidInput', `expiry: is ${expiryMs <= nowMs ? 'past' : 'before the start'}`);
  return { kind: 'terms', permissions: formatPermissions(parsePermissions(letters) ?? 0), startMs, expiryMs };
}

/** To the second, as signatures have it. */
function timeOf(given: string, fromMs: number): number {
  const duration = durationForm.exec(given);
  const ms =
    duration === null
      ? (parseIsoTime(given) as number)
      : fromMs + Number(duration[1]) * unitMs[duration[2] as keyof typeof unitMs];
  return Math.floor(ms / 1000) * 1000;
}

interface Signing {
  readonly kind: 'signing';
  readonly by: 'account key' | 'user delegation key';
  readonly key: AccountKey;
  readonly fields: Readonly<Partial<Record<SasParameter, string>>>;
}

async function signingOf(
  { store, cause }: CommandContext,
  { account, principal, tenant, key = '1' }: Input,
  record: AccountRecord,
  { startMs, expiryMs = 0 }: Terms,
): Promise<Signing | Refused> {
  if (principal === undefined || tenant === undefined) {
    const parsed = parseAccountKey(record.keys[key === '1' ? 0 : 1]);
    if (parsed === undefined) throw new Error('a key of an account is no base64');
    return { kind: 'signing', by: 'account key', key: parsed, fields: {} };
  }
  const nowMs = store.wallClock.now();
  if (expiryMs > nowMs + delegationKeyMsMax)
    return refuse('InvalidInput', 'expiry: a signature of a principal lasts for seven days at the most');
  // Without who delegates: his groups are those of his own token, and a command has none.
  const opened = await openDelegation(store, account, undefined, cause);
  switch (opened.kind) {
    case 'ok':
      break;
    case 'account-not-found':
    case 'no-space':
    case 'contended':
      return refusalOf(opened.kind, { account });
    default:
      throw new Error(`a user delegation key: ${opened.kind}`);
  }
  const said = {
    oid: principal.toLowerCase(),
    tid: tenant.toLowerCase(),
    startMs: Math.floor(Math.min(startMs ?? nowMs, nowMs) / 1000) * 1000,
    expiryMs,
    service: 'b',
    version: madeSasVersion,
    delegatedTid: '',
  };
  const fields = {
    skoid: said.oid,
    sktid: said.tid,
    skt: delegationTime(said.startMs),
    ske: delegationTime(said.expiryMs),
    sks: said.service,
    skv: said.version,
  };
  const value = delegationKeyValue(opened.secret, account, said);
  return { kind: 'signing', by: 'user delegation key', key: createSecretKey(value), fields };
}

function answer(context: CommandContext, given: Input, terms: Terms, signing: Signing): CommandOutcome {
  const { account, container, snapshot, versionId } = given;
  // As a request's address is read.
  const blob = given.blob === undefined ? undefined : resolveBlobName(given.blob);
  const { permissions, startMs, expiryMs } = terms;
  const target: SasTarget = {
    account,
    ...(container !== undefined && { container }),
    ...(blob !== undefined && { blob }),
    ...(snapshot !== undefined && { snapshot }),
    ...(versionId !== undefined && { version: versionId }),
  };
  const sr = blob === undefined ? 'c' : snapshot !== undefined ? 'bs' : versionId !== undefined ? 'bv' : 'b';
  const fields = {
    ...(container === undefined ? { ss: 'b', srt: given.resourceTypes ?? 'sco' } : { sr }),
    sp: permissions,
    st: startMs === undefined ? '' : delegationTime(startMs),
    se: expiryMs === undefined ? '' : delegationTime(expiryMs),
    sip: given.ip ?? '',
    spr: given.httpsOnly ? 'https' : '',
    si: given.policy ?? '',
    ...signing.fields,
  };
  const sas = makeSas(fields, target, signing.key);
  if (sas.kind === 'malformed') return refuse('InvalidInput', `${fieldNames[sas.parameter] ?? 'input'}: is not valid`);
  const state = snapshot !== undefined ? { snapshot } : versionId !== undefined ? { versionid: versionId } : {};
  const query = [...Object.entries(state).map(([name, value]) => `${name}=${encodeURIComponent(value)}`), sas.token];
  return made({
    token: sas.token,
    url: `${resourceUrl(context.blob, account, container, blob)}?${query.join('&')}`,
    expires: expiryMs === undefined ? null : isoTime(expiryMs),
    permissions: permissions === '' ? null : permissions,
    signedWith: signing.by,
    ...(given.httpsOnly &&
      context.blob.startsWith('http:') && {
        warning: 'the address speaks HTTP, where a signature for HTTPS only is refused',
      }),
  });
}

/** The fields of the input that parameters are made of. */
const fieldNames: Readonly<Partial<Record<SasParameter, keyof Input>>> = {
  sip: 'ip',
  sp: 'permissions',
  si: 'policy',
  srt: 'resourceTypes',
  se: 'expiry',
  st: 'start',
};
