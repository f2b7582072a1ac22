// Escaping: what XML can carry, and names that it cannot.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readXml } from './xml-read.ts';
import { escapeXml, isXmlText, xmlDeclaration, xmlElement, xmlNameElement } from './xml-write.ts';

test('markup is escaped, and everything else is left alone', () => {
  assert.equal(escapeXml('a<b>&"c"'), 'a&lt;b&gt;&amp;&quot;c&quot;');
  assert.equal(escapeXml("plain ünïcode 🎉 %20 ' \t\n"), "plain ünïcode 🎉 %20 ' \t\n");
  assert.equal(escapeXml('a\0b\ud800'), 'a\ufffdb\ufffd');
  assert.equal(xmlElement('Prefix', ''), '<Prefix />');
  assert.equal(xmlElement('Prefix', undefined), '<Prefix />');
  assert.equal(xmlElement('Prefix', 'a&b'), '<Prefix>a&amp;b</Prefix>');
});

test('a name that XML cannot carry is percent-encoded and says so', () => {
  assert.equal(xmlNameElement('Name', 'dir/a b'), '<Name>dir/a b</Name>');
  assert.equal(xmlNameElement('Name', 'dir/\uffff'), '<Name Encoded="true">dir%2F%EF%BF%BF</Name>');
  assert.equal(xmlNameElement('Name', 'a\x01&'), '<Name Encoded="true">a%01%26</Name>');
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.string({ maxLength: 20 }), (name, attribute) => {
      const body = `${xmlDeclaration}<R a="${escapeXml(attribute)}">${xmlNameElement('Name', name)}</R>`;
      const outcome = readXml(body, 100_000);
      assert.equal(outcome.kind, 'ok');
      if (outcome.kind !== 'ok') return;
      const read = outcome.root.children[0]!;
      assert.equal(read.attributes.Encoded === 'true' ? decodeURIComponent(read.text) : read.text, name);
      assert.equal(read.attributes.Encoded === 'true', !isXmlText(name));
      if (!/[\t\n\r]/.test(attribute) && isXmlText(attribute)) assert.equal(outcome.root.attributes.a, attribute);
    }),
  );
});
