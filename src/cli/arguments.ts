// Reads the words of a command: its flags, its operands, and the settings that they add up to.
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { type Config, loadConfig, type SettingName } from '../base/config.ts';

export type Usage = { readonly kind: 'usage'; readonly message: string };

export type Flags = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

export type Words = { readonly kind: 'words'; readonly flags: Flags; readonly operands: readonly string[] } | Usage;

/** Like `parseArgs`, but with one short line for every mistake, which repeats no value. */
export function readWords(words: readonly string[], options: ParseArgsOptionsConfig): Words {
  const { tokens } = parseArgs({ args: [...words], options, strict: false, allowPositionals: true, tokens: true });
  const flags: Record<string, string | boolean | string[]> = {};
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (option === undefined) return usage(`unknown option ${token.rawName}`);
    if (option.type === 'boolean') {
      if (token.value !== undefined) return usage(`${token.rawName} takes no value`);
      flags[token.name] = true;
      continue;
    }
    // `--data --dev` is a forgotten value, not a directory called `--dev`; `--data=--dev` would be one.
    const forgotten = token.value === undefined || (token.inlineValue === false && token.value.startsWith('-'));
    if (forgotten) return usage(`${token.rawName} needs a value`);
    const before = flags[token.name];
    if (option.multiple === true) flags[token.name] = [...(Array.isArray(before) ? before : []), token.value];
    else flags[token.name] = token.value;
  }
  return { kind: 'words', flags, operands };
}

export const usage = (message: string): Usage => ({ kind: 'usage', message });

/** The settings that have a flag of their own, by the name of the flag. */
const settingOfFlag = {
  data: 'data',
  host: 'host',
  'blob-port': 'blobPort',
  'admin-port': 'adminPort',
  workers: 'workers',
  dev: 'dev',
} as const satisfies Record<string, SettingName>;

/** Every command that touches data takes these, so that it finds the same data as the server does. */
export const configOptions = {
  config: { type: 'string' },
  data: { type: 'string' },
  host: { type: 'string' },
  'blob-port': { type: 'string' },
  'admin-port': { type: 'string' },
  workers: { type: 'string' },
  dev: { type: 'boolean' },
  set: { type: 'string', multiple: true },
} as const satisfies ParseArgsOptionsConfig;

export const configHelp = `  --config FILE       read settings from a YAML file
  --data DIR          directory of everything that is stored (./.causeway)
  --host ADDRESS      address to listen on (127.0.0.1)
  --blob-port PORT    port of the Blob API; 0 picks a free one (10000)
  --admin-port PORT   port of health, metrics and the admin API; 0 picks a free one (8080)
  --workers N         worker processes (one a core)
  --dev               add the well-known development account; loopback only
  --set NAME=VALUE    any other setting: see 'causeway help settings'`;

export function configOf(flags: Flags): { readonly kind: 'config'; readonly config: Config } | Usage {
  const own = Object.entries(settingOfFlag).map(([flag, setting]) => [setting, flags[flag]] as const);
  const { config: file, set } = flags;
  const outcome = loadConfig({
    file: typeof file === 'string' ? file : undefined,
    assignments: Array.isArray(set) ? set : [],
    flags: Object.fromEntries(own),
  });
  return outcome.kind === 'invalid' ? usage(outcome.message) : outcome;
}
