// A request's way through the surface: address, version, operation, who and whether, the handler, the answer.
import { randomUUID } from 'node:crypto';
import type { Logger } from '../../base/log.ts';
import { formatHttpDate } from '../../codec/http-date.ts';
import type { Action, Principal } from '../../identity/authorize.ts';
import { KeyError } from '../../namespace/keyring.ts';
import type { AccountSettings } from '../../namespace/records.ts';
import type { Permit } from '../../namespace/states.ts';
import { isDamage, isOutcomeUnknown, isUnavailable, type Store } from '../../namespace/store.ts';
import type { Answer } from '../http/answer.ts';
import { BodyCutError, type RequestBody } from '../http/body.ts';
import { type Hold, holdNobody } from '../http/hold.ts';
import { type Allowed, bothAllowed } from './allowed.ts';
import { Authenticator } from './authenticate.ts';
import type { BatchPart, BlobCall, BlobSettings, Call, ContainerCall, Peer, Source } from './call.ts';
import { corsHeaders, preflight } from './cors.ts';
import { type CommitterWatch, type Deadline, Deadlines, deadlineOf } from './deadline.ts';
import { emptyBody } from './empty-body.ts';
import { keyProblemCodes, refuseEncryption } from './encryption-headers.ts';
import { BlobError, errorAnswer } from './errors.ts';
import { findOperation } from './find-operation.ts';
import type { Visit } from './gate.ts';
import { greeting } from './greeting.ts';
import { entryTime, headerError, missingLength, refuseUnsupported } from './headers-in.ts';
import type { KnownAccount } from './known-accounts.ts';
import { checkMayChange } from './names.ts';
import {
  one,
  type ParsedRequest,
  parseQuery,
  parseTarget,
  refuseRepeated,
  type Target,
  websiteAccount,
} from './request.ts';
import type { Sets } from './request-facts.ts';
import { blobServiceOf } from './service-record.ts';
import { asToldBy, cannotVerifySource, notAuthenticated } from './source.ts';
import { parseSource, parseSourcePath } from './source-address.ts';
import { inOlderForm, isBefore, versionBySas } from './version-differences.ts';
import { anonymousVersion, chooseVersion, impliedVersion, newestVersion } from './versions.ts';
import { serveWebsite } from './website.ts';

export interface Incoming {
  readonly method: string;
  /** As on the wire: path and query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly rawHeaders: readonly string[];
  readonly body: RequestBody;
  readonly peer: Peer;
  readonly hold: Hold;
  /** Absent where nothing is limited. */
  readonly visit?: Visit;
  /** Refused unread, because it could not be recorded. */
  readonly isUnrecordable?: boolean;
}

export interface Dispatched {
  readonly answer: Answer;
  readonly requestId: string;
  readonly operation: string;
  readonly account: string | undefined;
  readonly errorCode: string | undefined;
  /** By the machine's clock. */
  readonly nowMs: number;
  readonly seen: Readonly<Seen>;
}

/** What a request turned out to be, also where it failed. */
interface Seen {
  operation: string;
  target: Target | undefined;
  /** The account of the address as it was when the request came; absent where there is none. */
  known: KnownAccount | undefined;
  version: string;
  /** Absent until it is known who asks for what. */
  principal: Principal | undefined;
  action: Action | undefined;
  /** Records of the journal that it made, `,` between them. */
  journalId: string | undefined;
}

interface Context {
  readonly incoming: Incoming;
  readonly request: { readonly requestId: string; readonly isPart: boolean };
  readonly seen: Seen;
}

export interface DispatcherOptions {
  /** Hears of the requests within a batch; those that come by themselves are told by their answer. */
  readonly onPart?: (incoming: Incoming, done: Dispatched, durationMs: number) => void;
  /** Absent where commits are of this process. */
  readonly committer?: CommitterWatch | undefined;
}

const neverSilent: CommitterWatch = { silentMs: 0 };

const noSettings: AccountSettings = {};

const clientRequestId = /^[\x21-\x7e]([\x20-\x7e]{0,1023})$/;

