// The command that explains: may somebody do this to that, and why, by the same code that decides requests.
import { z } from 'zod';
import type { Resource } from '../../identity/actions.ts';
import type { Access } from '../../identity/assignments.ts';
import { explainAccess, findAction } from '../../identity/explain.ts';
import { getAccess } from '../../namespace/access.ts';
import { getAccount } from '../../namespace/accounts.ts';
import { readBlobFacts } from '../../namespace/blob-facts.ts';
import { accountField, command, containerField, done, objectIdField, refusalOf, refuse } from './command.ts';

const blobName = z.string('must be text').min(1).max(1024);

export const accessCheck = command({
  name: 'access check',
  method: 'POST',
  path: '/v1/accounts/{account}/access-check',
  summary: 'tells whether a principal may do something, and why',
  input: z.strictObject({
    account: accountField,
    principal: objectIdField,
    groups: z.array(objectIdField, 'must be a list of object ids').max(1000).default([]),
    action: z.string('must be the name of an action').max(300).optional(),
    operation: z.string('must be the name of an operation').max(100).optional(),
    container: containerField.optional(),
    blob: blobName.optional(),
    prefix: z.string('must be text').max(1024).optional(),
    address: z.union([z.ipv4(), z.ipv6()], 'must be an IP address').optional(),
  }),
  async run({ store, actionOf }, input) {
    const { account, container, blob, prefix, address } = input;
    if ((input.action === undefined) === (input.operation === undefined))
      return refuse('InvalidInput', 'one of action and operation must be given');
    if ((blob ?? prefix) !== undefined && container === undefined)
      return refuse('InvalidInput', 'container: is missing');
    const named = input.action ?? (await actionOf(input.operation as string));
    const action = named === undefined ? undefined : findAction(named);
    if (action === undefined) {
      const field = input.action === undefined ? 'operation' : 'action';
      return refuse('InvalidInput', `${field}: there is none of that name`);
    }
    const record = await getAccount(store, account);
    if (record === undefined) return refusalOf('account-not-found', { account });

    const resource: Resource = {
      account,
      ...(container !== undefined && { container }),
      ...(blob !== undefined && { blob }),
      ...(prefix !== undefined && { prefix }),
    };
    const access: Access = { ...(await getAccess(store, account)), nowMs: store.wallClock.now() };
    const { networkRules } = record.settings ?? {};
    const question = {
      holder: { oid: input.principal.toLowerCase(), groups: input.groups.map((group) => group.toLowerCase()) },
      action,
      resource,
      ...(address !== undefined && { address }),
      ...(networkRules !== undefined && { networkRules }),
    };
    let explained = explainAccess({ ...question, access });
    // As for a request: what a condition wants to know of the blob is looked at only then.
    if (explained.decision === 'depends-on-tags' && container !== undefined && blob !== undefined) {
      const facts = await readBlobFacts(store, { account, container, blob });
      explained = explainAccess({ ...question, access: { ...access, blob: facts } });
    }
    return done({ action, ...explained });
  },
});
