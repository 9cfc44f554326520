// `hmac_url`: a server that was written from the page alone accepts what it should and nothing else.

import assert from 'node:assert/strict';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { describe, test } from 'node:test';

import { flipped, source } from './support/sign.mjs';

const key = 'c2lnbiBub3RoaW5nIHdpdGggdGhpcyBrZXkhISEh';
const url = 'https://media.example.com/films/7/main.m3u8';
const asked = { content: { url }, now: 1_900_000_010 };
const entry = { signer: 'hmac_url', hosts: ['media.example.com'], path_prefix: '/films/' };

/** What docs/playback.md tells a media server to do. */
function accepts(text, at) {
  const { pathname, searchParams } = new URL(text);
  const [folder, exp, sig] = ['folder', 'exp', 'sig'].map((name) => searchParams.get(name));
  if (folder !== null && !(folder.endsWith('/') && pathname.startsWith(folder))) return false;
  if (folder === null && pathname.endsWith('/')) return false;
  const expected = createHmac('sha256', key).update(`${folder ?? pathname}\n${exp}`).digest();
  const given = Buffer.from(sig ?? '', 'base64url');
  return given.length === expected.length && timingSafeEqual(given, expected) && at < Number(exp);
}

describe('hmac_url', () => {
  test('a folder', () => {
    const signed = source({ ...entry, key_id: 'k1' }, key, asked);
    assert.ok(accepts(signed.url, asked.now));
    assert.ok(accepts(`https://media.example.com/films/7/seg/1.ts?${signed.token}`, asked.now));
    assert.ok(!accepts(`https://media.example.com/films/8/main.m3u8?${signed.token}`, asked.now));
    assert.ok(!accepts(signed.url, signed.expires_at), 'it has ended');
    assert.equal(new URL(signed.url).searchParams.get('kid'), 'k1');
  });

  test('a file', () => {
    const signed = source({ ...entry, covers: 'file' }, key, asked);
    assert.ok(accepts(signed.url, asked.now));
    assert.ok(!accepts(`https://media.example.com/films/7/seg/1.ts?${signed.token}`, asked.now));
  });

  test('a folder whose name has an escape and a plus', () => {
    const content = { url: 'https://media.example.com/films/two%20words+more/main.m3u8' };
    assert.ok(accepts(source(entry, key, { ...asked, content }).url, asked.now));
  });

  test('a later end, another folder or another signature', () => {
    const signed = source(entry, key, asked);
    const parameters = (changes) => {
      const changed = new URL(signed.url);
      for (const [name, value] of Object.entries(changes)) changed.searchParams.set(name, value);
      return changed.href;
    };
    assert.ok(!accepts(parameters({ exp: signed.expires_at + 1 }), asked.now));
    assert.ok(!accepts(parameters({ folder: '/films/' }), asked.now));
    assert.ok(!accepts(parameters({ sig: flipped(new URL(signed.url).searchParams.get('sig')) }), asked.now));
  });
});