export class BlobDispatcher {
  readonly #store: Store;
  readonly #settings: BlobSettings;
  readonly #logger: Logger;
  readonly #authenticator: Authenticator;
  readonly #onPart: DispatcherOptions['onPart'];
  readonly #deadlines: Deadlines;

  constructor(store: Store, settings: BlobSettings, logger: Logger, options: DispatcherOptions = {}) {
    this.#onPart = options.onPart;
    this.#deadlines = new Deadlines(options.committer ?? neverSilent, settings.commitTimeoutMs, (silentMs) =>
      logger.error({ silentMs }, 'the committer does not answer; changes that wait for it are answered with an error'),
    );
    this.#store = store;
    this.#settings = settings;
    this.#logger = logger;
    this.#authenticator = new Authenticator(store, settings);
  }

  /**
   * Never rejects: whatever goes wrong is an answer in this protocol's form. `batchVersion` is given for a part of a
   * batch: the version of the whole, which the part's own headers need not name.
   */
  async dispatch(asked: Incoming, batchVersion?: string): Promise<Dispatched> {
    const incoming = inOriginForm(asked);
    const requestId = randomUUID();
    const nowMs = this.#store.wallClock.now();
    const seen: Seen = {
      operation: 'Unknown',
      target: undefined,
      known: undefined,
      version: batchVersion ?? newestVersion,
      principal: undefined,
      action: undefined,
      journalId: undefined,
    };
    let answer: Answer;
    try {
      const version = incoming.headers['x-ms-version'];
      if (version !== undefined) {
        const chosen = chooseVersion(version, this.#settings.strictVersions);
        if (chosen === undefined) throw headerError('x-ms-version', version);
        seen.version = chosen;
      }
      answer = await this.#serve(incoming, { requestId, isPart: batchVersion !== undefined }, seen);
    } catch (error) {
      return await this.failed(incoming, { requestId, nowMs, seen }, error);
    }
    return await this.#finish(incoming, { requestId, nowMs, seen }, answer, undefined);
  }

  /** The answer of a request that failed with this error, also where it fails only while its answer is made. */
  async failed(
    incoming: Incoming,
    about: Pick<Dispatched, 'requestId' | 'nowMs' | 'seen'>,
    error: unknown,
  ): Promise<Dispatched> {
    const refusal = asToldBy(about.seen.operation, this.#refusalOf(error, about.requestId));
    const { errorCode } = refusal;
    const answer = errorAnswer(refusal, about.requestId, about.nowMs);
    const { challenge } = this.#authenticator;
    const isChallenged = answer.status === 401 && errorCode !== 'CannotVerifyCopySource';
    if (isChallenged && challenge !== undefined) answer.headers['WWW-Authenticate'] = challenge;
    return await this.#finish(incoming, about, answer, errorCode);
  }

  async #finish(
    incoming: Incoming,
    { requestId, nowMs, seen }: Pick<Dispatched, 'requestId' | 'nowMs' | 'seen'>,
    answer: Answer,
    errorCode: string | undefined,
  ): Promise<Dispatched> {
    const { headers } = answer;
    headers['x-ms-request-id'] = requestId;
    headers['x-ms-version'] = seen.version;
    headers.Server = 'Causeway-Blob/1.0';
    headers.Date = formatHttpDate(nowMs);
    inOlderForm(headers, seen.version, seen.operation);
    const client = incoming.headers['x-ms-client-request-id'];
    if (client !== undefined && clientRequestId.test(client)) headers['x-ms-client-request-id'] = client;
    if (incoming.headers.origin !== undefined && seen.target !== undefined && incoming.method !== 'OPTIONS') {
      const { origin } = incoming.headers;
      Object.assign(
        headers,
        corsHeaders(seen.known?.record.blobService, origin, incoming.method, Object.keys(headers)),
      );
    }
    return { answer, requestId, operation: seen.operation, account: seen.target?.account, errorCode, nowMs, seen };
  }

  async #serve(incoming: Incoming, request: { requestId: string; isPart: boolean }, seen: Seen): Promise<Answer> {
    if (incoming.isUnrecordable === true) throw new BlobError('ServerBusy');
    const parsed = parse(incoming, seen.version);
    const greeted = parsed.target.account === '' ? greeting(parsed) : undefined;
    if (greeted !== undefined) {
      seen.operation = 'Greeting';
      return greeted;
    }
    // First of all: whoever the account's network rules keep out learns nothing of it, not even by a header.
    const entered = this.#authenticator.enter(parsed.target.account, incoming.peer);
    const known = entered instanceof Promise ? await entered : entered;
    seen.known = known;
    seen.target = parsed.target;
    const deadline = deadlineOf(parsed.query, parsed.body);
    const website = websiteAccount(incoming.headers.host);
    // Browsers name none, of a website and before they ask for something: nothing that they do depends on it.
    if (!request.isPart && website === undefined && incoming.method !== 'OPTIONS') {
      seen.version = versionOf(parsed, known);
      parsed.version = seen.version;
    }
    if (incoming.method === 'OPTIONS') {
      seen.operation = 'PreflightBlobRequest';
      return preflight(known?.record.blobService, incoming.headers);
    }
    const context = { incoming, request, seen };
    if (website !== undefined) return await this.#serveWebsite(parsed, context);
    const operation = findOperation(parsed);
    seen.operation = operation.name;
    // What is known already is not waited for: each turn of the event loop's queue that a request takes costs it time.
    const who = this.#authenticator.principal(known, parsed);
    const principal = who instanceof Promise ? await who : who;
    seen.principal = principal;
    const action = typeof operation.action === 'function' ? operation.action(parsed) : operation.action;
    seen.action = action;
    const sets = typeof operation.sets === 'function' ? operation.sets(parsed) : operation.sets;
    const decided = this.#authenticator.authorize(known, principal, action, parsed, sets);
    const allowed = decided instanceof Promise ? await decided : decided;
    checkMayChange(parsed.target.container, action);
    const settings = known?.record.settings;
    if (incoming.visit !== undefined) {
      const entering = letIn(incoming.visit, parsed, principal, settings);
      if (entering !== undefined) await entering;
    }
    deadline?.check();
    refuseChunked(parsed);
    refuseUnsupported(incoming.headers, operation.name);
    refuseEncryption(operation.name, incoming.headers);
    const call = this.#call(parsed, context, principal, allowed, settings, deadline);
    const isChange = parsed.method !== 'GET' && parsed.method !== 'HEAD';
    return await this.#deadlines.within(deadline, { body: parsed.body, isChange }, () => {
      // `findOperation` matched the level to what the address names.
      switch (operation.level) {
        case 'service':
          return operation.handle(call);
        case 'container':
          return operation.handle(call as ContainerCall);
        case 'blob':
          return operation.handle(call as BlobCall);
      }
    });
  }

  async #serveWebsite(parsed: Parsed, context: Context): Promise<Answer> {
    context.seen.operation = 'GetWebContent';
    const principal: Principal = { kind: 'anonymous' };
    context.seen.principal = principal;
    const { visit } = context.incoming;
    const { settings, blobService } = context.seen.known?.record ?? {};
    if (visit !== undefined) await letIn(visit, parsed, principal, settings);
    const call = this.#call(parsed, context, principal, { onlyIfNew: false }, settings);
    return await serveWebsite(call, blobServiceOf(blobService).staticWebsite, parsed.target.blob ?? '');
  }

  #call(
    parsed: Parsed,
    { incoming, request, seen }: Context,
    principal: Principal,
    allowed: Allowed,
    settings: AccountSettings = noSettings,
    deadline?: Deadline,
  ): Call {
    const { hold } = incoming;
    const client = incoming.headers['x-ms-client-request-id'];
    const call: Call = {
      // Field by field: an object that begins as a copy of another grows slowly.
      method: parsed.method,
      rawPath: parsed.rawPath,
      query: parsed.query,
      headers: parsed.headers,
      rawHeaders: parsed.rawHeaders,
      target: parsed.target,
      body: parsed.body,
      store: this.#store,
      settings: this.#settings,
      requestId: request.requestId,
      version: seen.version,
      nowMs: this.#store.clock.now(),
      peer: incoming.peer,
      cause: {
        by: seen.operation,
        requestId: request.requestId,
        clientRequestId: client !== undefined && clientRequestId.test(client) ? client : undefined,
        noted: (id) => {
          seen.journalId = seen.journalId === undefined ? id : `${seen.journalId},${id}`;
        },
      },
      principal,
      allowed,
      accountSettings: settings,
      openSource: (url, withOwnKey) => this.#openSource(url, withOwnKey, call, incoming),
      authorizeTags: async (given) => {
        const sets: Sets = { tags: async () => given, tier: true };
        return await this.#authenticator.authorize(seen.known, principal, seen.action as Action, call, sets);
      },
      hold: deadline ? (work) => hold((gone) => work(AbortSignal.any([gone, deadline.signal]))) : hold,
      runPart: async (part) => {
        if (request.isPart) throw new BlobError('InvalidInput');
        return await this.#runPart(part, incoming, seen.version);
      },
    };
    return call;
  }

  /** A copy's source that lies here is read by the right of its own address, or of the same account's key. */
  async #openSource(url: string, withOwnKey: boolean, call: Call, incoming: Incoming): Promise<Source> {
    const isByPath = isBefore(call.version, 'copySourceUrl') && url.startsWith('/');
    const parsed = isByPath
      ? parseSourcePath(url)
      : parseSource(url, incoming.headers.host, this.#settings.copySourceHosts);
    if (parsed.kind === 'remote') return parsed;
    const { target } = parsed;
    if (target.container === undefined || target.blob === undefined) throw new BlobError('InvalidSourceBlobUrl');
    const { account, container, blob } = target;
    const authorization = incoming.headers['x-ms-copy-source-authorization'];
    const isSigned = parsed.query.has('sig') || authorization !== undefined;
    const { principal: caller } = call;
    const isOwn = caller.kind === 'account-key' && caller.account === target.account;
    let permit: Permit | undefined;
    if (!withOwnKey || isSigned || !isOwn) {
      const ifTags = incoming.headers['x-ms-source-if-tags'];
      const headers = {
        ...(authorization !== undefined && { authorization }),
        // To ask by the source's tags is to read them, as where they are asked for by themselves.
        ...(ifTags !== undefined && { 'x-ms-if-tags': ifTags }),
      };
      const credentials = { method: 'GET', headers, peer: incoming.peer, version: call.version, ...parsed };
      // As with the account's key: a copy within an account may read by the same token.
      const isOwnToken = withOwnKey && !isSigned && caller.kind === 'entra' && call.target.account === account;
      try {
        const known = await this.#authenticator.enter(account, incoming.peer);
        const principal = isOwnToken ? caller : await this.#authenticator.principal(known, credentials);
        let allowed = await this.#authenticator.authorize(known, principal, 'blob/read', credentials);
        if (incoming.headers['x-ms-copy-source-tag-option'] === 'COPY') {
          const tags = await this.#authenticator.authorize(known, principal, 'blob/tags-read', credentials);
          allowed = bothAllowed(allowed, tags);
        }
        permit = allowed.permit;
      } catch (error) {
        if (!(error instanceof BlobError)) throw error;
        // Of a reader with a credential it is known why it was refused, unlike of one that may guess names.
        throw cannotVerifySource(
          isSigned || isOwnToken ? error : new BlobError('NoAuthenticationInformation', {}, notAuthenticated),
        );
      }
    }
    const at = entryTime(parsed.query);
    return { kind: 'local', account, container, blob, permit, ...(at && { at }) };
  }

  async #runPart(part: BatchPart, incoming: Incoming, version: string): Promise<Answer> {
    incoming.visit?.countPart();
    // Nothing is added to what the part's own signature covers.
    const headers: Record<string, string> = Object.create(null);
    for (const name in part.headers) headers[name.toLowerCase()] = part.headers[name] as string;
    // A part is of this account whatever it calls the server: it goes where the batch went.
    if (incoming.headers.host === undefined) delete headers.host;
    else headers.host = incoming.headers.host;
    const rawHeaders = Object.entries(part.headers).flat();
    const { method, url } = part;
    const within = { method, url, headers, rawHeaders, body: emptyBody, peer: incoming.peer, hold: holdNobody };
    const startedMs = performance.now();
    const done = await this.dispatch(within, version);
    this.#onPart?.(within, done, performance.now() - startedMs);
    return done.answer;
  }

  #refusalOf(error: unknown, requestId: string): BlobError {
    if (error instanceof BlobError) return error;
    if (error instanceof BodyCutError) return new BlobError('InvalidInput', {}, error.message);
    if (isUnavailable(error)) return new BlobError('ServerBusy');
    if (error instanceof KeyError) {
      this.#logger.warn({ requestId, problem: error.problem, reason: error.message }, 'a key is not to be had');
      return new BlobError(keyProblemCodes[error.problem]);
    }
    this.#logger.error({ requestId, err: error }, isDamage(error) ? 'stored data is damaged' : 'a request failed');
    // What every client takes for "it may have been done, or not", and not for "do it again".
    return new BlobError(isOutcomeUnknown(error) ? 'OperationTimedOut' : 'InternalError');
  }
}

