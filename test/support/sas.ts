// An account SAS that allows everything, as the service's documentation describes its signing.
import { createHmac } from 'node:crypto';

export const developmentAccount = 'devstoreaccount1';
export const developmentKey =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** The query string (without `?`) that lets its holder do everything on the account until `expires`. */
export function accountSas(account: string, key: string, expires: Date): string {
  const fields = {
    sv: '2022-11-02',
    ss: 'b',
    srt: 'sco',
    sp: 'rwdlacup',
    se: `${expires.toISOString().slice(0, 19)}Z`,
    spr: 'https,http',
  };
  // Account, permissions, services, resource types, start, expiry, addresses, protocols, version, encryption scope.
  const text = [account, fields.sp, fields.ss, fields.srt, '', fields.se, '', fields.spr, fields.sv, '', ''].join('\n');
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64');
  return new URLSearchParams({ ...fields, sig: signature }).toString();
}
