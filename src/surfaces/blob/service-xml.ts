// The XML of the Blob service's properties ("Set Blob Service Properties"): read with every rule checked, and written.
import { type XmlElement, xmlChild, xmlChildText } from '../../codec/xml-read.ts';
import { xmlDeclaration, xmlElement } from '../../codec/xml-write.ts';
import { BlobError, documentError } from './errors.ts';
import type {
  BlobService,
  CorsRule,
  DeleteRetention,
  Logging,
  Metrics,
  Retention,
  StaticWebsite,
} from './service-record.ts';
import { isBefore, withoutNewElements } from './version-differences.ts';

const corsRulesMax = 5;
const originsMax = 64;
const headersMax = 64;
const headerPrefixesMax = 2;
const textCharactersMax = 256;
const retentionDaysMax = 365;
const methods: ReadonlySet<string> = new Set(['DELETE', 'GET', 'HEAD', 'MERGE', 'OPTIONS', 'PATCH', 'POST', 'PUT']);

/** What the document names; throws `BlobError` for what breaks a rule of its version. */
export function readBlobService(root: XmlElement, version: string): Partial<BlobService> {
  const isWhole = isBefore(version, 'partialProperties');
  if (root.name !== 'StorageServiceProperties') throw new BlobError('InvalidXmlDocument');
  const found: { -readonly [K in keyof BlobService]?: BlobService[K] } = {};
  for (const child of root.children) {
    switch (child.name) {
      case 'Logging':
        found.logging = readLogging(child);
        break;
      case 'Metrics':
        if (!isWhole) throw new BlobError('InvalidXmlDocument');
        found.hourMetrics = readMetrics(child);
        break;
      case 'HourMetrics':
        found.hourMetrics = readMetrics(child);
        break;
      case 'MinuteMetrics':
        found.minuteMetrics = readMetrics(child);
        break;
      case 'Cors':
        found.cors = readCors(child);
        break;
      case 'DefaultServiceVersion':
        found.defaultServiceVersion = readVersion(child);
        break;
      case 'DeleteRetentionPolicy':
        found.deleteRetention = readDeleteRetention(child);
        break;
      case 'StaticWebsite':
        found.staticWebsite = readStaticWebsite(child);
        break;
      default:
        throw new BlobError('InvalidXmlDocument');
    }
  }
  if (isWhole && (found.logging === undefined || found.hourMetrics === undefined)) {
    throw new BlobError('InvalidXmlDocument');
  }
  return found;
}

function nodeError(name: string, value: string): BlobError {
  return new BlobError('InvalidXmlNodeValue', { XmlNodeName: name, XmlNodeValue: value });
}

function needed(element: XmlElement, name: string): string {
  const text = xmlChildText(element, name)?.trim();
  if (text === undefined) throw documentError(element, `Element is missing: ${name}.`);
  return text;
}

function flag(element: XmlElement, name: string): boolean {
  const text = needed(element, name);
  const word = text.toLowerCase();
  if (word !== 'true' && word !== 'false') throw nodeError(name, text);
  return word === 'true';
}

function optionalFlag(element: XmlElement, name: string): boolean | undefined {
  return xmlChild(element, name) === undefined ? undefined : flag(element, name);
}

function wholeNumber(element: XmlElement, name: string, min: number, max: number): number {
  const text = needed(element, name);
  const value = Number(text);
  if (!/^\d{1,10}$/.test(text) || value < min || value > max) throw nodeError(name, text);
  return value;
}

function version(element: XmlElement): string {
  const text = needed(element, 'Version');
  if (!/^\d\.\d$/.test(text)) throw nodeError('Version', text);
  return text;
}

function readRetention(element: XmlElement): Retention {
  const policy = xmlChild(element, 'RetentionPolicy');
  if (policy === undefined) throw new BlobError('InvalidXmlDocument');
  return readDays(policy);
}

function readDays(policy: XmlElement): Retention {
  if (!flag(policy, 'Enabled')) return { enabled: false };
  const days = Number(needed(policy, 'Days'));
  if (!Number.isInteger(days) || days < 1 || days > retentionDaysMax) {
    throw documentError(policy, 'Retention days must be greater than 0 and less than or equal to 365 days.');
  }
  return { enabled: true, days };
}

function readLogging(element: XmlElement): Logging {
  return {
    version: version(element),
    delete: flag(element, 'Delete'),
    read: flag(element, 'Read'),
    write: flag(element, 'Write'),
    retention: readRetention(element),
  };
}

function readMetrics(element: XmlElement): Metrics {
  const enabled = flag(element, 'Enabled');
  const base = { version: version(element), enabled, retention: readRetention(element) };
  return enabled ? { ...base, includeApis: flag(element, 'IncludeAPIs') } : base;
}

function readVersion(element: XmlElement): string {
  const text = element.text.trim();
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) throw nodeError('DefaultServiceVersion', text);
  return text;
}

function readDeleteRetention(element: XmlElement): DeleteRetention {
  const permanent = optionalFlag(element, 'AllowPermanentDelete');
  return { ...readDays(element), ...(permanent !== undefined && { allowPermanentDelete: permanent }) };
}

