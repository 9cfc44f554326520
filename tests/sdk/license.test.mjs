// `GET /license` from a page. The SDK has no call for it; apps send the request themselves.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { described, personas } from './support/environment.mjs';
import { withPage } from './support/page.mjs';

const STATUSES = ['ACTIVE', 'OVERDUE', 'CANCELLED'];
const asked = personas.filter(({ expect }) => Number.isInteger(expect.license));

describe('the licences of every sample viewer', () => {
  test('some viewers have licences', () => {
    assert.ok(
      asked.some(({ expect }) => expect.license === 200),
      'ADMIT_PERSONAS: nobody has expect.license 200',
    );
  });

  for (const persona of asked) {
    test(`${persona.expect.license}: ${described(persona)}`, async () => {
      const answer = await withPage({}, (page) =>
        page.request('/license', { headers: { Authorization: `Bearer ${persona.token}` } }),
      );
      assert.equal(answer.status, persona.expect.license, `${persona.name}: ${answer.text}`);
      assert.match(answer.header('content-type'), /^application\/json\b/);
      const body = answer.json();
      if (answer.status !== 200) {
        assert.equal(body.code, answer.status, persona.name);
        return;
      }
      assert.ok(Array.isArray(body.items), `${persona.name}: items`);
      // Licences belong to an app, which the token's client names; without a known client the list is empty.
      const strings = body.plan_id === null ? ['object', 'string'] : ['string'];
      assert.ok(strings.includes(typeof body.client_id), `${persona.name}: client_id`);
      if (body.plan_id === null) assert.deepEqual(body.items, [], `${persona.name}: no app, but licences`);
      else assert.equal(typeof body.plan_id, 'string', `${persona.name}: plan_id`);
      for (const { item, license } of body.items) {
        assert.ok(STATUSES.includes(item.status), `${persona.name}: status ${item.status}`);
        assert.equal(typeof license.id, 'string', `${persona.name}: license.id`);
        assert.ok(Array.isArray(license.locales), `${persona.name}: license.locales`);
      }
      const ranks = body.items.map(({ license }) => license.rank);
      assert.deepEqual(
        ranks,
        [...ranks].sort((left, right) => right - left),
        `${persona.name}: ranks`,
      );
    });
  }
});
