// The bytes of the requests that the bench sends: heads made once, with room for a blob's ten digits.
import { account, serviceVersion } from './account-sas.ts';

export const nameDigits = 10;
const nameHole = '0'.repeat(nameDigits);
const bodies = new Map<number, Buffer>();

export interface Target {
  readonly port: number;
  readonly sas: string;
}

/** A request head whose name is filled in place before each send. */
export interface Template {
  readonly bytes: Buffer;
  readonly nameOffset: number;
}

export function head(target: Target, method: string, path: string, query: string, headers: string): Buffer {
  const separator = query === '' ? '' : `${query}&`;
  return Buffer.from(
    `${method} /${account}${path}?${separator}${target.sas} HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\n` +
      `x-ms-version: ${serviceVersion}\r\n${headers}\r\n`,
    'latin1',
  );
}

export function blobTemplate(target: Target, method: string, container: string, headers: string): Template {
  const bytes = head(target, method, `/${container}/${nameHole}`, '', headers);
  return { bytes, nameOffset: bytes.indexOf(`${container}/${nameHole}`) + container.length + 1 };
}

export function putHeaders(sizeBytes: number): string {
  return `x-ms-blob-type: BlockBlob\r\nContent-Type: application/octet-stream\r\nContent-Length: ${sizeBytes}\r\n`;
}

export function writeName(target: Buffer, offset: number, name: number): void {
  let rest = name;
  for (let at = offset + nameDigits - 1; at >= offset; at -= 1) {
    const next = Math.floor(rest / 10);
    target[at] = 48 + (rest - next * 10);
    rest = next;
  }
}

/** The body of every blob of a size: noise from a fixed seed, whose first ten bytes each blob replaces by its name. */
export function bodyOf(sizeBytes: number): Buffer {
  const known = bodies.get(sizeBytes);
  if (known !== undefined) return known;
  const body = Buffer.alloc(sizeBytes, nameHole);
  const random = makeRandom(sizeBytes + 1);
  for (let at = nameDigits; at + 4 <= sizeBytes; at += 4) body.writeUInt32LE(random(), at);
  bodies.set(sizeBytes, body);
  return body;
}

/** xorshift32: repeatable, and cheap enough to call for every request. */
export function makeRandom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** Nine ASCII bytes make twelve base64 characters without padding or anything that a URL would escape. */
export function blockId(index: number): string {
  return Buffer.from(`blk${String(index).padStart(6, '0')}`).toString('base64');
}

export function blockListBody(blocks: number): Buffer {
  const latest: string[] = [];
  for (let index = 0; index < blocks; index += 1) latest.push(`<Latest>${blockId(index)}</Latest>`);
  return Buffer.from(`<?xml version="1.0" encoding="utf-8"?><BlockList>${latest.join('')}</BlockList>`);
}
