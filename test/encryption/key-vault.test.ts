// Keys in a key vault: the client against a stand-in that checks what it is sent.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TokenCredential } from '@azure/identity';
import { KeyVault } from '../../src/encryption/key-vault.ts';
import { KeyError, type KeyProblem } from '../../src/namespace/keyring.ts';
import { hasOpenssl, makeAuthority, makeCertificate } from '../support/certificates.ts';
import { KeyVaultStandIn } from '../support/key-vault.ts';

const token = 'a-token-for-the-vault';

class Held implements AsyncDisposable {
  readonly directory: string;
  readonly vault: KeyVaultStandIn;
  readonly keys: KeyVault;
  readonly asked: string[] = [];

  static async open(credential?: TokenCredential, anyVault = true): Promise<Held> {
    const directory = await mkdtemp(join(tmpdir(), 'causeway-vault-'));
    const authority = makeAuthority(directory);
    const vault = await KeyVaultStandIn.start(makeCertificate(authority, directory), (given) => given === token);
    return new Held(directory, vault, authority.certificate, credential, anyVault);
  }

  private constructor(
    directory: string,
    vault: KeyVaultStandIn,
    ca: string,
    credential: TokenCredential | undefined,
    anyVault: boolean,
  ) {
    this.directory = directory;
    this.vault = vault;
    const own: TokenCredential = {
      getToken: async (scopes) => {
        this.asked.push([scopes].flat().join(' '));
        return { token, expiresOnTimestamp: Date.now() + 3_600_000 };
      },
    };
    this.keys = new KeyVault({
      credential: credential ?? own,
      anyVault,
      timeoutMs: 5000,
      client: { tlsOptions: { ca } },
    });
  }

  url(name: string): string {
    return `${this.vault.url}/keys/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.vault[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true });
  }
}

const refusedFor = (problem: KeyProblem) => (error: unknown) => {
  assert(error instanceof KeyError, String(error));
  assert.equal(error.problem, problem, error.message);
  assert(!JSON.stringify({ ...error, message: error.message, stack: error.stack, cause: error.cause }).includes(token));
  return true;
};

describe('a key vault', { skip: hasOpenssl() ? false : 'needs the openssl command' }, () => {
  test('wraps under the newest version, and unwraps what any of them wrapped', async () => {
    await using held = await Held.open();
    const first = held.vault.rotate('customer');
    const key = randomBytes(32);
    const wrapped = await held.keys.wrap(held.url('customer'), key);
    assert.equal(wrapped.keyVersion, first);
    assert.deepEqual(await held.keys.unwrap(held.url('customer'), wrapped), key);
    const second = held.vault.rotate('customer');
    const again = await held.keys.wrap(held.url('customer'), key);
    assert.equal(again.keyVersion, second);
    assert.deepEqual(await held.keys.unwrap(held.url('customer'), wrapped), key);
    assert.deepEqual(await held.keys.unwrap(held.url('customer'), again), key);
    assert.deepEqual(held.vault.complaints, []);
    assert.deepEqual(
      held.vault.calls,
      [
        ['wrapkey', first],
        ['unwrapkey', first],
        ['wrapkey', second],
        ['unwrapkey', first],
        ['unwrapkey', second],
      ].map(([operation, version]) => `${operation} customer ${version}`),
    );
    assert(
      held.asked.every((scope) => scope === 'https://vault.azure.net/.default'),
      held.asked.join(),
    );
  });

  test('a key that is disabled or deleted is not to be had, until it is enabled again', async () => {
    await using held = await Held.open();
    held.vault.rotate('customer');
    const key = randomBytes(32);
    const wrapped = await held.keys.wrap(held.url('customer'), key);
    await held.keys.unwrap(held.url('customer'), wrapped);
    held.vault.setEnabled('customer', false);
    await assert.rejects(held.keys.unwrap(held.url('customer'), wrapped), refusedFor('key-not-found'));
    await assert.rejects(held.keys.wrap(held.url('customer'), key), refusedFor('key-not-found'));
    held.vault.setEnabled('customer', true);
    assert.deepEqual(await held.keys.unwrap(held.url('customer'), wrapped), key);
    await assert.rejects(held.keys.wrap(held.url('nowhere'), key), refusedFor('key-not-found'));
    const damaged = { ...wrapped, wrapped: randomBytes(256) };
    await assert.rejects(held.keys.unwrap(held.url('customer'), damaged), refusedFor('key-not-found'));
    assert.deepEqual(held.vault.complaints, []);
  });

  test('a vault that is busy is asked again, and one that stays so is unavailable', async () => {
    await using held = await Held.open();
    held.vault.rotate('customer');
    const key = randomBytes(32);
    const wrapped = await held.keys.wrap(held.url('customer'), key);
    held.vault.failures = { status: 503, times: 1 };
    assert.deepEqual(await held.keys.unwrap(held.url('customer'), wrapped), key);
    held.vault.failures = { status: 429, times: 100, code: 'Throttled' };
    await assert.rejects(held.keys.unwrap(held.url('customer'), wrapped), refusedFor('unavailable'));
    assert(held.vault.failures.times >= 90, 'it does not go on for ever');
    held.vault.failures = { status: 0, times: 0 };
    assert.deepEqual(await held.keys.unwrap(held.url('customer'), wrapped), key);
  });

  test('without a token, or with a wrong one, the key is not to be had', async () => {
    const none: TokenCredential = {
      getToken: async () => {
        throw Object.assign(new Error('no identity here'), { name: 'CredentialUnavailableError' });
      },
    };
    await using held = await Held.open(none);
    held.vault.rotate('customer');
    await assert.rejects(held.keys.wrap(held.url('customer'), randomBytes(32)), refusedFor('no-token'));
    const wrong: TokenCredential = {
      getToken: async () => ({ token: 'of somebody else', expiresOnTimestamp: Date.now() + 3_600_000 }),
    };
    await using other = await Held.open(wrong);
    other.vault.rotate('customer');
    await assert.rejects(other.keys.wrap(other.url('customer'), randomBytes(32)), refusedFor('no-token'));
  });

  test('a vault that is not where its challenge says gets no token, unless that is allowed', async () => {
    await using held = await Held.open(undefined, false);
    held.vault.rotate('customer');
    await assert.rejects(held.keys.wrap(held.url('customer'), randomBytes(32)), KeyError);
    assert.deepEqual(held.asked, []);
  });

  test('one that does not answer is unavailable', async () => {
    await using held = await Held.open();
    const { url } = held.vault;
    await held.vault[Symbol.asyncDispose]();
    await assert.rejects(held.keys.wrap(`${url}/keys/customer`, randomBytes(32)), refusedFor('unavailable'));
  });
});
