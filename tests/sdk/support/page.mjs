// A web page on another origin than the Worker's, with the vendor's SDK in it. jsdom's
// XMLHttpRequest enforces CORS, preflights included, so an answer without the right headers
// reaches the SDK as a "Network Error", as it does in a browser.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { JSDOM, VirtualConsole } from 'jsdom';

import { baseUrl } from './environment.mjs';

const require = createRequire(import.meta.url);

/** The package's only build: it puts `InPlayer` on the page's `window`. */
const bundle = readFileSync(require.resolve('@inplayer-org/inplayer.js'), 'utf8');

export const PAGE_ORIGIN = 'https://player.example';
/** The header in which Cloudflare names the viewer's address. wrangler dev passes on a client's header. */
const ADDRESS_HEADER = 'cf-connecting-ip';
const TIMEOUT_MS = 20_000;
const A_DAY_SECS = 86_400;

/** Headers with names in lower case, from undici's list of names and values or from an object. */
function headerMap(headers) {
  const pairs = [];
  if (Array.isArray(headers)) {
    for (let at = 0; at < headers.length; at += 2) pairs.push([headers[at], headers[at + 1]]);
  } else {
    pairs.push(...Object.entries(headers ?? {}));
  }
  return Object.fromEntries(pairs.map(([name, value]) => [String(name).toLowerCase(), String(value)]));
}

/**
 * Requests uncompressed answers. jsdom decodes gzip only in answers below 400, and gives pages the compressed
 * bytes of an error, which no browser does.
 */
const uncompressed = (dispatch) => (options, handler) => {
  const headers = { ...headerMap(options.headers), 'accept-encoding': 'identity' };
  return dispatch({ ...options, headers }, handler);
};

/** An IPv6 address in a network of its own, so that the limits by address count each viewer alone. */
function homeAddress() {
  const network = randomBytes(6).toString('hex').match(/.{4}/g).join(':');
  return `2001:${network}::1`;
}

const from = (address) => (dispatch) => (options, handler) =>
  dispatch({ ...options, headers: { ...headerMap(options.headers), [ADDRESS_HEADER]: address } }, handler);

/** Refuses requests to other hosts: no test may reach the vendor's. */
const only = (origin) => (dispatch) => (options, handler) => {
  if (String(options.origin) !== origin) throw new Error(`a request to ${options.origin}`);
  return dispatch(options, handler);
};

/**
 * Opens a page with the SDK pointed at the Worker, or at `base`. `token` signs the viewer in; `address` is
 * where the viewer is at home; `sent` has every request that the page made, preflights too.
 */
export function openPage({ token, address = homeAddress(), base = baseUrl } = {}) {
  const sent = [];
  const record = (dispatch) => (options, handler) => {
    sent.push({
      method: options.method,
      origin: String(options.origin),
      path: options.path,
      headers: headerMap(options.headers),
    });
    return dispatch(options, handler);
  };
  const { window } = new JSDOM('<!doctype html><title>Player</title>', {
    url: `${PAGE_ORIGIN}/watch`,
    runScripts: 'outside-only',
    resources: { interceptors: [record, uncompressed, from(address), only(new URL(base).origin)] },
    // Without a console: here a CORS failure is an assertion, not a line on the terminal.
    virtualConsole: new VirtualConsole(),
  });
  window.eval(bundle);
  const sdk = window.InPlayer;
  // The second argument is axios configuration; its baseURL replaces the environment's.
  sdk.setConfig('production', { baseURL: base, timeout: TIMEOUT_MS });

  const page = {
    sdk,
    sent,
    window,
    /** The expiry is the SDK's own note, not the token's: it is not sent anywhere. */
    signIn(newToken, expiresAt = Math.floor(Date.now() / 1000) + A_DAY_SECS) {
      sdk.Account.setToken(newToken, '', expiresAt);
    },
    /** A request of the page's own script, without the SDK. */
    request(path, { method = 'GET', headers = {}, body } = {}) {
      return new Promise((resolve, reject) => {
        const xhr = new window.XMLHttpRequest();
        xhr.open(method, `${base}${path}`);
        xhr.timeout = TIMEOUT_MS;
        for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
        xhr.onload = () =>
          resolve({
            status: xhr.status,
            text: xhr.responseText,
            header: (name) => xhr.getResponseHeader(name),
            json: () => JSON.parse(xhr.responseText),
          });
        xhr.ontimeout = () => reject(new Error(`${method} ${path}: no answer in time`));
        xhr.onerror = () =>
          reject(new Error(`${method} ${path}: Network Error (no answer, or not let through by CORS)`));
        xhr.send(body);
      });
    },
    close() {
      window.close();
    },
  };
  if (token !== undefined) page.signIn(token);
  return page;
}

/** Opens a page, passes it to `use`, and always closes it. */
export async function withPage(options, use) {
  const page = openPage(options);
  try {
    return await use(page);
  } finally {
    page.close();
  }
}

/** Copies data into this realm: values that the page has parsed use the page's own `Array` and `Object`. */
export function plain(data) {
  return data === undefined ? undefined : JSON.parse(JSON.stringify(data));
}
