// CloudFront: equal output to AWS's own signer for equal input, and signatures that node:crypto verifies.

import assert from 'node:assert/strict';
import { createVerify } from 'node:crypto';
import { describe, test } from 'node:test';

import { getSignedUrl } from '@aws-sdk/cloudfront-signer';

import { flipped, refusal, rsaKey, source } from './support/sign.mjs';

const rsa = rsaKey();
const keyPairId = 'K2JCJMDEHXQW5F';
const url = 'https://d111.cloudfront.net/films/7/main.m3u8';
const asked = { content: { video_url: url }, now: 1_900_000_010, viewer: { address: '192.0.2.7' } };
const entry = { signer: 'cloudfront', key_id: keyPairId, hosts: ['d111.cloudfront.net'], path_prefix: '/films/' };
const date = (secs) => new Date(secs * 1000).toISOString();

for (const algorithm of ['SHA1', 'SHA256']) {
  describe(`RSA-${algorithm}`, () => {
    const theirs = (options) =>
      getSignedUrl({ url, keyPairId, privateKey: rsa.pkcs8, algorithm, ...options });

    test('canned policy', () => {
      const ours = source({ ...entry, alg: algorithm, covers: 'file' }, rsa.pkcs1, asked);
      assert.equal(ours.url, theirs({ dateLessThan: date(ours.expires_at) }));
      assert.equal(ours.url, `${url}?${ours.token}`);
    });

    test('canned policy of a URL with a query', () => {
      const withQuery = `${url}?audio=en&quality=hd`;
      const question = { ...asked, content: { video_url: withQuery } };
      const ours = source({ ...entry, alg: algorithm, covers: 'file' }, rsa.pkcs8, question);
      assert.equal(ours.url, theirs({ url: withQuery, dateLessThan: date(ours.expires_at) }));
    });

    test('custom policy of a file that is bound to an address', () => {
      const ours = source({ ...entry, alg: algorithm, covers: 'file', bind: ['address'] }, rsa.pkcs8, asked);
      const from = asked.now - (asked.now % 300) - 60;
      const dates = { dateLessThan: date(ours.expires_at), dateGreaterThan: date(from) };
      assert.equal(ours.url, theirs({ ...dates, ipAddress: '192.0.2.7' }));
    });

    test('custom policy of a folder', () => {
      const ours = source({ ...entry, alg: algorithm }, rsa.pkcs8, asked);
      const from = asked.now - (asked.now % 300) - 60;
      const condition = {
        DateLessThan: { 'AWS:EpochTime': ours.expires_at },
        DateGreaterThan: { 'AWS:EpochTime': from },
      };
      const policy = { Statement: [{ Resource: 'https://d111.cloudfront.net/films/7/*', Condition: condition }] };
      assert.equal(ours.url, theirs({ policy: JSON.stringify(policy) }));
    });

    test('a changed policy or signature does not verify', () => {
      const ours = source({ ...entry, alg: algorithm }, rsa.pkcs8, asked);
      const parameters = new URLSearchParams(ours.token);
      const decoded = (name) =>
        Buffer.from(parameters.get(name).replace(/[-_~]/g, (c) => ({ '-': '+', _: '=', '~': '/' })[c]), 'base64');
      const verifies = (policy, signature) =>
        createVerify(`RSA-${algorithm}`).update(policy).verify(rsa.publicKey, signature);
      const [policy, signature] = [decoded('Policy'), decoded('Signature')];
      assert.ok(verifies(policy, signature));
      for (const bit of [0, 7, 100, 999]) {
        const flip = (bytes) => bytes.map((byte, at) => (at === bit % bytes.length ? byte ^ 1 : byte));
        assert.ok(!verifies(flip(policy), signature), `bit of byte ${bit} of the policy`);
        assert.ok(!verifies(policy, flip(signature)), `bit of byte ${bit} of the signature`);
      }
      assert.notEqual(flipped(ours.token), ours.token);
    });
  });
}

describe('what is not signed', () => {
  const why = (overrides, question = {}) => refusal({ ...entry, ...overrides }, rsa.pkcs8, { ...asked, ...question });

  test('another host, another path, another item', () => {
    assert.match(why({}, { content: { video_url: 'https://other.example/films/7/main.m3u8' } }), /host/);
    assert.match(why({ path_prefix: '/series/' }), /path_prefix/);
    assert.match(why({}, { url: 'https://d111.cloudfront.net/films/8/main.m3u8' }), /outside the item/);
    assert.match(why({}, { url: 'https://d111.cloudfront.net/films/7/../8/main.m3u8' }), /two ways/);
    const below = { ...asked, url: 'https://d111.cloudfront.net/films/7/audio/en.m3u8' };
    assert.ok(source(entry, rsa.pkcs8, below).url.startsWith(below.url));
  });

  test('an address that CloudFront cannot check', () => {
    assert.match(why({ bind: ['address'] }, { viewer: { address: '2001:db8::7' } }), /IPv6/);
    assert.match(why({ bind: ['address'] }, { viewer: {} }), /address/);
  });

  test('a key of another kind', () => {
    assert.match(refusal(entry, 'not a key', asked), /^KEY: expected a private key in PEM/);
  });
});
