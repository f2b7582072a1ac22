// A copy's source on another server: asked for over HTTP, taken at the pace of the disk, resumed where it is cut.
import { Agent, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps, Agent as SecureAgent } from 'node:https';
import type { HttpRange } from '../../codec/http-range.ts';
import { readXml, xmlChild, xmlChildText } from '../../codec/xml-read.ts';
import { BodyCutError } from '../http/body.ts';
import type { BlobCall } from './call.ts';
import { BlobError, isErrorCode } from './errors.ts';
import { contentHeaders, metadata, readConditions, tags, wholeNumber } from './headers-in.ts';
import type { Headers } from './request.ts';
import { type Copied, cannotVerifySource, notVerified } from './source.ts';
import type { RemoteAddress } from './source-address.ts';

export interface RemoteSource extends Disposable {
  /** Of what is taken, the range or the whole: exactly so many bytes come, or the reader throws. */
  readonly length: number;
  /** What the target inherits. Of a range it is without the sum. */
  readonly properties: Copied;
  readonly chunks: AsyncIterable<Uint8Array>;
}

const headerBytesMax = 64 * 1024;
const tagBytesMax = 64 * 1024;
const resumesMax = 4;
const resumeDelayMs = 200;

// Small sources in great number would otherwise make a connection each.
const idleConnections = { keepAlive: true, maxFreeSockets: 16 };
const agents = { 'http:': new Agent(idleConnections), 'https:': new SecureAgent(idleConnections) };

/** Within `stallTimeoutMs` nothing came. */
class LateError extends Error {}

const conditionNames = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'] as const;

/**
 * Asks for a source, under the request's conditions for it, and waits for the head of the answer. Whatever the other
 * server does is a `BlobError` to the client: what it refuses with, with its status; what it breaks off, as a source that
 * could not be verified. Redirects are not followed: where they lead nobody has allowed.
 */
