// The HTTP listener that every HTTP surface stands on: limits, timeouts, and an end that lets requests finish.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface ListenerLimits {
  readonly connectionsMax: number;
  readonly headersTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
}

export interface HttpListener {
  readonly server: Server;
  /** Takes no more connections, lets requests end for at most `timeoutMs`, then cuts the rest. */
  drain(timeoutMs: number): Promise<void>;
}

const headerBytesMax = 64 * 1024;

export function createHttpListener(
  limits: ListenerLimits,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): HttpListener {
  let draining = false;
  /** The last request of each connection. */
  const exchanges = new WeakMap<Socket, { readonly request: IncomingMessage; readonly response: ServerResponse }>();
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    // Surfaces say the date that they stamp their answers with.
    response.sendDate = false;
    // While it drains every answer closes its connection.
    if (draining) response.shouldKeepAlive = false;
    const before = exchanges.get(request.socket)?.response;
    exchanges.set(request.socket, { request, response });
    // Pipelined requests take effect one after the other (RFC 9112, 9.3.2), where Node would hand them out together.
    if (before === undefined || before.closed) handle(request, response);
    else before.once('close', () => handle(request, response));
  };
  const server = createServer(
    {
      maxHeaderSize: headerBytesMax,
      // A body may take as long as it makes progress; what falls silent is cut by the socket's timeout below.
      requestTimeout: 0,
      headersTimeout: limits.headersTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: 5000,
      highWaterMark: 256 * 1024,
      noDelay: true,
    },
    serve,
  );
  // Whoever waits to be asked for a body is asked when somebody reads it, and not at all where it is refused before.
  server.on('checkContinue', serve);
  server.maxConnections = limits.connectionsMax;
  server.timeout = limits.stallTimeoutMs;
  server.on('timeout', (socket: Socket) => socket.destroy());
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
    const refuse = () => socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    const last = exchanges.get(socket as Socket);
    // What follows a whole request is refused after that one's answer, or it would be taken for it.
    if (last?.request.complete === true && !last.response.closed) last.response.once('close', refuse);
    else refuse();
  });
  const drain = async (timeoutMs: number): Promise<void> => {
    draining = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const idle = setInterval(() => server.closeIdleConnections(), 50);
    const timer = setTimeout(() => server.closeAllConnections(), timeoutMs);
    await closed;
    clearTimeout(timer);
    clearInterval(idle);
  };
  return { server, drain };
}
