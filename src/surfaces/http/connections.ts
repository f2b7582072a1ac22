// How many connections one address may have open: nobody locks the others out by opening all that there are.
import type { Socket } from 'node:net';

export class ConnectionCounts {
  readonly #perAddressMax: number;
  /** Bounded by the connections that are open. */
  readonly #open = new Map<string, number>();
  #refused = 0;

  constructor(perAddressMax: number) {
    this.#perAddressMax = perAddressMax;
  }

  /** False: one too many; the caller ends it. The address is the socket's own, never what a header says. */
  admit(socket: Socket): boolean {
    const address = groupOf(socket.remoteAddress);
    const open = this.#open.get(address) ?? 0;
    if (open >= this.#perAddressMax) {
      this.#refused += 1;
      return false;
    }
    this.#open.set(address, open + 1);
    socket.once('close', () => {
      const left = (this.#open.get(address) ?? 1) - 1;
      if (left === 0) this.#open.delete(address);
      else this.#open.set(address, left);
    });
    return true;
  }

  get addresses(): number {
    return this.#open.size;
  }

  get refused(): number {
    return this.#refused;
  }
}

/** An IPv4 address is one client; of IPv6 one has at least a network of 64 bits to choose from. */
export function groupOf(address: string | undefined): string {
  if (address === undefined) return '';
  if (address.startsWith('::ffff:') && address.includes('.')) return address.slice(7);
  if (!address.includes(':')) return address;
  const plain = address.split('%', 1)[0] as string;
  const [head = '', tail] = plain.split('::', 2);
  const front = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const back = tail === '' ? [] : tail.split(':');
    while (front.length + back.length < 8) front.push('0');
    front.push(...back);
  }
  return `${front.slice(0, 4).join(':')}::/64`;
}
