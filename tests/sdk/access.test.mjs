// `Asset.checkAccessForAsset`: may this viewer play this item?

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { claims, described, personas, personaWith, UNKNOWN_ITEM_ID } from './support/environment.mjs';
import { assertGranted, assertRejected, outcome } from './support/outcome.mjs';
import { withPage } from './support/page.mjs';
import { assertAccess } from './support/shape.mjs';

/** The messages of the contract; other statuses have no fixed message. */
const MESSAGES = {
  401: 'Invalid auth token',
  402: 'No access',
  403: 'Invalid privileges',
  404: 'Item not found',
};

const check = (token, itemId) =>
  withPage({ token }, (page) => outcome(page.sdk.Asset.checkAccessForAsset(itemId)));

describe('every sample viewer', () => {
  test('some are let in and some are not', () => {
    const seen = new Set(personas.map((persona) => persona.expect.access));
    assert.ok(seen.has(200), 'no persona is granted access');
    assert.ok(seen.has(402), 'no persona is denied access');
  });

  for (const persona of personas) {
    const { access: status } = persona.expect;
    test(`${status}: ${described(persona)}`, async () => {
      const result = await check(persona.token, persona.item_id);
      if (status !== 200) {
        assertRejected(result, status, MESSAGES[status], persona.name);
        return;
      }
      const access = assertGranted(result, persona.name);
      assertAccess(access, persona.name);
      assert.equal(access.item.id, persona.item_id, `${persona.name}: item.id`);
      assert.ok(
        access.expires_at > Date.now() / 1000,
        `${persona.name}: access that has ended was granted: expires_at ${access.expires_at}`,
      );
    });
  }
});

describe('answers that depend on the viewer are not cached', () => {
  for (const status of [200, 402]) {
    test(`${status}`, async () => {
      const persona = personaWith(status);
      const { headers } = await check(persona.token, persona.item_id);
      assert.equal(headers['cache-control'], 'private, no-store', persona.name);
    });
  }
});

describe('the requests of the SDK', () => {
  test('a preflight without the token, then the check with it', async () => {
    const persona = personaWith(200);
    await withPage({ token: persona.token }, async (page) => {
      await page.sdk.Asset.checkAccessForAsset(persona.item_id);
      const path = `/items/${persona.item_id}/access`;
      assert.deepEqual(
        page.sent.map((request) => `${request.method} ${request.path}`),
        [`OPTIONS ${path}`, `GET ${path}`],
      );
      const [preflight, request] = page.sent;
      assert.equal(preflight.headers['access-control-request-method'], 'GET');
      assert.match(preflight.headers['access-control-request-headers'], /^authorization$/i);
      assert.equal(preflight.headers.authorization, undefined, 'a preflight carries no token');
      assert.equal(request.headers.authorization, `Bearer ${persona.token}`);
      assert.equal(request.headers['content-type'], undefined, 'axios drops it without a body');
    });
  });
});

describe('without a signed-in viewer', () => {
  const notSignedIn = {
    'no token': undefined,
    'an empty token': '',
  };
  for (const [name, token] of Object.entries(notSignedIn)) {
    test(`${name}: the SDK itself answers 401 without a request`, async () => {
      await withPage({ token }, async (page) => {
        const result = await outcome(page.sdk.Asset.checkAccessForAsset(personaWith(200).item_id));
        assert.equal(result.status, 401);
        assert.equal(result.data.code, 401);
        assert.deepEqual(page.sent, []);
      });
    });
  }

  test('a token that the SDK noted as expired: 401 without a request', async () => {
    const persona = personaWith(200);
    await withPage({}, async (page) => {
      page.signIn(persona.token, Math.floor(Date.now() / 1000) - 60);
      const result = await outcome(page.sdk.Asset.checkAccessForAsset(persona.item_id));
      assert.equal(result.status, 401);
      assert.deepEqual(page.sent, []);
    });
  });

  // Pages that do not use the SDK, and native apps' web views, reach the Worker.
  const headers = {
    'no Authorization': {},
    'Bearer and nothing': { Authorization: 'Bearer ' },
    'another scheme': { Authorization: 'Basic dXNlcjpwYXNz' },
  };
  for (const [name, sent] of Object.entries(headers)) {
    test(`${name}: the Worker answers 401`, async () => {
      await withPage({}, async (page) => {
        const path = `/items/${personaWith(200).item_id}/access`;
        const answer = await page.request(path, { headers: sent });
        assert.equal(answer.status, 401);
        assert.equal(answer.json().code, 401);
        assert.equal(answer.json().message, MESSAGES[401]);
      });
    });
  }
});

describe('invalid tokens', () => {
  /** Changes the first letter of the signature: the last one may contain unused bits. */
  const tampered = (token) => {
    const at = token.lastIndexOf('.') + 1;
    return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
  };
  const bad = {
    'a changed signature': tampered,
    'no signature': (token) => token.slice(0, token.lastIndexOf('.') + 1),
    'another payload': (token) => {
      const [header, , signature] = token.split('.');
      const payload = { ...claims(token), sub: 'somebody-else' };
      return [header, Buffer.from(JSON.stringify(payload)).toString('base64url'), signature].join('.');
    },
    'alg none': (token) => {
      const header = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
      return `${header}.${token.split('.')[1]}.`;
    },
    'no JWT at all': () => 'abc',
  };
  for (const [name, spoil] of Object.entries(bad)) {
    test(`${name}: 401`, async () => {
      const persona = personaWith(200);
      const result = await check(spoil(persona.token), persona.item_id);
      assertRejected(result, 401, MESSAGES[401], name);
    });
  }

  test('an expired token: 401', async () => {
    const expired = personas.find(({ token }) => claims(token).exp < Date.now() / 1000);
    assert.ok(expired, 'ADMIT_PERSONAS: nobody has a token whose `exp` is in the past');
    const result = await check(expired.token, expired.item_id);
    assertRejected(result, 401, MESSAGES[401], expired.name);
  });
});

describe('accepted ways to send a token', () => {
  const ways = {
    'a scheme in small letters': (token) => `bearer ${token}`,
    'a scheme in capitals': (token) => `BEARER ${token}`,
    'no scheme': (token) => token,
  };
  for (const [name, written] of Object.entries(ways)) {
    test(name, async () => {
      const persona = personaWith(200);
      await withPage({}, async (page) => {
        const answer = await page.request(`/items/${persona.item_id}/access`, {
          headers: { Authorization: written(persona.token) },
        });
        assert.equal(answer.status, 200, `${persona.name}: ${answer.text}`);
      });
    });
  }
});

describe('unknown items', () => {
  test('an unknown item: 404', async () => {
    const result = await check(personaWith(200).token, UNKNOWN_ITEM_ID);
    assertRejected(result, 404, MESSAGES[404], `item ${UNKNOWN_ITEM_ID}`);
  });

  // The paths that result from `parseInt` of an empty setting.
  for (const id of [NaN, undefined, 'abc', 1.5]) {
    test(`the id ${id}: 422`, async () => {
      const result = await check(personaWith(200).token, id);
      assertRejected(result, 422, 'No access', `item ${id}`);
    });
  }
});
