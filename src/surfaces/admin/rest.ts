// The REST form of the management commands: from method, path, query and body to a command's input.
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { RequestBody } from '../http/body.ts';
import { type ManagementCommand, type RefusalCode, refusals } from './command.ts';
import { managementCommands } from './commands.ts';

export const bodyBytesMax = 64 * 1024;

export interface RestError {
  readonly kind: 'error';
  readonly status: number;
  readonly code: string;
  readonly message: string;
  /** Methods that the path has. */
  readonly allow?: string;
}

export type RestRequest =
  | { readonly kind: 'command'; readonly row: ManagementCommand; readonly input: object }
  | RestError;

const error = (status: number, code: string, message: string): RestError => ({ kind: 'error', status, code, message });

const routes = managementCommands.map((row) => ({ row, parts: row.path.split('/').slice(1) }));

/** Reads the body only where a command takes one. */
export async function readRest(request: IncomingMessage, askForBody: (() => void) | undefined): Promise<RestRequest> {
  const [path = '', query] = (request.url ?? '').split('?', 2) as [string, string?];
  const segments = decoded(path);
  if (segments === undefined) return error(400, 'InvalidInput', 'the path is not valid');
  const matches = routes.filter(({ parts }) => isMatch(parts, segments));
  if (matches.length === 0) return error(404, 'NotFound', 'there is no such resource');
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const found = matches.find(({ row }) => row.method === method);
  if (found === undefined) {
    const allow = matches.map(({ row }) => row.method).join(', ');
    return { ...error(405, 'MethodNotAllowed', `the resource takes ${allow}`), allow };
  }
  const { row, parts } = found;
  const fields = new Map<string, unknown>();
  for (const [index, part] of parts.entries()) if (part.startsWith('{')) fields.set(part.slice(1, -1), segments[index]);
  const more = await furtherFields(request, row, query, askForBody);
  if (more.kind === 'error') return more;
  for (const [name, value] of more.fields) {
    if (fields.has(name)) return error(400, 'InvalidInput', 'a field is given twice');
    fields.set(name, value);
  }
  return { kind: 'command', row, input: Object.fromEntries(fields) };
}

type Fields = { readonly kind: 'fields'; readonly fields: readonly (readonly [string, unknown])[] } | RestError;

async function furtherFields(
  request: IncomingMessage,
  row: ManagementCommand,
  query: string | undefined,
  askForBody: (() => void) | undefined,
): Promise<Fields> {
  const { 'content-length': length, 'transfer-encoding': encoding, 'content-type': type } = request.headers;
  const hasBody = encoding !== undefined || (length !== undefined && length !== '0');
  if (row.method === 'GET') {
    if (hasBody) return error(400, 'InvalidInput', 'a GET takes no body');
    return { kind: 'fields', fields: [...new URLSearchParams(query)] };
  }
  if (query !== undefined && query !== '') return error(400, 'InvalidInput', 'a change takes no query');
  if (!hasBody) return { kind: 'fields', fields: [] };
  if (row.method === 'DELETE') return error(400, 'InvalidInput', 'a DELETE takes no body');
  if (!/^application\/json(?: *; *charset="?utf-8"?)?$/i.test(type ?? ''))
    return error(415, 'UnsupportedMediaType', 'the body must be application/json');
  if (request.headers['content-encoding'] !== undefined)
    return error(415, 'UnsupportedMediaType', 'the body must not be encoded');
  if (Number(length ?? 0) > bodyBytesMax) return error(413, 'BodyTooLarge', `a body has at most ${bodyBytesMax} bytes`);
  const bytes = await new RequestBody(request, askForBody).whole(bodyBytesMax);
  if (bytes === undefined) return error(413, 'BodyTooLarge', `a body has at most ${bodyBytesMax} bytes`);
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return error(400, 'InvalidInput', 'the body is not JSON');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return error(400, 'InvalidInput', 'the body must be an object');
  return { kind: 'fields', fields: Object.entries(body) };
}

function isMatch(parts: readonly string[], segments: readonly string[]): boolean {
  return (
    parts.length === segments.length &&
    parts.every((part, index) => (part.startsWith('{') ? segments[index] !== '' : part === segments[index]))
  );
}

function decoded(path: string): string[] | undefined {
  try {
    return path.split('/').slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

export const statusOf = (code: RefusalCode): number => refusals[code];

/** The table as an OpenAPI 3.1 document. */
export function openApi(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const row of managementCommands) {
    const inPath = [...row.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string);
    const schema = z.toJSONSchema(row.input, { io: 'input', unrepresentable: 'any' }) as {
      properties?: Record<string, object>;
      required?: string[];
    };
    const others = Object.entries(schema.properties ?? {}).filter(([name]) => !inPath.includes(name));
    const required = (schema.required ?? []).filter((name) => !inPath.includes(name));
    const parameters = [
      ...inPath.map((name) => ({ name, in: 'path', required: true, schema: schema.properties?.[name] ?? {} })),
      ...(row.method === 'GET' ? others.map(([name, field]) => ({ name, in: 'query', schema: field })) : []),
    ];
    const properties = Object.fromEntries(others);
    const body = { type: 'object', properties, ...(required.length > 0 && { required }), additionalProperties: false };
    paths[row.path] ??= {};
    (paths[row.path] as Record<string, object>)[row.method.toLowerCase()] = {
      operationId: row.name.replaceAll(' ', '-'),
      summary: row.summary,
      parameters,
      ...(row.method !== 'GET' &&
        others.length > 0 && { requestBody: { content: { 'application/json': { schema: body } } } }),
      responses: { default: { description: 'JSON; an error is {"error":{"code","message"}}' } },
    };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Causeway admin API', version: '1' },
    security: [{ adminToken: [] }],
    components: { securitySchemes: { adminToken: { type: 'http', scheme: 'bearer' } } },
    paths,
  };
}