export async function openRemote(
  call: BlobCall,
  address: RemoteAddress,
  wanted: { readonly range: HttpRange; readonly lengthMax: number },
  gone: AbortSignal,
): Promise<RemoteSource> {
  const asked = await ask(call, address, { ...sourceConditions(call), ...rangeHeaders(wanted.range) }, gone);
  try {
    if (asked.statusCode === 416 && wanted.range.kind === 'range') throw new BlobError('InvalidRange');
    const { start, length } = extentOf(asked, wanted.range);
    if (length > wanted.lengthMax) throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${wanted.lengthMax}` });
    const source = new Transfer(call, address, asked, start, length, gone);
    return {
      length,
      properties: propertiesOf(asked, length),
      chunks: source,
      [Symbol.dispose]: () => source.end(),
    };
  } catch (error) {
    asked.destroy();
    throw error;
  }
}

/** Get Blob Tags of the source: its other answers only count them. */
export async function remoteTags(
  call: BlobCall,
  address: RemoteAddress,
  gone: AbortSignal,
): Promise<Readonly<Record<string, string>> | undefined> {
  const path = `${address.path}${address.path.includes('?') ? '&' : '?'}comp=tags`;
  const answer = await ask(call, { ...address, path }, {}, gone);
  try {
    if (answer.statusCode !== 200) throw refusal(answer);
    const chunks: Buffer[] = [];
    let bytes = 0;
    const reader = new ChunkReader(answer, call.settings.stallTimeoutMs);
    for (;;) {
      const next = await reader.next();
      if (next.kind === 'cut') throw cutOff(next.error, gone);
      if (next.kind === 'end') break;
      bytes += next.bytes.length;
      if (bytes > tagBytesMax) throw unusable(answer, 'The tags of the copy source are too long.');
      chunks.push(next.bytes);
    }
    const parsed = readXml(Buffer.concat(chunks), tagBytesMax);
    const set = parsed.kind === 'ok' ? xmlChild(parsed.root, 'TagSet') : undefined;
    if (set === undefined) throw unusable(answer, 'The tags of the copy source cannot be understood.');
    const pairs = set.children.map((tag) => [xmlChildText(tag, 'Key') ?? '', xmlChildText(tag, 'Value') ?? '']);
    return understood(answer, () => tags({ 'x-ms-tags': new URLSearchParams(pairs).toString() }));
  } finally {
    answer.destroy();
  }
}

/** The bytes of an answer. Cut off, they are asked for from there on, as long as the source is still the same. */
class Transfer implements AsyncIterable<Uint8Array> {
  readonly #call: BlobCall;
  readonly #address: RemoteAddress;
  readonly #start: number;
  readonly #length: number;
  readonly #gone: AbortSignal;
  readonly #etag: string | undefined;
  #answer: IncomingMessage;

  constructor(
    call: BlobCall,
    address: RemoteAddress,
    answer: IncomingMessage,
    start: number,
    length: number,
    gone: AbortSignal,
  ) {
    this.#call = call;
    this.#address = address;
    this.#answer = answer;
    this.#start = start;
    this.#length = length;
    this.#gone = gone;
    const { etag } = answer.headers;
    this.#etag = etag?.startsWith('"') ? etag : undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      const { stallTimeoutMs } = this.#call.settings;
      let reader = new ChunkReader(this.#answer, stallTimeoutMs);
      let at = 0;
      for (let resumes = 0; ; ) {
        const next = await reader.next();
        if (next.kind === 'chunk') {
          at += next.bytes.length;
          yield next.bytes;
        } else if (next.kind === 'end') {
          if (at !== this.#length) throw cutOff(undefined, this.#gone);
          return;
        } else {
          if (this.#etag === undefined || resumes === resumesMax || this.#gone.aborted) {
            throw cutOff(next.error, this.#gone);
          }
          await this.#call.store.clock.sleep(resumeDelayMs * 2 ** resumes++, this.#gone);
          if (await this.#resume(at, this.#etag)) reader = new ChunkReader(this.#answer, stallTimeoutMs);
        }
      }
    } finally {
      this.end();
    }
  }

  end(): void {
    if (!this.#answer.readableEnded) this.#answer.destroy();
  }

  /** False if there was no answer, so that another attempt may get one; what is not the rest of the same is an end. */
  async #resume(at: number, etag: string): Promise<boolean> {
    this.end();
    const range = { kind: 'range', start: this.#start + at, end: this.#start + this.#length - 1 } as const;
    const headers = { ...rangeHeaders(range), 'If-Match': etag };
    const answer = await ask(this.#call, this.#address, headers, this.#gone).catch(() => undefined);
    if (answer === undefined) return false;
    this.#answer = answer;
    if (extentOf(answer, range).length !== this.#length - at) throw cutOff(undefined, this.#gone);
    return true;
  }
}

type Chunk =
  | { readonly kind: 'chunk'; readonly bytes: Buffer }
  | { readonly kind: 'end' }
  | { readonly kind: 'cut'; readonly error: unknown };

/** One chunk at a time; silence counts only while somebody waits for one. */
class ChunkReader {
  readonly #answer: IncomingMessage;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #stallTimeoutMs: number;
  #cut: Chunk | undefined;

  constructor(answer: IncomingMessage, stallTimeoutMs: number) {
    this.#answer = answer;
    this.#chunks = answer[Symbol.asyncIterator]();
    this.#stallTimeoutMs = stallTimeoutMs;
  }

  async next(): Promise<Chunk> {
    if (this.#cut !== undefined) return this.#cut;
    const timer = setTimeout(() => this.#answer.destroy(new LateError()), this.#stallTimeoutMs);
    try {
      const { done, value } = await this.#chunks.next();
      return done === true ? { kind: 'end' } : { kind: 'chunk', bytes: value };
    } catch (error) {
      this.#cut = { kind: 'cut', error };
      return this.#cut;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The head of an answer, whatever it says. */
async function ask(
  call: BlobCall,
  address: RemoteAddress,
  headers: Readonly<Record<string, string>>,
  gone: AbortSignal,
): Promise<IncomingMessage> {
  const authorization = call.headers['x-ms-copy-source-authorization'];
  const sent = {
    'User-Agent': 'Causeway',
    'x-ms-version': call.version,
    'x-ms-client-request-id': call.requestId,
    ...(authorization !== undefined && { Authorization: authorization }),
    ...headers,
  };
  const { stallTimeoutMs } = call.settings;
  try {
    try {
      return await askOnce(address, sent, stallTimeoutMs, gone, true);
    } catch (error) {
      // The other end may close an idle connection just when it is used again.
      if (!(error instanceof StaleConnectionError)) throw error;
      return await askOnce(address, sent, stallTimeoutMs, gone, false);
    }
  } catch (error) {
    throw unreached(error, gone);
  }
}

class StaleConnectionError extends Error {}

function askOnce(
  address: RemoteAddress,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
  gone: AbortSignal,
  reuse: boolean,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const { protocol } = address;
  const start = protocol === 'https:' ? requestHttps : requestHttp;
  const agent = reuse ? agents[protocol] : false;
  const request = start({ ...address, headers, agent, signal: gone, maxHeaderSize: headerBytesMax });
  const timer = setTimeout(() => request.destroy(new LateError()), timeoutMs);
  // It stays: what a server sends behind its answer is an error of a request that is over.
  request.on('error', (error) => {
    clearTimeout(timer);
    const isStale = request.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
    reject(isStale ? new StaleConnectionError() : error);
  });
  request.once('response', (answer) => {
    clearTimeout(timer);
    // Who reads is told; before that, and after it, it concerns nobody.
    answer.on('error', () => undefined);
    resolve(answer);
  });
  request.end();
  return promise;
}

function sourceConditions(call: BlobCall): Record<string, string> {
  // Parsed for the sake of refusing what is malformed, as for a source that lies here.
  readConditions(call.headers, 'x-ms-source-');
  const headers: Record<string, string> = {};
  for (const name of conditionNames) {
    const value = call.headers[`x-ms-source-${name}`];
    if (value !== undefined && value !== '') headers[name] = value;
  }
  return headers;
}

/** Blob servers take `x-ms-range`, any other `Range`. */
function rangeHeaders(range: HttpRange): Record<string, string> {
  if (range.kind === 'none') return {};
  const text = `bytes=${range.start}-${range.end ?? ''}`;
  return { 'x-ms-range': text, Range: text };
}

/** What the answer says it brings, if that is what was asked for. */
function extentOf(answer: IncomingMessage, range: HttpRange): { readonly start: number; readonly length: number } {
  if (answer.statusCode !== (range.kind === 'none' ? 200 : 206)) throw refusal(answer);
  const length = Number(answer.headers['content-length'] ?? Number.NaN);
  if (!Number.isSafeInteger(length)) throw unusable(answer, 'The copy source does not tell its length.');
  if (range.kind === 'none') return { start: 0, length };
  const [, first, last] = /^bytes (\d{1,16})-(\d{1,16})\/\d{1,16}$/.exec(answer.headers['content-range'] ?? '') ?? [];
  const isAsked =
    Number(first) === range.start &&
    Number(last) === range.start + length - 1 &&
    (range.end === undefined || Number(last) <= range.end);
  if (!isAsked) throw unusable(answer, 'The copy source answered with another range.');
  return { start: range.start, length };
}

function propertiesOf(answer: IncomingMessage, length: number): Copied {
  const headers = answer.headers as Headers;
  const type = headers['x-ms-blob-type'] ?? 'BlockBlob';
  const isWhole = answer.statusCode === 200;
  const given = { ...headers, 'x-ms-blob-content-md5': isWhole ? headers['content-md5'] : undefined };
  return understood(answer, () => ({
    ...natureOf(type, headers),
    length,
    headers: contentHeaders(given, true),
    metadata: metadata(answer.rawHeaders),
  }));
}

function natureOf(type: string, headers: Headers): Pick<Copied, 'type' | 'sequence' | 'appendedBlocks' | 'isSealed'> {
  switch (type) {
    case 'AppendBlob':
      return {
        type: 'append',
        appendedBlocks: wholeNumber(headers, 'x-ms-blob-committed-block-count') ?? 1,
        ...(headers['x-ms-blob-sealed'] === 'true' && { isSealed: true }),
      };
    case 'PageBlob':
      return { type: 'page', sequence: wholeNumber(headers, 'x-ms-blob-sequence-number') ?? 0 };
    default:
      return { type: 'block' };
  }
}

/** What parses a client's headers refuses them as the client's; these are the source's. */
function understood<T>(answer: IncomingMessage, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof BlobError ? unusable(answer, error.message) : error;
  }
}

function refusal(answer: IncomingMessage): BlobError {
  const status = answer.statusCode as number;
  const code = answer.headers['x-ms-error-code'];
  const given = typeof code === 'string' && /^\w{1,64}$/.test(code) ? code : undefined;
  const message =
    given !== undefined && isErrorCode(given)
      ? new BlobError(given).message
      : `The copy source answered with the status ${status}.`;
  if (status < 400 && status !== 304) return unusable(answer, message);
  return cannotVerifySource({ status, errorCode: given, message });
}

/** An answer that is no refusal, and no source either. */
function unusable(answer: IncomingMessage, message: string): BlobError {
  return cannotVerifySource({ status: answer.statusCode as number, errorCode: undefined, message }, 409);
}

/** Azure: 409 for what is not reached, 500 for what takes too long, which clients try again. */
function unreached(error: unknown, gone: AbortSignal): Error {
  if (error instanceof LateError || gone.aborted) return cutOff(error, gone);
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  return new BlobError('CannotVerifyCopySource', {}, `Could not verify copy source (${code}).`, {}, 409);
}

function cutOff(error: unknown, gone: AbortSignal): Error {
  if (gone.aborted) return new BodyCutError('the client went away while its source was copied');
  const message = error instanceof LateError ? notVerified : 'The copy source ended before its content was whole.';
  return new BlobError('CannotVerifyCopySource', {}, message, {}, 500);
}
