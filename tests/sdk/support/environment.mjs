// The environment of a run: the Worker's address, the sample viewers, the published files.
// A missing variable is an error: a suite that skips itself would pass without a Worker.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../../..', import.meta.url));

/** A variable's value. Fails if it is not set. */
export function required(name, meaning) {
  const value = process.env[name];
  if (!value) {
    throw new Error(
      `${name} is not set: it must be ${meaning}. \`cargo xtask dev\` prints both; see tests/sdk/README.md.`,
    );
  }
  return value;
}

function read(file, meaning) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`cannot read ${meaning}: ${error.message}`, { cause: error });
  }
}

function checkedPersona(persona, index) {
  const problems = [];
  if (typeof persona.name !== 'string') problems.push('name is no string');
  if (typeof persona.token !== 'string') problems.push('token is no string');
  if (!Number.isInteger(persona.item_id)) problems.push('item_id is no integer');
  if (!Number.isInteger(persona.expect?.access)) problems.push('expect.access is no status code');
  if (problems.length > 0) {
    throw new Error(`ADMIT_PERSONAS: entry ${index} (${persona.name}): ${problems.join(', ')}`);
  }
  return persona;
}

function readPersonas() {
  const file = required('ADMIT_PERSONAS', 'the path of the personas file (JSON)');
  const list = JSON.parse(read(file, 'the personas file (ADMIT_PERSONAS)'));
  if (!Array.isArray(list) || list.length === 0) {
    throw new Error('ADMIT_PERSONAS: the file holds no list of personas');
  }
  return list.map(checkedPersona);
}

/** The operator's token, which may read the snapshot: `cargo xtask dev` writes it beside the personas. */
export function operatorToken() {
  const file = required('ADMIT_PERSONAS', 'the path of the personas file (JSON)');
  return read(path.join(path.dirname(file), 'operator.token'), "the operator's token").trim();
}

/** The publish files, one JSON object a line: a file or a folder of `*.ndjson`. */
function readCatalogue() {
  const place = path.resolve(repository, process.env.ADMIT_CATALOGUE ?? 'samples/catalogue');
  let files = [place];
  try {
    if (statSync(place).isDirectory()) {
      files = readdirSync(place)
        .filter((name) => name.endsWith('.ndjson'))
        .map((name) => path.join(place, name));
    }
  } catch (error) {
    throw new Error(`cannot read the catalogue (ADMIT_CATALOGUE): ${error.message}`, {
      cause: error,
    });
  }
  return files
    .flatMap((file) => read(file, 'the catalogue (ADMIT_CATALOGUE)').split('\n'))
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line));
}

/** The Worker's address, without a slash at the end. */
export const baseUrl = required('ADMIT_BASE_URL', 'the address of a running Worker').replace(/\/+$/, '');

/** The sample viewers: `{name, token, item_id, expect: {access, license}, why}`. */
export const personas = readPersonas();

/** The published merchants and items, as the publish files have them. */
export const merchants = [];
export const items = [];
for (const line of readCatalogue()) {
  if (line.type === 'merchant') merchants.push(line);
  if (line.type === 'item') items.push(line);
}

export const isPackage = (item) => item.item_type.name === 'package';
export const activeItems = items.filter((item) => item.is_active);
export const inactiveItems = items.filter((item) => !item.is_active);

/** The media id that an item's content has at its host, if it names one. */
export const mediaIdOf = ({ content }) => content && JSON.parse(content).media_id;

/** A valid item id that no item has. */
export const UNKNOWN_ITEM_ID = 2_000_000_011;

/** For the title of a test: the viewer, and the reason of the answer. */
export function described(persona) {
  return `${persona.name} (item ${persona.item_id}${persona.why ? `: ${persona.why}` : ''})`;
}

/** The first viewer whose access check ends with `status`. */
export function personaWith(status) {
  const found = personas.find((persona) => persona.expect.access === status);
  if (!found) throw new Error(`ADMIT_PERSONAS: nobody has expect.access ${status}`);
  return found;
}

/** The token's claims, unverified; undefined if it is not a JWT. */
export function claims(token) {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString('utf8'));
  } catch {
    return {};
  }
}
