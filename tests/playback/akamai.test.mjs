// Akamai EdgeAuth 2.0: equal output to the vendor's own generator for equal input.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import EdgeAuth from 'akamai-edgeauth';

import { refusal, source } from './support/sign.mjs';

const key = '403697de87af64611c1d32a05dab0fe1fcb715a86ab435f1ec99192d79569388';
const url = 'https://media.example.com/films/7/main.m3u8';
const asked = { content: { url }, now: 1_900_000_010, viewer: { address: '192.0.2.7' } };
const entry = { signer: 'akamai', hosts: ['media.example.com'], path_prefix: '/films/' };
const startTime = asked.now - (asked.now % 300) - 60;

const theirs = (ours, options = {}) => new EdgeAuth({ key, startTime, endTime: ours.expires_at, ...options });

describe('akamai', () => {
  test('a token for a folder', () => {
    const ours = source(entry, key, asked);
    assert.equal(ours.token, theirs(ours).generateACLToken('/films/7/*'));
    assert.equal(ours.url, `${url}?__token__=${ours.token}`);
  });

  test('a token for a file', () => {
    const ours = source({ ...entry, covers: 'file', param: 'hdnts' }, key, asked);
    assert.equal(ours.token, theirs(ours).generateURLToken('/films/7/main.m3u8'));
    assert.equal(ours.url, `${url}?hdnts=${ours.token}`);
  });

  for (const address of ['192.0.2.7', '2001:db8::7']) {
    test(`bound to ${address}`, () => {
      const ours = source({ ...entry, bind: ['address'] }, key, { ...asked, viewer: { address } });
      assert.equal(ours.token, theirs(ours, { ip: address }).generateACLToken('/films/7/*'));
    });
  }

  test('every field is under the MAC', () => {
    const ours = source(entry, key, asked);
    const fields = ours.token.split('~').map((field) => field.split('='));
    const changed = { st: startTime - 1, exp: ours.expires_at + 1, acl: '/*' };
    const mac = (token) => token.split('~hmac=')[1];
    for (const [name] of fields.slice(0, -1)) {
      const field = (wanted, value) => (name === wanted ? changed[wanted] : value);
      const other = new EdgeAuth({ key, startTime: field('st', startTime), endTime: field('exp', ours.expires_at) });
      assert.notEqual(mac(other.generateACLToken(field('acl', '/films/7/*'))), mac(ours.token), name);
    }
    const otherKey = new EdgeAuth({ key: key.replace('4', '5'), startTime, endTime: ours.expires_at });
    assert.notEqual(mac(otherKey.generateACLToken('/films/7/*')), mac(ours.token));
  });

  test('a key that is not hexadecimal is a configuration error', () => {
    assert.match(refusal(entry, 'not hexadecimal, whatever its length may be', asked), /^KEY: expected at least 32 hex/);
  });
});
