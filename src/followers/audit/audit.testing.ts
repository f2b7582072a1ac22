// An audit log over a memory engine and a temporary directory, with a disk that can fail or hold.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { createIds } from '../../base/ids.ts';
import { createMetrics } from '../../base/metrics.ts';
import { systemRandom } from '../../base/random.ts';
import { MemoryEngine } from '../../metadata/memory-engine.ts';
import { AuditLog, type AuditLogOptions } from './audit-log.ts';
import { type AuditDisk, auditDisk } from './files.ts';
import type { AuditRecord, Head } from './record.ts';
import { type Finding, type Verified, verifyAudit } from './verify.ts';

const ids = createIds(systemClock, systemRandom);

export class Bench implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'causeway-audit-'));
  readonly root = join(this.directory, 'audit');
  readonly engine = new MemoryEngine();
  readonly heads: Head[] = [];
  readonly errors: Error[] = [];
  /** Thrown by every write while it is set. */
  failure: Error | undefined;
  /** Awaited by every write. */
  hold: Promise<void> | undefined;

  readonly disk: AuditDisk = {
    create: async (path) => {
      if (this.failure !== undefined) throw this.failure;
      const file = await auditDisk.create(path);
      return {
        ...file,
        write: async (bytes, position) => {
          await this.hold;
          if (this.failure === undefined) return await file.write(bytes, position);
          // Part of it is there: what a full disk does.
          await file.write(bytes.subarray(0, bytes.length >> 1), position);
          throw this.failure;
        },
      };
    },
  };

  log(options: Partial<AuditLogOptions> = {}): AuditLog {
    return new AuditLog({
      engine: this.engine,
      clock: systemClock,
      root: this.root,
      chain: ids.nextHex(),
      metrics: createMetrics({ process: false }),
      disk: this.disk,
      fileBytesMax: 1024 * 1024,
      fileAgeMs: 3_600_000,
      onFailure: 'refuse',
      flushMs: 1,
      retryMs: 5,
      queueRecordsMax: 100,
      queueBytesMax: 1024 * 1024,
      onError: (error) => this.errors.push(error),
      onHead: (head) => this.heads.push(head),
      ...options,
    });
  }

  async verify(): Promise<{ readonly sum: Verified; readonly findings: readonly Finding[] }> {
    const findings: Finding[] = [];
    const sum = await verifyAudit(this.engine, this.root, [], (finding) => findings.push(finding));
    return { sum, findings };
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function recordOf(name: string, atMs = Date.now()): AuditRecord {
  return {
    Type: 'StorageBlobLogs',
    TimeGenerated: new Date(atMs).toISOString(),
    AccountName: 'acc',
    Category: 'StorageRead',
    OperationName: 'GetBlob',
    ServiceType: 'blob',
    Protocol: 'HTTP',
    StatusCode: 200,
    StatusText: 'Success',
    AuthenticationType: 'AccountKey',
    CallerIpAddress: '127.0.0.1:1',
    Uri: `http://h/acc/c/${name}`,
    ObjectKey: `/acc/c/${name}`,
    CorrelationId: name,
    DurationMs: 1.5,
    ServerLatencyMs: 1,
    RequestHeaderSize: 1,
    RequestBodySize: 0,
    ResponseHeaderSize: 1,
    ResponseBodySize: 0,
  };
}
