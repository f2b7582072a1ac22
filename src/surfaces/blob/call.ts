// One request on its way through the surface: what it asks, who asks, and what it may use.
import type { Principal } from '../../identity/authorize.ts';
import type { EntryTime } from '../../namespace/entries.ts';
import type { Cause } from '../../namespace/journal.ts';
import type { AccountSettings } from '../../namespace/records.ts';
import type { Permit } from '../../namespace/states.ts';
import type { Store } from '../../namespace/store.ts';
import type { Answer } from '../http/answer.ts';
import type { Hold } from '../http/hold.ts';
import type { Allowed } from './allowed.ts';
import type { ParsedRequest } from './request.ts';
import type { RemoteAddress } from './source-address.ts';

/** What queries of blobs' contents may take. */
export interface QuerySettings {
  readonly data: string;
  readonly queriesMax: number;
  readonly queryQueueMax: number;
  readonly queryTimeoutMs: number;
  readonly queryBytesMax: number;
  readonly queryMemoryBytes: number;
}

export interface BlobSettings extends QuerySettings {
  readonly strictVersions: boolean;
  readonly bodyBytesMax: number;
  readonly clockSkewMs: number;
  /** How long a change may wait for a committer that is silent. */
  readonly commitTimeoutMs: number;
  /** Tenants of Entra ID whose tokens are believed, where their issuers are, and what tokens may be made out to. */
  readonly entraTenants: readonly string[];
  readonly entraAuthority: string;
  readonly entraAudiences: readonly string[];
  /** How long the server of a copy's source may be silent. */
  readonly stallTimeoutMs: number;
  /** Other servers that may be copied from. */
  readonly copySourceHosts: readonly string[];
}

/** Who sends, as the listener sees it. */
export interface Peer {
  readonly address: string;
  readonly protocol: 'http' | 'https';
  /** Both ends of the connection are addresses of this machine that no other can reach. */
  readonly isLoopback?: boolean;
}

export interface Call extends ParsedRequest {
  readonly store: Store;
  readonly settings: BlobSettings;
  readonly requestId: string;
  readonly version: string;
  /** The store's time. */
  readonly nowMs: number;
  readonly peer: Peer;
  readonly cause: Cause;
  readonly principal: Principal;
  readonly allowed: Allowed;
  /** As they were within the last second. */
  readonly accountSettings: AccountSettings;
  /**
   * Checks a source by the credential that its address carries, or, with `withOwnKey`, by the caller's account key. One
   * on another server is only told to be that: who may read it, its server says.
   */
  readonly openSource: (url: string, withOwnKey: boolean) => Promise<Source>;
  /**
   * Decides once more about a copy that takes its source's tags along: only now are they known, and setting them is a
   * right of its own. Throws the refusal; what it answers is to be kept to besides `allowed`.
   */
  readonly authorizeTags: (tags: Readonly<Record<string, string>>) => Promise<Allowed>;
  /** Keeps the client's connection while work goes on that it has no part in. */
  readonly hold: Hold;
  /** Runs a request of a batch through the whole surface, with its own credential. */
  readonly runPart: (part: BatchPart) => Promise<Answer>;
}

export type Source =
  | ({ readonly kind: 'local' } & LocalSource)
  | { readonly kind: 'remote'; readonly address: RemoteAddress };

export interface LocalSource {
  readonly account: string;
  readonly container: string;
  readonly blob: string;
  readonly at?: EntryTime;
  readonly permit?: Permit | undefined;
}

export interface BatchPart {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A call whose address names a container. */
export interface ContainerCall extends Call {
  readonly target: { readonly account: string; readonly container: string; readonly blob: string | undefined };
}

/** A call whose address names a blob. */
export interface BlobCall extends Call {
  readonly target: { readonly account: string; readonly container: string; readonly blob: string };
}
