// Making shared access signatures: what a signature says is read by the parser that will read it, and then signed.
import { type AccountKey, sign } from './account-key.ts';
import { type AnySas, parseSas, type SasParameter } from './sas.ts';
import { type SasTarget, sasStringToSign } from './verify-sas.ts';

/** The layout that is signed: the last before a signature may bind parts of its request. Azure and its SDKs take it. */
export const madeSasVersion = '2025-07-05';

export type MadeSas =
  /** The query string, without `?`. */
  | { readonly kind: 'ok'; readonly token: string }
  | { readonly kind: 'malformed'; readonly parameter: SasParameter; readonly detail: string };

const unsigned = Buffer.alloc(32).toString('base64');

/** `fields` are all but `sv` and `sig`; what is empty is left out. Its times are in the form of signatures. */
export function makeSas(
  fields: Readonly<Partial<Record<SasParameter, string>>>,
  target: SasTarget,
  key: AccountKey,
): MadeSas {
  const said = Object.entries({ sv: madeSasVersion, ...fields }).filter(([, value]) => value !== '');
  const sas = parseSas(new Map([...said, ['sig', unsigned] as const].map(([name, value]) => [name, [value]])));
  switch (sas.kind) {
    case 'malformed':
      return { kind: 'malformed', parameter: sas.parameter, detail: sas.detail };
    case 'none':
      throw new Error('a signature without a signature');
    default:
      return { kind: 'ok', token: tokenOf(said, signature(sas, target, key)) };
  }
}

const signature = (sas: AnySas, target: SasTarget, key: AccountKey): string =>
  sign(sasStringToSign(sas, target), key).toString('base64');

/** Colons stay as they are, for whoever reads the times. */
function tokenOf(said: readonly (readonly [string, string])[], sig: string): string {
  const encoded = (text: string): string => encodeURIComponent(text).replaceAll('%3A', ':');
  return [...said, ['sig', sig] as const].map(([name, value]) => `${name}=${encoded(value)}`).join('&');
}
