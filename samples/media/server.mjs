// A media origin that enforces: it serves films to requests with a valid Common Access Token, and to no others. It stands
// for the CDN of an installation. `cargo xtask dev` starts it; the tests ask it.
//
// It knows nothing of Admit but the key that both have: @eyevinn/cat verifies the tokens.
//
//   MEDIA_CAT_KEY=<hexadecimal digits> node samples/media/server.mjs --port 8791

import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { HttpValidator } from '@eyevinn/cat';

/** The values of the entry of `PLAYBACK`. */
const KEY_ID = 'dev-1';
const ISSUER = 'https://admit.example';

const { values } = parseArgs({ options: { port: { type: 'string' } } });
const port = Number(values.port);
const key = Buffer.from(process.env.MEDIA_CAT_KEY ?? '', 'hex');
if (!Number.isInteger(port) || key.length < 32) {
  console.error('usage: MEDIA_CAT_KEY=<at least 64 hexadecimal digits> node samples/media/server.mjs --port PORT');
  process.exit(2);
}

const validator = new HttpValidator({ keys: [{ kid: KEY_ID, key }], issuer: ISSUER, autoRenewEnabled: false });

const PLAYLIST = `#EXTM3U
#EXT-X-TARGETDURATION:6
#EXTINF:6,
seg/00001.ts
#EXT-X-ENDLIST
`;

/** Answers what a player asks of a film. */
async function serve(request, response) {
  const { pathname } = new URL(request.url, 'http://media.invalid');
  if (pathname === '/healthz') {
    return response.end('ok\n');
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return response.writeHead(405).end();
  }
  // Web players of any page: the token is the proof, not the page.
  response.setHeader('access-control-allow-origin', '*');
  // The package throws for a request without a token.
  const verdict = validator.validateHttpRequest(request, response);
  const { status, message } = await verdict.catch((error) => ({ status: 401, message: error.message }));
  if (status !== 200) {
    return response.writeHead(status ?? 401, { 'content-type': 'text/plain' }).end(`${message ?? 'refused'}\n`);
  }
  const film = pathname.match(/^\/films\/[\w.-]+\/(main\.m3u8|seg\/\d+\.ts)$/);
  if (!film) {
    return response.writeHead(404).end();
  }
  const isPlaylist = film[1] === 'main.m3u8';
  response.writeHead(200, { 'content-type': isPlaylist ? 'application/vnd.apple.mpegurl' : 'video/mp2t' });
  return response.end(isPlaylist ? PLAYLIST : 'a segment\n');
}

createServer((request, response) => {
  serve(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) response.writeHead(500);
    response.end();
  });
}).listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}`));
