// Cross-origin requests: the preflight, and what answers say to a browser ("Cross-Origin Resource Sharing support").
import type { Answer } from '../http/answer.ts';
import { BlobError } from './errors.ts';
import { required } from './headers-in.ts';
import type { Headers } from './request.ts';
import { blobServiceOf, type CorsRule } from './service-record.ts';

/** Answers OPTIONS by the account's rules (`blobService` as it is stored); throws `BlobError` where none fits. */
export function preflight(blobService: unknown, headers: Headers): Answer {
  const origin = required(headers, 'origin');
  const method = required(headers, 'access-control-request-method');
  const asked = headers['access-control-request-headers'];
  const wanted = listed(asked ?? '');
  const rule = blobServiceOf(blobService).cors.find(
    (one) =>
      allowsOrigin(one, origin) &&
      one.methods.includes(method.toUpperCase()) &&
      wanted.every((name) => matchesAny(one.allowedHeaders, name)),
  );
  if (rule === undefined) {
    throw new BlobError('CorsPreflightFailure', { MessageDetails: 'No CORS rule matches this request.' });
  }
  return {
    status: 200,
    headers: {
      ...originHeaders(rule, origin),
      'Access-Control-Allow-Methods': method,
      'Access-Control-Allow-Headers': asked === undefined || asked === '' ? undefined : asked,
      'Access-Control-Max-Age': rule.maxAgeS,
    },
  };
}

/**
 * What an ordinary answer carries besides. `answered` are the names of its own headers: a rule may expose some of them by
 * a prefix, and they are named one by one, because browsers take no prefixes.
 */
export function corsHeaders(
  blobService: unknown,
  origin: string,
  method: string,
  answered: readonly string[] = [],
): Record<string, string> {
  const { cors } = blobServiceOf(blobService);
  const rule = cors.find((one) => allowsOrigin(one, origin) && one.methods.includes(method));
  if (rule === undefined) {
    // Another origin might get another answer to the same GET: caches must not mix them up.
    const varies = method === 'GET' || method === 'HEAD' ? cors.some(({ origins }) => !origins.includes('*')) : false;
    return varies ? { Vary: 'Origin' } : {};
  }
  const exposed = new Map<string, string>();
  for (const name of rule.exposedHeaders) {
    if (answered.length === 0 || !name.endsWith('*')) exposed.set(name.toLowerCase(), name);
  }
  for (const name of answered) if (matchesAny(rule.exposedHeaders, name)) exposed.set(name.toLowerCase(), name);
  return {
    ...originHeaders(rule, origin),
    ...(exposed.size > 0 && { 'Access-Control-Expose-Headers': [...exposed.values()].join(',') }),
  };
}

/** A rule for everybody says so; any other names the origin, and caches have to tell origins apart. */
function originHeaders(rule: CorsRule, origin: string): Record<string, string> {
  if (rule.origins.includes('*')) return { 'Access-Control-Allow-Origin': '*' };
  return {
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Allow-Credentials': 'true',
    Vary: 'Origin',
  };
}

function allowsOrigin(rule: CorsRule, origin: string): boolean {
  return rule.origins.some((pattern) => {
    if (pattern === '*' || pattern === origin) return true;
    const star = pattern.indexOf('://*.');
    if (star === -1) return false;
    // "https://*.contoso.com": any subdomain, and not the domain itself.
    const scheme = pattern.slice(0, star + 3);
    const domain = pattern.slice(star + 4);
    const host = origin.slice(scheme.length);
    return origin.startsWith(scheme) && host.endsWith(domain) && host.length > domain.length && !host.includes('/');
  });
}

function matchesAny(patterns: readonly string[], name: string): boolean {
  const lower = name.toLowerCase();
  return patterns.some((pattern) => {
    const wanted = pattern.toLowerCase();
    return wanted.endsWith('*') ? lower.startsWith(wanted.slice(0, -1)) : lower === wanted;
  });
}

function listed(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
