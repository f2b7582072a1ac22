// The one decision: each action by each kind of caller.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Action, actions, type Resource } from './actions.ts';
import { authorize, type Principal } from './authorize.ts';
import { parsePermissions } from './permissions.ts';
import type { GrantScope } from './verify-sas.ts';

const account = 'acct';
const blob: Resource = { account, container: 'photos', blob: 'dir/a.txt' };
const container: Resource = { account, container: 'photos' };
const everything = 'racwdxyltfmeopiu';
const everyType = ['service', 'container', 'object'] as const;

function sas(letters: string, scope: GrantScope): Principal {
  const permissions = parsePermissions(letters)!;
  return {
    kind: 'sas',
    grant: { account, scope, permissions, overrides: {}, encryptionScope: undefined, version: '2020-12-06' },
  };
}

function resourceOf(action: Action): Resource {
  return action.startsWith('blob/') ? blob : action.startsWith('container/') ? container : { account };
}

const decide = (principal: Principal, action: Action, resource: Resource = resourceOf(action)): string => {
  const decision = authorize(principal, action, resource);
  return decision.kind === 'denied' ? decision.reason : decision.kind;
};

// One row an operation, as documented: srt letters, and what each permission letter gives (c: only if new, in capitals).
const table: Readonly<Record<Action, readonly [types: string, letters: string, ifNew?: string]>> = {
  'service/read': ['s', 'r'],
  'service/write': ['s', 'w'],
  'service/list': ['s', 'l'],
  'service/filter': ['so', 'f'],
  'service/info': ['sco', 'racwdl'],
  'service/batch': ['sco', 'wdxy'],
  'service/delegation-key': ['s', ''],
  'container/create': ['c', 'cw'],
  'container/read': ['c', 'r'],
  'container/write': ['c', 'w'],
  'container/delete': ['c', 'd'],
  'container/undelete': ['c', 'cw'],
  'container/list': ['c', 'l'],
  'container/filter': ['c', 'f'],
  'container/acl': ['c', ''],
  'container/set-acl': ['c', ''],
  'container/lease': ['c', 'w'],
  'container/break-lease': ['c', 'wd'],
  'blob/read': ['o', 'r'],
  'blob/create': ['o', 'w', 'c'],
  'blob/write': ['o', 'w'],
  'blob/add': ['o', 'aw'],
  'blob/snapshot': ['o', 'cw'],
  'blob/delete': ['o', 'd'],
  'blob/delete-version': ['o', 'x'],
  'blob/delete-permanent': ['o', 'y'],
  'blob/undelete': ['o', 'w'],
  'blob/lease': ['o', 'w'],
  'blob/break-lease': ['o', 'wd'],
  'blob/tags-read': ['o', 't'],
  'blob/tags-write': ['o', 't'],
  'blob/immutability': ['o', 'i'],
};

test('each single permission and resource type of an account SAS allows what is documented, and no more', () => {
  for (const action of actions) {
    const [types, letters, ifNew = ''] = table[action];
    for (const type of everyType) {
      for (const letter of everything) {
        const principal = sas(letter, { kind: 'account', resourceTypes: [type] });
        const fits = types.includes(type === 'object' ? 'o' : type[0]!);
        const expected =
          action === 'service/delegation-key'
            ? 'token-only'
            : letters + ifNew === ''
              ? 'scope'
              : !fits
                ? 'resource-type'
                : letters.includes(letter)
                  ? 'allowed'
                  : ifNew.includes(letter)
                    ? 'allowed-only-if-new'
                    : 'permission';
        assert.equal(decide(principal, action), expected, `${action} srt=${type} sp=${letter}`);
      }
    }
  }
});

test('create does not overwrite, unless write comes with it', () => {
  const scope: GrantScope = { kind: 'container', container: 'photos' };
  assert.equal(decide(sas('c', scope), 'blob/create'), 'allowed-only-if-new');
  assert.equal(decide(sas('cw', scope), 'blob/create'), 'allowed');
  assert.equal(decide(sas('c', scope), 'blob/write'), 'permission');
});

test('a service SAS reaches blobs and their list, never the container itself or the service', () => {
  const principal = sas(everything, { kind: 'container', container: 'photos' });
  const reachable: readonly Action[] = ['container/list', 'container/filter'];
  for (const action of actions) {
    const otherwise = action === 'service/delegation-key' ? 'token-only' : 'scope';
    const expected = action.startsWith('blob/') || reachable.includes(action) ? 'allowed' : otherwise;
    assert.equal(decide(principal, action), expected, action);
  }
  assert.equal(decide(principal, 'service/info', container), 'allowed');
  assert.equal(decide(principal, 'blob/read', { ...blob, container: 'music' }), 'scope');
  assert.equal(decide(principal, 'blob/read', { ...blob, account: 'other' }), 'account');
});

