// The certificate of an HTTPS listener: read from files, and read again when they change.
import { readFileSync, type Stats, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';

export interface TlsFiles {
  /** PEM: the server's certificate, then those that lead to its authority. */
  readonly certificatePath: string;
  readonly keyPath: string;
}

export interface CertificatePair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export type CertificateOutcome =
  | { readonly kind: 'ok'; readonly pair: CertificatePair; readonly keyIsOpen: boolean }
  | { readonly kind: 'invalid'; readonly which: 'certificate' | 'key'; readonly problem: string };

/** Reads the pair, and tries it: a key that is not the certificate's is found here and not at the first handshake. */
export function readCertificate(files: TlsFiles): CertificateOutcome {
  let cert: Buffer;
  try {
    cert = readFileSync(files.certificatePath);
  } catch (error) {
    return unreadable('certificate', error);
  }
  let key: Buffer;
  let keyIsOpen: boolean;
  try {
    key = readFileSync(files.keyPath);
    keyIsOpen = (statSync(files.keyPath).mode & 0o007) !== 0;
  } catch (error) {
    return unreadable('key', error);
  }
  try {
    createSecureContext({ cert });
  } catch {
    return { kind: 'invalid', which: 'certificate', problem: 'not a certificate in PEM' };
  }
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const mismatch = (error as NodeJS.ErrnoException).code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH';
    // What OpenSSL says may repeat the file; it is not passed on.
    return { kind: 'invalid', which: 'key', problem: mismatch ? 'not the key of the certificate' : 'not a key in PEM' };
  }
  return { kind: 'ok', pair: { cert, key }, keyIsOpen };
}

function unreadable(which: 'certificate' | 'key', error: unknown): CertificateOutcome {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  return { kind: 'invalid', which, problem: `the file cannot be read (${code})` };
}

/** Calls back when either file is another one than before; polled, for watching loses files that are renamed into place. */
export function watchCertificate(files: TlsFiles, everyMs: number, onChange: () => void): { close(): void } {
  let seen = marksOf(files);
  const timer = setInterval(() => {
    const now = marksOf(files);
    if (now === seen) return;
    seen = now;
    onChange();
  }, everyMs);
  timer.unref();
  return { close: () => clearInterval(timer) };
}

function marksOf({ certificatePath, keyPath }: TlsFiles): string {
  return `${markOf(certificatePath)} ${markOf(keyPath)}`;
}

/** Through symbolic links, which is how secrets are replaced where they are mounted. */
function markOf(path: string): string {
  let stats: Stats | undefined;
  try {
    stats = statSync(path, { throwIfNoEntry: false });
  } catch {
    // Not readable now; when it is, that is a change.
  }
  return stats === undefined ? 'none' : `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeMs}:${stats.mode}`;
}
