// Commands on the credentials of the admin API itself.

import { z } from 'zod';
import { dayMs } from '../../base/clock.ts';
import {
  type AdminTokenRecord,
  adminTokenName,
  adminTokensMax,
  createAdminToken,
  listAdminTokens,
  revokeAdminToken,
} from '../../namespace/admin-tokens.ts';
import { command, done, isoTime, type ManagementCommand, made, refusalOf, refuse, wholeField } from './command.ts';

const nameField = z
  .string('must be the name of a token')
  .regex(adminTokenName, 'the name of a token must be 1 to 64 lower-case letters, digits and hyphens');

function tokenView({ name, createdMs, expiresMs }: AdminTokenRecord) {
  return { name, created: isoTime(createdMs), expires: expiresMs === undefined ? null : isoTime(expiresMs) };
}

export const tokenCommands: readonly ManagementCommand[] = [
  command({
    name: 'admin-token create',
    method: 'PUT',
    path: '/v1/admin-tokens/{name}',
    summary: 'makes a credential of the admin API, which only this answer holds',
    input: z.strictObject({ name: nameField, days: wholeField(1, 3650).optional() }),
    async run({ store }, { name, days }) {
      const expiresMs = days === undefined ? undefined : store.clock.now() + days * dayMs;
      const outcome = await createAdminToken(store, name, expiresMs);
      switch (outcome.kind) {
        case 'ok':
          return made({ ...tokenView(outcome.record), token: outcome.token });
        case 'token-exists':
          return refuse('TokenAlreadyExists', `there is an admin token ${name} already`);
        case 'tokens-exceeded':
          return refuse('LimitExceeded', `there are at most ${adminTokensMax} admin tokens`);
        default:
          return refusalOf(outcome.kind, {});
      }
    },
  }),
  command({
    name: 'admin-token list',
    method: 'GET',
    path: '/v1/admin-tokens',
    summary: 'lists the names of admin tokens, and when they end',
    input: z.strictObject({}),
    run: async ({ store }) => done({ tokens: (await listAdminTokens(store)).map(tokenView) }),
  }),
  command({
    name: 'admin-token revoke',
    method: 'DELETE',
    path: '/v1/admin-tokens/{name}',
    summary: 'ends an admin token at once',
    input: z.strictObject({ name: nameField }),
    async run({ store }, { name }) {
      const outcome = await revokeAdminToken(store, name);
      switch (outcome.kind) {
        case 'ok':
          return done({ name });
        case 'token-not-found':
          return refuse('TokenNotFound', `there is no admin token ${name}`);
        default:
          return refusalOf(outcome.kind, {});
      }
    },
  }),
];
