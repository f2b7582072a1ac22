// Every setting of the server: its default, its bounds, and how the config file and the command line set it.

import { readFileSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { dayMs } from './clock.ts';

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const gibibyte = 1024 * mebibyte;
/** The longest delay that a timer takes. */
const timerMsMax = 2 ** 31 - 1;

const text = (what: string) => z.string(`must be ${what}`).min(1, `must be ${what}`);
const flag = () => z.boolean('must be true or false');
const whole = (min: number, max: number, unit = '') => {
  const message = `must be a whole number${unit} from ${min} to ${max}`;
  return z.int(message).min(min, message).max(max, message);
};
const durationMs = (min = 1, max = timerMsMax) => whole(min, max, ' of milliseconds');
const bytes = (min: number, max: number) => whole(min, max, ' of bytes');

const hostName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;
/** A host, or the end of many hosts' names, from a dot on. */
const hostOrSuffix = (host: string) => host === '*' || isIP(host) !== 0 || hostName.test(host.replace(/^\./, ''));
const hostsExpected =
  'must be a list of host names, of their ends such as .blob.core.windows.net, or "*" for every host';
const hostsList = () =>
  z
    .array(z.string(hostsExpected).refine(hostOrSuffix, hostsExpected), hostsExpected)
    .max(256, hostsExpected)
    .readonly();
const azureClouds = [
  '.blob.core.windows.net',
  '.blob.storage.azure.net',
  '.blob.core.usgovcloudapi.net',
  '.blob.core.chinacloudapi.cn',
  '.dfs.core.windows.net',
];
const publicHostExpected = 'must be HOST, HOST:PORT, or http(s)://HOST[:PORT]';
function isPublicHost(given: string): boolean {
  if (given === '' || isIP(given) !== 0) return true;
  const [, host = '', port] = /^(?:https?:\/\/)?(\[[^\]]*\]|[^:/]*)(?::(\d{1,5}))?$/.exec(given) ?? [];
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  return (isIP(bare) !== 0 || hostName.test(host)) && Number(port ?? 1) >= 1 && Number(port ?? 1) <= 65_535;
}
const tenantsExpected = 'must be a list of tenant ids (GUIDs)';
const audiencesExpected = 'must be a list of audiences';
const authorityExpected = 'must be https://HOST, or http:// on a loopback address';
/** Who speaks in its place decides whose tokens are believed: it is reached by https, or it is on this machine. */
const isAuthority = (given: string) => {
  const url = URL.parse(given);
  if (url === null || url.origin !== given.replace(/\/$/, '')) return false;
  return (
    url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname.replace(/^\[(.*)\]$/, '$1')))
  );
};
const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** A key of the config file is the name here; its description is its line in `causeway help settings`. */
const schema = z
  .object({
    data: text('the path of a directory').default('./.causeway').describe('directory of everything that is stored'),
    host: text('an IP address or a host name')
      .refine((host) => isIP(host) !== 0 || hostName.test(host), 'must be an IP address or a host name')
      .default('127.0.0.1')
      .describe('address to listen on'),
    blobPort: whole(0, 65_535).default(10_000).describe('port of the Blob API; 0 picks a free one'),
    adminPort: whole(0, 65_535).default(8080).describe('port of health, metrics and the admin API; 0 picks a free one'),
    publicHost: z
      .string(publicHostExpected)
      .refine(isPublicHost, publicHostExpected)
      .default('')
      .describe(
        'host that clients use, with a port or https:// where they are not of the listener; in what is printed',
      ),
    workers: whole(1, 256)
      .default(() => availableParallelism())
      .describe('worker processes; by default one a core'),
    dev: flag().default(false).describe('add the well-known development account; loopback only'),
    serveIncomplete: flag()
      .default(false)
      .describe('start although files of the content are gone or cut; what they held answers 500'),
    strictVersions: flag().default(false).describe('refuse an x-ms-version newer than the newest known one'),
    inlineBytesMax: bytes(0, mebibyte).default(512).describe('content up to this size is kept in its metadata record'),
    segmentBytes: bytes(mebibyte, 64 * gibibyte)
      .multipleOf(4096, 'must be a multiple of 4096')
      .default(gibibyte)
      .describe('size at which a segment of the content log is closed'),
    bodyBytesMax: bytes(mebibyte, 5_242_880_000)
      .default(5_242_880_000)
      .describe('largest request body; by default 5000 MiB, the most that the API allows'),
    connectionsMax: whole(1, 1_000_000).default(4096).describe('open connections a worker'),
    connectionsPerAddressMax: whole(1, 1_000_000).default(2048).describe('open connections a worker of one address'),
    headerBytesMax: bytes(8192, mebibyte).default(65_536).describe('largest head of a request'),
    headersMax: whole(32, 10_000).default(200).describe('most headers of a request'),
    accountRequestsPerS: whole(0, 10_000_000)
      .default(0)
      .describe('requests a second of an account that sets nothing else; 0 is no limit'),
    accountBytesPerS: bytes(0, 2 ** 50)
      .default(0)
      .describe('bytes a second of an account that sets nothing else; 0 is no limit'),
    principalRequestsPerS: whole(0, 10_000_000)
      .default(0)
      .describe('requests a second of one identity, key, signature or anonymous address; 0 is no limit'),
    principalBytesPerS: bytes(0, 2 ** 50)
      .default(0)
      .describe('bytes a second of one identity, key, signature or anonymous address; 0 is no limit'),
    requestsInServiceMax: whole(1, 100_000)
      .default(512)
      .describe('requests of one account that a worker serves at once while no other account asks'),
    requestsContendedMax: whole(2, 100_000)
      .default(32)
      .describe('requests that a worker serves at once while several accounts ask, in equal parts'),
    requestsQueuedMax: whole(1, 100_000).default(1024).describe('waiting requests of one account a worker'),
    tlsCertificate: z
      .string('must be the path of a PEM file')
      .default('')
      .describe('PEM file of the certificate and its chain: the Blob API is then HTTPS; read again when it changes'),
    tlsKey: z.string('must be the path of a PEM file').default('').describe('PEM file of the key of tlsCertificate'),
    tlsHandshakeTimeoutMs: durationMs().default(10_000).describe('time for a TLS handshake to end'),
    headersTimeoutMs: durationMs().default(30_000).describe('time for the headers of a request to arrive'),
    stallTimeoutMs: durationMs().default(120_000).describe('a body that makes no progress for this long is cut'),
    keepAliveTimeoutMs: durationMs().default(65_000).describe('time for which an idle connection stays open'),
    commitTimeoutMs: durationMs(100)
      .default(30_000)
      .describe('a change that names no timeout is answered with an error when nothing was committed for this long'),
    workerHangMs: durationMs(0)
      .default(15_000)
      .describe('a worker that answers nothing for this long is replaced; 0 waits for ever'),
    drainTimeoutMs: durationMs(0).default(30_000).describe('time for running requests to end when the server stops'),
    copySourceHosts: hostsList().default(azureClouds).describe('other servers that copies may be made from'),
    adminHosts: hostsList()
      .default([])
      .describe('names that the admin port answers to, beside loopback names and the address that a request came to'),
    entraTenants: z
      .array(z.guid(tenantsExpected), tenantsExpected)
      .max(64, tenantsExpected)
      .readonly()
      .default([])
      .describe('tenants of Microsoft Entra ID whose tokens are taken; none: tokens are refused'),
    entraAuthority: z
      .string(authorityExpected)
      .refine(isAuthority, authorityExpected)
      .default('https://login.microsoftonline.com')
      .describe('where the issuers of their tokens are found'),
    entraAudiences: z
      .array(z.string(audiencesExpected).min(1, audiencesExpected).max(256, audiencesExpected), audiencesExpected)
      .max(64, audiencesExpected)
      .readonly()
      .default([])
      .describe('further audiences of tokens, such as https://{account}.blob.example.com'),
    encryptionKeyFile: z
      .string('must be the path of a file')
      .default('')
      .describe('file of the key that protects encryption scopes without a vault; by default encryption.key in data'),
    outboundIdentityFile: z
      .string('must be the path of a JSON file')
      .default('')
      .describe('JSON file that says as whom the server asks others; by default as its managed identity'),
    keyVaultAnyHost: flag()
      .default(false)
      .describe('get tokens for key vaults whose host does not end as their challenge says'),
    queriesMax: whole(1, 64)
      .default(4)
      .describe('queries that a worker runs at once: half for one account, the last for one that runs none'),
    queryQueueMax: whole(0, 1000)
      .default(16)
      .describe('queries that wait for others in a worker, half of them for one account'),
    queryTimeoutMs: durationMs(100)
      .default(300_000)
      .describe('time for a query of blob contents to end, its reading included, from when it may run'),
    queryBytesMax: bytes(mebibyte, 2 ** 44)
      .default(16 * gibibyte)
      .describe('largest blob that is queried, and the most that blobs queried at once by a worker have together'),
    queryMemoryBytes: bytes(64 * mebibyte, 2 ** 40)
      .default(256 * mebibyte)
      .describe(
        'memory of the database of a query, whose process ends at 512 MiB more; of sealed blobs queried at once',
      ),
    clockSkewMs: durationMs(0).default(900_000).describe('how far the clock of a signed request may be off'),
    scanIntervalMs: durationMs(10).default(5000).describe('pause between rounds of background work'),
    reclaimGraceMs: durationMs(0).default(60_000).describe('how long dropped content stays, for reads under way'),
    journalAgeMs: durationMs(1000, 3650 * dayMs)
      .default(7 * dayMs)
      .describe('age at which the journal is trimmed'),
    changeFeedFlushMs: durationMs(10, 3_600_000)
      .default(2000)
      .describe('a change is in the change feed about this long after it'),
    audit: flag().default(true).describe('record every request in the audit log'),
    auditOnFailure: z
      .enum(['refuse', 'continue'], 'must be refuse or continue')
      .default('refuse')
      .describe('when the audit log cannot be written and its queue is full: refuse, continue'),
    auditFlushMs: durationMs(10, 60_000)
      .default(1000)
      .describe('an audit record is on the disk about this long after it'),
    storageLogsFlushMs: durationMs(10, 3_600_000)
      .default(300_000)
      .describe('a request is in the $logs of an account that wants them after this long at the most'),
    auditAgeMs: durationMs(60_000, 3650 * dayMs)
      .default(90 * dayMs)
      .describe('age at which files of the audit log are deleted'),
    auditBytesMax: bytes(mebibyte, 2 ** 50)
      .default(16 * gibibyte)
      .describe('size of the audit log at which its oldest files are deleted'),
    logLevel: z
      .enum(logLevels, `must be one of ${logLevels.join(', ')}`)
      .default('info')
      .describe(logLevels.join(', ')),
    requestLog: flag().default(true).describe('log one line a request'),
    requestLogAddress: flag().default(true).describe('with the address of its client'),
    requestLogPath: flag()
      .default(false)
      .describe('with the path that it names, never its query; names of blobs may be secret'),
  })
  .readonly();

