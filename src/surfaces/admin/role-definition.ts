// A role in Azure's own formats: as `az role definition` prints and takes it, and as the management API does.
import { z } from 'zod';
import { roleProblem } from '../../identity/roles.ts';
import type { CustomRoleRecord } from '../../namespace/records.ts';

const text = z.string('must be text').max(2048);
const actions = z.array(text, 'must be a list of actions').max(256).default([]);

const permissions = { actions, notactions: actions, dataactions: actions, notdataactions: actions } as const;

/** What Azure writes around a role that says nothing here: where it was made, and where it may be assigned. */
const ignored = ['id', 'iscustom', 'assignablescopes', 'type', 'roletype', 'createdon', 'createdby', 'updatedon'];
const known = new Set([...ignored, 'updatedby', 'name', 'rolename', 'description', 'permissions', 'properties']);

const flat = z.object({ name: text, description: text.optional(), ...permissions });

export type DefinitionOutcome =
  | { readonly kind: 'ok'; readonly role: CustomRoleRecord }
  | { readonly kind: 'invalid'; readonly message: string };

const invalid = (message: string): DefinitionOutcome => ({ kind: 'invalid', message });

export function parseRoleDefinition(definition: unknown): DefinitionOutcome {
  const outer = lowerKeys(definition);
  if (outer === undefined) return invalid('a role definition must be an object');
  const inner = outer.properties === undefined ? outer : lowerKeys(outer.properties);
  if (inner === undefined) return invalid('properties must be an object');
  for (const fields of [outer, inner]) {
    const strange = Object.keys(fields).find((name) => !known.has(name) && !Object.hasOwn(permissions, name));
    if (strange !== undefined) return invalid(`a role definition has no field ${JSON.stringify(strange.slice(0, 60))}`);
  }
  let granted: Record<string, unknown> = inner;
  const { permissions: listed } = inner;
  if (listed !== undefined) {
    const [only, ...more] = Array.isArray(listed) ? listed : [];
    const fields = lowerKeys(only);
    if (fields === undefined || more.length > 0) return invalid('permissions must be a list of one object');
    const strange = Object.keys(fields).find((name) => !Object.hasOwn(permissions, name) && !isEmptyCondition(name));
    if (strange !== undefined)
      return invalid(`permissions have no field ${JSON.stringify(strange.slice(0, 60))} that is served`);
    granted = fields;
  }
  // Where both stand, `name` is a GUID and `roleName` what it is called.
  const name = inner.rolename ?? inner.name;
  const { description } = inner;
  const parsed = flat.safeParse({ ...granted, name, ...(description !== null && { description }) });
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return invalid(`${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { data } = parsed;
  if (data.actions.length + data.dataactions.length === 0) return invalid('a role must have actions or dataActions');
  const role: CustomRoleRecord = {
    name: data.name,
    ...(data.description !== undefined && { description: data.description }),
    actions: data.actions,
    notActions: data.notactions,
    dataActions: data.dataactions,
    notDataActions: data.notdataactions,
  };
  const problem = roleProblem(role);
  return problem === undefined ? { kind: 'ok', role } : invalid(problem);

  function isEmptyCondition(field: string): boolean {
    if (field !== 'condition' && field !== 'conditionversion') return false;
    const [only] = listed as unknown[];
    return (lowerKeys(only)?.[field] ?? null) === null;
  }
}

/** Azure's tools do not agree on the case of the names. */
function lowerKeys(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name.toLowerCase(), inner]));
}
