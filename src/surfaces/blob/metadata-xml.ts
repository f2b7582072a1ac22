// Metadata and tags as answers show them. Names of metadata are identifiers, so each is an element's name as it stands.
import { xmlElement } from '../../codec/xml-write.ts';

export function metadataXml(metadata: Readonly<Record<string, string>>): string {
  let out = '';
  for (const name in metadata) out += xmlElement(name, metadata[name]);
  return out === '' ? '<Metadata />' : `<Metadata>${out}</Metadata>`;
}

export function tagsXml(tags: Readonly<Record<string, string>>): string {
  let out = '';
  for (const key of Object.keys(tags).sort())
    out += `<Tag>${xmlElement('Key', key)}${xmlElement('Value', tags[key])}</Tag>`;
  return out === '' ? '<Tags><TagSet /></Tags>' : `<Tags><TagSet>${out}</TagSet></Tags>`;
}
