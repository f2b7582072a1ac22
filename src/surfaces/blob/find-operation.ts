// Which operation a request is, by its method, its level, `restype` and `comp`.
import { BlobError } from './errors.ts';
import { type Operation, operations } from './operations.ts';
import { one, type ParsedRequest } from './request.ts';

const byKey = new Map<string, Operation[]>();
/** What `Allow` names where another method was tried. */
const methods = new Map<string, Set<string>>();
for (const operation of operations) {
  const key = keyOf(operation.level, operation.method, operation.restype, operation.comp);
  byKey.set(key, [...(byKey.get(key) ?? []), operation]);
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
  const found = byKey.get(keyOf(level, method, restype, comp))?.find(({ when }) => when === undefined || when(request));
  if (found !== undefined) return found;
  const allowed = methods.get(keyOf(level, '', restype, comp));
  if (allowed !== undefined) {
    throw new BlobError('UnsupportedHttpVerb', {}, undefined, { Allow: [...allowed].join(',') });
  }
  const [name, value] = comp === undefined ? ['restype', restype ?? ''] : ['comp', comp];
  throw new BlobError('InvalidQueryParameterValue', {
    QueryParameterName: name,
    QueryParameterValue: value,
    Reason: 'It names no operation on this resource.',
  });
}
