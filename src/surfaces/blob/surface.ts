// The Blob surface as a handler of HTTP requests: dispatch, send, log, count.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Config } from '../../base/config.ts';
import type { Logger } from '../../base/log.ts';
import { durationBuckets, type Metrics } from '../../base/metrics.ts';
import type { Store } from '../../namespace/store.ts';
import { type Answer, type Sent, send, sendAhead } from '../http/answer.ts';
import { RequestBody } from '../http/body.ts';
import { holdOpen } from '../http/hold.ts';
import { type Auditor, auditRecord, type Course, redacted } from './audit.ts';
import type { BlobSettings, Peer } from './call.ts';
import type { CommitterWatch } from './deadline.ts';
import { BlobDispatcher, type Dispatched, type Incoming } from './dispatch.ts';
import { Gate, type GateSettings, type Visit } from './gate.ts';
import { blobServiceOf } from './service-record.ts';

/** What a refused upload still sends is read up to this length, so that its client sees the answer and not a reset. */
const drainBytesMax = 16 * 1024 * 1024;

/** Of a path in the log: a name of 1,024 characters, most of them as they are. */
const loggedPathCharactersMax = 2048;

/** What the log says of a request besides its outcome. */
type LogSettings = Pick<Config, 'requestLogAddress' | 'requestLogPath'>;

export class BlobSurface {
  readonly #dispatcher: BlobDispatcher;
  readonly #logger: Logger;
  readonly #logged: LogSettings;
  readonly #counters: BlobCounters;
  readonly #gate: Gate;
  readonly #auditor: Auditor | undefined;

  constructor(
    store: Store,
    settings: BlobSettings & GateSettings & LogSettings,
    logger: Logger,
    metrics: Metrics,
    auditor?: Auditor,
    committer?: CommitterWatch,
  ) {
    this.#auditor = auditor;
    const onPart = (part: Incoming, done: Dispatched, durationMs: number): void =>
      this.#audit(undefined, part, done, { bytesOut: 0, latencyMs: durationMs, durationMs });
    this.#dispatcher = new BlobDispatcher(store, settings, logger, { onPart, committer });
    this.#logger = logger;
    this.#logged = settings;
    this.#counters = new BlobCounters(metrics);
    const gate = new Gate(settings, store.random);
    this.#gate = gate;
    metrics.gauge('causeway_blob_requests_queued', {
      help: 'Requests that wait for their account to be served.',
      read: () => gate.admission.queued,
    });
  }

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    void this.#serve(request, response);
  };

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedMs = performance.now();
    const body = bodyOf(request, response);
    const visit = this.#gate.visit(visitOf(request, response, body), request.method === 'PUT');
    const incoming = incomingOf(request, response, body, visit);
    const room = this.#auditor?.room();
    const isRecordable = room === undefined || (await room);
    const asked = isRecordable ? incoming : { ...incoming, isUnrecordable: true };
    let done = await this.#dispatcher.dispatch(asked);
    const latencyMs = performance.now() - startedMs;
    let sent: Sent = { bytes: 0 };
    try {
      if (!visit.isIn && !(await visit.enterAsStranger())) response.destroy();
      else {
        sent = await this.#send(request, response, incoming, done).catch(async (error: unknown) => {
          if (response.headersSent) return { bytes: 0, failure: error };
          done = await this.#dispatcher.failed(incoming, done, error);
          return await this.#send(request, response, incoming, done);
        });
      }
    } catch (error) {
      sent = { bytes: 0, failure: error };
    } finally {
      visit.leave();
    }
    if (sent.failure !== undefined) {
      response.destroy();
      this.#logger.error({ requestId: done.requestId, err: sent.failure }, 'an answer could not be sent whole');
      // Its status is what went out; what became of it must not look like success.
      done = { ...done, errorCode: done.errorCode ?? 'InternalError' };
    }
    const bytesOut = sent.bytes;
    const durationMs = performance.now() - startedMs;
    this.#note(done, incoming, bytesOut, durationMs);
    if (isRecordable) this.#audit(request.socket, incoming, done, { bytesOut, latencyMs, durationMs });
  }

  #audit(socket: Socket | undefined, incoming: Incoming, done: Dispatched, course: Course): void {
    const blobService = done.seen.known?.record.blobService;
    const logging = blobService === undefined ? undefined : blobServiceOf(blobService).logging;
    this.#auditor?.note(auditRecord(incoming, done, course, socket), logging);
  }

  /** A body that nobody read would be taken for the next request: it is read, or the connection ends. */
  #send(
    request: IncomingMessage,
    response: ServerResponse,
    { body, visit }: Incoming,
    { answer }: Dispatched,
  ): Promise<Sent> {
    const withBody = request.method !== 'HEAD';
    if (!request.complete && body.isHeldBack) response.shouldKeepAlive = false;
    else if (!request.complete && answer.status >= 400 && isShort(answer)) {
      return sendAhead(response, answer, withBody, async () => {
        // What is read from here on is thrown away: it holds up nobody.
        visit?.leave();
        return await body.drain(drainBytesMax);
      }).then((bytes) => ({ bytes }));
    }
    return send(response, answer, withBody);
  }

  #note(done: Dispatched, incoming: Incoming, bytesOut: number, durationMs: number): void {
    const { answer, requestId, operation, account, errorCode } = done;
    const bytesIn = incoming.body.bytes;
    const clientRequestId = answer.headers['x-ms-client-request-id'] as string | undefined;
    const { status } = answer;
    this.#logger.request({
      requestId,
      client: this.#logged.requestLogAddress ? incoming.peer.address : undefined,
      account,
      operation,
      path: this.#logged.requestLogPath ? loggedPath(incoming.url) : undefined,
      status,
      bytesIn,
      bytesOut,
      durationMs,
      errorCode,
      clientRequestId,
    });
    // One that was cut by a failure counts among the failures, whatever its status had said.
    const isCut = errorCode !== undefined && status < 300;
    this.#counters.note(operation, isCut ? 500 : status, bytesIn, bytesOut, durationMs / 1000);
  }
}

