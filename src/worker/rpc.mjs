// Calls by other Workers over a service binding: what the props of a binding allow, and what the methods give
// (docs/rpc.md, types/entitlements.d.ts).

/** The methods that the member `capabilities` of a binding's props may name. */
export const METHODS = ["check", "checkMany", "licenses", "playback", "explain"];

/** Messages of answers of which the text has none. */
const MESSAGE = { 403: "Invalid privileges", 500: "Internal error" };

/**
 * The merchant that the props of a binding restrict it to; undefined without a restriction.
 *
 * @throws {TypeError} invalid props. A restriction that is misspelt must not be a restriction less.
 */
export function merchant_of(props = {}) {
  const invalid = (expected) => new TypeError(`Invalid props of the binding to Entitlements: ${expected}`);
  for (const name of Object.keys(props)) {
    if (name !== "merchant" && name !== "capabilities") {
      throw invalid(`unknown member ${JSON.stringify(name)}, expected merchant or capabilities`);
    }
  }
  const { merchant, capabilities } = props;
  if (merchant !== undefined && !is_id(merchant)) {
    throw invalid(`merchant: expected the number of a merchant, found ${JSON.stringify(merchant)}`);
  }
  const is_method = (name) => METHODS.includes(name);
  if (capabilities !== undefined && !(Array.isArray(capabilities) && capabilities.every(is_method))) {
    throw invalid(`capabilities: expected a list of ${METHODS.join(", ")}, found ${JSON.stringify(capabilities)}`);
  }
  return merchant;
}

/** Whether valid props allow a method. Without `capabilities` they allow all. */
export function may_call({ capabilities } = {}, method) {
  return capabilities === undefined || capabilities.includes(method);
}

/** Whether a value is the number of a merchant or an item. */
export function is_id(value) {
  return Number.isSafeInteger(value) && value > 0;
}

/** The result of a granted check. */
export function granted(access_id, merchant_id, created_at, expires_at, starts_at) {
  const result = { access: true, expires_at, access_id, merchant_id, created_at };
  if (starts_at !== undefined) result.starts_at = starts_at;
  return result;
}

/** Status and body of an answer, which Wasm gives as one text; of a 403 the reason in place of the body. */
function parts(text) {
  const code = Number(text.slice(0, 3));
  const rest = text.slice(3);
  if (code === 200) return { code, body: JSON.parse(rest) };
  if (code === 403) return { code, message: MESSAGE[403], reason: rest };
  return { code, message: rest === "" ? MESSAGE[500] : JSON.parse(rest).message };
}

const refused = ({ code, message, reason }) => (reason === undefined ? { code, message } : { code, message, reason });

const of_item = (grant) => (text) => {
  const answer = parts(text);
  return answer.code === 200 ? grant(answer.body) : { access: false, ...refused(answer) };
};

const of_list = (list) => (text) => {
  const answer = parts(text);
  return answer.code === 200 ? { ok: true, ...list(answer.body) } : { ok: false, ...refused(answer) };
};

/** By method: from the text of an answer to the result. */
export const RESULTS = {
  check: of_item((body) => granted(body.id, body.account_id, body.created_at, body.expires_at, body.starts_at)),
  checkMany: of_list(({ items }) => ({ items })),
  licenses: of_list((body) => body),
  playback: of_item((body) => ({ access: true, ...body })),
  explain: of_list(({ decision, context }) => ({ access: decision, ...context })),
};

/** Texts of answers that need no Wasm. */
export const INVALID_ITEM = '422{"message":"Invalid itemId: expected a positive integer"}';
export const INVALID_ITEMS = '422{"message":"Invalid itemIds: expected a list of 1 to 200 positive integers"}';
export const INVALID_CUSTOMER = '422{"message":"Invalid customer: expected <namespace>:<subject>"}';
export const NOT_ALLOWED = "403may_not_call";
export const FAILED = "500";
