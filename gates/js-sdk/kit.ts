// What every check of this gate works with: the SDK, a client that remembers its last exchanges, and assertions on answers.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import type { ServerAccess } from '../gate.ts';
import type { Manager } from '../manage.ts';

// biome-ignore lint/suspicious/noExplicitAny: the gate installs the SDK itself, so its types are not there when the project is checked
export type Sdk = any;

/** One check: throws to fail; a returned string becomes the row's detail. */
// biome-ignore lint/suspicious/noConfusingVoidType: a check that returns nothing is the usual one
export type Check = (kit: Kit) => Promise<string | void>;
export type Checks = Readonly<Record<string, Check>>;

export interface Kit {
  readonly sdk: Sdk;
  readonly access: ServerAccess;
  /** Path-style address of the account, without a slash at its end. */
  readonly endpoint: string;
  readonly workDir: string;
  /** Of the server, where a check changes settings of its containers. */
  readonly manager: Manager | undefined;
  readonly credential: Sdk;
  /** A service client with Shared Key and no retries. */
  readonly service: Sdk;
  /** The same for another credential, or with headers changed before the request is signed. */
  connect(options?: ConnectOptions): Sdk;
  /** A blob client of a full URL (with a SAS), without a credential. */
  blobAt(url: string): Sdk;
  containerAt(url: string): Sdk;
  /** A container of this check's own; removed at the end. */
  container(options?: object): Promise<Sdk>;
  /** A name that no other check uses. */
  name(prefix?: string): string;
  /** The last exchanges, for the failed row's detail. */
  trace(): string;
  /** The answer's headers of the last exchange. */
  last(): Exchange;
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly credential?: Sdk;
  readonly edit?: (request: Sdk) => void;
  readonly endpoint?: string;
  readonly pipeline?: object;
}

export interface Exchange {
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly header: (name: string) => string | undefined;
}

const exchangesKept = 3;

export function makeKit(sdk: Sdk, access: ServerAccess, workDir: string, manager?: Manager): Kit {
  const endpoint = `${access.blob}/${access.account}`;
  const credential = new sdk.StorageSharedKeyCredential(access.account, access.key);
  const exchanges: Exchange[] = [];
  const containers: Sdk[] = [];

  const pipeline = (options: ConnectOptions): Sdk => {
    const made = sdk.newPipeline(options.credential ?? credential, {
      retryOptions: { maxTries: 1 },
      keepAliveOptions: { enable: true },
      ...options.pipeline,
    });
    made.factories.unshift({
      create: (next: Sdk) => ({
        async sendRequest(request: Sdk) {
          options.edit?.(request);
          const note = (answer: Sdk): void => {
            exchanges.push({
              method: request.method,
              url: request.url,
              status: answer?.status ?? 0,
              header: (name) => answer?.headers.get(name) ?? undefined,
            });
            if (exchanges.length > exchangesKept) exchanges.shift();
          };
          try {
            const answer = await next.sendRequest(request);
            note(answer);
            return answer;
          } catch (error) {
            note((error as Sdk).response);
            throw error;
          }
        },
      }),
    });
    return made;
  };
  const connect = (options: ConnectOptions = {}): Sdk =>
    new sdk.BlobServiceClient(options.endpoint ?? endpoint, pipeline(options));
  const anonymous = (): Sdk => pipeline({ credential: new sdk.AnonymousCredential() });
  const service = connect();
  const name = (prefix = 'c'): string => `${prefix}-${randomBytes(8).toString('hex')}`;
  return {
    sdk,
    access,
    endpoint,
    workDir,
    manager,
    credential,
    service,
    connect,
    name,
    blobAt: (url) => new sdk.BlockBlobClient(url, anonymous()),
    containerAt: (url) => new sdk.ContainerClient(url, anonymous()),
    async container(options) {
      const container = service.getContainerClient(name('gate'));
      await container.create(options);
      containers.push(container);
      return container;
    },
    trace: () =>
      exchanges
        .map(({ method, url, status, header }) => {
          const path = url.slice(url.indexOf('/', 8)).replace(/^\/[^/?]+/, '');
          return `${method} ${path} -> ${status} ${header('x-ms-error-code') ?? ''}`.trim();
        })
        .join('; '),
    last: () => {
      const exchange = exchanges.at(-1);
      assert(exchange, 'no request was made');
      return exchange;
    },
    async close() {
      // A container that a check has deleted or leased is not worth a failure.
      for (const container of containers) await container.delete().catch(() => {});
    },
  };
}

/** The work must be refused with this status and one of these codes, in the header and (but for HEAD and 304) in the body. */
export async function refused(
  work: Promise<unknown> | (() => Promise<unknown>),
  status: number,
  ...codes: readonly string[]
): Promise<Sdk> {
  let error: Sdk;
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (caught) {
    error = caught;
  }
  assert(error, `was accepted, not refused with ${status} ${codes.join('|')}`);
  if (error.statusCode === undefined) throw error;
  const header: string | undefined = error.response?.headers?.get('x-ms-error-code');
  const got = `${error.statusCode} ${header}`;
  const wanted = `${status} ${codes.join('|')}`;
  assert.equal(error.statusCode, status, `answered ${got}, not ${wanted}`);
  if (codes.length > 0) assert(header && codes.includes(header), `answered ${got}, not ${wanted}`);
  assert(error.response.headers.get('x-ms-request-id'), `${got} without x-ms-request-id`);
  const body: string = error.response.bodyAsText ?? '';
  if (error.request?.method === 'HEAD' || status === 304) {
    assert.equal(body, '', `${got} with a body`);
  } else if (header) {
    assert.match(
      body,
      new RegExp(`<Code>${header}</Code>\\s*<Message>[^<]+`),
      `the body of ${got} says ${body.slice(0, 120)}`,
    );
  }
  return error;
}

/** Bytes that differ at every offset of interest and from seed to seed. */
export function bytes(length: number, seed = 1): Buffer {
  const made = Buffer.allocUnsafe(length);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let at = 0; at < length; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    made[at] = state & 0xff;
  }
  return made;
}

export const md5 = (data: Uint8Array): Buffer => createHash('md5').update(data).digest();

export function same(got: Uint8Array, wanted: Uint8Array, what = 'content'): void {
  assert.equal(got.length, wanted.length, `${what}: ${got.length} bytes, not ${wanted.length}`);
  const at = got.findIndex((byte, index) => byte !== wanted[index]);
  assert.equal(at, -1, `${what} differs at byte ${at}`);
}

/** Names the wrong field and both values, in one line. */
export function fields(got: Sdk, wanted: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(wanted)) {
    assert.deepEqual(plain(got[name]), plain(value), `${name} is ${show(got[name])}, not ${show(value)}`);
  }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export async function readAll(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  return Buffer.concat(await collect(stream));
}

export async function put(
  container: Sdk,
  name: string,
  content: string | Uint8Array = 'x',
  options = {},
): Promise<Sdk> {
  const blob = container.getBlockBlobClient(name);
  const data = typeof content === 'string' ? Buffer.from(content) : content;
  await blob.upload(data, data.length, options);
  return blob;
}

export async function text(blob: Sdk, offset?: number, count?: number): Promise<string> {
  return (await blob.downloadToBuffer(offset ?? 0, count)).toString();
}

export const blockId = (number: number): string => Buffer.from(String(number).padStart(6, '0')).toString('base64');
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
export const inMinutes = (minutes: number): Date => new Date(Date.now() + minutes * 60_000);

function plain(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

function show(value: unknown): string {
  return JSON.stringify(plain(value)) ?? 'undefined';
}