export type Config = z.infer<typeof schema>;
export type SettingName = keyof Config;

/** What a command line says: where the config file is, and settings as they were typed, by their name in the schema. */
export interface ConfigArgs {
  readonly file?: string | undefined;
  /** `--set name=value`, in order. */
  readonly assignments?: readonly string[] | undefined;
  /** Settings with a flag of their own; they go before assignments, as those go before the file. */
  readonly flags?: Readonly<Partial<Record<SettingName, string | boolean | undefined>>> | undefined;
}

interface Invalid {
  readonly kind: 'invalid';
  readonly setting: string;
  /** One line that begins with the setting's name. It never repeats a value, which may be a secret in the wrong place. */
  readonly message: string;
}

export type ConfigOutcome = { readonly kind: 'config'; readonly config: Config } | Invalid;

/** What only starting can tell of a setting (a port that is taken, a directory that cannot be written): exit code 2, one line. */
export class SettingError extends Error {
  readonly code = 'SETTING';
  readonly setting: SettingName;
  constructor(setting: SettingName, problem: string, options?: ErrorOptions) {
    super(`${setting}: ${problem}`, options);
    this.setting = setting;
  }
}

const fields = schema.unwrap().shape;

/** The settings in the order of the schema, for the help text. */
export function describeSettings(): { name: SettingName; byDefault: string; meaning: string }[] {
  const defaults = schema.parse({});
  return (Object.keys(fields) as SettingName[]).map((name) => ({
    name,
    byDefault: formatValue(defaults[name]),
    meaning: fields[name].description ?? '',
  }));
}