test('a blob SAS reaches the one blob, not its neighbours, snapshots, versions or the list', () => {
  const principal = sas(everything, { kind: 'blob', container: 'photos', blob: 'dir/a.txt', snapshots: false });
  assert.equal(decide(principal, 'blob/read'), 'allowed');
  for (const resource of [
    { ...blob, blob: 'dir/a.txt2' },
    { ...blob, blob: 'dir' },
    { ...blob, container: 'music' },
    { ...blob, snapshot: 's' },
    { ...blob, version: 'v' },
  ])
    assert.equal(decide(principal, 'blob/read', resource), 'scope');
  assert.equal(decide(principal, 'container/list'), 'scope');
  assert.equal(decide(principal, 'container/list', { ...container, prefix: 'dir/a.txt' }), 'scope');
});

test('a snapshot or version SAS reaches just that', () => {
  const ofSnapshot = sas('r', { kind: 'snapshot', container: 'photos', blob: 'dir/a.txt', snapshot: 's' });
  assert.equal(decide(ofSnapshot, 'blob/read', { ...blob, snapshot: 's' }), 'allowed');
  assert.equal(decide(ofSnapshot, 'blob/read', { ...blob, snapshot: 't' }), 'scope');
  assert.equal(decide(ofSnapshot, 'blob/read'), 'scope');
  const ofVersion = sas('r', { kind: 'version', container: 'photos', blob: 'dir/a.txt', version: 'v' });
  assert.equal(decide(ofVersion, 'blob/read', { ...blob, version: 'v' }), 'allowed');
  assert.equal(decide(ofVersion, 'blob/read', { ...blob, version: 'w' }), 'scope');
  assert.equal(decide(ofVersion, 'blob/read'), 'scope');
});

test('a directory SAS reaches the directory, what is below, and lists only there', () => {
  const principal = sas('rl', { kind: 'directory', container: 'photos', path: 'dir' });
  for (const name of ['dir', 'dir/', 'dir/a', 'dir/a/b'])
    assert.equal(decide(principal, 'blob/read', { ...container, blob: name }), 'allowed', name);
  for (const name of ['dir2', 'di', 'other/dir', ''])
    assert.equal(decide(principal, 'blob/read', { ...container, blob: name }), 'scope', name);
  for (const prefix of ['dir/', 'dir/a'])
    assert.equal(decide(principal, 'container/list', { ...container, prefix }), 'allowed', prefix);
  for (const prefix of ['dir', 'dir2', ''])
    assert.equal(decide(principal, 'container/list', { ...container, prefix }), 'scope', prefix);
  assert.equal(decide(principal, 'container/list'), 'scope');
});

test('a prefix narrows a listing for a directory SAS, and no other action on a container', () => {
  const principal = sas(everything, { kind: 'directory', container: 'photos', path: 'dir' });
  for (const action of actions) {
    const otherwise = action === 'service/delegation-key' ? 'token-only' : 'scope';
    const expected = action === 'container/list' || action === 'blob/tags-read' ? 'allowed' : otherwise;
    assert.equal(decide(principal, action, { ...container, prefix: 'dir/' }), expected, action);
  }
});

test('public access lets anyone read, and nobody do more', () => {
  const anyone: Principal = { kind: 'anonymous' };
  const allowed = { none: [], blob: ['blob/read'], container: ['blob/read', 'container/read', 'container/list'] };
  for (const publicAccess of ['none', 'blob', 'container'] as const)
    for (const action of actions) {
      const otherwise = action === 'service/delegation-key' ? 'token-only' : 'anonymous';
      const expected = allowed[publicAccess].some((one) => one === action) ? 'allowed' : otherwise;
      assert.equal(decide(anyone, action, { ...resourceOf(action), publicAccess }), expected, action + publicAccess);
    }
  assert.equal(decide(anyone, 'blob/read'), 'anonymous');
});

test('the account key may do everything in its account but delegate, and nothing in another', () => {
  for (const action of actions) {
    const isTokenOnly = action === 'service/delegation-key';
    assert.equal(decide({ kind: 'account-key', account }, action), isTokenOnly ? 'token-only' : 'allowed');
    assert.equal(decide({ kind: 'account-key', account: 'other' }, action), isTokenOnly ? 'token-only' : 'account');
  }
});
