// Common Access Tokens: the validator of @eyevinn/cat accepts ours, and refuses them at another time, of another issuer,
// on another host or path, and with another method.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { OutgoingMessage } from 'node:http';
import { describe, test } from 'node:test';

import { CAT, HttpValidator } from '@eyevinn/cat';

import { flipped, now, p256Key, refusal, source } from './support/sign.mjs';

// Not exported: verifies signatures, where the package's validator takes MACs only.
const { CommonAccessTokenFactory } = createRequire(import.meta.url)('@eyevinn/cat/lib/cat.js');

const secret = '403697de87af64611c1d32a05dab0fe1fcb715a86ab435f1ec99192d79569388';
const key = Buffer.from(secret, 'hex');
const p256 = p256Key();
const url = 'https://media.example.com/films/7/main.m3u8';
const content = { url };
const entry = {
  signer: 'cat', alg: 'HS256', key_id: 'cdn-1', issuer: 'https://admit.example', hosts: ['media.example.com'],
  path_prefix: '/films/', ttl_secs: 600,
};

/** A request to a media server that runs the package's validator. */
function request(token, { host = 'media.example.com', path = '/films/7/main.m3u8', method = 'GET', ...options } = {}) {
  const validator = new HttpValidator({
    keys: [{ kid: 'cdn-1', key }], issuer: 'https://admit.example', autoRenewEnabled: false, ...options,
  });
  const asked = { method, url: `${path}?cat=${token}`, headers: { host } };
  return validator.validateHttpRequest(asked, new OutgoingMessage());
}

/** The claims, whether they count now or not. */
async function claims(token) {
  const { cat } = await new CAT({ keys: { 'cdn-1': key }, expectCwtTag: true }).validate(token, 'mac', {});
  return cat.claims;
}

describe('HS256', () => {
  test('is accepted for the manifest and its segments', async () => {
    const signed = source(entry, secret, { content });
    assert.equal(signed.url, `${url}?cat=${signed.token}`);
    for (const path of ['/films/7/main.m3u8', '/films/7/seg/00001.ts']) {
      for (const method of ['GET', 'HEAD']) {
        assert.equal((await request(signed.token, { path, method })).status, 200, `${method} ${path}`);
      }
    }
  });

  test('its claims', async () => {
    const signed = source(entry, secret, { content });
    const { nbf, cti, ...others } = await claims(signed.token);
    assert.deepEqual(others, {
      iss: 'https://admit.example',
      exp: signed.expires_at,
      catv: 1,
      catu: { host: { 'exact-match': 'media.example.com' }, path: { 'prefix-match': '/films/7/' } },
      catm: ['GET', 'HEAD'],
    });
    assert.ok(nbf <= now() - 60 && nbf > now() - 60 - 300 - 5, 'the leeway, and the rounding');
    assert.match(cti, /^[0-9a-f]{32}$/);
  });

  test('an id for each viewer and each window', async () => {
    const at = now() - (now() % 300);
    const id = async (asked) => (await claims(source(entry, secret, { content, now: at, ...asked }).token)).cti;
    const first = await id({});
    assert.equal(await id({}), first);
    assert.notEqual(await id({ viewer: { subject: 'shop:43' } }), first);
    assert.notEqual(await id({ now: at + 300 }), first);
  });

  for (const [name, why, options] of [
    ['another issuer', /issuer/i, { issuer: 'https://other.example' }],
    ['another host', /not allowed/, { host: 'other.example.com' }],
    ['another path', /not allowed/, { path: '/films/8/main.m3u8' }],
    ['another method', /POST/, { method: 'POST' }],
    ['another key', /key/i, { keys: [{ kid: 'cdn-1', key: Buffer.alloc(32, 1) }] }],
  ]) {
    test(`is refused for ${name}`, async () => {
      const { status, message } = await request(source(entry, secret, { content }).token, options);
      assert.deepEqual([status, why.test(message)], [401, true], message);
    });
  }

  test('is refused when it has expired, and when it is not yet valid', async () => {
    const at = (secs) => source(entry, secret, { content, now: now() + secs }).token;
    assert.match((await request(at(-2000))).message, /expired/);
    assert.match((await request(at(2000))).message, /active/);
  });

  test('ends with the grant', async () => {
    const endsAt = now() + 5;
    const signed = source(entry, secret, { content, ends_at: endsAt });
    assert.equal(signed.expires_at, endsAt);
    assert.equal((await request(signed.token)).status, 200);
    await new Promise((resolve) => setTimeout(resolve, (endsAt + 1) * 1000 - Date.now()));
    assert.equal((await request(signed.token)).status, 401);
  });

  test('a file', async () => {
    const { token } = source({ ...entry, covers: 'file' }, secret, { content });
    assert.equal((await request(token)).status, 200);
    assert.equal((await request(token, { path: '/films/7/seg/00001.ts' })).status, 401);
  });

  test('with one changed character, wherever it is', async () => {
    const { token } = source(entry, secret, { content });
    const cat = new CAT({ keys: { 'cdn-1': key }, expectCwtTag: true });
    const options = { issuer: entry.issuer, url: new URL(url) };
    for (let at = 0; at < token.length - 1; at += 7) {
      const changed = flipped(token, at);
      // The key id is not under the MAC: the package tries all keys, so that a changed id changes nothing.
      if (!Buffer.from(changed, 'base64url').includes('cdn-1')) continue;
      const verified = await cat.validate(changed, 'mac', options).catch((error) => ({ error }));
      assert.ok(verified.error, `character ${at} of ${token}`);
    }
  });
});

