// A request's way through the surface: address, version, operation, who and whether, the handler, the answer.
import { randomUUID } from 'node:crypto';
import type { Logger } from '../../base/log.ts';
import { formatHttpDate } from '../../codec/http-date.ts';
import { isDamage, isUnavailable, type Store } from '../../namespace/store.ts';
import type { Answer } from '../http/answer.ts';
import { BodyCutError, type RequestBody } from '../http/body.ts';
import { type Hold, holdNobody } from '../http/hold.ts';
import { Authenticator } from './authenticate.ts';
import type { BatchPart, BlobCall, BlobSettings, Call, ContainerCall, Peer, Source } from './call.ts';
import { corsHeaders, preflight } from './cors.ts';
import { emptyBody } from './empty-body.ts';
import { BlobError, errorAnswer } from './errors.ts';
import type { Visit } from './gate.ts';
import { headerError, refuseUnsupported } from './headers-in.ts';
import { findOperation } from './operations.ts';
import { one, type ParsedRequest, parseQuery, parseTarget, type Target } from './request.ts';
import { blobServiceOf } from './service-record.ts';
import { cannotVerifySource, notAuthenticated } from './source.ts';
import { parseSource } from './source-address.ts';
import { chooseVersion, impliedVersion, newestVersion } from './versions.ts';

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
}

export interface Dispatched {
  readonly answer: Answer;
  readonly requestId: string;
  readonly operation: string;
  readonly account: string | undefined;
  readonly errorCode: string | undefined;
}

/** What a request turned out to be, also where it failed. */
interface Seen {
  operation: string;
  target: Target | undefined;
  version: string;
}

const clientRequestId = /^[\x21-\x7e]([\x20-\x7e]{0,1023})$/;

export class BlobDispatcher {
  readonly #store: Store;
  readonly #settings: BlobSettings;
  readonly #logger: Logger;
  readonly #authenticator: Authenticator;

  constructor(store: Store, settings: BlobSettings, logger: Logger) {
    this.#store = store;
    this.#settings = settings;
    this.#logger = logger;
    this.#authenticator = new Authenticator(store, settings.clockSkewMs);
  }

