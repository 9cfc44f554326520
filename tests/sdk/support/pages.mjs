// Tables of the documentation, which the tests compare with what happens.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const read = (page) => readFileSync(fileURLToPath(new URL(`../../../docs/${page}`, import.meta.url)), 'utf8');

/** Whether a page names something. */
export const names = (page, word) => read(page).includes(word);

/** The cells of the rows of a page that begin with a word in code style. */
function rows(text) {
  const cells = (line) => line.slice(1, -1).split(' | ').map((cell) => cell.trim());
  return text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map(cells);
}

const code = (cell) => cell.replaceAll('`', '');

/** docs/clients.md: method of the SDK to `{request, by}`. */
export function clientRows() {
  const found = rows(read('clients.md')).filter(([method]) => /^`\w+\.\w+`$/.test(method));
  const of = ([method, request, by]) => [code(method), { request: code(request), by }];
  const table = new Map(found.map(of));
  if (table.size !== found.length) throw new Error('docs/clients.md: a method has two rows');
  return table;
}

/** A generated table of routes: `[{method, path}]`. */
function routes(page, table) {
  const [, text] = read(page).split(`<!-- generated: ${table} -->`);
  if (text === undefined) throw new Error(`docs/${page} has no table ${table}`);
  return rows(text.split('<!-- end -->')[0]).flatMap(([path, methods]) =>
    methods.split(', ').map((method) => ({ method, path: code(path) })),
  );
}

const PLACEHOLDERS = {
  id: '[0-9]+',
  fee_id: '[0-9]+',
  merchant_uuid: '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}',
};

/** Whether a request fits a route with placeholders in braces. Queries are not compared. */
export function fits(route, { method, path }) {
  const parts = route.path.split('?')[0].split(/\{([a-z_]+)\}/);
  const pattern = parts.map((part, at) =>
    at % 2 === 1 ? (PLACEHOLDERS[part] ?? '[^/]+') : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
  );
  return route.method === method && new RegExp(`^${pattern.join('')}$`).test(path.split('?')[0]);
}

/** Who has each route, by the tables that the programs write. */
const OWNERS = {
  edge: routes('api.md', 'reads'),
  forwarded: routes('api.md', 'writes'),
  'passed through': routes('accounts.md', 'clients'),
};

/** Who answers a request, by the tables that the programs write: undefined if none of ours does. */
export function owner(request) {
  return Object.keys(OWNERS).find((name) => OWNERS[name].some((route) => fits(route, request)));
}
