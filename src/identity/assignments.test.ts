// Roles, scopes and conditions: what each built-in role may do, how far an assignment reaches, and why.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Action, actions, type Resource } from './actions.ts';
import { type Access, assignmentProblem, type RoleAssignment } from './assignments.ts';
import type { BlobFacts, RequestFacts } from './attributes.ts';
import { authorize, type EntraPrincipal } from './authorize.ts';
import { explainAccess, findAction } from './explain.ts';
import { parsePermissions } from './permissions.ts';
import { builtInRoles, type Role, roleProblem } from './roles.ts';

const oid = '11111111-2222-3333-4444-555555555555';
const group = '22222222-2222-3333-4444-555555555555';
const account = 'acct';
const user: EntraPrincipal = { kind: 'entra', oid, tid: 't', groups: [group], appRoles: [] };
const blob: Resource = { account, container: 'photos', blob: 'a/b/c.txt' };
const blobs = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs';

function resourceOf(action: Action): Resource {
  if (action.startsWith('blob/')) return blob;
  return action.startsWith('container/') ? { account, container: 'photos' } : { account };
}

function assigned(role: string, more: Partial<RoleAssignment> = {}): RoleAssignment {
  return { id: 'id', principal: oid, role, ...more };
}

interface Case {
  readonly roles?: readonly Role[];
  readonly blob?: BlobFacts;
  readonly request?: RequestFacts;
  readonly nowMs?: number;
}

function decide(
  assignments: readonly RoleAssignment[],
  action: Action,
  resource = resourceOf(action),
  more: Case = {},
) {
  const access: Access = { assignments, roles: [], ...more };
  const decision = authorize(user, action, resource, access);
  return decision.kind === 'denied' ? decision.reason : decision.kind;
}

const delegator: readonly Action[] = ['service/batch', 'service/delegation-key'];
const reader: readonly Action[] = [...delegator, 'service/list', 'container/read', 'container/list', 'blob/read'];
const contributor: readonly Action[] = [
  ...reader,
  ...(['container/create', 'container/write', 'container/delete', 'container/undelete'] as const),
  ...(['container/lease', 'container/break-lease'] as const),
  ...(['blob/create', 'blob/write', 'blob/add', 'blob/snapshot', 'blob/delete', 'blob/undelete'] as const),
  ...(['blob/lease', 'blob/break-lease'] as const),
];
const notEvenOwner: readonly Action[] = ['service/read', 'service/write', 'service/info'];

test('the built-in roles allow what Azure documents, and nothing else', () => {
  const table: Readonly<Record<string, readonly Action[]>> = {
    'Storage Blob Delegator': delegator,
    'Storage Blob Data Reader': reader,
    'Storage Blob Data Contributor': contributor,
    'Storage Blob Data Owner': actions.filter((action) => !notEvenOwner.includes(action)),
  };
  for (const { name, id } of builtInRoles) {
    const allowed = table[name]!;
    for (const action of actions) {
      const expected = allowed.includes(action) ? 'allowed' : 'role';
      assert.equal(decide([assigned(name)], action), expected, `${name} ${action}`);
      assert.equal(decide([assigned(id.toUpperCase())], action), expected, `${id} ${action}`);
    }
  }
});

test('nothing is allowed by nobody’s assignment, an unknown role, or none', () => {
  for (const action of actions) {
    const expected = action === 'service/batch' ? 'allowed' : 'role';
    assert.equal(decide([], action), expected);
    assert.equal(decide([assigned('Storage Blob Data Owner', { principal: 'x' })], action), expected);
    assert.equal(decide([assigned('Owner')], action), expected);
  }
  assert.equal(decide([assigned('Storage Blob Data Reader', { principal: group })], 'blob/read'), 'allowed');
  assert.deepEqual(authorize(user, 'blob/read', blob), { kind: 'denied', reason: 'role' });
});

