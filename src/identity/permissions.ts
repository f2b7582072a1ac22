// What a shared access signature may allow, as a set of bits: one letter of `sp` each.

/** In the order in which the service writes them. */
const letters = {
  read: 'r',
  add: 'a',
  create: 'c',
  write: 'w',
  delete: 'd',
  deleteVersion: 'x',
  permanentDelete: 'y',
  list: 'l',
  tags: 't',
  filter: 'f',
  move: 'm',
  execute: 'e',
  ownership: 'o',
  posixPermissions: 'p',
  setImmutability: 'i',
  /** Queues and tables only. */
  update: 'u',
} as const;

export type BlobPermission = keyof typeof letters;

/** A set of `BlobPermission`. */
export type PermissionSet = number;

const names = Object.keys(letters) as BlobPermission[];
const bits = Object.fromEntries(names.map((name, index) => [name, 1 << index])) as Record<BlobPermission, number>;
const bitsByLetter = new Map(names.map((name) => [letters[name] as string, bits[name]]));

export function permissionSet(...permissions: readonly BlobPermission[]): PermissionSet {
  return permissions.reduce((set, permission) => set | bits[permission], 0);
}

/** The letters in any order; undefined if one is unknown. */
export function parsePermissions(text: string): PermissionSet | undefined {
  let set = 0;
  for (const letter of text) {
    const bit = bitsByLetter.get(letter);
    if (bit === undefined) return undefined;
    set |= bit;
  }
  return set;
}

export function hasAnyPermission(set: PermissionSet, wanted: PermissionSet): boolean {
  return (set & wanted) !== 0;
}

export function formatPermissions(set: PermissionSet): string {
  return names.map((name) => ((set & bits[name]) === 0 ? '' : letters[name])).join('');
}