/** As it may stand in the config file. */
function formatValue(value: Config[SettingName]): string {
  if (value === '') return "''";
  return typeof value === 'object' ? `[${value.join(', ')}]` : String(value);
}

/** The defaults, overridden by the config file, by assignments, and by flags; checked as a whole. */
export function loadConfig(args: ConfigArgs = {}): ConfigOutcome {
  const values: Partial<Record<SettingName, unknown>> = {};
  const sources: Partial<Record<SettingName, string>> = {};
  const set = (name: SettingName, value: unknown, source: string) => {
    values[name] = value;
    sources[name] = source;
  };

  if (args.file !== undefined) {
    const file = readSettings(args.file);
    if (file.kind === 'invalid') return file;
    for (const [name, value] of file.settings) {
      if (!isSetting(name)) return unknownSetting(name, args.file);
      set(name, value, args.file);
    }
  }
  for (const assignment of args.assignments ?? []) {
    const at = assignment.indexOf('=');
    if (at <= 0) return invalid('set', 'must be given as --set name=value');
    const name = assignment.slice(0, at);
    if (!isSetting(name)) return unknownSetting(name, '--set');
    set(name, typed(name, assignment.slice(at + 1)), '--set');
  }
  for (const [name, value] of Object.entries(args.flags ?? {})) {
    if (value === undefined) continue;
    if (!isSetting(name)) return unknownSetting(name, 'the command line');
    set(name, typeof value === 'string' ? typed(name, value) : value, flagOf(name));
  }

  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const name = String(issue?.path[0] ?? 'config');
    return invalid(name, issue?.message ?? 'is not valid', isSetting(name) ? sources[name] : undefined);
  }
  return checkTogether(Object.freeze({ ...parsed.data, data: resolve(parsed.data.data) }));
}

