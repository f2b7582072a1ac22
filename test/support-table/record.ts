// Listens to handlers: which headers and parameters of a request they ask for, and which headers they answer with.

import { serviceCall, type TestRequest, type TestSurface, testAccount } from '../../src/surfaces/blob/call.testing.ts';
import type { BlobCall, Call, ContainerCall } from '../../src/surfaces/blob/call.ts';
import { refuseEncryption } from '../../src/surfaces/blob/encryption-headers.ts';
import { BlobError } from '../../src/surfaces/blob/errors.ts';
import { findOperation } from '../../src/surfaces/blob/find-operation.ts';
import { refuseUnsupported } from '../../src/surfaces/blob/headers-in.ts';
import { parseQuery } from '../../src/surfaces/blob/request.ts';
import type { Answer } from '../../src/surfaces/http/answer.ts';

export interface Heard {
  readonly headersRead: Set<string>;
  readonly queryRead: Set<string>;
  readonly headersSent: Set<string>;
  /** One request that was answered with success, to be sent again with something more. */
  succeeded: Asked | undefined;
  readonly codes: Set<string>;
}

export interface Asked extends TestRequest {
  readonly more?: Partial<Call>;
}

export interface Outcome {
  readonly status: number;
  readonly code: string | undefined;
  readonly headers: Answer['headers'];
}

export class Listener {
  readonly heard = new Map<string, Heard>();
  readonly #surface: TestSurface;

  constructor(surface: TestSurface) {
    this.#surface = surface;
  }

  of(operation: string): Heard {
    let heard = this.heard.get(operation);
    if (heard === undefined) {
      const sets = { headersRead: new Set<string>(), queryRead: new Set<string>(), headersSent: new Set<string>() };
      heard = { ...sets, codes: new Set(), succeeded: undefined };
      this.heard.set(operation, heard);
    }
    return heard;
  }

  /** One request, past authentication: straight to what the table of operations says serves it. */
  async ask(asked: Asked): Promise<Outcome> {
    const call: Call = { ...serviceCall(this.#surface, asked), ...asked.more };
    const operation = findOperation(call);
    const heard = this.of(operation.name);
    const listened = listen({ ...call, openSource: async (url) => localSource(url) }, heard);
    try {
      refuseUnsupported(call.headers, operation.name);
      refuseEncryption(operation.name, call.headers);
      // What tells operations apart counts as read, too.
      findOperation(listened);
      const answer = await operation.handle(listened as BlobCall & ContainerCall);
      for (const name in answer.headers) {
        if (answer.headers[name] === undefined) continue;
        heard.headersSent.add(name.startsWith('x-ms-meta-') ? 'x-ms-meta-name' : name.toLowerCase());
      }
      await readAll(answer);
      heard.succeeded ??= asked;
      return { status: answer.status, code: undefined, headers: answer.headers };
    } catch (error) {
      if (!(error instanceof BlobError)) throw error;
      heard.codes.add(error.errorCode);
      for (const name in error.headers) heard.headersSent.add(name.toLowerCase());
      return { status: error.status, code: error.errorCode, headers: {} };
    }
  }
}

function listen(call: Call, { headersRead, queryRead }: Heard): Call {
  const headers = new Proxy(call.headers, {
    get: (target, name: string) => {
      headersRead.add(name);
      return target[name];
    },
    has: (target, name: string) => {
      headersRead.add(name);
      return name in target;
    },
  });
  const query = new Map(call.query);
  query.get = (name) => {
    queryRead.add(name);
    return Map.prototype.get.call(query, name);
  };
  query.has = (name) => {
    queryRead.add(name);
    return Map.prototype.has.call(query, name);
  };
  return Object.defineProperty({ ...call, headers, query }, 'rawHeaders', {
    enumerable: true,
    get: () => {
      headersRead.add('x-ms-meta-name');
      return call.rawHeaders;
    },
  });
}

function localSource(url: string): Awaited<ReturnType<Call['openSource']>> {
  const { pathname, search } = new URL(url);
  const [, account = '', container = '', ...name] = pathname.split('/').map(decodeURIComponent);
  if (account !== testAccount) throw new BlobError('InvalidSourceBlobUrl');
  const snapshot = parseQuery(search.slice(1)).get('snapshot')?.[0];
  const at = snapshot === undefined ? {} : { at: { kind: 'snapshot', time: snapshot } as const };
  return { kind: 'local', account, container, blob: name.join('/'), ...at };
}

async function readAll({ body }: Answer): Promise<void> {
  if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) return;
  for await (const { release } of body.chunks) release();
}
