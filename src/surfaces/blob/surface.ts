// The Blob surface as a handler of HTTP requests: dispatch, send, log, count.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from '../../base/log.ts';
import { durationBuckets, type Metrics } from '../../base/metrics.ts';
import type { Store } from '../../namespace/store.ts';
import { type Answer, send } from '../http/answer.ts';
import { RequestBody } from '../http/body.ts';
import { holdOpen } from '../http/hold.ts';
import type { BlobSettings } from './call.ts';
import { BlobDispatcher, type Dispatched, type Incoming } from './dispatch.ts';

/** What a refused upload still sends is read up to this length, so that its client sees the answer and not a reset. */
const drainBytesMax = 16 * 1024 * 1024;

export class BlobSurface {
  readonly #dispatcher: BlobDispatcher;
  readonly #logger: Logger;
  readonly #counters: BlobCounters;

  constructor(store: Store, settings: BlobSettings, logger: Logger, metrics: Metrics) {
    this.#dispatcher = new BlobDispatcher(store, settings, logger);
    this.#logger = logger;
    this.#counters = new BlobCounters(metrics);
  }

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    void this.#serve(request, response);
  };

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedMs = performance.now();
    const incoming = incomingOf(request, response);
    const done = await this.#dispatcher.dispatch(incoming);
    let bytesOut = 0;
    try {
      // A body that nobody read would be taken for the next request: it is read, or the connection ends.
      if (!request.complete && !(await this.#readRest(incoming, done.answer))) response.shouldKeepAlive = false;
      bytesOut = await send(response, done.answer, request.method !== 'HEAD');
    } catch (error) {
      this.#logger.error({ requestId: done.requestId, err: error }, 'an answer could not be sent whole');
    }
    this.#note(done, incoming, bytesOut, performance.now() - startedMs);
  }

  async #readRest({ body }: Incoming, answer: Answer): Promise<boolean> {
    return !body.isHeldBack && (answer.status < 400 || (await body.drain(drainBytesMax)));
  }

  #note(done: Dispatched, incoming: Incoming, bytesOut: number, durationMs: number): void {
    const { answer, requestId, operation, account, errorCode } = done;
    const bytesIn = incoming.body.bytes;
    const clientRequestId = answer.headers['x-ms-client-request-id'] as string | undefined;
    const { status } = answer;
    this.#logger.request({
      requestId,
      account,
      operation,
      status,
      bytesIn,
      bytesOut,
      durationMs,
      errorCode,
      clientRequestId,
    });
    this.#counters.note(operation, status, bytesIn, bytesOut, durationMs / 1000);
  }
}

function incomingOf(request: IncomingMessage, response: ServerResponse): Incoming {
  // Of all expectations only 100-continue comes this far.
  const expected = request.headers.expect !== undefined;
  const socket = request.socket as Socket & { readonly encrypted?: boolean };
  return {
    method: request.method as string,
    url: request.url as string,
    headers: request.headers as Incoming['headers'],
    rawHeaders: request.rawHeaders,
    body: new RequestBody(request, expected ? () => response.writeContinue() : undefined),
    peer: { address: plainAddress(socket.remoteAddress), protocol: socket.encrypted === true ? 'https' : 'http' },
    hold: holdOpen(request, response),
  };
}

/** An IPv4 address as itself, also on a socket that speaks IPv6. */
function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

class BlobCounters {
  readonly #metrics;
  readonly #perOperation = new Map<string, ReturnType<BlobCounters['of']>>();

  constructor(metrics: Metrics) {
    this.#metrics = {
      requests: metrics.counter('causeway_blob_requests_total', {
        help: 'Requests of the Blob API.',
        labels: ['operation', 'status'],
      }),
      bytesIn: metrics.counter('causeway_blob_received_bytes_total', {
        help: 'Bytes of request bodies.',
        labels: ['operation'],
      }),
      bytesOut: metrics.counter('causeway_blob_sent_bytes_total', {
        help: 'Bytes of answer bodies.',
        labels: ['operation'],
      }),
      duration: metrics.histogram('causeway_blob_request_duration_seconds', {
        help: 'Time from the head of a request to the end of its answer.',
        labels: ['operation'],
        buckets: durationBuckets,
      }),
    };
  }

  note(operation: string, status: number, bytesIn: number, bytesOut: number, seconds: number): void {
    const id = `${operation} ${status}`;
    let counters = this.#perOperation.get(id);
    if (counters === undefined) {
      counters = this.of(operation, status);
      this.#perOperation.set(id, counters);
    }
    counters.requests.add();
    if (bytesIn > 0) counters.bytesIn.add(bytesIn);
    if (bytesOut > 0) counters.bytesOut.add(bytesOut);
    counters.duration.observe(seconds);
  }

  of(operation: string, status: number) {
    return {
      requests: this.#metrics.requests.of({ operation, status: `${status}` }),
      bytesIn: this.#metrics.bytesIn.of({ operation }),
      bytesOut: this.#metrics.bytesOut.of({ operation }),
      duration: this.#metrics.duration.of({ operation }),
    };
  }
}
