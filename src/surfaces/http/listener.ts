// The HTTP listener that every HTTP surface stands on: limits, timeouts, TLS, and an end that lets requests finish.
import { constants } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { send } from './answer.ts';
import { ConnectionCounts } from './connections.ts';
import type { CertificatePair } from './tls.ts';

export interface ListenerLimits {
  readonly connectionsMax: number;
  /** Of one client's address; absent: all that there are. */
  readonly connectionsPerAddressMax?: number;
  readonly headerBytesMax?: number;
  readonly headersMax?: number;
  readonly headersTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly tlsHandshakeTimeoutMs?: number;
}

/** What is wrong with bytes that are no request. */
export type Fault = 'malformed' | 'headers-too-large' | 'headers-late' | 'expectation';

/** What such bytes are answered: the surface's own form. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface ListenerOptions {
  readonly tls?: CertificatePair;
  readonly refusal?: (fault: Fault) => Refusal;
}

export interface HttpListener {
  readonly server: Server;
  readonly connections: ConnectionCounts;
  /** Handshakes from now on show this certificate; connections go on. Nothing without TLS. */
  renew(pair: CertificatePair): void;
  /** Takes no more connections, lets requests end for at most `timeoutMs`, then cuts the rest. */
  drain(timeoutMs: number): Promise<void>;
}

const headerBytesByDefault = 64 * 1024;
const headersByDefault = 200;
const tlsHandshakeTimeoutByDefaultMs = 10_000;
/** Requests of a connection that wait for the one before: whoever sends more than that ahead is cut. */
const pipelinedMax = 64;
/** How long a connection that was refused may take to read why. */
const lingerMs = 1000;
/** A client that could ask for one handshake after another on its connection would have most of the processor. */
const tlsOptions = { minVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_RENEGOTIATION } as const;
/** What a handshake fails with that is an HTTP request, or another text. */
const plainCodes: ReadonlySet<string | undefined> = new Set(['ERR_SSL_HTTP_REQUEST', 'ERR_SSL_WRONG_VERSION_NUMBER']);
/** The first byte of a TLS connection, which no request begins with. */
const tlsHandshakeByte = 0x16;

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Whether this one and those before it, in a row, have not been answered: how many. */
  readonly waiting: number;
}

