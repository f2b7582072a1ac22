// Which operation a request is, by its method, its level, `restype` and `comp`.
import { BlobError } from './errors.ts';
import { type Operation, operations } from './operations.ts';
import { one, type ParsedRequest } from './request.ts';

const byKey = new Map<string, Operation[]>();
/** Those that need neither `restype` nor `comp` are most of all requests, and found without putting a key together. */
const plain = { service: new Map(), container: new Map(), blob: new Map() } as Record<
  Operation['level'],
  Map<string, Operation[]>
>;
/** What `Allow` names where another method was tried. */
const methods = new Map<string, Set<string>>();
for (const operation of operations) {
  const key = keyOf(operation.level, operation.method, operation.restype, operation.comp);
  const found = [...(byKey.get(key) ?? []), operation];
  byKey.set(key, found);
  if (operation.restype === undefined && operation.comp === undefined)
    plain[operation.level].set(operation.method, found);
  const anyMethod = keyOf(operation.level, '', operation.restype, operation.comp);
  methods.set(anyMethod, (methods.get(anyMethod) ?? new Set()).add(operation.method));
}

function keyOf(level: string, method: string, restype: string | undefined, comp: string | undefined): string {
  return `${level} ${method} ${restype ?? ''} ${comp ?? ''}`;
}

/** Throws the documented error for what is no operation. */
export function findOperation(request: ParsedRequest): Operation {
  const { target, query, method } = request;
  const level = target.blob !== undefined ? 'blob' : target.container !== undefined ? 'container' : 'service';
  const restype = query.size === 0 ? undefined : one(query, 'restype')?.toLowerCase();
  const comp = query.size === 0 ? undefined : one(query, 'comp')?.toLowerCase();
  const isPlain = restype === undefined && comp === undefined;
  const candidates = isPlain ? plain[level].get(method) : byKey.get(keyOf(level, method, restype, comp));
  for (const operation of candidates ?? [])
    if (operation.when === undefined || operation.when(request)) return operation;
  const allowed = methods.get(keyOf(level, '', restype, comp));
  if (allowed !== undefined) {
    throw new BlobError('UnsupportedHttpVerb', {}, undefined, { Allow: [...allowed].join(',') });
  }
  // What misses it is told of `comp`, as by the service.
  throw new BlobError('InvalidQueryParameterValue', {
    QueryParameterName: 'comp',
    QueryParameterValue: comp ?? '',
    Reason: comp === undefined ? '' : 'It names no operation on this resource.',
  });
}