test('an assignment reaches its container, or whole parts of a path', () => {
  const owner = (more: Partial<RoleAssignment>) => [assigned('Storage Blob Data Owner', more)];
  const inPhotos = owner({ container: 'photos' });
  assert.equal(decide(inPhotos, 'blob/read'), 'allowed');
  assert.equal(decide(inPhotos, 'container/delete'), 'allowed');
  assert.equal(decide(inPhotos, 'blob/read', { ...blob, container: 'photos2' }), 'role');
  assert.equal(decide(inPhotos, 'service/list'), 'role');
  assert.equal(decide(inPhotos, 'service/delegation-key'), 'role');
  for (const prefix of ['a/b', 'a/b/']) {
    const below = owner({ container: 'photos', prefix });
    for (const name of ['a/b/c', 'a/b/c/d'])
      assert.equal(decide(below, 'blob/write', { ...blob, blob: name }), 'allowed');
    for (const name of ['a/bc', 'a/b2/c', 'a', 'x/a/b/c', 'A/b/c', ''])
      assert.equal(decide(below, 'blob/write', { ...blob, blob: name }), 'role', `${prefix} ${name}`);
    assert.equal(decide(below, 'blob/read', { ...blob, container: 'other' }), 'role');
    assert.equal(decide(below, 'container/delete'), 'role');
    assert.equal(decide(below, 'container/list'), 'role');
    for (const [listed, expected] of [
      ['a/b/', 'allowed'],
      ['a/b/c', 'allowed'],
      ['a/b', 'role'],
      ['a/bc', 'role'],
      ['', 'role'],
    ] as const)
      assert.equal(decide(below, 'container/list', { account, container: 'photos', prefix: listed }), expected, listed);
  }
  assert.equal(decide(owner({ container: 'photos', prefix: 'a/b' }), 'blob/read', { ...blob, blob: 'a/b' }), 'allowed');
  assert.equal(decide(owner({ container: 'photos', prefix: 'a/b/' }), 'blob/read', { ...blob, blob: 'a/b' }), 'role');
  assert.equal(decide(owner({ prefix: 'a' }), 'blob/read'), 'role', 'a prefix without a container is nowhere');
});

test('a prefix narrows a listing and what it shows of tags, and no other action on a container', () => {
  const below = [assigned('Storage Blob Data Owner', { container: 'photos', prefix: 'a/b/' })];
  const asked = { account, container: 'photos', prefix: 'a/b/' };
  for (const action of actions) {
    if (action === 'service/batch') continue;
    const expected = action === 'container/list' || action === 'blob/tags-read' ? 'allowed' : 'role';
    assert.equal(decide(below, action, asked), expected, action);
  }
});

test('custom roles: wildcards, and what they take away again', () => {
  const role = (more: Partial<Role>): Role[] => [
    { name: 'mine', actions: [], notActions: [], dataActions: [], notDataActions: [], ...more },
  ];
  const may = (roles: readonly Role[], action: Action) => decide([assigned('Mine')], action, undefined, { roles });
  const all = role({ dataActions: [`${blobs}/*`], notDataActions: [`${blobs}/delete`] });
  assert.equal(may(all, 'blob/read'), 'allowed');
  assert.equal(may(all, 'blob/delete'), 'role');
  assert.equal(may(all, 'container/read'), 'role', 'data actions are no actions');
  assert.equal(may(role({ actions: ['*'] }), 'blob/read'), 'role', 'actions are no data actions');
  assert.equal(may(role({ actions: ['*/READ'] }), 'service/read'), 'allowed');
  assert.equal(may(role({ dataActions: [`${blobs}/rea`] }), 'blob/read'), 'role');
  assert.equal(may(role({ dataActions: [`${blobs}/add/action`] }), 'blob/create'), 'allowed-only-if-new');
  assert.equal(may(role({ dataActions: [`${blobs}/add/action`] }), 'blob/write'), 'role');
  assert.equal(roleProblem(all[0]!), undefined);
  assert.match(roleProblem({ ...all[0]!, name: 'storage blob data owner' })!, /built-in/);
  assert.match(roleProblem({ ...all[0]!, dataActions: ['a b'] })!, /not an action/);
});

