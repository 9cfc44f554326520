// JW Player, Cloudflare Stream and Mux: their tokens are verified by jose, with the claims that their documents demand.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { errors, jwtVerify } from 'jose';

import { flipped, now, refusal, rsaKey, source } from './support/sign.mjs';

const rsa = rsaKey();

/** The claims of a token, as jose reads them at `at`, in seconds. */
async function verified(token, key, algorithm, at = now()) {
  const { payload, protectedHeader } = await jwtVerify(token, key, {
    algorithms: [algorithm],
    currentDate: new Date(at * 1000),
    requiredClaims: ['exp'],
  });
  return { payload, header: protectedHeader };
}

/** Each part of the token with one character changed: none of them verifies. */
async function assertBitsMatter(token, key, algorithm) {
  const parts = token.split('.');
  for (const [index, part] of parts.entries()) {
    const changed = parts.with(index, flipped(part)).join('.');
    await assert.rejects(verified(changed, key, algorithm), errors.JOSEError, `part ${index}`);
  }
}

describe('jw', () => {
  const secret = 'uA96CFtJa138E2T5GhKfngml';
  const key = new TextEncoder().encode(secret);
  const entry = { signer: 'jw', ttl_secs: 3600 };
  const content = { video_id: 'nPripu9l', player_id: 'ALJ3XQCI' };

  test('HS256 with resource and exp', async () => {
    const signed = source(entry, secret, { content });
    const { payload, header } = await verified(signed.token, key, 'HS256');
    assert.deepEqual(header, { alg: 'HS256', typ: 'JWT' });
    assert.deepEqual(payload, { resource: '/v2/media/nPripu9l', exp: signed.expires_at });
    assert.equal(signed.url, `https://cdn.jwplayer.com/v2/media/nPripu9l?token=${signed.token}`);
    await assertBitsMatter(signed.token, key, 'HS256');
  });

  test('ends with the window and with the grant', async () => {
    const signed = source(entry, secret, { content, now: 1_900_000_010, ends_at: 1_900_000_100 });
    assert.equal(signed.expires_at, 1_900_000_100);
    await verified(signed.token, key, 'HS256', 1_900_000_099);
    await assert.rejects(verified(signed.token, key, 'HS256', 1_900_000_100), errors.JWTExpired);
  });

  test('a DRM policy in the resource, and an external id', async () => {
    const drm = { ...entry, resource: '/v2/media/{media}/drm/fuCX2Hzb' };
    const signed = source(drm, secret, { external_id: 'nPripu9l' });
    const { payload } = await verified(signed.token, key, 'HS256');
    assert.equal(payload.resource, '/v2/media/nPripu9l/drm/fuCX2Hzb');
  });

  test('a media id with a slash is refused', () => {
    assert.match(refusal(entry, secret, { content: { media_id: 'x/../y' } }), /media id/);
  });
});

describe('cloudflare_stream', () => {
  const entry = { signer: 'cloudflare_stream', key_id: 'ab0d4ef71', host: 'customer-x.cloudflarestream.com' };
  const content = { video_id: 'ea95132c15732412d22c1476fa83f27a' };
  // Stream hands its keys out as base64 of PEM.
  const secret = Buffer.from(rsa.pkcs1).toString('base64');

  test('RS256 with sub, kid, exp and nbf', async () => {
    const signed = source(entry, secret, { content });
    const { payload, header } = await verified(signed.token, rsa.publicKey, 'RS256');
    assert.deepEqual(header, { alg: 'RS256', typ: 'JWT', kid: 'ab0d4ef71' });
    const { nbf, ...claims } = payload;
    assert.deepEqual(claims, { sub: content.video_id, kid: 'ab0d4ef71', exp: signed.expires_at });
    assert.ok(nbf <= now() - 60 && nbf > now() - 60 - 300 - 5, 'the leeway, and the rounding');
    assert.equal(signed.url, `https://customer-x.cloudflarestream.com/${signed.token}/manifest/video.m3u8`);
    await assertBitsMatter(signed.token, rsa.publicKey, 'RS256');
    await assert.rejects(verified(signed.token, rsa.publicKey, 'RS256', nbf - 1), errors.JWTClaimValidationFailed);
    await assert.rejects(verified(signed.token, rsaKey().publicKey, 'RS256'), errors.JWSSignatureVerificationFailed);
  });

  test('access rules for country and address', async () => {
    const viewer = { country: 'GB', address: '2001:db8::7' };
    const rules = async (bind) => {
      const signed = source({ ...entry, bind: [bind] }, secret, { content, viewer });
      return (await verified(signed.token, rsa.publicKey, 'RS256')).payload.accessRules;
    };
    const block = { type: 'any', action: 'block' };
    assert.deepEqual(await rules('country'), [{ type: 'ip.geoip.country', action: 'allow', country: ['GB'] }, block]);
    assert.deepEqual(await rules('address'), [{ type: 'ip.src', action: 'allow', ip: ['2001:db8::7/128'] }, block]);
    assert.match(refusal({ ...entry, bind: ['country'] }, secret, { content }), /country/);
    assert.match(refusal({ ...entry, bind: ['country', 'address'] }, secret, { content }), /PLAYBACK\[0\]\.bind/);
  });

  test('no longer than the 24 hours that Stream accepts', () => {
    assert.match(refusal({ ...entry, ttl_secs: 86_400 }, secret, { content }), /PLAYBACK\[0\]\.ttl_secs/);
  });
});

describe('mux', () => {
  const entry = { signer: 'mux', key_id: 'dDt1ftQ4' };
  const content = { playback_id: 'qxb01i6T202018GFS02vp9RIe01icTcDCjVzQpmaB00CUisJ4' };

  test('RS256 with sub, aud, exp and kid', async () => {
    const signed = source(entry, rsa.pkcs8, { content });
    const { payload, header } = await verified(signed.token, rsa.publicKey, 'RS256');
    assert.deepEqual(header, { alg: 'RS256', typ: 'JWT', kid: 'dDt1ftQ4' });
    assert.deepEqual(payload, { sub: content.playback_id, aud: 'v', exp: signed.expires_at, kid: 'dDt1ftQ4' });
    assert.equal(signed.url, `https://stream.mux.com/${content.playback_id}.m3u8?token=${signed.token}`);
    await assertBitsMatter(signed.token, rsa.publicKey, 'RS256');
  });

  for (const [aud, url] of [
    ['t', /^https:\/\/image\.mux\.com\/[A-Za-z0-9]+\/thumbnail\.jpg\?token=/],
    ['g', /\/animated\.gif\?token=/],
    ['s', /\/storyboard\.vtt\?token=/],
  ]) {
    test(`audience ${aud}`, async () => {
      const signed = source({ ...entry, aud }, rsa.pkcs8, { content });
      assert.equal((await verified(signed.token, rsa.publicKey, 'RS256')).payload.aud, aud);
      assert.match(signed.url, url);
    });
  }

  test('a DRM licence has a token and no URL', async () => {
    const signed = source({ ...entry, aud: 'd' }, rsa.pkcs8, { content });
    assert.equal((await verified(signed.token, rsa.publicKey, 'RS256')).payload.aud, 'd');
    assert.equal(signed.url, null);
  });
});
