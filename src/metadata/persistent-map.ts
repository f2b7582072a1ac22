// An immutable ordered map: every change makes a new map that shares what did not change, so a picture costs nothing.
import { idOf, type KeyId } from './byte-order.ts';
import type { Item, Key, Value } from './engine.ts';

interface Node {
  readonly id: KeyId;
  readonly item: Item;
  /** A treap: parents have the higher priority, so the shape depends on the keys alone and is balanced on average. */
  readonly priority: number;
  readonly left: Tree;
  readonly right: Tree;
}

type Tree = Node | undefined;

export class PersistentMap {
  readonly #root: Tree;

  constructor(root?: Tree) {
    this.#root = root;
  }

  get(key: Key): Value | undefined {
    const id = idOf(key);
    let node = this.#root;
    while (node !== undefined && node.id !== id) node = id < node.id ? node.left : node.right;
    return node?.item.value;
  }

  set(key: Key, value: Value): PersistentMap {
    const id = idOf(key);
    return new PersistentMap(
      insert(this.#root, { id, item: { key, value }, priority: hash(id), left: undefined, right: undefined }),
    );
  }

  delete(key: Key): PersistentMap {
    return new PersistentMap(remove(this.#root, idOf(key)));
  }

  deleteRange(start: Key, end: Key): PersistentMap {
    const [below, rest] = split(this.#root, idOf(start));
    const [, above] = split(rest, idOf(end));
    return new PersistentMap(join(below, above));
  }

  scan(start: Key, end: Key, limit: number, reverse: boolean): Item[] {
    const items: Item[] = [];
    walk(this.#root, idOf(start), idOf(end), limit, reverse, items);
    return items;
  }
}

/** FNV-1a with a last mixing step. */
function hash(id: KeyId): number {
  let sum = 0x811c9dc5;
  for (let place = 0; place < id.length; place += 1) sum = Math.imul(sum ^ id.charCodeAt(place), 0x01000193);
  sum = Math.imul(sum ^ (sum >>> 16), 0x85ebca6b);
  return (sum ^ (sum >>> 13)) >>> 0;
}

function withLeft(node: Node, left: Tree): Node {
  return { id: node.id, item: node.item, priority: node.priority, left, right: node.right };
}

function withRight(node: Node, right: Tree): Node {
  return { id: node.id, item: node.item, priority: node.priority, left: node.left, right };
}

/** The nodes below `id`, and those from `id` up. */
function split(node: Tree, id: KeyId): [Tree, Tree] {
  if (node === undefined) return [undefined, undefined];
  if (node.id < id) {
    const [below, above] = split(node.right, id);
    return [withRight(node, below), above];
  }
  const [below, above] = split(node.left, id);
  return [below, withLeft(node, above)];
}

/** Every id of `low` is below every id of `high`. */
function join(low: Tree, high: Tree): Tree {
  if (low === undefined) return high;
  if (high === undefined) return low;
  return low.priority > high.priority ? withRight(low, join(low.right, high)) : withLeft(high, join(low, high.left));
}

function insert(node: Tree, added: Node): Node {
  if (node === undefined) return added;
  if (node.id === added.id) return { ...added, left: node.left, right: node.right };
  if (added.priority > node.priority) {
    const [below, above] = split(node, added.id);
    return { ...added, left: below, right: above };
  }
  return added.id < node.id ? withLeft(node, insert(node.left, added)) : withRight(node, insert(node.right, added));
}

function remove(node: Tree, id: KeyId): Tree {
  if (node === undefined) return undefined;
  if (node.id === id) return join(node.left, node.right);
  return id < node.id ? withLeft(node, remove(node.left, id)) : withRight(node, remove(node.right, id));
}

function walk(node: Tree, start: KeyId, end: KeyId, limit: number, reverse: boolean, items: Item[]): void {
  if (node === undefined || items.length === limit) return;
  const [first, last] = reverse ? [node.right, node.left] : [node.left, node.right];
  if (reverse ? node.id < end : node.id >= start) walk(first, start, end, limit, reverse, items);
  if (node.id >= start && node.id < end && items.length < limit) items.push(node.item);
  if (reverse ? node.id >= start : node.id < end) walk(last, start, end, limit, reverse, items);
}
