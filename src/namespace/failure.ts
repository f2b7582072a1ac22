// Every way an operation of the namespace can end short of success. Surfaces map each to their protocol's answer.

export type Failure =
  | { readonly kind: 'account-not-found' }
  | { readonly kind: 'account-exists' }
  | { readonly kind: 'container-not-found' }
  | { readonly kind: 'container-exists' }
  | { readonly kind: 'entry-not-found' }
  | { readonly kind: 'entry-exists' }
  | { readonly kind: 'condition-not-met' }
  | { readonly kind: 'not-modified' }
  | { readonly kind: 'overwrite-forbidden' }
  /** What is there is not what the decision allows. */
  | { readonly kind: 'not-permitted' }
  | { readonly kind: 'lease-id-missing' }
  | { readonly kind: 'lease-mismatch'; readonly operation: 'entry' | 'container' | 'lease' }
  | { readonly kind: 'lease-not-present'; readonly operation: 'entry' | 'container' | 'lease' }
  | { readonly kind: 'lease-lost' }
  | { readonly kind: 'lease-present' }
  | { readonly kind: 'lease-breaking'; readonly operation: 'acquire' | 'change' }
  | { readonly kind: 'lease-broken' }
  | { readonly kind: 'lease-broken-already' }
  | { readonly kind: 'block-list-invalid' }
  | { readonly kind: 'block-count-exceeded' }
  | { readonly kind: 'block-id-length' }
  | { readonly kind: 'blocks-staged-exceeded' }
  | { readonly kind: 'quota-exceeded' }
  | { readonly kind: 'body-length' }
  | { readonly kind: 'body-too-large' }
  | { readonly kind: 'md5-mismatch'; readonly given: Uint8Array; readonly computed: Uint8Array }
  | { readonly kind: 'crc64-mismatch'; readonly given: bigint; readonly computed: bigint }
  | { readonly kind: 'source-range' }
  | { readonly kind: 'no-space' }
  | { readonly kind: 'blob-type' }
  | { readonly kind: 'snapshots-present' }
  | { readonly kind: 'current-version' }
  | { readonly kind: 'archived' }
  | { readonly kind: 'past-state' }
  | { readonly kind: 'rehydrating' }
  | { readonly kind: 'immutable-by-policy' }
  | { readonly kind: 'immutable-by-hold' }
  | { readonly kind: 'container-protected' }
  | { readonly kind: 'container-renamed' }
  | { readonly kind: 'restore-off' }
  | { readonly kind: 'restore-time' }
  | { readonly kind: 'restore-running' }
  | { readonly kind: 'policy-locked' }
  | { readonly kind: 'policy-in-the-past' }
  | { readonly kind: 'versioning-needed' }
  | { readonly kind: 'permanent-delete-off' }
  | { readonly kind: 'sealed' }
  | { readonly kind: 'append-position' }
  | { readonly kind: 'append-too-large' }
  | { readonly kind: 'page-range' }
  | { readonly kind: 'sequence-number' }
  | { readonly kind: 'previous-snapshot' }
  | { readonly kind: 'incremental-copy' }
  | { readonly kind: 'incremental-mismatch' }
  | { readonly kind: 'incremental-earlier' }
  | { readonly kind: 'incremental-source' }
  | { readonly kind: 'encryption-mismatch'; readonly reason?: 'key-missing' | 'key-not-used' }
  | { readonly kind: 'contended' }
  /** Nobody waits for it any more; nothing has changed. */
  | { readonly kind: 'given-up' };

export type FailureKind = Failure['kind'];
