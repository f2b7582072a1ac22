// A bare client of the Blob API over one keep-alive agent: what is sent is what a test says, nothing is retried.
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { accountSas, developmentAccount, developmentKey } from './sas.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Call {
  readonly method: 'GET' | 'PUT' | 'DELETE' | 'HEAD';
  readonly path: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

const answerTimeoutMs = 60_000;

export class BlobClient {
  readonly account = developmentAccount;
  readonly #base: URL;
  readonly #sas: string;
  readonly #agent: Agent;

  constructor(blobUrl: string, sockets: number) {
    this.#base = new URL(blobUrl);
    this.#sas = accountSas(developmentAccount, developmentKey, new Date(Date.now() + 24 * 3600 * 1000));
    this.#agent = new Agent({ keepAlive: true, maxSockets: sockets });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** The address of a path with its SAS: a copy's source. */
  url(path: string): string {
    return `${this.#base.origin}/${this.account}/${encodePath(path)}?${this.#sas}`;
  }

  call(call: Call): Promise<Answer> {
    const query = call.query === undefined ? this.#sas : `${call.query}&${this.#sas}`;
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: this.#base.hostname,
          port: this.#base.port,
          agent: this.#agent,
          method: call.method,
          path: `/${this.account}/${encodePath(call.path)}?${query}`,
          headers: { 'x-ms-version': '2022-11-02', 'content-length': call.body?.length ?? 0, ...call.headers },
        },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.on('error', reject);
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }),
          );
        },
      );
      sent.setTimeout(answerTimeoutMs, () => sent.destroy(new Error(`no answer in ${answerTimeoutMs} ms`)));
      sent.on('error', reject);
      sent.end(call.body);
    });
  }

  createContainer(container: string): Promise<Answer> {
    return this.call({ method: 'PUT', path: container, query: 'restype=container' });
  }

  putBlob(path: string, body: Buffer, tag: string): Promise<Answer> {
    return this.call({ method: 'PUT', path, headers: { 'x-ms-blob-type': 'BlockBlob', 'x-ms-meta-tag': tag }, body });
  }

  putBlock(path: string, id: string, body: Buffer): Promise<Answer> {
    return this.call({ method: 'PUT', path, query: `comp=block&blockid=${encodeURIComponent(id)}`, body });
  }

  putBlockList(path: string, ids: readonly string[], tag: string): Promise<Answer> {
    const latest = ids.map((id) => `<Latest>${id}</Latest>`).join('');
    const body = Buffer.from(`<?xml version="1.0" encoding="utf-8"?><BlockList>${latest}</BlockList>`);
    return this.call({ method: 'PUT', path, query: 'comp=blocklist', headers: { 'x-ms-meta-tag': tag }, body });
  }

  getUncommittedBlocks(path: string): Promise<Answer> {
    return this.call({ method: 'GET', path, query: 'comp=blocklist&blocklisttype=uncommitted' });
  }

  setMetadata(path: string, tag: string): Promise<Answer> {
    return this.call({ method: 'PUT', path, query: 'comp=metadata', headers: { 'x-ms-meta-tag': tag } });
  }

  copyBlob(path: string, source: string): Promise<Answer> {
    return this.call({ method: 'PUT', path, headers: { 'x-ms-copy-source': this.url(source) } });
  }

  getBlob(path: string, range?: string): Promise<Answer> {
    return this.call({ method: 'GET', path, headers: range === undefined ? {} : { 'x-ms-range': range } });
  }

  deleteBlob(path: string): Promise<Answer> {
    return this.call({ method: 'DELETE', path });
  }
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
