// Certificates for tests, made by the openssl command: an authority of one's own, and what it signs for loopback.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Authority {
  /** PEM, for the `ca` option of a client and for `NODE_EXTRA_CA_CERTS`. */
  readonly certificatePath: string;
  readonly certificate: string;
  readonly keyPath: string;
}

export interface Certificate {
  readonly certificatePath: string;
  readonly keyPath: string;
  /** Both as PEM: the certificate and its key. */
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateWishes {
  readonly commonName?: string;
  /** Subject alternative names as openssl writes them. */
  readonly names?: readonly string[];
  readonly days?: number;
}

/** What a server on loopback is called, also with an account before its name (`NAME.blob.localhost`). */
const loopbackNames = ['DNS:localhost', 'DNS:*.blob.localhost', 'IP:127.0.0.1', 'IP:::1'];
const timeoutMs = 30_000;

/** Makes `ca.crt` and `ca.key` in the directory. Needs the openssl command, as `hasOpenssl` tells. */
export function makeAuthority(directory: string, commonName = 'Test authority'): Authority {
  mkdirSync(directory, { recursive: true });
  const certificatePath = join(directory, 'ca.crt');
  const keyPath = join(directory, 'ca.key');
  openssl('req', '-x509', ...newKey(keyPath), '-subj', `/CN=${commonName}`, '-days', '30', '-out', certificatePath);
  return { certificatePath, keyPath, certificate: readFileSync(certificatePath, 'utf8') };
}

/** A server's certificate signed by the authority: `NAME.crt` and `NAME.key`, which replace what had that name. */
export function makeCertificate(
  authority: Authority,
  directory: string,
  name = 'server',
  { commonName = 'localhost', names = loopbackNames, days = 30 }: CertificateWishes = {},
): Certificate {
  mkdirSync(directory, { recursive: true });
  const certificatePath = join(directory, `${name}.crt`);
  const keyPath = join(directory, `${name}.key`);
  const requestPath = join(directory, `${name}.csr`);
  const extensionsPath = join(directory, `${name}.ext`);
  openssl('req', ...newKey(keyPath), '-subj', `/CN=${commonName}`, '-out', requestPath);
  const extensions = [`subjectAltName=${names.join(',')}`, 'extendedKeyUsage=serverAuth', 'basicConstraints=CA:FALSE'];
  writeFileSync(extensionsPath, `${extensions.join('\n')}\n`);
  openssl(
    ...['x509', '-req', '-in', requestPath, '-CA', authority.certificatePath, '-CAkey', authority.keyPath],
    ...['-CAcreateserial', '-days', `${days}`, '-extfile', extensionsPath, '-out', certificatePath],
  );
  return {
    certificatePath,
    keyPath,
    certificate: readFileSync(certificatePath, 'utf8'),
    key: readFileSync(keyPath, 'utf8'),
  };
}

export function hasOpenssl(): boolean {
  try {
    openssl('version');
    return true;
  } catch {
    return false;
  }
}

/** Elliptic: made in milliseconds, and every client knows the curve. */
function newKey(keyPath: string): string[] {
  writeFileSync(keyPath, '', { mode: 0o600 });
  chmodSync(keyPath, 0o600);
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-keyout', keyPath];
}

function openssl(...words: readonly string[]): void {
  execFileSync('openssl', words, { stdio: ['ignore', 'ignore', 'pipe'], timeout: timeoutMs });
}
