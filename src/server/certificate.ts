// The certificate of the Blob listener: checked when the server starts, and renewed in every worker when its files change.
import { type Config, SettingError } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import type { HttpListener } from '../surfaces/http/listener.ts';
import { readCertificate, type TlsFiles, watchCertificate } from '../surfaces/http/tls.ts';

const pollMs = 1000;

export function tlsFiles({ tlsCertificate, tlsKey }: Config): TlsFiles | undefined {
  return tlsCertificate === '' ? undefined : { certificatePath: tlsCertificate, keyPath: tlsKey };
}

/** Throws `SettingError` for files that make no certificate. */
export function checkCertificate(config: Config, logger: Logger): void {
  const files = tlsFiles(config);
  if (files === undefined) return;
  const read = readCertificate(files);
  if (read.kind === 'invalid') {
    throw new SettingError(read.which === 'key' ? 'tlsKey' : 'tlsCertificate', read.problem);
  }
  // Where secrets are mounted, files are open to all who can reach the mount: no ground to refuse to start.
  if (read.keyIsOpen) logger.warn({ path: files.keyPath }, 'the key of TLS can be read by every user of this machine');
}

/** A pair that is no good leaves the one before in place: a renewal that went wrong must not end the service. */
export function keepCertificate(files: TlsFiles, listener: HttpListener, logger: Logger): void {
  watchCertificate(files, pollMs, () => {
    const read = readCertificate(files);
    if (read.kind === 'invalid') {
      const { which, problem } = read;
      logger.error({ which, problem }, 'the new certificate of TLS is not taken; the one before goes on');
      return;
    }
    listener.renew(read.pair);
    logger.info({ path: files.certificatePath }, 'the certificate of TLS was renewed');
  });
}
