// Writing XML by string building: escapes, and names that XML 1.0 cannot carry.

// Also what XML 1.0 forbids: control characters but tab, line feed and carriage return, lone surrogates, U+FFFE, U+FFFF.
const special = /[&<>"\r]/;
const specials = /[&<>"\r]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const forbidden = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const forbiddens = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g;

// A reader turns a bare carriage return into a line feed, so it is written as a reference.
const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#xD;',
};

/** The declaration with the byte order mark that the service puts before it; SDKs take either. */
export const xmlDeclaration = '\ufeff<?xml version="1.0" encoding="utf-8"?>';

/** Whether XML 1.0 can carry the text. */
export function isXmlText(text: string): boolean {
  return !forbidden.test(text) && text.isWellFormed();
}

/** Text for content or for an attribute in double quotes. What XML cannot carry at all becomes U+FFFD. */
export function escapeXml(text: string): string {
  const safe = isXmlText(text) ? text : text.toWellFormed().replace(forbiddens, '\ufffd');
  return special.test(safe) ? safe.replace(specials, (character) => escapes[character] as string) : safe;
}

/** `<name>text</name>`, or `<name />` where there is no text, as the service writes it. */
export function xmlElement(name: string, text: string | undefined): string {
  return text === undefined || text === '' ? `<${name} />` : `<${name}>${escapeXml(text)}</${name}>`;
}

/**
 * A blob's name or prefix: as it is, or, where XML cannot carry it, percent-encoded and marked `Encoded="true"` (List
 * Blobs, from version 2021-02-12 on).
 */
export function xmlNameElement(element: string, name: string): string {
  if (isXmlText(name)) return `<${element}>${escapeXml(name)}</${element}>`;
  return `<${element} Encoded="true">${escapeXml(encodeURIComponent(name.toWellFormed()))}</${element}>`;
}
