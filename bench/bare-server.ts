// The limit: a bare node:http server in as many processes, which discards what is put and serves what is got from memory.
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bodyOf } from './request.ts';

const workers = Number(process.argv[2]);
const listPages = 20;

/** A List page as Azure writes one, so that the limit of listing is what moving its bytes costs. */
function listPage(names: number, marker: string): Buffer {
  const blobs: string[] = [];
  for (let index = 0; index < names; index += 1) {
    blobs.push(
      `<Blob><Name>${String(index).padStart(10, '0')}</Name><Properties><Creation-Time>Thu, 01 Jan 2026 00:00:00 GMT` +
        '</Creation-Time><Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified><Etag>0x8DE48B6B0A7B800</Etag>' +
        '<Content-Length>64</Content-Length><Content-Type>application/octet-stream</Content-Type><Content-Encoding />' +
        '<Content-Language /><Content-CRC64 /><Content-MD5>1B2M2Y8AsgTpgAmY7PhCfg==</Content-MD5><Cache-Control />' +
        '<Content-Disposition /><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><AccessTierInferred>true' +
        '</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState><ServerEncrypted>' +
        'true</ServerEncrypted></Properties><OrMetadata /></Blob>',
    );
  }
  return Buffer.from(
    `<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>${blobs.join('')}</Blobs>` +
      `<NextMarker>${marker}</NextMarker></EnumerationResults>`,
  );
}

function serve(): void {
  const lists = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    const url = request.url ?? '';
    switch (request.method) {
      case 'PUT':
        request.resume();
        request.on('end', () => response.writeHead(201, { 'content-length': '0' }).end());
        break;
      case 'DELETE':
        response.writeHead(202, { 'content-length': '0' }).end();
        break;
      default: {
        const pageSize = /maxresults=(\d+)/.exec(url)?.[1];
        if (pageSize === undefined) {
          // The container's name ends in the size of its blobs: get-4096.
          const body = bodyOf(Number(/-(\d+)\//.exec(url)?.[1] ?? 0));
          response.writeHead(200, { 'content-length': String(body.length) }).end(body);
          break;
        }
        const page = Number(/marker=(\d+)/.exec(url)?.[1] ?? 1);
        const marker = page < listPages ? String(page + 1) : '';
        const key = `${pageSize} ${marker}`;
        const body = lists.get(key) ?? listPage(Number(pageSize), marker);
        lists.set(key, body);
        response.writeHead(200, { 'content-length': String(body.length) }).end(body);
      }
    }
  });
  server.requestTimeout = 0;
  // Port 0 in a cluster: the first worker's free port is every worker's.
  server.listen(0, '127.0.0.1', () => {
    process.send?.((server.address() as AddressInfo).port);
  });
}

if (cluster.isPrimary) {
  let ready = 0;
  for (let index = 0; index < workers; index += 1) {
    cluster.fork().on('message', (port: number) => {
      ready += 1;
      if (ready === workers) console.log(`bare ready http://127.0.0.1:${port}`);
    });
  }
  process.on('SIGTERM', () => {
    cluster.disconnect(() => process.exit(0));
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM');
  });
} else {
  serve();
  process.on('SIGTERM', () => process.exit(0));
}
