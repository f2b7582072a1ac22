// Which names the admin listener answers to: a website that points its own name at this machine (DNS rebinding) gets nothing.
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { isLoopbackAddress } from './credentials.ts';

export const unknownHost =
  'this is the admin listener of Causeway, and it does not answer to the Host of this request: name it in the setting adminHosts';

const hostHeader = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i;

/**
 * Loopback names and addresses, the address that the connection came to, and the `allowed` names, or, from a dot on,
 * ends of names. An address proves nothing to rebind: a browser that sends one was pointed at the address itself.
 */
export function isOwnHost({ headersDistinct, socket }: IncomingMessage, allowed: readonly string[]): boolean {
  const given = headersDistinct.host;
  // HTTP/1.0 has none, and every browser sends one.
  if (given === undefined) return true;
  const match = given.length === 1 ? hostHeader.exec(given[0] as string) : null;
  const host = (match?.[1] ?? match?.[2] ?? '').toLowerCase().replace(/\.$/, '');
  if (host === '') return false;
  if (isIP(host) !== 0 && (isLoopbackAddress(host) || plain(host) === plain(socket.localAddress ?? ''))) return true;
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  return allowed.some((one) => {
    const name = one.toLowerCase();
    return one === '*' || (name.startsWith('.') ? host.endsWith(name) : plain(host) === plain(name));
  });
}

/** One text for every way to write an address. */
function plain(host: string): string {
  if (isIP(host) !== 6) return host;
  const written = new URL(`http://[${host.split('%', 1)[0]}]`).hostname;
  const mapped = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(written);
  if (mapped === null) return written;
  const [high, low] = [Number.parseInt(mapped[1] as string, 16), Number.parseInt(mapped[2] as string, 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