describe('bindings', () => {
  const viewer = { subject: 'shop:42', country: 'GB', address: '192.0.2.7' };

  test('the country is a claim that the CDN checks', async () => {
    const { token } = source({ ...entry, bind: ['country'] }, secret, { content, viewer });
    assert.deepEqual((await claims(token)).catgeoiso3166, ['GB']);
    for (const country of [undefined, 'XX', 'gb']) {
      assert.match(refusal({ ...entry, bind: ['country'] }, secret, { content, viewer: { country } }), /country/);
    }
  });

  for (const address of ['192.0.2.7', '2001:db8::7']) {
    test(`the address ${address}`, async () => {
      const asked = { content, viewer: { ...viewer, address } };
      const { token } = source({ ...entry, bind: ['address'] }, secret, asked);
      const cat = new CAT({ keys: { 'cdn-1': key }, expectCwtTag: true });
      const options = { issuer: entry.issuer, url: new URL(url) };
      assert.equal((await cat.validate(token, 'mac', { ...options, ip: address })).error, undefined);
      const other = await cat.validate(token, 'mac', { ...options, ip: address.replace('7', '8') });
      assert.match(other.error.message, /IP/);
    });
  }

  test('a renewal only for an unlimited grant', async () => {
    const renewal = { type: 'header', expadd: 120, deadline: 60 };
    const renewed = async (asked) =>
      (await claims(source({ ...entry, renewal }, secret, { content, ...asked }).token)).catr;
    assert.deepEqual(await renewed({ is_unlimited: true }), renewal);
    assert.equal(await renewed({}), undefined);
  });

  test('a port is part of the host', async () => {
    const hosts = ['127.0.0.1:8789'];
    const local = { url: 'http://127.0.0.1:8789/films/7/main.m3u8' };
    const { token } = source({ ...entry, hosts }, secret, { content: local });
    assert.equal((await request(token, { host: '127.0.0.1:8789' })).status, 200);
    assert.equal((await request(token, { host: '127.0.0.1:8790' })).status, 401);
  });
});

describe('ES256', () => {
  const signed = (asked) => source({ ...entry, alg: 'ES256' }, p256.sec1, { content, ...asked });
  const { x, y } = p256.publicKey.export({ format: 'jwk' });
  const publicKey = { x: Buffer.from(x, 'base64url'), y: Buffer.from(y, 'base64url') };
  /** The COSE message without the CWT tag before it, which the package's verification does not know. */
  const message = (token) => Buffer.from(token, 'base64url').subarray(2).toString('base64');

  test('COSE_Sign1 that the package verifies', async () => {
    const { token } = signed();
    assert.equal(Buffer.from(token, 'base64url').subarray(0, 3).toString('hex'), 'd83dd2', 'the tags 61 and 18');
    const cat = await CommonAccessTokenFactory.fromSignedToken(message(token), publicKey);
    await cat.isAcceptable({ issuer: entry.issuer, url: new URL(url) });
    await assert.rejects(cat.isAcceptable({ issuer: 'https://other.example', url: new URL(url) }), /issuer/i);
    await assert.rejects(cat.isAcceptable({ issuer: entry.issuer, url: new URL('https://media.example.com/x') }), /URI/);
  });

  test('another key, or changed claims', async () => {
    const { token } = signed();
    const other = p256Key().publicKey.export({ format: 'jwk' });
    const otherKey = { x: Buffer.from(other.x, 'base64url'), y: Buffer.from(other.y, 'base64url') };
    await assert.rejects(CommonAccessTokenFactory.fromSignedToken(message(token), otherKey));
    await assert.rejects(CommonAccessTokenFactory.fromSignedToken(message(flipped(token)), publicKey));
  });

  test('a secret of the other kind is a configuration error', () => {
    assert.match(refusal({ ...entry, alg: 'ES256' }, secret, { content }), /^KEY: expected a private key/);
    assert.match(refusal(entry, p256.pkcs8, { content }), /^KEY: expected at least 64 hexadecimal digits/);
  });
});
