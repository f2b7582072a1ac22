// The admin listener: health for everybody, metrics for this machine, and the management API for who has an admin token.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { metricsContentType } from '../../base/metrics.ts';
import type { Cause } from '../../namespace/journal.ts';
import { BodyCutError } from '../http/body.ts';
import type { CommandOutcome, ManagementCommand } from './command.ts';
import { AdminCredentials, isFromLoopback } from './credentials.ts';
import { isOwnHost, unknownHost } from './hosts.ts';
import { openApi, readRest, statusOf } from './rest.ts';

export interface AdminSources {
  /** Names that the listener answers to beside its own: see `isOwnHost`. */
  readonly hosts: readonly string[];
  /** Why requests cannot be served right now, a line each; none: they can. */
  problems(): Promise<readonly string[]>;
  /** The text of `/metrics`. */
  metrics(): Promise<string>;
  readonly clock: Clock;
  /** The name of an admin token; undefined for what is none. */
  verifyToken(token: string): Promise<string | undefined>;
  /** Runs a management command. */
  run(row: ManagementCommand, input: object, cause: Cause): Promise<CommandOutcome>;
  /** Called once for every request that asked for more than health or metrics; it holds no secret. */
  note(request: AdminRequest): void;
  failed(error: unknown, requestId: string): void;
}

export interface AdminRequest {
  readonly requestId: string;
  readonly from: string | undefined;
  /** The name of the token; undefined where there was none that is valid. */
  readonly admin?: string;
  readonly command?: string;
  readonly account?: string;
  readonly status: number;
  readonly errorCode?: string;
}

interface AdminAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const text = (status: number, body: string, type = 'text/plain'): AdminAnswer => ({ status, type, body });
const json = (status: number, value: object, headers?: Record<string, string>): AdminAnswer => ({
  status,
  type: 'application/json',
  body: `${JSON.stringify(value)}\n`,
  ...(headers !== undefined && { headers }),
});

export function adminHandler(sources: AdminSources): (request: IncomingMessage, response: ServerResponse) => void {
  const credentials = new AdminCredentials((token) => sources.verifyToken(token), sources.clock);
  return (request, response) => {
    const requestId = randomUUID();
    const send = ({ status, type, body, headers }: AdminAnswer): void => {
      // What of a body nobody read cannot be told from the next request.
      if (!request.complete) response.shouldKeepAlive = false;
      request.resume();
      response.writeHead(status, {
        'Content-Type': type,
        'Content-Length': Buffer.byteLength(body),
        'Cache-Control': 'no-store',
        Date: new Date(sources.clock.now()).toUTCString(),
        'X-Request-Id': requestId,
        ...headers,
      });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    answer(sources, credentials, request, response, requestId).then(send, (error: unknown) => {
      if (error instanceof BodyCutError) return void response.destroy();
      sources.failed(error, requestId);
      send(errorAnswer(500, 'InternalError', `the server failed; its log names the request ${requestId}`));
    });
  };
}

async function answer(
  sources: AdminSources,
  credentials: AdminCredentials,
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
): Promise<AdminAnswer> {
  const path = (request.url ?? '').split('?')[0];
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  const from = request.socket.remoteAddress;
  if (!isOwnHost(request, sources.hosts)) {
    sources.note({ requestId, from, status: 421, errorCode: 'HostUnknown' });
    return text(421, `${unknownHost}\n`);
  }
  if (path === '/healthz') return isRead ? text(200, 'ok\n') : text(405, 'method not allowed\n');
  if (path === '/readyz') {
    if (!isRead) return text(405, 'method not allowed\n');
    const problems = await sources.problems();
    if (problems.length === 0) return text(200, 'ready\n');
    return text(503, `not ready\n${problems.map((problem) => `${problem}\n`).join('')}`);
  }
  if (path === '/metrics' && isFromLoopback(request)) return metrics(sources, isRead);

  const identity = await credentials.identify(request);
  if (identity.kind === 'refused') {
    const { status, code, message } = identity;
    sources.note({ requestId, from, status, errorCode: code });
    return errorAnswer(status, code, message, {
      ...(status === 401 && { 'WWW-Authenticate': 'Bearer realm="causeway admin"' }),
      ...(status === 429 && { 'Retry-After': '10' }),
    });
  }
  if (path === '/metrics') return metrics(sources, isRead);
  const admin = identity.name;
  if (path === '/v1/openapi.json' && isRead) return json(200, openApi());

  const ask = request.headers.expect === undefined ? undefined : () => response.writeContinue();
  const read = await readRest(request, ask);
  if (read.kind === 'error') {
    sources.note({ requestId, from, admin, status: read.status, errorCode: read.code });
    return errorAnswer(read.status, read.code, read.message, read.allow === undefined ? {} : { Allow: read.allow });
  }
  const { row, input } = read;
  const about = { requestId, from, admin, command: row.name, ...accountOf(input) };
  const outcome = await sources.run(row, input, { by: `admin ${admin}`, requestId });
  if (outcome.kind === 'refused') {
    const status = statusOf(outcome.code);
    sources.note({ ...about, status, errorCode: outcome.code });
    return errorAnswer(status, outcome.code, outcome.message, status === 503 ? { 'Retry-After': '1' } : {});
  }
  const status = outcome.isNew === true ? 201 : 200;
  sources.note({ ...about, status });
  return json(status, outcome.value);
}

function errorAnswer(status: number, code: string, message: string, headers?: Record<string, string>): AdminAnswer {
  return json(status, { error: { code, message } }, headers);
}

async function metrics(sources: AdminSources, isRead: boolean): Promise<AdminAnswer> {
  if (!isRead) return text(405, 'method not allowed\n');
  try {
    return text(200, await sources.metrics(), metricsContentType);
  } catch {
    return text(503, 'metrics are not available\n');
  }
}

/** For the log: what a valid name may look like, and nothing that somebody put there. */
function accountOf(input: object): { account?: string } {
  const { account } = input as { account?: unknown };
  return typeof account === 'string' && /^[a-z0-9]{3,24}$/.test(account) ? { account } : {};
}