describe('conditions', () => {
  const read = (condition: string, more: Case = {}, resource: Resource = blob, action: Action = 'blob/read') =>
    decide([assigned('Storage Blob Data Owner', { condition })], action, resource, more);
  const tag = (text: string): string => `@Resource[${blobs}/tags:Project<$key_case_sensitive$>] ${text}`;
  const guard = (action: string, rest: string): string => `((!(ActionMatches{'${blobs}/${action}'})) OR (${rest}))`;

  test('on container names and paths', () => {
    const name = '@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name]';
    const path = `@Resource[${blobs}:path]`;
    assert.equal(read(`${name} StringEquals 'photos'`), 'allowed');
    assert.equal(read(`${name} StringEquals 'Photos'`), 'role');
    assert.equal(read(`${name} StringEqualsIgnoreCase 'Photos'`), 'allowed');
    assert.equal(read(`${name} StringNotEquals 'photos'`), 'role');
    assert.equal(read(`${name} ForAnyOfAnyValues:StringEquals {'x', 'photos'}`), 'allowed');
    assert.equal(read(`${name} ForAllOfAllValues:StringNotEquals {'x', 'photos'}`), 'role');
    assert.equal(read(`${path} StringLike 'a/*/c.???'`), 'allowed');
    assert.equal(read(`${path} StringStartsWith 'a/bc'`), 'role');
    assert.equal(read(`${path} StringStartsWith 'a/b/' AND NOT ${name} StringEquals 'x'`), 'allowed');
    assert.equal(read(`${path} StringLike '*'`, {}, { account, container: 'photos' }, 'container/list'), 'role');
  });

  test('on tags ask for the blob first, and decide by it', () => {
    const blobWith = (tags: Record<string, string>): Case => ({ blob: { tags, isCurrentVersion: true } });
    const condition = guard('read', tag("StringEquals 'Cascade'"));
    assert.equal(read(condition), 'needs-blob');
    assert.equal(read(condition, blobWith({ Project: 'Cascade' })), 'allowed');
    assert.equal(read(condition, blobWith({ Project: 'cascade' })), 'role');
    assert.equal(read(condition, blobWith({ project: 'Cascade' })), 'role', 'the key is case sensitive');
    assert.equal(read(condition, blobWith({})), 'role');
    assert.equal(read(condition, {}, blob, 'blob/delete'), 'allowed', 'the condition is about reading only');
    // What is not there makes no denial true either.
    assert.equal(read(tag("StringNotEquals 'Secret'"), blobWith({})), 'role');
    assert.equal(read(`NOT ${tag("StringEquals 'Secret'")}`, blobWith({})), 'role');
    assert.equal(read(`NOT Exists @Resource[${blobs}/tags:Secret]`, blobWith({})), 'allowed');
    const keys = `@Resource[${blobs}/tags&$keys$&] ForAllOfAnyValues:StringEquals {'Project', 'Owner'}`;
    assert.equal(read(keys, blobWith({ Project: '1', Owner: '2' })), 'allowed');
    assert.equal(read(keys, blobWith({ Project: '1', Other: '2' })), 'role');
    // Another assignment that needs no tags is enough.
    const both = [assigned('Storage Blob Data Owner', { condition }), assigned('Storage Blob Data Reader')];
    assert.equal(decide(both, 'blob/read'), 'allowed');
  });

  test('on what the request asks for', () => {
    const list: Resource = { account, container: 'photos' };
    const listing = (condition: string, prefix?: string) =>
      read(condition, {}, { ...list, ...(prefix !== undefined && { prefix }) }, 'container/list');
    const inside = `@Request[${blobs}:prefix] StringStartsWith 'a/'`;
    assert.equal(listing(inside, 'a/b'), 'allowed');
    assert.equal(listing(inside), 'role');
    assert.equal(listing(inside, 'b'), 'role');
    const noList = `!(ActionMatches{'${blobs}/read'} AND SubOperationMatches{'Blob.List'})`;
    assert.equal(listing(noList), 'role');
    assert.equal(read(noList), 'allowed');
    const setsTag = `@Request[${blobs}/tags:Project<$key_case_sensitive$>] StringEquals 'Cascade'`;
    const tags = (set: Record<string, string>): Case => ({ request: { tags: set } });
    assert.equal(read(setsTag, tags({ Project: 'Cascade' }), blob, 'blob/create'), 'allowed');
    assert.equal(read(setsTag, tags({ Project: 'x' }), blob, 'blob/create'), 'role');
    assert.equal(read(setsTag, {}, blob, 'blob/create'), 'role');
    const withTags = `SubOperationMatches{'Blob.Write.WithTagHeaders'}`;
    assert.equal(read(withTags, tags({}), blob, 'blob/create'), 'allowed');
    assert.equal(read(withTags, {}, blob, 'blob/create'), 'role');
    const current = `@Resource[${blobs}:isCurrentVersion] BoolEquals true`;
    assert.equal(read(current), 'allowed');
    assert.equal(read(current, {}, { ...blob, snapshot: '2026-01-01T00:00:00.0000000Z' }), 'role');
    assert.equal(read(current, {}, { ...blob, version: 'v' }), 'needs-blob');
    assert.equal(read(current, { blob: { tags: {}, isCurrentVersion: false } }, { ...blob, version: 'v' }), 'role');
    const before = `@Request[${blobs}:snapshot] DateTimeLessThan '2026-02-01T00:00:00Z'`;
    assert.equal(read(before, {}, { ...blob, snapshot: '2026-01-01T00:00:00.1234567Z' }), 'allowed');
    assert.equal(read(before, {}, { ...blob, snapshot: '2026-03-01T00:00:00.1234567Z' }), 'role');
    const now = `@Environment[UtcNow] DateTimeGreaterThan '2026-02-01T00:00:00Z'`;
    assert.equal(read(now, { nowMs: Date.UTC(2026, 5) }), 'allowed');
    assert.equal(read(now, { nowMs: Date.UTC(2026, 0) }), 'role');
  });

  test('what cannot be understood is refused when it is assigned, and denies when it is used', () => {
    const good = assigned('Storage Blob Data Reader', { condition: guard('read', tag("StringEquals 'x'")) });
    assert.equal(assignmentProblem(good, []), undefined);
    for (const condition of [
      '',
      '(',
      "ActionMatches{'x'",
      "ActionMatches{'x'} x",
      "ActionMatches{'x'} AND",
      "ActionMatches{'x}",
      tag("StringMatches 'x'"),
      tag("StringEquals {'a', 'b'}"),
      tag('StringEquals'),
      `@Resource[${blobs}/tags&$keys$&] StringEquals 'a'`,
      `@Resource[${blobs}:owner] StringEquals 'a'`,
      `@Principal[Microsoft.Directory/CustomSecurityAttributes/Id:E_P] StringEquals 'a'`,
      `@Nobody[${blobs}:path] StringEquals 'a'`,
      `${'('.repeat(100)}ActionMatches{'x'}${')'.repeat(100)}`,
      `${'!'.repeat(100)}ActionMatches{'x'}`,
      `ActionMatches{'${'x'.repeat(9000)}'}`,
    ]) {
      assert.match(
        `${assignmentProblem(assigned('Storage Blob Data Reader', { condition }), [])}`,
        /^the condition: /,
        condition,
      );
      assert.equal(read(condition), 'role', condition);
    }
    assert.match(assignmentProblem(assigned('Nobody'), [])!, /no such role/);
    assert.match(assignmentProblem(assigned('Storage Blob Data Reader', { prefix: 'a' }), [])!, /needs a container/);
  });
});

