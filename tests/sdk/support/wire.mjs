// A request as bytes on a socket, for requests that pages cannot send: preflight headers, any method.

import http from 'node:http';
import https from 'node:https';

import { baseUrl } from './environment.mjs';

const TIMEOUT_MS = 20_000;

/** `{status, headers, text}`; the path is sent unchanged. */
export function send(method, path, headers = {}) {
  const { protocol, hostname, port } = new URL(baseUrl);
  const client = protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const request = client.request(
      { hostname, port, method, path, headers, timeout: TIMEOUT_MS, agent: false },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode,
            headers: response.headers,
            text: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      },
    );
    request.on('timeout', () => request.destroy(new Error(`${method} ${path}: no answer in time`)));
    request.on('error', reject);
    request.end();
  });
}
