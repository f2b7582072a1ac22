// Reads what the recorder wrote: every change below the root, with the numbers of its start and end.
import { readFileSync, statSync } from 'node:fs';

export interface RecordedCall {
  /**
   * C(reate or open), W(rite), T(runcate), S(ync of a file), D(irectory sync), M(ade directory), U(nlink), R(ename),
   * L(ink), I(gnored: a -shm file).
   */
  readonly type: 'C' | 'W' | 'T' | 'S' | 'D' | 'M' | 'U' | 'R' | 'L' | 'I';
  readonly start: number;
  readonly end: number;
  /** The file's identity: its number and time of birth, because numbers are used again. */
  readonly file: string;
  /** Where a write begins; what size a truncation leaves. */
  readonly offset: number;
  readonly path: string;
  readonly target: string;
  readonly data: Buffer;
  /** The write was durable when it returned (O_DSYNC). */
  readonly synced: boolean;
}

const magic = 0x4c525743;
const headerBytes = 64;

function fileIdentity(inode: bigint, birthNs: bigint): string {
  return `${inode}:${birthNs}`;
}

export function identityOf(path: string): string {
  const { ino, birthtimeNs } = statSync(path, { bigint: true });
  return fileIdentity(ino, birthtimeNs);
}

/** All calls in order of their start. Throws if the log is cut short or holds a call that cannot be replayed. */
export function readRecordLog(logFile: string): RecordedCall[] {
  const log = readFileSync(logFile);
  const calls: RecordedCall[] = [];
  let at = 0;
  while (at < log.length) {
    if (log.length - at < headerBytes || log.readUInt32LE(at) !== magic) throw new Error(`no record at ${at}`);
    const type = String.fromCharCode(log.readUInt8(at + 4));
    const pathBytes = log.readUInt16LE(at + 6);
    const targetBytes = log.readUInt16LE(at + 8);
    const dataBytes = Number(log.readBigUInt64LE(at + 56));
    const pathAt = at + headerBytes;
    const dataAt = pathAt + pathBytes + targetBytes;
    const path = log.toString('utf8', pathAt, pathAt + pathBytes);
    if (!'CWTSDMURLI'.includes(type)) throw new Error(`the recorder cannot express this call: ${path || type}`);
    if (dataAt + dataBytes > log.length) throw new Error(`the record at ${at} is cut short`);
    calls.push({
      type: type as RecordedCall['type'],
      start: Number(log.readBigUInt64LE(at + 16)),
      end: Number(log.readBigUInt64LE(at + 24)),
      file: fileIdentity(log.readBigUInt64LE(at + 32), log.readBigUInt64LE(at + 40)),
      offset: Number(log.readBigUInt64LE(at + 48)),
      path,
      target: log.toString('utf8', pathAt + pathBytes, dataAt),
      data: log.subarray(dataAt, dataAt + dataBytes),
      synced: (log.readUInt8(at + 5) & 1) === 1,
    });
    at = dataAt + dataBytes;
  }
  return calls.sort((one, other) => one.start - other.start);
}
