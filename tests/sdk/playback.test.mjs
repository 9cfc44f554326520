// A decision that binds: the media origin that `cargo xtask dev` starts plays what the edge has signed for a viewer with
// access, and nothing else. @eyevinn/cat verifies the tokens there.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { baseUrl, items, personas } from './support/environment.mjs';
import { CLIENT_ID, merchantToken, newcomer, PASSWORD } from './support/origin.mjs';
import { assertGranted, assertRejected, outcome } from './support/outcome.mjs';
import { withPage } from './support/page.mjs';

/** The type of item that `cargo xtask dev` has a media origin for. */
const FILM_TYPE = 'brightcove_asset';
/** How long a purchase lasts whose end a test waits for. It is made, published or confirmed, and played in this time. */
const SHORT_SECS = 8;

const viewer = (name) => personas.find((persona) => persona.name === name);
const subscriber = viewer('subscriber');
const stranger = viewer('never-bought');
const films = items.filter((item) => item.item_type.name === FILM_TYPE && item.is_active);
const otherFilm = films.find((item) => item.id !== subscriber.item_id);

async function ask(path, token) {
  const response = await fetch(`${baseUrl}${path}`, { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, body: await response.json() };
}

/** What the media origin answers to a player. */
async function play(url) {
  const response = await fetch(url);
  return { status: response.status, text: await response.text() };
}

const bare = (url) => url.split('?')[0];

describe('the media origin', () => {
  test('plays with what the edge has signed, and refuses everything else', async () => {
    const { status, body } = await ask(`/items/${subscriber.item_id}/playback`, subscriber.token);
    assert.equal(status, 200, JSON.stringify(body));
    const [{ type, url, token, expires_at: end }] = body.sources;
    assert.equal(type, 'cat');
    assert.ok(end > Date.now() / 1000 && end <= body.expires_at, `${end}`);
    const playlist = await play(url);
    assert.equal(playlist.status, 200, playlist.text);
    assert.match(playlist.text, /^#EXTM3U/);
    const segment = new URL('seg/00001.ts', bare(url));
    assert.equal((await play(`${segment}?cat=${token}`)).status, 200, 'the segments of the same film');

    const other = bare(url).replace(/\/films\/[^/]+\//, `/films/${JSON.parse(otherFilm.content).video_id}/`);
    for (const [what, refused] of [
      ['no token', bare(url)],
      ['a segment without a token', segment.href],
      ['another film', `${other}?cat=${token}`],
      ['a changed token', `${bare(url)}?cat=${token.slice(0, -2)}AA`],
    ]) {
      assert.equal((await play(refused)).status, 401, what);
    }
  });

  test('gets no token from a viewer without access', async () => {
    for (const path of ['playback', 'access/cloudfront?url=https://media.example.com/a/b.m3u8']) {
      const { status, body } = await ask(`/items/${stranger.item_id}/${path}`, stranger.token);
      assert.equal(status, 402);
      assert.deepEqual(Object.keys(body), ['code', 'message', 'errors']);
    }
  });

  test('stops when the access ends', async () => {
    const buyer = newcomer();
    const until = Math.floor(Date.now() / 1000) + SHORT_SECS;
    const form = { item_id: otherFilm.id, consumer_id: buyer.id, expires_at: new Date(until * 1000).toISOString() };
    const bought = await fetch(`${baseUrl}/items/access`, {
      method: 'POST',
      headers: { authorization: `Bearer ${merchantToken}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
    });
    assert.equal(bought.status, 201, await bought.text());
    const token = await withPage({}, async (page) => {
      const credentials = { email: buyer.email, password: PASSWORD, clientId: CLIENT_ID, referrer: '' };
      return assertGranted(await outcome(page.sdk.Account.signIn(credentials)), 'sign-in').access_token;
    });
    const { status, body } = await ask(`/items/${otherFilm.id}/playback`, token);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual([body.expires_at, body.sources[0].expires_at], [until, until]);
    const { url } = body.sources[0];
    assert.equal((await play(url)).status, 200);
    // The validator counts in whole seconds, and may accept the last one.
    await sleep(until * 1000 + 2_000 - Date.now());
    assert.equal((await play(url)).status, 401, 'after the end of the access');
    assert.equal((await ask(`/items/${otherFilm.id}/playback`, token)).status, 402);
  });
});

describe('the SDK', () => {
  test('getSignedMediaToken: the page knows the id of the media alone', async () => {
    const mediaId = (item) => JSON.parse(item.content).media_id;
    const jwFilms = items.filter((item) => item.item_type.name === 'jw_asset' && item.is_active);
    const statuses = await Promise.all(jwFilms.map(({ id }) => ask(`/items/${id}/access`, subscriber.token)));
    const film = jwFilms.find((_, at) => statuses[at].status === 200);
    assert.ok(film, 'the subscriber plays no jw_asset');
    await withPage({ token: subscriber.token }, async (page) => {
      const token = (id) => outcome(page.sdk.Asset.getSignedMediaToken('config1', id));
      const signed = assertGranted(await token(mediaId(film)), 'getSignedMediaToken');
      const { resource, exp } = JSON.parse(Buffer.from(signed.token.split('.')[1], 'base64url').toString());
      assert.equal(resource, `/v2/media/${mediaId(film)}`);
      assert.ok(exp > Date.now() / 1000);
      assertRejected(await token('unknown1'), 404, 'Item not found', 'an unknown media id');
    });
    await withPage({ token: stranger.token }, async (page) => {
      const denied = await outcome(page.sdk.Asset.getSignedMediaToken('config1', mediaId(film)));
      assertRejected(denied, 402, 'No access', 'a viewer without access');
    });
  });

  test('getCloudfrontURL: the page gets a URL that the media origin plays', async () => {
    const { body } = await ask(`/items/${subscriber.item_id}/playback`, subscriber.token);
    const url = `${bare(body.sources[0].url)}?quality=high&lang=en`;
    await withPage({ token: subscriber.token }, async (page) => {
      const signed = assertGranted(
        await outcome(page.sdk.Asset.getCloudfrontURL(subscriber.item_id, url)),
        'getCloudfrontURL',
      );
      assert.ok(signed.video_url.startsWith(`${url}&cat=`), signed.video_url);
      assert.equal((await play(signed.video_url)).status, 200);
      const foreign = 'https://evil.example.com/a/b.m3u8';
      const refused = await outcome(page.sdk.Asset.getCloudfrontURL(subscriber.item_id, foreign));
      assert.equal(refused.status, 422, "another host's URL");
    });
    await withPage({ token: stranger.token }, async (page) => {
      const denied = await outcome(page.sdk.Asset.getCloudfrontURL(stranger.item_id, url));
      assertRejected(denied, 402, 'No access', 'a viewer without access');
    });
  });
});