export function createHttpListener(
  limits: ListenerLimits,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  { tls, refusal = plainRefusal }: ListenerOptions = {},
): HttpListener {
  let draining = false;
  /** The last request of each connection. */
  const exchanges = new WeakMap<Socket, Exchange>();
  const begin = (request: IncomingMessage, response: ServerResponse): void => {
    const fault = faultIn(request);
    if (fault === undefined) {
      handle(request, response);
      return;
    }
    response.shouldKeepAlive = false;
    void send(response, refusal(fault), request.method !== 'HEAD');
  };
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    // Surfaces say the date that they stamp their answers with.
    response.sendDate = false;
    // While it drains every answer closes its connection.
    if (draining) response.shouldKeepAlive = false;
    const before = exchanges.get(request.socket);
    // Pipelined requests take effect one after the other (RFC 9112, 9.3.2), where Node would hand them out together.
    if (before === undefined || before.response.closed) {
      exchanges.set(request.socket, { request, response, waiting: 0 });
      begin(request, response);
      return;
    }
    if (before.waiting >= pipelinedMax) return void request.socket.destroy();
    exchanges.set(request.socket, { request, response, waiting: before.waiting + 1 });
    before.response.once('close', () => {
      // The connection may have ended meanwhile, and what is left of it is nobody's wish any more.
      if (!request.socket.destroyed) begin(request, response);
    });
  };
  const options = {
    maxHeaderSize: limits.headerBytesMax ?? headerBytesByDefault,
    // A body may take as long as it makes progress; what falls silent is cut by the socket's timeout below.
    requestTimeout: 0,
    headersTimeout: limits.headersTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(5000, Math.max(100, limits.headersTimeoutMs)),
    highWaterMark: 256 * 1024,
    // Node would refuse it without a word of the surface; see `faultIn`.
    requireHostHeader: false,
    noDelay: true,
  };
  const handshakeTimeout = limits.tlsHandshakeTimeoutMs ?? tlsHandshakeTimeoutByDefaultMs;
  const secure = tls && createTlsServer({ ...options, ...tls, ...tlsOptions, handshakeTimeout } as object, serve);
  const server: Server = secure ?? createServer(options, serve);
  // Whoever waits to be asked for a body is asked when somebody reads it, and not at all where it is refused before.
  server.on('checkContinue', serve);
  server.on('checkExpectation', serve);
  server.maxHeadersCount = limits.headersMax ?? headersByDefault;
  server.maxConnections = limits.connectionsMax;
  // Without it the primary would pass one connection too many from worker to worker for ever.
  (server as { dropMaxConnection?: boolean }).dropMaxConnection = true;
  const connections = new ConnectionCounts(limits.connectionsPerAddressMax ?? limits.connectionsMax);
  // The server itself counts and waits for those alone that it took: others come from a standby.
  const open = new Set<Socket>();
  let onNone: (() => void) | undefined;
  server.on('connection', (socket: Socket) => {
    if (open.size >= limits.connectionsMax || !connections.admit(socket)) return void socket.destroy();
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      if (open.size === 0) onNone?.();
    });
  });
  // A handshake that fails, or never ends, is the client's affair; its socket must go. One that was no handshake gets an
  // answer on the connection below, which Node has no other name for.
  secure?.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    const below = (socket as { _parent?: Socket })._parent;
    if (plainCodes.has(error.code) && below?.writable === true) endWith(below, wire(wrongScheme('HTTPS')));
    else socket.destroy();
  });
  const refused = new WeakSet<object>();
  server.timeout = limits.stallTimeoutMs;
  server.on('timeout', (socket: Socket) => socket.destroy());
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
    // What is sent after the refused bytes is refused with them.
    if (refused.has(socket)) return;
    refused.add(socket);
    const { rawPacket } = error as { rawPacket?: Buffer };
    const isTls = secure === undefined && rawPacket?.[0] === tlsHandshakeByte;
    const refuse = () => endWith(socket, wire(isTls ? wrongScheme('plain HTTP') : refusal(faultOf(error.code))));
    const last = exchanges.get(socket as Socket);
    // What follows a whole request is refused after that one's answer, or it would be taken for it.
    if (last?.request.complete === true && !last.response.closed) last.response.once('close', refuse);
    else refuse();
  });
  const drain = async (timeoutMs: number): Promise<void> => {
    draining = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    const none = new Promise<void>((resolve) => {
      onNone = resolve;
      if (open.size === 0) resolve();
    });
    server.closeIdleConnections();
    const idle = setInterval(() => server.closeIdleConnections(), 50);
    const timer = setTimeout(() => {
      for (const socket of open) socket.destroy();
    }, timeoutMs);
    await Promise.all([closed, none]);
    clearTimeout(timer);
    clearInterval(idle);
  };
  const renew = (pair: CertificatePair): void => secure?.setSecureContext({ ...pair, ...tlsOptions });
  return { server, connections, renew, drain };
}

/** What Node leaves to us: RFC 9112, 3.2 (one host) and RFC 9110, 10.1.1 (one expectation is known). */
function faultIn({ headers, httpVersion }: IncomingMessage): Fault | undefined {
  if (headers.host === undefined && httpVersion === '1.1') return 'malformed';
  const { expect } = headers;
  return expect === undefined || expect.toLowerCase() === '100-continue' ? undefined : 'expectation';
}

function faultOf(code: string | undefined): Fault {
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers-too-large';
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'headers-late' : 'malformed';
}

const statuses = {
  malformed: [400, 'Bad Request'],
  'headers-too-large': [431, 'Request Header Fields Too Large'],
  'headers-late': [408, 'Request Timeout'],
  expectation: [417, 'Expectation Failed'],
} as const satisfies Record<Fault, readonly [number, string]>;

export function plainRefusal(fault: Fault): Refusal {
  const [status, reason] = statuses[fault];
  return { status, reason, headers: {}, body: '' };
}

function wrongScheme(spoken: string): Refusal {
  const headers = { 'Content-Type': 'text/plain' };
  return { status: 400, reason: 'Bad Request', headers, body: `This port speaks ${spoken}.\n` };
}

/** Closed at once, with bytes unread, the text itself would be lost; without an end, the sender could go on for ever. */
function endWith(socket: Duplex, text: string): void {
  socket.end(text);
  setTimeout(() => socket.destroy(), lingerMs).unref();
}

function wire({ status, reason, headers, body }: Refusal): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const length = `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  return `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\n${length}${lines.join('')}\r\n${body}`;
}
