// The address of an account as the caller reached it, for the answers that name it.
import type { Call } from './call.ts';

/** With a final "/", as the service writes it; the account is in the host or in the path, as in the request. */
export function serviceEndpoint(call: Call): string {
  const { account } = call.target;
  const host = call.headers.host ?? 'localhost';
  const base = `${call.peer.protocol}://${host}/`;
  return host.toLowerCase().startsWith(`${account}.blob.`) ? base : `${base}${account}/`;
}
