// The commands that only ask the server something: their words become the input of a management command, its answer lines.
import { readFileSync } from 'node:fs';
import type { ParseArgsOptionsConfig } from 'node:util';
import type { Config } from '../base/config.ts';
import { configHelp, configOf, configOptions, type Flags, readWords, type Usage, usage } from './arguments.ts';
import { type Command, exitCode, type ManagementAnswer, type Surroundings } from './contract.ts';
import { hintOf } from './hints.ts';
import { fail, refuse, say } from './refuse.ts';
import {
  describeSettings,
  fieldOf,
  formatValue,
  type Kind,
  readAssignments,
  readValue,
  type Settings,
  wordOf,
} from './words.ts';

type Fields = Readonly<Record<string, unknown>>;

/** How an answer is told: one line each. `flags` are those of the words. */
export type Say = (value: Fields, flags: Flags) => readonly string[];

export interface Operand {
  /** As the help shows it: `NAME`. */
  readonly shown: string;
  readonly field: string;
  /** A file of JSON, which the input holds. */
  readonly isJsonFile?: true;
  readonly check?: (word: string) => string | undefined;
  readonly kind?: Kind;
  /** It may be left out, with all that come after it. */
  readonly isOptional?: true;
}

export interface Flag {
  /** What stands for its value; a flag without one takes none, and is true. */
  readonly shown?: string;
  readonly help: string;
  readonly kind?: Kind;
  /** The field, where the flag's name is not the field's. */
  readonly field?: string;
  readonly isRequired?: true;
  /** It says only what is printed: the server does not hear of it. */
  readonly isLocal?: true;
}

export interface Action {
  /** One word or two; the server's command has the command's name before them. */
  readonly name: string;
  readonly summary: string;
  readonly operands: readonly Operand[];
  /** Of the flags of the command, by name. */
  readonly flags?: readonly string[];
  /** Further operands are settings, at least one. */
  readonly settings?: Settings;
  /** The field of an answer that holds a page of a list. */
  readonly pageOf?: string;
  readonly say: Say;
  /** What to do next, for who sits at a terminal. */
  readonly hint?: (value: Fields) => string;
}

export interface Management {
  readonly name: string;
  readonly summary: string;
  /** Further text of the help. */
  readonly notes: string;
  readonly example: string;
  readonly flags?: Readonly<Record<string, Flag>>;
  readonly actions: readonly Action[];
}

export interface ManagementCommandLine extends Command {
  /** The server's commands that it asks for, and the words that do. */
  readonly forms: ReadonlyMap<string, string>;
}

export function managementCommand(all: Management): ManagementCommandLine {
  const { name, flags = {}, actions } = all;
  const own = Object.fromEntries(
    Object.entries(flags).map(([flag, { shown }]) => [flag, { type: shown === undefined ? 'boolean' : 'string' }]),
  );
  const options = { ...configOptions, ...own } as ParseArgsOptionsConfig;
  return {
    summary: all.summary,
    help: helpOf(all),
    forms: new Map(actions.map((action) => [`${name} ${action.name}`, `${name} ${formOf(action, flags)}`])),
    async run(words, surroundings) {
      const read = readWords(words, options);
      if (read.kind === 'usage') return refuse(read, surroundings);
      const action = actionOf(actions, read.operands);
      if (action === undefined) {
        const names = actions.map((each) => each.name).join(', ');
        const problem = read.operands.length === 0 ? `needs one of: ${names}` : `knows only: ${names}`;
        return refuse(usage(`${name} ${problem}`), surroundings);
      }
      const operands = read.operands.slice(action.name.split(' ').length);
      const input = inputOf(`${name} ${action.name}`, action, flags, operands, read.flags);
      if (input.kind === 'usage') return refuse(input, surroundings);
      const config = configOf(read.flags);
      if (config.kind === 'usage') return refuse(config, surroundings);
      const answer = await ask(surroundings, config.config, `${name} ${action.name}`, input.fields, action.pageOf);
      if (answer.kind === 'refused') return tellRefusal(answer, input.fields, surroundings);
      const { warning, ...value } = answer.value as Fields;
      say(surroundings, answer.value, () => action.say(value, read.flags));
      if (surroundings.json === true) return exitCode.done;
      if (typeof warning === 'string') surroundings.err(`warning: ${warning}`);
      if (action.hint !== undefined && surroundings.progress !== undefined) {
        surroundings.err(`hint: ${action.hint(value)}`);
      }
      return exitCode.done;
    },
  };
}

function actionOf(actions: readonly Action[], operands: readonly string[]): Action | undefined {
  return actions.find((action) => action.name.split(' ').every((word, index) => operands[index] === word));
}

/** All pages of a list as one answer. */
async function ask(
  surroundings: Surroundings,
  config: Config,
  command: string,
  input: Fields,
  pageOf: string | undefined,
): Promise<ManagementAnswer> {
  const server = await surroundings.server();
  if (pageOf === undefined) return server.manage(config, command, input);
  const items: unknown[] = [];
  let from: Fields = {};
  for (;;) {
    const answer = await server.manage(config, command, { ...input, ...from });
    if (answer.kind === 'refused') return answer;
    const { [pageOf]: found, next } = answer.value as Record<string, unknown>;
    items.push(...(found as unknown[]));
    if (typeof next !== 'string') return { ...answer, value: { [pageOf]: items } };
    surroundings.progress?.(() => `${items.length} ${pageOf}`);
    from = { from: next };
  }
}

