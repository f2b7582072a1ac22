// The addresses that an account lets in.
import { BlockList, isIP } from 'node:net';

/** As the namespace stores it. */
export interface NetworkRules {
  readonly defaultAction: 'allow' | 'deny';
  /** Addresses and CIDR ranges that are allowed. */
  readonly ranges: readonly string[];
}

/** Undefined for what is no address, and no range in CIDR form. */
function parseRange(
  text: string,
): { readonly address: string; readonly bits: number; readonly family: 'ipv4' | 'ipv6' } | undefined {
  const [address = '', bitsText, ...more] = text.split('/');
  const version = isIP(address);
  if (version === 0 || address.includes('%') || more.length > 0) return undefined;
  const widest = version === 4 ? 32 : 128;
  const bits = bitsText === undefined ? widest : /^(?:0|[1-9]\d{0,2})$/.test(bitsText) ? Number(bitsText) : -1;
  return bits < 0 || bits > widest ? undefined : { address, bits, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** Why a range is refused; undefined where it may be stored. */
export function rangeProblem(text: string): string | undefined {
  return parseRange(text) === undefined ? 'must be an IP address or a range such as 10.0.0.0/8' : undefined;
}

/** Decides by the address of the connection, and by nothing that a header says. */
export class NetworkPolicy {
  readonly #isDenying: boolean;
  readonly #ranges = new BlockList();

  constructor(rules: NetworkRules | undefined) {
    this.#isDenying = rules?.defaultAction === 'deny';
    for (const text of rules?.ranges ?? []) {
      const range = parseRange(text);
      // What cannot be read lets nobody in.
      if (range !== undefined) this.#ranges.addSubnet(range.address, range.bits, range.family);
    }
  }

  admits(address: string): boolean {
    if (!this.#isDenying) return true;
    const plain = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
    const version = isIP(plain);
    return version !== 0 && this.#ranges.check(plain, version === 4 ? 'ipv4' : 'ipv6');
  }
}
