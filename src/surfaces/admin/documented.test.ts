// docs/management.md lists every management command as it is, and the command line has a way to each.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { access } from '../../cli/access.ts';
import { account } from '../../cli/account.ts';
import { adminToken } from '../../cli/admin-token.ts';
import { container } from '../../cli/container.ts';
import { sas } from '../../cli/sas.ts';
import { scopeCommand } from '../../cli/scope.ts';
import type { ManagementCommand } from './command.ts';
import { managementCommands } from './commands.ts';

const forms = new Map([account, container, sas, scopeCommand, access, adminToken].flatMap((line) => [...line.forms]));
const document = readFileSync(join(import.meta.dirname, '../../../docs/management.md'), 'utf8');

/** Fields of the body, or of the query of a GET; a `?` where one may be left out. */
function fieldsOf({ path, input }: ManagementCommand): string {
  const { properties = {}, required = [] } = z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' });
  const fields = Object.keys(properties).filter((name) => !path.includes(`{${name}}`));
  if (fields.length > 6) return 'the settings below';
  return fields.map((name) => `\`${name}\`${required.includes(name) ? '' : '?'}`).join(', ');
}

test('the command line has every management command, and no other', () => {
  assert.deepEqual([...forms.keys()].sort(), managementCommands.map(({ name }) => name).sort());
});

for (const row of managementCommands) {
  test(`docs/management.md has '${row.name}' as it is`, () => {
    const line = `| \`${forms.get(row.name)?.replaceAll('|', '\\|')}\` | \`${row.method} ${row.path}\` | ${fieldsOf(row)} | ${row.summary} |`;
    assert.ok(document.split('\n').includes(line), `not in the document:\n${line}`);
  });
}

test('docs/management.md has a row for every setting that the command line knows', () => {
  for (const [line, name] of [
    [account, 'account'],
    [container, 'container'],
  ] as const) {
    const settings = line.help.split(`Settings of '${name} set':\n`)[1]?.split('\n\n')[0] ?? '';
    const rows = [...settings.matchAll(/^ {2}([a-z-]+)=/gm)].map((match) => match[1]);
    assert.ok(rows.length > 5);
    for (const setting of rows) assert.match(document, new RegExp(`^\\| \`${setting}=`, 'm'));
  }
});
