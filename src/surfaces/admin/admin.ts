// The admin listener: health and metrics. It gives out no data and takes no changes.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { metricsContentType } from '../../base/metrics.ts';

export interface AdminSources {
  /** Whether requests can be served right now. */
  ready(): boolean;
  /** The text of `/metrics`. */
  metrics(): Promise<string>;
}

export function adminHandler(sources: AdminSources): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    request.resume();
    void answer(sources, request).then(([status, type, body]) => {
      response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
      response.end(request.method === 'HEAD' ? undefined : body);
    });
  };
}

async function answer(sources: AdminSources, request: IncomingMessage): Promise<[number, string, string]> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return [405, 'text/plain', 'method not allowed\n'];
  switch ((request.url as string).split('?')[0]) {
    case '/healthz':
      return [200, 'text/plain', 'ok\n'];
    case '/readyz':
      return sources.ready() ? [200, 'text/plain', 'ready\n'] : [503, 'text/plain', 'not ready\n'];
    case '/metrics':
      try {
        return [200, metricsContentType, await sources.metrics()];
      } catch {
        return [503, 'text/plain', 'metrics are not available\n'];
      }
    default:
      return [404, 'text/plain', 'not found\n'];
  }
}
