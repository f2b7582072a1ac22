// A line of a Storage Analytics log ("Storage Analytics log format", versions 1.0 and 2.0).
import type { AuditRecord } from './record.ts';

export type LogVersion = '1.0' | '2.0';

const types: Readonly<Record<string, string>> = {
  AccountKey: 'authenticated',
  SAS: 'sas',
  DelegationSas: 'sas',
  OAuth: 'bearer',
  Anonymous: 'anonymous',
};

/** With the line feed. */
export function formatStorageLog(record: AuditRecord, version: LogVersion): string {
  const r = record;
  const type = types[r.AuthenticationType] ?? '';
  const fields = [
    version,
    `${r.TimeGenerated.slice(0, -1)}0000Z`,
    r.OperationName,
    r.StatusText,
    r.StatusCode,
    Math.round(r.DurationMs),
    Math.round(r.ServerLatencyMs),
    type,
    type === 'authenticated' ? r.AccountName : '',
    r.AccountName,
    r.ServiceType,
    quoted(r.Uri),
    quoted(r.ObjectKey),
    r.CorrelationId,
    0,
    r.CallerIpAddress,
    r.OperationVersion,
    r.RequestHeaderSize,
    r.RequestBodySize,
    r.ResponseHeaderSize,
    r.ResponseBodySize,
    r.ContentLengthHeader,
    quoted(r.RequestMd5),
    quoted(r.ResponseMd5),
    quoted(r.Etag?.replaceAll('"', '')),
    r.LastModifiedTime,
    quoted(r.ConditionsUsed),
    quoted(r.UserAgentHeader),
    quoted(r.ReferrerHeader),
    quoted(r.ClientRequestId),
  ];
  if (version === '2.0') {
    fields.push(quoted(r.RequesterObjectId), quoted(r.RequesterTenantId), quoted(r.RequesterAppId));
    fields.push(quoted(r.RequesterAudience), quoted(r.RequesterTokenIssuer), quoted(r.RequesterUpn), '');
    fields.push(quoted(r.AuthorizationDetails === undefined ? undefined : JSON.stringify(r.AuthorizationDetails)));
  }
  return `${fields.map((field) => field ?? '').join(';')}\n`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '"': '&quot;',
  '<': '&lt;',
  '>': '&gt;',
  '\n': '&#10;',
  '\r': '&#13;',
};

/** "Any field that may contain a quote, a semicolon or a newline is HTML encoded and quoted." */
function quoted(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  return `"${text.replace(/[&"<>\n\r]/g, (found) => entities[found] as string)}"`;
}