/** The path of a target alone: the query, and what an absolute target says before its path, may hold secrets. */
export function loggedPath(target: string): string {
  const path = redacted(/^(?:[a-z][a-z0-9+.-]*:\/\/[^/?#]*)?([^?#]*)/i.exec(target)?.[1] ?? '');
  return path.length <= loggedPathCharactersMax ? path : `${path.slice(0, loggedPathCharactersMax)}…`;
}

const isShort = (answer: Answer): answer is Answer & { readonly body?: string | Buffer } =>
  answer.body === undefined || typeof answer.body === 'string' || Buffer.isBuffer(answer.body);

function bodyOf(request: IncomingMessage, response: ServerResponse): RequestBody {
  // Of all expectations only 100-continue comes this far.
  const expected = request.headers.expect !== undefined;
  return new RequestBody(request, expected ? () => response.writeContinue() : undefined);
}

function visitOf({ socket, method, headers }: IncomingMessage, response: ServerResponse, body: RequestBody) {
  const writtenBefore = socket.bytesWritten;
  // What others announce nobody would read.
  const hasBody = method === 'PUT' || method === 'POST';
  return {
    bytes: hasBody ? Number(headers['content-length'] ?? 0) : 0,
    moved: () => body.bytes + socket.bytesWritten - writtenBefore,
    isGone: () => response.destroyed || socket.destroyed,
  };
}

function incomingOf(request: IncomingMessage, response: ServerResponse, body: RequestBody, visit: Visit): Incoming {
  return {
    method: request.method as string,
    url: request.url as string,
    headers: request.headers as Incoming['headers'],
    rawHeaders: request.rawHeaders,
    body,
    peer: peerOf(request.socket),
    hold: holdOpen(request, response),
    visit,
  };
}

/** A connection has one at each end for as long as it is open. */
const peers = new WeakMap<Socket, Peer>();

function peerOf(socket: Socket & { readonly encrypted?: boolean }): Peer {
  let peer = peers.get(socket);
  if (peer === undefined) {
    peer = {
      address: plainAddress(socket.remoteAddress),
      protocol: socket.encrypted === true ? 'https' : 'http',
      isLoopback: isLoopback(socket.remoteAddress) && isLoopback(socket.localAddress),
    };
    peers.set(socket, peer);
  }
  return peer;
}

const isLoopback = (address: string | undefined): boolean =>
  address === '::1' || plainAddress(address).startsWith('127.');

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