/**
 * That of a header; else what the address names, `api-version` or a signature's own; else what the account has set; else
 * the newest for whoever signs, and the oldest for who says nothing of himself ("Versioning for Azure Storage").
 */
function versionOf({ query, headers, version }: Parsed, known: KnownAccount | undefined): string {
  const isSigned = headers.authorization !== undefined;
  const sv = !isSigned && query.has('sig') ? one(query, 'sv') : undefined;
  const only = versionBySas(sv);
  if (only !== undefined) return impliedVersion(only, version);
  if (headers['x-ms-version'] !== undefined) return version;
  const meant = one(query, 'api-version') ?? sv ?? blobServiceOf(known?.record.blobService).defaultServiceVersion;
  return impliedVersion(meant, isSigned || sv !== undefined ? newestVersion : anonymousVersion);
}

/**
 * A length is required of every body ("Put Block"), and the service takes none in chunks. A Shared Key signature covers
 * the body by its length alone: in chunks, one that was made for no body would fit every other.
 */
function refuseChunked({ method, headers }: Parsed): void {
  const hasBody = method === 'PUT' || method === 'POST';
  if (hasBody && headers['transfer-encoding'] !== undefined) throw missingLength();
}

/** Only who may do it uses up what his account has: anybody can name an account. */
function letIn(
  visit: Visit,
  { target, query, peer }: Parsed,
  principal: Principal,
  settings: AccountSettings | undefined,
): undefined | Promise<void> {
  const signature = query.get('sig')?.[0];
  return visit.enter({ account: target.account, settings, principal, signature, address: peer.address });
}

