// Values as the command line writes them, and as the management commands take them: on and off, numbers, lists, none.
import { type Usage, usage } from './arguments.ts';

/** A list of words is a choice of one of them. */
export type Kind = 'switch' | 'whole' | 'text' | 'list' | readonly string[];

export interface Setting {
  readonly kind: Kind;
  readonly help: string;
  /** Whether `none` takes it away. */
  readonly orNone?: true;
  /** A word that the input has as null. */
  readonly noneWord?: string;
}

/** By the name on the command line: `soft-delete-days`. */
export type Settings = Readonly<Record<string, Setting>>;

type Value = { readonly kind: 'value'; readonly value: unknown } | Usage;

const value = (given: unknown): Value => ({ kind: 'value', value: given });

/** It repeats the name of the setting, and never the word. */
export function readValue(
  name: string,
  { kind, orNone, noneWord = 'none' }: Omit<Setting, 'help'>,
  word: string,
): Value {
  if (orNone && word === noneWord) return value(null);
  const none = orNone ? `, or ${noneWord}` : '';
  switch (kind) {
    case 'switch':
      if (word === 'on' || word === 'off') return value(word === 'on');
      return usage(`${name} must be on or off${none}`);
    case 'whole':
      return /^\d{1,16}$/.test(word) ? value(Number(word)) : usage(`${name} must be a whole number${none}`);
    case 'text':
      return word === '' ? usage(`${name} needs a value`) : value(word);
    case 'list':
      return value(word.split(',').filter((part) => part !== ''));
    default:
      return kind.includes(word) ? value(word) : usage(`${name} must be ${kind.join(', ')}${none}`);
  }
}

type Fields = { readonly kind: 'fields'; readonly fields: Readonly<Record<string, unknown>> } | Usage;

/** `name=value` words as fields of an input. */
export function readAssignments(words: readonly string[], settings: Settings): Fields {
  const fields: Record<string, unknown> = {};
  for (const word of words) {
    const at = word.indexOf('=');
    if (at === -1) return usage('a setting is NAME=VALUE');
    const name = word.slice(0, at);
    const setting = Object.hasOwn(settings, name) ? settings[name] : undefined;
    if (setting === undefined) {
      const shown = /^[\w.-]{1,40}$/.test(name) ? name : 'that';
      return usage(`there is no setting ${shown}; there are ${Object.keys(settings).join(', ')}`);
    }
    const field = fieldOf(name);
    if (Object.hasOwn(fields, field)) return usage(`${name} is set twice`);
    const read = readValue(name, setting, word.slice(at + 1));
    if (read.kind === 'usage') return read;
    fields[field] = read.value;
  }
  return { kind: 'fields', fields };
}

/** `soft-delete-days` is `softDeleteDays` in an input. */
export const fieldOf = (name: string) => name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

export const wordOf = (field: string) => field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** What `set` would take to make it so. */
export function formatValue(given: unknown): string {
  if (given === true) return 'on';
  if (given === false) return 'off';
  if (given === null || given === undefined) return 'none';
  if (Array.isArray(given)) return given.length === 0 ? 'none' : given.join(',');
  return String(given);
}

export function describeSettings(settings: Settings): string {
  const rows = Object.entries(settings).map(([name, { kind, orNone, noneWord, help }]) => {
    const words = kind === 'switch' ? 'on|off' : typeof kind === 'string' ? metaOf[kind] : kind.join('|');
    return [`${name}=${words}${orNone ? `|${noneWord ?? 'none'}` : ''}`, help] as const;
  });
  const width = Math.max(...rows.map(([form]) => form.length)) + 2;
  return rows.map(([form, help]) => `  ${form.padEnd(width)}${help}`).join('\n');
}

const metaOf = { whole: 'N', text: 'NAME', list: 'A,B' } as const;