  /**
   * Never rejects: whatever goes wrong is an answer in this protocol's form. `batchVersion` is given for a part of a
   * batch: the version of the whole, which the part's own headers need not name.
   */
  async dispatch(incoming: Incoming, batchVersion?: string): Promise<Dispatched> {
    const requestId = randomUUID();
    const nowMs = this.#store.clock.now();
    const seen: Seen = { operation: 'Unknown', target: undefined, version: batchVersion ?? newestVersion };
    let errorCode: string | undefined;
    let answer: Answer;
    try {
      const asked = incoming.headers['x-ms-version'];
      if (asked !== undefined) {
        const chosen = chooseVersion(asked, this.#settings.strictVersions);
        if (chosen === undefined) throw headerError('x-ms-version', asked);
        seen.version = chosen;
      }
      answer = await this.#serve(incoming, { requestId, nowMs, isPart: batchVersion !== undefined }, seen);
    } catch (error) {
      const refusal = this.#refusalOf(error, requestId);
      errorCode = refusal.errorCode;
      answer = errorAnswer(refusal, requestId, nowMs);
    }
    const { headers } = answer;
    headers['x-ms-request-id'] = requestId;
    headers['x-ms-version'] = seen.version;
    headers.Server = 'Causeway-Blob/1.0';
    headers.Date = formatHttpDate(nowMs);
    const client = incoming.headers['x-ms-client-request-id'];
    if (client !== undefined && clientRequestId.test(client)) headers['x-ms-client-request-id'] = client;
    if (incoming.headers.origin !== undefined && seen.target !== undefined && incoming.method !== 'OPTIONS') {
      Object.assign(headers, await this.#cors(seen.target.account, incoming, Object.keys(headers)));
    }
    return { answer, requestId, operation: seen.operation, account: seen.target?.account, errorCode };
  }

  async #serve(
    incoming: Incoming,
    request: { requestId: string; nowMs: number; isPart: boolean },
    seen: Seen,
  ): Promise<Answer> {
    const parsed = parse(incoming);
    seen.target = parsed.target;
    if (incoming.headers['x-ms-version'] === undefined && !request.isPart) {
      seen.version = impliedVersion(await this.#versionMeant(parsed));
    }
    if (incoming.method === 'OPTIONS') {
      seen.operation = 'PreflightBlobRequest';
      const account = await this.#authenticator.account(parsed.target.account);
      return preflight(account?.record.blobService, incoming.headers);
    }
    const operation = findOperation(parsed);
    seen.operation = operation.name;
    const credentials = { ...parsed, peer: incoming.peer };
    const principal = await this.#authenticator.principal(credentials);
    const action = typeof operation.action === 'function' ? operation.action(parsed) : operation.action;
    const { onlyIfNew } = await this.#authenticator.authorize(principal, action, credentials);
    refuseUnsupported(incoming.headers);
    const call: Call = {
      ...parsed,
      store: this.#store,
      settings: this.#settings,
      requestId: request.requestId,
      version: seen.version,
      nowMs: request.nowMs,
      peer: incoming.peer,
      cause: { by: operation.name, requestId: request.requestId },
      principal,
      onlyIfNew,
      openSource: (url, withOwnKey) => this.#openSource(url, withOwnKey, call, incoming),
      hold: incoming.hold,
      runPart: async (part) => {
        if (request.isPart) throw new BlobError('InvalidInput');
        return await this.#runPart(part, incoming, seen.version);
      },
    };
    // `findOperation` matched the level to what the address names.
    switch (operation.level) {
      case 'service':
        return await operation.handle(call);
      case 'container':
        return await operation.handle(call as ContainerCall);
      case 'blob':
        return await operation.handle(call as BlobCall);
    }
  }

  /** Without the header: a signature's version, else what the account has set ("Versioning for Azure Storage"). */
  async #versionMeant({ query, target }: ParsedRequest): Promise<string | undefined> {
    if (query.has('sig')) return one(query, 'api-version') ?? one(query, 'sv');
    const account = await this.#authenticator.account(target.account);
    return blobServiceOf(account?.record.blobService).defaultServiceVersion;
  }

  /** A copy's source that lies here is read by the right of its own address, or of the same account's key. */
  async #openSource(url: string, withOwnKey: boolean, call: Call, incoming: Incoming): Promise<Source> {
    const parsed = parseSource(url, incoming.headers.host, this.#settings.copySourceHosts);
    if (parsed.kind === 'remote') return parsed;
    if (incoming.headers['x-ms-copy-source-authorization'] !== undefined) {
      // Only tokens of Microsoft Entra ID go there, and none are served yet.
      throw cannotVerifySource(new BlobError('InvalidAuthenticationInfo', {}, notAuthenticated, {}, 401));
    }
    const { target } = parsed;
    if (target.container === undefined || target.blob === undefined) throw new BlobError('InvalidSourceBlobUrl');
    const { account, container, blob } = target;
    const isSigned = parsed.query.has('sig');
    const { principal: caller } = call;
    const isOwn = caller.kind === 'account-key' && caller.account === target.account;
    if (!withOwnKey || isSigned || !isOwn) {
      const credentials = { method: 'GET', headers: {}, peer: incoming.peer, ...parsed };
      try {
        const principal = await this.#authenticator.principal(credentials);
        await this.#authenticator.authorize(principal, 'blob/read', credentials);
      } catch (error) {
        if (!(error instanceof BlobError)) throw error;
        // Of a reader without a signature it is known why it was refused, unlike of one that may guess names.
        throw cannotVerifySource(isSigned ? error : new BlobError('NoAuthenticationInformation', {}, notAuthenticated));
      }
    }
    for (const time of ['snapshot', 'versionid']) {
      if (parsed.query.has(time)) throw cannotVerifySource(new BlobError('BlobNotFound'));
    }
    return { kind: 'local', account, container, blob };
  }

  async #runPart(part: BatchPart, incoming: Incoming, version: string): Promise<Answer> {
    // Nothing is added to what the part's own signature covers.
    const headers: Record<string, string> = {};
    for (const name in part.headers) headers[name.toLowerCase()] = part.headers[name] as string;
    if (incoming.headers.host !== undefined) headers.host ??= incoming.headers.host;
    const rawHeaders = Object.entries(part.headers).flat();
    const { method, url } = part;
    const { answer } = await this.dispatch(
      { method, url, headers, rawHeaders, body: emptyBody, peer: incoming.peer, hold: holdNobody },
      version,
    );
    return answer;
  }

  async #cors(account: string, incoming: Incoming, answered: readonly string[]): Promise<Record<string, string>> {
    const known = await this.#authenticator.account(account).catch(() => undefined);
    return corsHeaders(known?.record.blobService, incoming.headers.origin as string, incoming.method, answered);
  }

  #refusalOf(error: unknown, requestId: string): BlobError {
    if (error instanceof BlobError) return error;
    if (error instanceof BodyCutError) return new BlobError('InvalidInput', {}, error.message);
    if (isUnavailable(error)) return new BlobError('ServerBusy');
    this.#logger.error({ requestId, err: error }, isDamage(error) ? 'stored data is damaged' : 'a request failed');
    return new BlobError('InternalError');
  }
}

function parse(incoming: Incoming): ParsedRequest {
  const { url } = incoming;
  const question = url.indexOf('?');
  const rawPath = question === -1 ? url : url.slice(0, question);
  const query = parseQuery(question === -1 ? '' : url.slice(question + 1));
  const target = parseTarget(rawPath, incoming.headers.host, query);
  const { method, headers, rawHeaders, body } = incoming;
  return { method, rawPath, query, headers, rawHeaders, target, body };
}
