// Metadata as listings show it. Names are identifiers, so each is an element's name as it stands.
import { xmlElement } from '../../codec/xml-write.ts';

export function metadataXml(metadata: Readonly<Record<string, string>>): string {
  let out = '';
  for (const name in metadata) out += xmlElement(name, metadata[name]);
  return out === '' ? '<Metadata />' : `<Metadata>${out}</Metadata>`;
}
