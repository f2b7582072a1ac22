// The name that a blob has when a request, or a person, writes its address in one of several ways.

/**
 * The service takes a backslash in a blob's name for a slash, and SDKs sign for the name with the slash. It resolves `.`
 * and `..` as in any address (docs/decisions/2026-11-29-dots-in-names.md). Undefined for what would lead out of the
 * container, or names nothing in it.
 */
export function resolveBlobName(written: string): string | undefined {
  const name = written.replaceAll('\\', '/');
  return dotSegment.test(name) ? withoutDots(name) : name;
}

const dotSegment = /(?:^|\/)\.\.?(?:\/|$)/;

function withoutDots(name: string): string | undefined {
  const segments = name.split('/');
  const kept: string[] = [];
  for (const [i, segment] of segments.entries()) {
    const isLast = i === segments.length - 1;
    if (segment !== '.' && segment !== '..') kept.push(segment);
    else {
      if (segment === '..' && kept.pop() === undefined) return undefined;
      if (isLast) kept.push('');
    }
  }
  const resolved = kept.join('/');
  return resolved === '' ? undefined : resolved;
}
