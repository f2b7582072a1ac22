// XML from strangers: trees, limits, and no way around them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readXml, xmlChild, xmlChildText } from './xml-read.ts';

const kind = (body: string | Uint8Array, bytesMax = 10_000, elementsMax?: number): string =>
  readXml(body, bytesMax, elementsMax).kind;

test('a block list becomes a tree in order', () => {
  const body =
    '<?xml version="1.0" encoding="utf-8"?>\n<BlockList><Latest>MQ==</Latest><Committed>Mg==</Committed></BlockList>';
  for (const form of [body, Buffer.from(body), Buffer.from(`\ufeff${body}`), Buffer.from(`\ufeff${body}`, 'utf16le')]) {
    const outcome = readXml(form, 10_000);
    assert(outcome.kind === 'ok');
    assert.equal(outcome.root.name, 'BlockList');
    assert.deepEqual(
      outcome.root.children.map((child) => [child.name, child.text]),
      [
        ['Latest', 'MQ=='],
        ['Committed', 'Mg=='],
      ],
    );
  }
});

test('references, CDATA, attributes and white space are kept as they mean', () => {
  const outcome = readXml('<A x="1 &amp; 2"><B> a&lt;b<![CDATA[<&>]]>&#x41; </B><__proto__>p</__proto__></A>', 10_000);
  assert(outcome.kind === 'ok');
  assert.equal(outcome.root.attributes.x, '1 & 2');
  assert.equal(xmlChildText(outcome.root, 'B'), ' a<b<&>A ');
  assert.equal(xmlChildText(outcome.root, '__proto__'), 'p');
  assert.equal(xmlChild(outcome.root, 'C'), undefined);
});

test('document types, entities and broken documents are refused', () => {
  for (const body of [
    '<!DOCTYPE a [<!ENTITY b "bomb">]><a>&b;</a>',
    '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    '<a>&undefined;</a>',
    '<a><b></a></b>',
    '<a>',
    '<a/><b/>',
    'text',
    '',
    '<a x="1" x="2"/>',
    '<a>\x01</a>',
  ])
    assert.equal(kind(body), 'malformed', body);
  assert.equal(kind(Uint8Array.of(0x3c, 0x61, 0x3e, 0xff, 0x3c, 0x2f, 0x61, 0x3e)), 'malformed');
});

test('bytes, depth, elements and attributes are bounded', () => {
  assert.equal(kind('<a/>', 3), 'too-large');
  assert.equal(kind('<a/>', 4), 'ok');
  assert.equal(kind('<a>'.repeat(16) + '</a>'.repeat(16)), 'ok');
  assert.equal(kind('<a>'.repeat(17) + '</a>'.repeat(17)), 'malformed');
  assert.equal(kind(`<a>${'<b/>'.repeat(9)}</a>`, 10_000, 10), 'ok');
  assert.equal(kind(`<a>${'<b/>'.repeat(10)}</a>`, 10_000, 10), 'malformed');
  const attributes = (count: number): string => Array.from({ length: count }, (_, at) => ` a${at}="1"`).join('');
  assert.equal(kind(`<a${attributes(16)}/>`), 'ok');
  assert.equal(kind(`<a${attributes(17)}/>`), 'malformed');
});

test('no body makes the reader throw', () => {
  const markup = fc.array(
    fc.constantFrom('<', '>', '/', 'a', '&', ';', '"', '=', '!', '[', ']', '?', '-', 'CDATA', '\0'),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        markup.map((parts) => parts.join('')),
      ),
      (body) => {
        kind(body);
      },
    ),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (body) => {
      kind(body);
    }),
  );
});