/** What no setting can see alone. */
function checkTogether(config: Config): ConfigOutcome {
  if (config.dev && !isLoopback(config.host)) {
    return invalid('host', 'must be a loopback address with dev, whose account key is known to everyone');
  }
  if ((config.tlsCertificate === '') !== (config.tlsKey === '')) {
    return invalid(
      config.tlsKey === '' ? 'tlsKey' : 'tlsCertificate',
      'must be set too: tlsCertificate and tlsKey go together',
    );
  }
  if (config.blobPort === config.adminPort && config.blobPort !== 0) {
    return invalid('adminPort', 'must not be the same as blobPort');
  }
  return { kind: 'config', config };
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host.toLowerCase() === 'localhost';
  return loopback.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** A word of the command line as the kind of value that its setting takes; what does not fit is left for the schema. */
function typed(name: SettingName, word: string): unknown {
  const kind = fields[name].unwrap();
  if (kind instanceof z.ZodBoolean && (word === 'true' || word === 'false')) return word === 'true';
  if (kind instanceof z.ZodReadonly) return word === '' ? [] : word.split(',');
  if (kind instanceof z.ZodNumber && /^-?\d{1,15}$/.test(word)) return Number(word);
  return word;
}

function readSettings(file: string): { kind: 'settings'; settings: [string, unknown][] } | Invalid {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    return invalid('config', `the file cannot be read (${code})`, file);
  }
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    const what = problem.code.toLowerCase().replaceAll('_', ' ');
    return invalid('config', `not valid YAML at line ${line}, column ${col}: ${what}`, file);
  }
  let content: unknown;
  try {
    content = document.toJS();
  } catch {
    return invalid('config', 'not valid YAML: an alias without its anchor, or too many', file);
  }
  if (content === null) return { kind: 'settings', settings: [] };
  if (typeof content !== 'object' || Array.isArray(content)) {
    return invalid('config', 'must be a mapping from settings to values', file);
  }
  return { kind: 'settings', settings: Object.entries(content) };
}

const isSetting = (name: string): name is SettingName => Object.hasOwn(fields, name);

const flagOf = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

function unknownSetting(name: string, source: string): Invalid {
  const near = Object.keys(fields).find((known) => plain(known) === plain(name));
  return invalid(name, `unknown setting${near === undefined ? '' : `; did you mean ${near}?`}`, source);
}

const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '');

function invalid(setting: string, problem: string, source?: string): Invalid {
  // A name out of a file can be anything; the message stays one short line.
  const name = /^[\w.-]{1,64}$/.test(setting) ? setting : JSON.stringify(setting.slice(0, 64));
  const from = source === undefined ? '' : ` (in ${source.replace(/\p{Cc}/gu, '?')})`;
  return { kind: 'invalid', setting, message: `${name}: ${problem}${from}` };
}
