// The addresses that a shared access signature is limited to: one IPv4 address, or a range of them.
import { isIPv4 } from 'node:net';

export interface IpRange {
  readonly first: number;
  readonly last: number;
}

/** `168.1.5.60` or `168.1.5.60-168.1.5.70`; undefined if it is neither. */
export function parseIpRange(text: string): IpRange | undefined {
  const [firstText = '', lastText = firstText, ...more] = text.split('-');
  const [first, last] = [addressNumber(firstText), addressNumber(lastText)];
  if (first === undefined || last === undefined || more.length > 0 || last < first) return undefined;
  return { first, last };
}

/** An IPv4 client on a dual-stack socket shows as `::ffff:1.2.3.4`; no other IPv6 address is in any range. */
export function isInIpRange(range: IpRange, address: string): boolean {
  const number = addressNumber(address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address);
  return number !== undefined && number >= range.first && number <= range.last;
}

function addressNumber(text: string): number | undefined {
  if (!isIPv4(text)) return undefined;
  return text.split('.').reduce((number, part) => number * 256 + Number(part), 0);
}