interface Parsed extends ParsedRequest {
  readonly peer: Peer;
  /** Settled before anybody asks who sends it. */
  version: string;
}

/** A request line may name the whole address, and then the Host header counts for nothing (RFC 9112, section 3.2.2). */
function inOriginForm(incoming: Incoming): Incoming {
  if (incoming.url.startsWith('/')) return incoming;
  const absolute = /^https?:\/\/([^/?#]+)([^#]*)/i.exec(incoming.url);
  if (absolute === null) return incoming;
  const [, host, path = ''] = absolute as unknown as [string, string, string?];
  const url = path.startsWith('/') ? path : `/${path}`;
  return { ...incoming, url, headers: { ...incoming.headers, host } };
}

function parse(incoming: Incoming, version: string): Parsed {
  const { url } = incoming;
  if (!url.startsWith('/')) throw new BlobError('InvalidUri');
  refuseRepeated(incoming.headers, incoming.rawHeaders);
  const question = url.indexOf('?');
  const rawPath = question === -1 ? url : url.slice(0, question);
  const query = parseQuery(question === -1 ? '' : url.slice(question + 1));
  const target = parseTarget(rawPath, incoming.headers.host, query);
  const { method, headers, rawHeaders, body, peer } = incoming;
  return { method, rawPath, query, headers, rawHeaders, target, body, peer, version };
}