function readStaticWebsite(element: XmlElement): StaticWebsite {
  const index = xmlChildText(element, 'IndexDocument')?.trim();
  const path = xmlChildText(element, 'DefaultIndexDocumentPath')?.trim();
  const notFound = xmlChildText(element, 'ErrorDocument404Path')?.trim();
  if (index && (index.includes('/') || index.length > textCharactersMax)) throw nodeError('IndexDocument', index);
  return {
    enabled: flag(element, 'Enabled'),
    ...(index && { indexDocument: index }),
    ...(path && { defaultIndexDocumentPath: path }),
    ...(notFound && { errorDocument404Path: notFound }),
  };
}

function readCors(element: XmlElement): CorsRule[] {
  if (element.children.length > corsRulesMax) throw new BlobError('InvalidXmlDocument');
  return element.children.map(readCorsRule);
}

function readCorsRule(element: XmlElement): CorsRule {
  if (element.name !== 'CorsRule') throw new BlobError('InvalidXmlDocument');
  const origins = list(element, 'AllowedOrigins', originsMax);
  const allowed = list(element, 'AllowedMethods', methods.size).map((method) => method.toUpperCase());
  if (origins.length === 0) throw nodeError('AllowedOrigins', '');
  if (allowed.length === 0 || allowed.some((method) => !methods.has(method))) {
    throw nodeError('AllowedMethods', allowed.join(','));
  }
  return {
    origins,
    methods: allowed,
    allowedHeaders: headerList(element, 'AllowedHeaders'),
    exposedHeaders: headerList(element, 'ExposedHeaders'),
    maxAgeS: wholeNumber(element, 'MaxAgeInSeconds', 0, 0x7fff_ffff),
  };
}

function list(element: XmlElement, name: string, max: number): string[] {
  const parts = needed(element, name)
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (parts.length > max || parts.some((part) => part.length > textCharactersMax))
    throw nodeError(name, parts.join(','));
  return parts;
}

const isPrefix = (name: string): boolean => name.endsWith('*') && name !== '*';

/** Up to 64 names and two prefixes (a name with a final "*"). */
function headerList(element: XmlElement, name: string): string[] {
  const parts = list(element, name, headersMax + headerPrefixesMax);
  const prefixes = parts.filter(isPrefix).length;
  const wellFormed = parts.every((part) => /^[!#$%&'+\-.^_`|~0-9A-Za-z]*\*?$/.test(part));
  if (prefixes > headerPrefixesMax || parts.length - prefixes > headersMax || !wellFormed) {
    throw nodeError(name, parts.join(','));
  }
  // Whole names first, as the service gives them back.
  return parts.toSorted((a, b) => Number(isPrefix(a)) - Number(isPrefix(b)));
}

export function writeBlobService(service: BlobService, version: string): string {
  const { logging, cors, staticWebsite: site, deleteRetention } = service;
  return withoutNewElements(
    `${xmlDeclaration}<StorageServiceProperties><Logging>${xmlElement('Version', logging.version)}<Read>${logging.read}</Read>` +
      `<Write>${logging.write}</Write><Delete>${logging.delete}</Delete>${retentionXml(logging.retention)}</Logging>` +
      metricsXml(isBefore(version, 'partialProperties') ? 'Metrics' : 'HourMetrics', service.hourMetrics) +
      metricsXml('MinuteMetrics', service.minuteMetrics) +
      (cors.length === 0 ? '<Cors />' : `<Cors>${cors.map(corsXml).join('')}</Cors>`) +
      `<DeleteRetentionPolicy>${daysXml(deleteRetention)}` +
      `<AllowPermanentDelete>${deleteRetention.allowPermanentDelete === true}</AllowPermanentDelete></DeleteRetentionPolicy>` +
      `<StaticWebsite><Enabled>${site.enabled}</Enabled>${optional('IndexDocument', site.indexDocument)}` +
      `${optional('DefaultIndexDocumentPath', site.defaultIndexDocumentPath)}` +
      `${optional('ErrorDocument404Path', site.errorDocument404Path)}</StaticWebsite>` +
      optional('DefaultServiceVersion', service.defaultServiceVersion) +
      '</StorageServiceProperties>',
    version,
  );
}

function optional(name: string, value: string | number | boolean | undefined): string {
  return value === undefined ? '' : xmlElement(name, `${value}`);
}

function daysXml(retention: Retention): string {
  return `<Enabled>${retention.enabled}</Enabled>${optional('Days', retention.days)}`;
}

function retentionXml(retention: Retention): string {
  return `<RetentionPolicy>${daysXml(retention)}</RetentionPolicy>`;
}

function metricsXml(name: string, metrics: Metrics): string {
  return (
    `<${name}>${xmlElement('Version', metrics.version)}<Enabled>${metrics.enabled}</Enabled>` +
    `${optional('IncludeAPIs', metrics.includeApis)}${retentionXml(metrics.retention)}</${name}>`
  );
}

function corsXml(rule: CorsRule): string {
  return (
    `<CorsRule>${xmlElement('AllowedMethods', rule.methods.join(','))}${xmlElement('AllowedOrigins', rule.origins.join(','))}` +
    `${xmlElement('AllowedHeaders', rule.allowedHeaders.join(','))}${xmlElement('ExposedHeaders', rule.exposedHeaders.join(','))}` +
    `<MaxAgeInSeconds>${rule.maxAgeS}</MaxAgeInSeconds></CorsRule>`
  );
}
