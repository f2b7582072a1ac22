// An answer as a value, and how it goes out: headers once, a body at the pace of its reader.
import { type ServerResponse, STATUS_CODES } from 'node:http';

/** A chunk of a body that is made while it is sent; `release` is called when the kernel has it. */
export interface AnswerChunk {
  readonly bytes: Buffer;
  release(): void;
}

export interface Answer {
  readonly status: number;
  /** What stands behind the status on the wire; absent: the standard phrase. */
  readonly reason?: string | undefined;
  /** Names as they go out, with their values; an undefined value leaves the header out. */
  readonly headers: Record<string, string | number | undefined>;
  /** Of a body whose length nobody knows yet, `length` is undefined: it goes out in chunks. */
  readonly body?:
    | string
    | Buffer
    | { readonly length: number | undefined; readonly chunks: AsyncIterable<AnswerChunk> };
}

/** Of a body; where an error's body stays away they would tell of something that never comes. */
const ofBody: ReadonlySet<string> = new Set(['Content-Type', 'Content-Length']);
const isFailed = (status: number): boolean => status >= 300;

/** Status line and headers. `length`: of the body, where its headers do not say it and the status lets it have one. */
function writeHead(response: ServerResponse, answer: Answer, withBody: boolean, length: number | undefined): void {
  const { status, reason = STATUS_CODES[status] ?? 'Unknown' } = answer;
  const isBare = !withBody && isFailed(status);
  const headers: (string | number)[] = [];
  for (const name in answer.headers) {
    const value = answer.headers[name];
    if (value !== undefined && !(isBare && ofBody.has(name))) headers.push(name, value);
  }
  const isSaid = answer.headers['Content-Length'] !== undefined || status === 204 || status === 304;
  if (length !== undefined && !isSaid && !isBare) headers.push('Content-Length', length);
  response.writeHead(status, reason, headers as never);
}

/** How much of a body went out, and why there was no more of it. */
export interface Sent {
  readonly bytes: number;
  readonly failure?: unknown;
}

/**
 * Sends the answer; resolves when it is out or its reader is gone. A body that fails before its first bytes rejects, and
 * nothing has been sent; one that fails later is cut, for the status is out, and its failure is told.
 */
export async function send(response: ServerResponse, answer: Answer, withBody: boolean): Promise<Sent> {
  const { body } = answer;
  if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) {
    const bytes = body === undefined ? 0 : Buffer.byteLength(body);
    writeHead(response, answer, withBody, bytes);
    response.end(withBody ? body : undefined);
    return { bytes: withBody ? bytes : 0 };
  }
  if (!withBody) {
    writeHead(response, answer, withBody, body.length);
    response.end();
    return { bytes: 0 };
  }
  const chunks = body.chunks[Symbol.asyncIterator]();
  const first = await chunks.next();
  try {
    writeHead(response, answer, withBody, body.length);
  } catch (error) {
    if (first.done !== true) first.value.release();
    await chunks.return?.();
    throw error;
  }
  return await sendChunks(response, first, chunks);
}

/**
 * Sends a refusal while its request's body is still coming: a sender that looks up sees it at once, and one that does
 * not is read to its end by `rest`, so that it sees an answer and not a reset. False from `rest`: the connection ends.
 */
export async function sendAhead(
  response: ServerResponse,
  answer: Answer & { readonly body?: string | Buffer },
  withBody: boolean,
  rest: () => Promise<boolean>,
): Promise<number> {
  const { body = '' } = answer;
  writeHead(response, answer, withBody, Buffer.byteLength(body));
  if (withBody && body.length > 0) response.write(body);
  else response.flushHeaders();
  if (await rest()) response.end();
  else response.destroy();
  return withBody ? Buffer.byteLength(body) : 0;
}

async function sendChunks(
  response: ServerResponse,
  first: IteratorResult<AnswerChunk, unknown>,
  chunks: AsyncIterator<AnswerChunk, unknown>,
): Promise<Sent> {
  let bytes = 0;
  try {
    for (let next = first; next.done !== true; next = await chunks.next()) {
      const chunk = next.value;
      if (response.destroyed) {
        chunk.release();
        await chunks.return?.();
        break;
      }
      bytes += chunk.bytes.length;
      const room = response.write(chunk.bytes, () => chunk.release());
      if (!room) await drained(response);
    }
    if (!response.destroyed) response.end();
    return { bytes };
  } catch (failure) {
    // The status is out: only a cut connection can tell the reader that the rest is missing.
    response.destroy();
    return { bytes, failure };
  }
}

function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed || !response.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}
