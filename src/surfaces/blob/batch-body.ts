// The body of a batch: `multipart/mixed` of HTTP requests in, of HTTP responses out ("Blob Batch").
import { STATUS_CODES } from 'node:http';
import type { Answer } from '../http/answer.ts';
import type { BatchPart } from './call.ts';

export const partsMax = 256;
/** Of the head of a part, as by default of the head of a request. */
const headCharactersMax = 64 * 1024;
const headersMax = 200;

export interface ParsedPart extends BatchPart {
  /** As it came; it is given back with the answer. */
  readonly contentId: string | undefined;
}

export type BatchOutcome =
  | { readonly kind: 'ok'; readonly parts: readonly ParsedPart[] }
  | { readonly kind: 'malformed'; readonly reason: string }
  | { readonly kind: 'too-many' };

/** RFC 2046: up to 70 characters, quoted if need be. */
const boundaryParameter = /;\s*boundary=\s*(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))\s*(?=;|$)/gi;

export function boundaryOf(contentType: string): { readonly text: string } | 'none' | 'several' {
  if (!/^multipart\/mixed\s*;/i.test(contentType)) return 'none';
  const found = [...contentType.matchAll(boundaryParameter)];
  if (found.length > 1) return 'several';
  const text = found[0]?.[1] ?? found[0]?.[2];
  return text === undefined ? 'none' : { text };
}

class Malformed extends Error {}

/** Takes the body apart; every part is a request without a body of its own. Lines end in CRLF, or in LF alone. */
export function parseBatch(body: string, boundary: string): BatchOutcome {
  try {
    const sections = sectionsOf(body, boundary);
    if (sections.length > partsMax) return { kind: 'too-many' };
    return { kind: 'ok', parts: sections.map(parsePart) };
  } catch (error) {
    if (error instanceof Malformed) return { kind: 'malformed', reason: error.message };
    throw error;
  }
}

/** The lines of each part: between delimiter lines, up to the closing one. */
function sectionsOf(body: string, boundary: string): string[][] {
  const sections: string[][] = [];
  const delimiter = `--${boundary}`;
  let section: string[] | undefined;
  for (const raw of body.split('\n')) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    const trimmed = line.trimEnd();
    if (trimmed === `${delimiter}--`) {
      if (section === undefined) throw new Malformed('there is no part');
      return sections;
    }
    if (trimmed === delimiter) {
      section = [];
      sections.push(section);
      // Far beyond the limit nothing needs to be kept to say that it was passed.
      if (sections.length > partsMax) return sections;
    } else section?.push(line);
  }
  throw new Malformed('the closing boundary is missing');
}

const requestLine = /^([A-Z]{1,16}) (\S{1,16384}) HTTP\/1\.[01]$/;
const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function parsePart(lines: readonly string[]): ParsedPart {
  const outer = readHeaders(lines, 0);
  if (!/^application\/http\s*(?:;|$)/i.test(outer.headers['content-type'] ?? '')) {
    throw new Malformed('a part is not application/http');
  }
  let start = outer.next;
  while (start < lines.length && lines[start] === '') start++;
  const request = requestLine.exec(lines[start] ?? '');
  if (request === null) throw new Malformed('a part does not begin with a request line');
  const inner = readHeaders(lines, start + 1);
  if (lines.slice(inner.next).some((line) => line !== '')) throw new Malformed('a part has a body');
  if (Number(inner.headers['content-length'] ?? 0) !== 0) throw new Malformed('a part has a body');
  const [, method, url] = request as unknown as [string, string, string];
  return { method, url: pathOf(url), headers: inner.headers, contentId: outer.headers['content-id'] };
}

/** A request may name its whole address; only path and query count, for it goes to this server anyway. */
function pathOf(url: string): string {
  const path = /^https?:\/\/[^/?#]*(.*)$/i.exec(url)?.[1] ?? url;
  // As some clients send it for addresses that have the account in their path.
  return path.startsWith('/') ? path : `/${path}`;
}

function readHeaders(lines: readonly string[], from: number): { headers: Record<string, string>; next: number } {
  const headers: Record<string, string> = Object.create(null);
  let characters = 0;
  let at = from;
  for (; at < lines.length && lines[at] !== ''; at++) {
    const line = lines[at] as string;
    characters += line.length + 2;
    if (characters > headCharactersMax || at - from >= headersMax)
      throw new Malformed('the head of a part is too large');
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    const value = line.slice(colon + 1).trim();
    // What a signature covers must be plain: neither control characters nor a header that came twice.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    if (!headerName.test(name) || /[\0-\x08\x0a-\x1f\x7f]/.test(value)) throw new Malformed('a header is malformed');
    if (name in headers) throw new Malformed('a header came twice');
    headers[name] = value;
  }
  return { headers, next: at + 1 };
}

export interface AnsweredPart {
  readonly contentId: string | undefined;
  readonly answer: Answer;
}

/** The body of the answer, in the order of the request's parts. */
export function formatBatch(answered: readonly AnsweredPart[], boundary: string): string {
  let out = '';
  for (const { contentId, answer } of answered) {
    out += `--${boundary}\r\nContent-Type: application/http\r\n`;
    if (contentId !== undefined) out += `Content-ID: ${contentId}\r\n`;
    const { status, reason = STATUS_CODES[status] ?? 'Unknown' } = answer;
    out += `\r\nHTTP/1.1 ${status} ${reason}\r\n`;
    for (const name in answer.headers) {
      const value = answer.headers[name];
      if (value !== undefined && name.toLowerCase() !== 'content-length') out += `${name}: ${value}\r\n`;
    }
    const body = bodyText(answer);
    if (body !== '') out += `Content-Length: ${Buffer.byteLength(body)}\r\n`;
    out += `\r\n${body}${body === '' ? '' : '\r\n'}`;
  }
  return `${out}--${boundary}--\r\n`;
}

function bodyText({ body }: Answer): string {
  if (body === undefined) return '';
  if (typeof body === 'string') return body;
  if (Buffer.isBuffer(body)) return body.toString('utf8');
  throw new Error('a part of a batch answered with a stream');
}