test('a signature of a delegator may no more than the delegator now may', () => {
  const grant = {
    account,
    scope: { kind: 'container', container: 'photos' } as const,
    permissions: parsePermissions('rcwd')!,
    overrides: {},
    encryptionScope: undefined,
    version: '2020-12-06',
  };
  const sas = { kind: 'sas', grant, delegators: [{ oid, groups: [] }] } as const;
  const as = (assignments: readonly RoleAssignment[], action: Action, resource = blob): string =>
    authorize(sas, action, resource, { assignments, roles: [] }).kind;
  const readerRole = [assigned('Storage Blob Data Reader')];
  assert.equal(as(readerRole, 'blob/read'), 'allowed');
  assert.equal(as(readerRole, 'blob/delete'), 'denied');
  assert.equal(as([], 'blob/read'), 'denied');
  assert.equal(as([assigned('Storage Blob Data Owner')], 'container/list'), 'denied', 'the signature does not say l');
  assert.equal(as([assigned('Storage Blob Data Owner', { container: 'music' })], 'blob/read'), 'denied');
  assert.equal(as([assigned('Storage Blob Data Owner')], 'blob/read', { ...blob, container: 'music' }), 'denied');
  const two = { ...sas, delegators: [...sas.delegators, { oid: group, groups: [] }] };
  const both = (assignments: readonly RoleAssignment[]): string =>
    authorize(two, 'blob/read', blob, { assignments, roles: [] }).kind;
  assert.equal(both(readerRole), 'denied');
  assert.equal(both([...readerRole, assigned('Storage Blob Data Reader', { principal: group })]), 'allowed');
});

test('an explanation says which assignment decided, and what came closest', () => {
  const holder = { oid, groups: [] };
  const explain = (assignments: readonly RoleAssignment[], more = {}) =>
    explainAccess({ holder, action: 'blob/delete', resource: blob, access: { assignments, roles: [] }, ...more });
  assert.equal(explain([]).reason, 'nothing is assigned to the principal or to a group of it');
  const readerOnly = explain([
    assigned('Storage Blob Data Reader'),
    assigned('Storage Blob Data Owner', { principal: group }),
  ]);
  assert.equal(readerOnly.decision, 'denied');
  assert.match(readerOnly.reason, /closest is Storage Blob Data Reader .*does not have the action/);
  assert.equal(readerOnly.considered.length, 1);
  const owner = explain([assigned('Storage Blob Data Owner', { container: 'photos', prefix: 'a/' })]);
  assert.deepEqual(
    [owner.decision, owner.reason],
    ['allowed', `Storage Blob Data Owner on photos/a/ (assignment id) has ${blobs}/delete`],
  );
  const networkRules = { defaultAction: 'deny', ranges: ['10.0.0.0/8'] } as const;
  const outside = explain([assigned('Storage Blob Data Owner')], { address: '11.0.0.1', networkRules });
  assert.deepEqual([outside.decision, outside.network], ['denied', 'refused']);
  assert.equal(
    explain([assigned('Storage Blob Data Owner')], { address: '10.0.0.1', networkRules }).decision,
    'allowed',
  );
  assert.equal(findAction(`${blobs}/delete`), 'blob/delete');
  assert.equal(findAction('blob/read'), 'blob/read');
  assert.equal(findAction('blob/everything'), undefined);
});