function tellRefusal(
  { code, message }: { code: string; message: string },
  input: Fields,
  surroundings: Surroundings,
): number {
  // Of a field that the command line wrote another way.
  const told = message.replace(/^[a-z][A-Za-z0-9]*(?=: )/, wordOf);
  return code === 'InvalidInput'
    ? refuse(usage(told), surroundings)
    : fail({ code, message, hint: hintOf(code, input) }, surroundings);
}

function inputOf(
  name: string,
  action: Action,
  flags: Readonly<Record<string, Flag>>,
  operands: readonly string[],
  given: Flags,
): { kind: 'fields'; fields: Fields } | Usage {
  const fields: Record<string, unknown> = {};
  const own = action.flags ?? [];
  for (const flag of Object.keys(flags)) {
    if (given[flag] !== undefined && !own.includes(flag)) return usage(`--${flag} is not for ${name}`);
  }
  for (const [index, operand] of action.operands.entries()) {
    const word = operands[index];
    if (word === undefined && operand.isOptional) break;
    if (word === undefined) return usage(`${name} needs ${a(operand.shown)}`);
    const problem = operand.check?.(word);
    if (problem !== undefined) return usage(problem);
    const read = operand.isJsonFile ? readJson(word) : readValue(operand.shown, { kind: operand.kind ?? 'text' }, word);
    if (read.kind === 'usage') return read;
    fields[operand.field] = read.value;
  }
  const more = operands.slice(action.operands.length);
  if (action.settings === undefined) {
    const takes = action.operands.map(({ shown }) => shown).join(' ');
    if (more.length > 0) return usage(takes === '' ? `${name} takes no operands` : `${name} takes only ${takes}`);
  } else {
    if (more.length === 0) return usage(`${name} needs a setting: ${Object.keys(action.settings).join(', ')}`);
    const read = readAssignments(more, action.settings);
    if (read.kind === 'usage') return read;
    Object.assign(fields, read.fields);
  }
  for (const flag of own) {
    const { kind = 'text', field = fieldOf(flag), isRequired, isLocal, shown } = flags[flag] as Flag;
    const word = given[flag];
    if (word === true && !isLocal) fields[field] = true;
    if (typeof word !== 'string') {
      if (isRequired) return usage(`${name} needs --${flag} ${shown}`);
      continue;
    }
    const read = readValue(`--${flag}`, { kind }, word);
    if (read.kind === 'usage') return read;
    if (!isLocal) fields[field] = read.value;
  }
  return { kind: 'fields', fields };
}

const a = (word: string) => `${/^[AEIO]/.test(word) ? 'an' : 'a'} ${word}`;

const jsonBytesMax = 48 * 1024;

function readJson(file: string): { kind: 'value'; value: unknown } | Usage {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return usage(`the file cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
  }
  if (Buffer.byteLength(text) > jsonBytesMax) return usage(`the file must have at most ${jsonBytesMax} bytes`);
  try {
    return { kind: 'value', value: JSON.parse(text) };
  } catch {
    return usage('the file is not JSON');
  }
}

function helpOf({ name, notes, example, flags = {}, actions }: Management): string {
  const forms = actions.map((action) => `  ${folded(formOf(action, flags))}\n      ${action.summary}`);
  const settings = actions.flatMap((action) =>
    action.settings === undefined
      ? []
      : [`Settings of '${name} ${action.name}':\n${describeSettings(action.settings)}\n`],
  );
  const own = Object.entries(flags).map(
    ([flag, { shown, help }]) => `  ${[`--${flag}`, shown].join(' ').padEnd(19)} ${help}`,
  );
  return `causeway ${name} ACTION [options]

Actions:
${forms.join('\n')}

${notes}

${settings.map((each) => `${each}\n`).join('')}Options:
${[...own, configHelp].join('\n')}
  --json              print the answer, or the error, as one object of JSON
  --help              show this

Example:
${example}`;
}

function formOf({ name, operands, flags: own = [], settings }: Action, flags: Readonly<Record<string, Flag>>): string {
  const words = own.map((flag) => {
    const { shown, isRequired } = flags[flag] as Flag;
    const form = [`--${flag}`, ...(shown === undefined ? [] : [shown])].join(' ');
    return isRequired ? form : `[${form}]`;
  });
  const named = operands.map(({ shown, isOptional }) => (isOptional ? `[${shown}]` : shown));
  return [name, ...named, ...words, ...(settings ? ['SETTING=VALUE ...'] : [])].join(' ');
}

const columnsMax = 110;

/** Lines that fit a terminal: what does not goes on below, before an option. */
function folded(form: string): string {
  const lines = [''];
  for (const part of form.split(/ (?=\[?--)/)) {
    const line = lines.at(-1) as string;
    if (line !== '' && line.length + part.length > columnsMax) lines.push(part);
    else lines[lines.length - 1] = line === '' ? part : `${line} ${part}`;
  }
  return lines.join('\n    ');
}

/** `name=value`, as the command that sets it would take it. */
export function sayFields(fields: object): string[] {
  return Object.entries(fields).map(([field, value]) => `${wordOf(field)}=${formatValue(value)}`);
}

/** An answer whose settings stand in a field of their own. */
export const saySettings: Say = ({ settings, ...others }) => [...sayFields(others), ...sayFields(settings as object)];

export const accountOperand: Operand = {
  shown: 'ACCOUNT',
  field: 'account',
  check: (word) => (/^[a-z0-9]{3,24}$/.test(word) ? undefined : `the name of an account ${accountNameRule}`),
};

export const accountNameRule = 'must be 3 to 24 lower-case letters and digits';
