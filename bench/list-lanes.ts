// The lanes that walk List pages, and that stage and commit block lists.
import type { NameSet } from './job.ts';
import { type JobState, Lane, type Request } from './lane.ts';
import { blockId, blockListBody, bodyOf, head } from './request.ts';

/** What is kept of a List page that is not checked whole: its end, where the marker stands. */
const tailBytes = 4096;

/** Walks a container by pages, from the start again at its end. The first walk has its names counted, later ones their pages. */
export class ListLane extends Lane {
  readonly #pageSize: number;
  readonly #names: NameSet;
  #page = Buffer.allocUnsafe(8 * 1024 * 1024);
  #kept = 0;
  #marker = '';
  #firstWalk = true;
  #seen = 0;
  #pages = 0;
  #pagesExpected = 0;

  constructor(state: JobState, index: number, pageSize: number, names: NameSet) {
    super(state, index);
    this.#pageSize = pageSize;
    this.#names = names;
  }

  override next(): Request | undefined {
    this.#kept = 0;
    const query = `restype=container&comp=list&maxresults=${this.#pageSize}`;
    const marker = this.#marker === '' ? '' : `&marker=${encodeURIComponent(this.#marker)}`;
    const first = head(this.state.job, 'GET', `/${this.#names.container}`, query + marker, '');
    return { first, rest: undefined, bytes: 0 };
  }

  override body(chunk: Buffer, start: number, end: number): void {
    if (!this.#firstWalk) {
      // Moving the kept end to the front costs less than copying the whole page.
      const excess = this.#kept + end - start - tailBytes;
      if (end - start >= tailBytes) {
        this.#kept = chunk.copy(this.#page, 0, end - tailBytes, end);
        return;
      }
      if (excess > 0) {
        this.#page.copyWithin(0, excess, this.#kept);
        this.#kept -= excess;
      }
    }
    if (this.#kept + end - start > this.#page.length) this.#page = Buffer.concat([this.#page], this.#page.length * 2);
    this.#kept += chunk.copy(this.#page, this.#kept, start, end);
  }

  override judge(status: number): string | undefined {
    if (status !== 200) return `List answered ${status}`;
    const page = this.#page.subarray(0, this.#kept);
    this.#marker =
      /<NextMarker>([^<]+)<\/NextMarker>/.exec(page.toString('latin1', Math.max(0, page.length - 2000)))?.[1] ?? '';
    this.#pages += 1;
    if (this.#firstWalk) {
      const names = countNames(page);
      this.#seen += names;
      if (this.#marker !== '' && names !== this.#pageSize)
        return `a List page held ${names} names, not ${this.#pageSize}`;
    }
    if (this.#marker !== '') return undefined;
    const pages = this.#pages;
    this.#pages = 0;
    if (!this.#firstWalk) {
      return pages >= this.#pagesExpected ? undefined : `a List walk had ${pages} pages, not ${this.#pagesExpected}`;
    }
    this.#firstWalk = false;
    this.#pagesExpected = pages;
    return this.#seen >= this.#names.count
      ? undefined
      : `a List walk found ${this.#seen} names of ${this.#names.count}`;
  }

  override moved(_request: Request, lengthBytes: number): number {
    return lengthBytes;
  }
}

function countNames(page: Buffer): number {
  let names = 0;
  for (let at = page.indexOf('<Name>'); at !== -1; at = page.indexOf('<Name>', at + 100)) names += 1;
  return names;
}

export class BlockListLane extends Lane {
  readonly #request: Request;

  constructor(state: JobState, index: number, blocks: number) {
    super(state, index);
    const { job } = state;
    const body = blockListBody(blocks);
    const path = `/${job.container}/${blockBlobName(index)}`;
    const headers = `Content-Type: application/xml\r\nContent-Length: ${body.length}\r\n`;
    const first = Buffer.concat([head(job, 'PUT', path, 'comp=blocklist', headers), body]);
    this.#request = { first, rest: undefined, bytes: body.length };
  }

  override next(): Request | undefined {
    return this.#request;
  }

  override judge(status: number): string | undefined {
    return status === 201 ? undefined : `Put Block List answered ${status}`;
  }
}

export class StageLane extends Lane {
  readonly #blocks: number;
  readonly #body: Buffer;
  readonly #path: string;
  #block = 0;

  constructor(state: JobState, index: number, blocks: number, blockBytes: number) {
    super(state, index);
    this.#blocks = blocks;
    this.#body = bodyOf(blockBytes);
    this.#path = `/${state.job.container}/${blockBlobName(index)}`;
  }

  override next(): Request | undefined {
    const block = this.#block;
    this.#block += 1;
    if (block > this.#blocks) return undefined;
    const last = block === this.#blocks;
    const body = last ? blockListBody(this.#blocks) : this.#body;
    const query = last ? 'comp=blocklist' : `comp=block&blockid=${blockId(block)}`;
    const first = head(this.state.job, 'PUT', this.#path, query, `Content-Length: ${body.length}\r\n`);
    return { first: Buffer.concat([first, body]), rest: undefined, bytes: body.length };
  }

  override judge(status: number): string | undefined {
    return status === 201 ? undefined : `staging answered ${status}`;
  }
}

function blockBlobName(lane: number): string {
  return `blocks-${lane}`;
}
