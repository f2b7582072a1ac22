// Who may talk to the admin API: a bearer of an admin token, over a connection that nobody can listen to.
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../base/clock.ts';

export type AdminIdentity =
  | { readonly kind: 'admin'; readonly name: string }
  | { readonly kind: 'refused'; readonly status: 401 | 403 | 429; readonly code: string; readonly message: string };

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');
loopback.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

/** By the address of the connection, never by what a header says. */
export function isFromLoopback({ socket }: IncomingMessage): boolean {
  return isLoopbackAddress(socket.remoteAddress ?? '');
}

export function isLoopbackAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && loopback.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

export class AdminCredentials {
  readonly #verify: (token: string) => Promise<string | undefined>;
  readonly #failures: FailureLimit;

  constructor(verify: (token: string) => Promise<string | undefined>, clock: Clock) {
    this.#verify = verify;
    this.#failures = new FailureLimit(clock);
  }

  async identify(request: IncomingMessage): Promise<AdminIdentity> {
    // Node joins repeated headers of some names with a comma; of this one it keeps the first. More than one is nobody's.
    const given = request.headersDistinct.authorization ?? [];
    const token = given.length === 1 ? /^Bearer +([\x21-\x7e]{1,256})$/i.exec(given[0] as string)?.[1] : undefined;
    if (token === undefined) {
      return {
        kind: 'refused',
        status: 401,
        code: 'CredentialMissing',
        message: "an admin token is needed: 'causeway admin-token create' makes one",
      };
    }
    if ((request.socket as TLSSocket).encrypted !== true && !isFromLoopback(request))
      return { kind: 'refused', status: 403, code: 'HttpsRequired', message: 'an admin token needs HTTPS' };
    const name = await this.#verify(token);
    if (name !== undefined) return { kind: 'admin', name };
    // Only what fails is held off: whoever shares an address with somebody that guesses still gets in.
    const from = request.socket.remoteAddress ?? '';
    if (this.#failures.isSpent(from))
      return { kind: 'refused', status: 429, code: 'TooManyFailures', message: 'too many failed attempts: wait' };
    this.#failures.count(from);
    return { kind: 'refused', status: 401, code: 'CredentialInvalid', message: 'the admin token is not valid' };
  }
}

const failuresMax = 10;
/** A failure is forgiven after that long. */
const forgivenMs = 6000;
const addressesMax = 1000;

/** Wrong tokens an address: guessing 256 bits leads nowhere, and who does it learns that it is seen. */
class FailureLimit {
  readonly #clock: Clock;
  readonly #addresses = new Map<string, { failures: number; sinceMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isSpent(address: string): boolean {
    return this.#left(address) >= failuresMax;
  }

  count(address: string): void {
    const failures = this.#left(address) + 1;
    this.#addresses.delete(address);
    // The one that failed longest ago is forgotten.
    const [oldest] = this.#addresses.keys();
    if (this.#addresses.size >= addressesMax && oldest !== undefined) this.#addresses.delete(oldest);
    this.#addresses.set(address, { failures, sinceMs: this.#clock.now() });
  }

  /** Failures that are not forgiven yet. */
  #left(address: string): number {
    const known = this.#addresses.get(address);
    if (known === undefined) return 0;
    return Math.max(0, known.failures - (this.#clock.now() - known.sinceMs) / forgivenMs);
  }
}
