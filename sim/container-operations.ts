// The operations on containers and accounts as the simulation calls them.
import { createAccount, getAccount, rotateKey } from '../src/namespace/accounts.ts';
import { changeContainer, createContainer, deleteContainer, leaseContainer } from '../src/namespace/containers.ts';
import type { LeaseAction } from '../src/namespace/leases.ts';
import { account, modelContainer, observeContainer } from './observe.ts';
import { cause, type Operation } from './operations.ts';

function onContainer(container: string, rest: Omit<Operation, 'locks' | 'observe' | 'print'>): Operation {
  return {
    ...rest,
    locks: [`!${container}`],
    observe: (store) => observeContainer(store, container),
    print: (model) => modelContainer(model, container),
  };
}

export function makeContainer(container: string, quotaBytes: number, mark: string, isProtected: boolean): Operation {
  return onContainer(container, {
    label: `create ${container}`,
    run: async (store) => {
      const command = { account, container, metadata: { mark }, publicAccess: 'none' as const, quotaBytes, cause };
      return { kind: (await createContainer(store, { ...command, versionImmutability: isProtected })).kind };
    },
    expect: (model) => ({
      kind: model.containers.has(container) ? 'container-exists' : 'ok',
      apply: () =>
        void model.containers.set(container, {
          metadata: { mark },
          quotaBytes,
          isProtected,
          lease: undefined,
          entries: new Map(),
          uploads: new Map(),
          past: new Map(),
        }),
    }),
  });
}

export function removeContainer(container: string): Operation {
  return onContainer(container, {
    label: `delete container ${container}`,
    run: async (store) => ({
      kind: (await deleteContainer(store, { account, container, conditions: {}, cause })).kind,
    }),
    expect: (model, nowMs) => {
      const found = model.containers.get(container);
      const isHeld =
        model.lease(found?.lease, { action: 'acquire', durationS: -1, proposedId: 'probe' }, nowMs).kind !== 'ok';
      return {
        kind:
          found === undefined
            ? 'container-not-found'
            : isHeld
              ? 'lease-id-missing'
              : found.isProtected && found.entries.size + found.past.size > 0
                ? 'container-protected'
                : 'ok',
        apply: () => void model.containers.delete(container),
      };
    },
  });
}

export function editContainer(container: string, mark: string, quotaBytes: number): Operation {
  return onContainer(container, {
    label: `change container ${container}`,
    run: async (store) => {
      const command = { account, container, conditions: {}, cause };
      return { kind: (await changeContainer(store, command, { metadata: { mark }, quotaBytes })).kind };
    },
    expect: (model) => {
      const found = model.containers.get(container);
      return {
        kind: found === undefined ? 'container-not-found' : 'ok',
        apply: () => void (found && model.containers.set(container, { ...found, metadata: { mark }, quotaBytes })),
      };
    },
  });
}

export function leaseOnContainer(container: string, action: LeaseAction): Operation {
  return onContainer(container, {
    label: `lease ${action.action} container ${container}`,
    run: async (store) => {
      const outcome = await leaseContainer(store, { account, container, conditions: {}, cause }, action);
      return { kind: outcome.kind, ...(outcome.kind === 'ok' && { lease: outcome.record.lease }) };
    },
    expect: (model, nowMs) => {
      const found = model.containers.get(container);
      const after = model.lease(found?.lease, action, nowMs);
      return {
        kind: found === undefined ? 'container-not-found' : after.kind,
        apply: ({ lease }) =>
          void (found && model.containers.set(container, { ...found, lease: lease ?? after.lease })),
      };
    },
  });
}

function onAccount(name: string, rest: Omit<Operation, 'locks' | 'observe' | 'print'>): Operation {
  return {
    ...rest,
    locks: [`!account ${name}`],
    observe: async (store) => ({
      print: (await getAccount(store, name))?.keys.join(' ') ?? 'nothing',
      etag: undefined,
      lease: undefined,
    }),
    print: (model) => model.accounts.get(name)?.join(' ') ?? 'nothing',
  };
}

export function makeAccount(name: string, keys: readonly [string, string]): Operation {
  return onAccount(name, {
    label: `create account ${name}`,
    run: async (store) => ({ kind: (await createAccount(store, name, keys, cause)).kind }),
    expect: (model) => ({
      kind: model.accounts.has(name) ? 'account-exists' : 'ok',
      apply: () => void model.accounts.set(name, keys),
    }),
  });
}

/** The new key is drawn by the store: it is learned as the ETag of an entry is. */
export function newKey(name: string): Operation {
  return {
    label: `rotate key ${name}`,
    locks: [`!account ${name}`],
    run: async (store) => {
      const outcome = await rotateKey(store, name, 1, cause);
      return { kind: outcome.kind, ...(outcome.kind === 'ok' && { etag: outcome.account.keys[0] }) };
    },
    expect: (model) => {
      const [, second] = model.accounts.get(name) ?? [];
      return {
        kind: second === undefined ? 'account-not-found' : 'ok',
        apply: ({ etag }) => void model.accounts.set(name, [etag ?? '?', second ?? '']),
      };
    },
    observe: async (store) => {
      const keys = (await getAccount(store, name))?.keys;
      return { print: keys?.join(' ') ?? 'nothing', etag: keys?.[0], lease: undefined };
    },
    print: (model) => model.accounts.get(name)?.join(' ') ?? 'nothing',
  };
}
