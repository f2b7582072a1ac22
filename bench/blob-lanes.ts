// The lanes that put, get and delete blobs by name.
import { crc32 } from 'node:zlib';
import type { Job, NameSet } from './job.ts';
import { type JobState, Lane, type Request } from './lane.ts';
import { blobTemplate, bodyOf, nameDigits, putHeaders, type Template, writeName } from './request.ts';

/** Bodies up to this size travel in one buffer with their head; larger ones share one buffer between connections. */
const joinedBytesMax = 64 * 1024;
/** One answer in so many has its whole body summed; all have their length and name compared. */
const sumEvery = 16;

function pick(state: JobState, names: NameSet): number {
  return names.first + (state.random() % names.count) * names.stride;
}

/** A Put Blob whose head, name and (when small) body stand in one buffer of the lane's own. */
class PutRequest {
  readonly request: Request;
  readonly #template: Template;
  readonly #bodyOffset: number;

  constructor(job: Job, sizeBytes: number) {
    this.#template = blobTemplate(job, 'PUT', job.container, putHeaders(sizeBytes));
    const body = bodyOf(sizeBytes);
    this.#bodyOffset = this.#template.bytes.length;
    const joined = sizeBytes <= joinedBytesMax ? sizeBytes : 4096;
    const first = Buffer.concat([this.#template.bytes, body.subarray(0, joined)]);
    this.request = { first, rest: joined === sizeBytes ? undefined : body.subarray(joined), bytes: sizeBytes };
  }

  named(name: number): Request {
    writeName(this.request.first, this.#template.nameOffset, name);
    writeName(this.request.first, this.#bodyOffset, name);
    return this.request;
  }
}

export class PutLane extends Lane {
  readonly #put: PutRequest;

  constructor(state: JobState, index: number, sizeBytes: number) {
    super(state, index);
    this.#put = new PutRequest(state.job, sizeBytes);
  }

  override next(): Request | undefined {
    const { job } = this.state;
    const turn = this.state.next;
    this.state.next += 1;
    if (job.kind === 'fill') {
      return turn < job.names.count ? this.#put.named(job.names.first + turn * job.names.stride) : undefined;
    }
    if (job.kind === 'put' && job.spread !== undefined) {
      // Between the loaded names, so that a new name lands anywhere in the tree and not always at its end.
      return this.#put.named(pick(this.state, job.spread) + 1 + (this.state.random() % (job.spread.stride - 1)));
    }
    return this.#put.named(turn);
  }

  override judge(status: number): string | undefined {
    return status === 201 ? undefined : `PUT answered ${status}`;
  }
}

/** A Get Blob of a random name, and what its answer must be. */
class GetRequest {
  readonly #state: JobState;
  readonly #get: Template;
  readonly #request: Request;
  readonly #names: NameSet;
  readonly #sumExpected: number;
  #turn = 0;
  #sum = 0;
  #stampWrong = false;

  constructor(state: JobState, sizeBytes: number, names: NameSet) {
    this.#state = state;
    this.#get = blobTemplate(state.job, 'GET', names.container, '');
    this.#request = { first: this.#get.bytes, rest: undefined, bytes: sizeBytes };
    this.#names = names;
    this.#sumExpected = crc32(bodyOf(sizeBytes).subarray(nameDigits));
  }

  random(): Request {
    return this.#named(pick(this.#state, this.#names));
  }

  /** Each name once before any comes again: the stride is a prime that no set's size is a multiple of. */
  inTurn(turn: number): Request {
    const { first, stride, count } = this.#names;
    return this.#named(first + ((turn * 7919) % count) * stride);
  }

  #named(name: number): Request {
    writeName(this.#get.bytes, this.#get.nameOffset, name);
    this.#turn += 1;
    this.#sum = 0;
    this.#stampWrong = false;
    return this.#request;
  }

  body(chunk: Buffer, start: number, end: number, at: number): void {
    if (at === 0 && this.#state.job.stamped && end - start >= nameDigits) {
      const { bytes, nameOffset } = this.#get;
      this.#stampWrong = bytes.compare(chunk, start, start + nameDigits, nameOffset, nameOffset + nameDigits) !== 0;
    }
    if (this.#turn % sumEvery === 0 && at + end - start > nameDigits) {
      this.#sum = crc32(chunk.subarray(start + Math.max(0, nameDigits - at), end), this.#sum);
    }
  }

  judge(status: number, lengthBytes: number): string | undefined {
    if (status !== 200) return `GET answered ${status}`;
    const expected = this.#request.bytes;
    if (lengthBytes !== expected) return `GET answered ${lengthBytes} bytes, not ${expected}`;
    if (this.#stampWrong) return 'GET answered the bytes of another blob';
    if (this.#turn % sumEvery === 0 && this.#sum !== this.#sumExpected) return 'GET answered wrong bytes';
    return undefined;
  }
}

export class GetLane extends Lane {
  readonly #get: GetRequest;

  constructor(state: JobState, index: number, sizeBytes: number, names: NameSet) {
    super(state, index);
    this.#get = new GetRequest(state, sizeBytes, names);
  }

  override next(): Request | undefined {
    const { job } = this.state;
    if (job.kind !== 'verify') return this.#get.random();
    const turn = this.state.next;
    this.state.next += 1;
    return turn < job.samples ? this.#get.inTurn(turn) : undefined;
  }

  override body(chunk: Buffer, start: number, end: number): void {
    this.#get.body(chunk, start, end, this.receivedBytes);
  }

  override judge(status: number, lengthBytes: number): string | undefined {
    if (this.state.job.kind === 'verify' && status === 404) {
      this.state.missing();
      return undefined;
    }
    return this.#get.judge(status, lengthBytes);
  }
}

export class MixedLane extends Lane {
  readonly #get: GetRequest;
  readonly #put: PutRequest;
  readonly #getShare: number;
  #reading = false;

  constructor(state: JobState, index: number, sizeBytes: number, names: NameSet, getShare: number) {
    super(state, index);
    this.#get = new GetRequest(state, sizeBytes, names);
    this.#put = new PutRequest(state.job, sizeBytes);
    this.#getShare = getShare;
  }

  override next(): Request | undefined {
    this.#reading = this.state.random() / 2 ** 32 < this.#getShare;
    if (this.#reading) return this.#get.random();
    const turn = this.state.next;
    this.state.next += 1;
    return this.#put.named(turn);
  }

  override body(chunk: Buffer, start: number, end: number): void {
    if (this.#reading) this.#get.body(chunk, start, end, this.receivedBytes);
  }

  override judge(status: number, lengthBytes: number): string | undefined {
    if (this.#reading) return this.#get.judge(status, lengthBytes);
    return status === 201 ? undefined : `PUT answered ${status}`;
  }
}

export class DeleteLane extends Lane {
  readonly #delete: Template;
  readonly #names: NameSet;

  constructor(state: JobState, index: number, names: NameSet) {
    super(state, index);
    this.#delete = blobTemplate(state.job, 'DELETE', names.container, '');
    this.#names = names;
  }

  override next(): Request | undefined {
    const turn = this.state.next;
    this.state.next += 1;
    if (turn >= this.#names.count) return undefined;
    writeName(this.#delete.bytes, this.#delete.nameOffset, this.#names.first + turn * this.#names.stride);
    return { first: this.#delete.bytes, rest: undefined, bytes: 0 };
  }

  override judge(status: number): string | undefined {
    return status === 202 ? undefined : `DELETE answered ${status}`;
  }
}
