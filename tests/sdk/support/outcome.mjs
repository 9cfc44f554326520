// The outcome of a call of the SDK.

import assert from 'node:assert/strict';

import { plain } from './page.mjs';

/** Awaits a call of the SDK: `{status, data, headers}`, whether it resolved or was rejected. */
export async function outcome(call) {
  try {
    const response = await call;
    return { ok: true, status: response.status, data: plain(response.data), headers: response.headers };
  } catch (error) {
    const { response } = error;
    return {
      ok: false,
      status: response?.status,
      data: plain(response?.data),
      headers: response?.headers,
      message: error.message,
    };
  }
}

function wording(result) {
  const said = result.status === undefined ? result.message : JSON.stringify(result.data);
  return `${result.ok ? 'resolved' : 'was rejected'} with ${result.status ?? 'no status'}: ${said?.slice(0, 500)}`;
}

/** Asserts that the call resolved, which this SDK takes for access. Returns the body. */
export function assertGranted(result, who) {
  assert.ok(result.ok, `${who}: expected access, but the call ${wording(result)}`);
  assert.equal(result.status, 200, `${who}: status`);
  assertJson(result, who);
  return result.data;
}

/** Asserts that the call was rejected, with the error body that every client reads. */
export function assertRejected(result, status, message, who) {
  assert.ok(!result.ok, `${who}: expected ${status}, but the call ${wording(result)}`);
  assert.notEqual(
    result.message,
    'Network Error',
    `${who}: the page was not let see the answer (CORS headers missing), or there was none`,
  );
  assert.equal(result.status, status, `${who}: expected ${status}, but the call ${wording(result)}`);
  assertJson(result, who);
  assertErrorBody(result.data, status, message, who);
}

/** `{"code":402,"message":"No access","errors":{"402":"No access"}}` and others like it. */
export function assertErrorBody(body, status, message, who) {
  assert.equal(body?.code, status, `${who}: code in the body ${JSON.stringify(body)}`);
  if (message === undefined) {
    assert.equal(typeof body.message, 'string', `${who}: message must be a string`);
    assert.notEqual(body.message, '', `${who}: message must say something`);
  } else {
    assert.equal(body.message, message, `${who}: message`);
  }
  assert.ok(
    body.errors !== null && typeof body.errors === 'object' && !Array.isArray(body.errors),
    `${who}: errors must be an object: ${JSON.stringify(body.errors)}`,
  );
  for (const [key, value] of Object.entries(body.errors)) {
    assert.equal(typeof value, 'string', `${who}: errors.${key} must be a string`);
  }
}

function assertJson(result, who) {
  assert.match(
    result.headers?.['content-type'] ?? '',
    /^application\/json\b/,
    `${who}: Content-Type of a JSON answer`,
  );
}
