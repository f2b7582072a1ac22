// Reading XML request bodies into a small tree, with every limit set beforehand.
import { SaxesParser } from 'saxes';

export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** All character data directly inside, joined. White space is kept. */
  readonly text: string;
  /** Where the name in its end tag stands, from 1 on. */
  readonly end: { readonly line: number; readonly position: number };
}

export type XmlOutcome =
  | { readonly kind: 'ok'; readonly root: XmlElement }
  | { readonly kind: 'malformed'; readonly reason: string }
  | { readonly kind: 'too-large' };

const depthMax = 16;
const attributesMax = 16;
// The largest honest body is a block list of 50,000.
const elementsMaxDefault = 110_000;

interface Building extends XmlElement {
  readonly children: Building[];
  text: string;
  end: XmlElement['end'];
}

const unknownPlace = { line: 0, position: 0 };

class Refused extends Error {}

function refuse(reason: string): never {
  throw new Refused(reason);
}

/** Parses a body of at most `bytesMax` bytes (of UTF-8; UTF-16 with its mark is taken too). Document types are refused. */
export function readXml(body: Uint8Array | string, bytesMax: number, elementsMax = elementsMaxDefault): XmlOutcome {
  if ((typeof body === 'string' ? Buffer.byteLength(body) : body.length) > bytesMax) return { kind: 'too-large' };
  try {
    return { kind: 'ok', root: parse(typeof body === 'string' ? body : decode(body), elementsMax) };
  } catch (error) {
    if (error instanceof Refused) return { kind: 'malformed', reason: error.message };
    throw error;
  }
}

function decode(body: Uint8Array): string {
  const label =
    body[0] === 0xff && body[1] === 0xfe ? 'utf-16le' : body[0] === 0xfe && body[1] === 0xff ? 'utf-16be' : 'utf-8';
  try {
    return new TextDecoder(label, { fatal: true }).decode(body);
  } catch {
    return refuse(`not ${label}`);
  }
}

function parse(text: string, elementsMax: number): XmlElement {
  // Half a character, which only a string can have, makes the parser throw what is no error of the document.
  if (!text.isWellFormed()) refuse('not well-formed text');
  const parser = new SaxesParser({ fragment: false, position: true });
  const open: Building[] = [];
  let root: Building | undefined;
  let elements = 0;
  parser.on('error', (error) => refuse(error.message));
  parser.on('doctype', () => refuse('a document type is not allowed'));
  parser.on('opentag', (tag) => {
    const names = Object.keys(tag.attributes);
    if (++elements > elementsMax) refuse('too many elements');
    if (open.length === depthMax) refuse('elements are nested too deeply');
    if (names.length > attributesMax) refuse('too many attributes');
    const attributes: Record<string, string> = Object.create(null);
    for (const name of names) attributes[name] = tag.attributes[name] as string;
    const element: Building = { name: tag.name, attributes, children: [], text: '', end: unknownPlace };
    open.at(-1)?.children.push(element);
    root ??= element;
    open.push(element);
  });
  parser.on('closetag', ({ name }) => {
    const element = open.pop();
    if (element !== undefined) element.end = { line: parser.line, position: parser.column - name.length };
  });
  const characters = (part: string): void => {
    const element = open.at(-1);
    if (element !== undefined) element.text += part;
  };
  parser.on('text', characters);
  parser.on('cdata', characters);
  parser.write(text).close();
  return root ?? refuse('no root element');
}

/** The first child of that name. */
export function xmlChild(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((child) => child.name === name);
}

/** The text of the first child of that name. */
export function xmlChildText(element: XmlElement, name: string): string | undefined {
  return xmlChild(element, name)?.text;
}
