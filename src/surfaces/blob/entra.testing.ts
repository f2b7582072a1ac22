// A surface with an issuer of tokens: requests by somebody whose rights are the roles that a test assigns to him.
import assert from 'node:assert/strict';
import { type Issuer, type Minting, startIssuer } from '../../identity/issuer.testing.ts';
import { type Assign, assignRole } from '../../namespace/access.ts';
import { changeSettings, type SettingChanges } from '../../namespace/account-settings.ts';
import { openTestSurface, testAccount } from './call.testing.ts';
import type { BlobSettings, Peer } from './call.ts';
import { type Answered, TestClient, type WholeRequest } from './dispatch.testing.ts';

export const oid = '11111111-2222-3333-4444-555555555555';
export const blobUrl = `/${testAccount}/docs/dir/a`;
export const local: Partial<Peer> = { isLoopback: true };
export const cause = { by: 'test', requestId: 'none' };
export const owner = 'Storage Blob Data Owner';
export const contributor = 'Storage Blob Data Contributor';
export const reader = 'Storage Blob Data Reader';
export const blobs = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs';

export interface Bench {
  readonly client: TestClient;
  readonly issuer: Issuer;
  assign(role: string, more?: Partial<Assign>): Promise<void>;
  set(changes: SettingChanges): Promise<void>;
  /** Sends with a token of `oid`. */
  send(request: WholeRequest, minting?: Minting): Promise<Answered>;
  /** Status and code. */
  tell(request: WholeRequest, minting?: Minting): Promise<string>;
}

/** With a container "docs" and a blob "dir/a" in it. */
export async function withTokens(
  work: (bench: Bench) => Promise<void>,
  settings: Partial<BlobSettings> = {},
): Promise<void> {
  await using surface = await openTestSurface();
  const { store, clock } = surface;
  await using issuer = await startIssuer({ nowMs: () => clock.now() });
  const client = new TestClient(surface, { entraTenants: [issuer.tenant], entraAuthority: issuer.url, ...settings });
  await client.container('docs');
  assert.equal((await client.put(blobUrl, 'hello')).status, 201);
  const send = async (request: WholeRequest, minting: Minting = {}): Promise<Answered> => {
    const authorization = `Bearer ${await issuer.token(oid, minting)}`;
    const headers = { authorization, ...request.headers };
    return await client.send({ key: null, peer: local, ...request, headers });
  };
  await work({
    client,
    issuer,
    send,
    tell: async (request, minting) => {
      const { status, code } = await send(request, minting);
      return code === undefined ? `${status}` : `${status} ${code}`;
    },
    assign: async (role, more = {}) => {
      const assign = { principal: oid, role, isBuiltIn: true, ...more };
      assert.equal((await assignRole(store, testAccount, assign, cause)).kind, 'ok');
    },
    set: async (changes) => {
      assert.equal((await changeSettings(store, testAccount, changes, cause)).kind, 'ok');
    },
  });
}
