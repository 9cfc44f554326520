// What the peers have in common: the rules of the check, over one customer's document.
import itemsText from "./items.json";

const items = JSON.parse(itemsText);
export const DENIED = { code: 402, message: "No access", errors: { 402: "No access" } };
export const INVALID = { code: 401, message: "Invalid token", errors: { 401: "Invalid token" } };

export const ISSUER = "https://id.example.com";
export const AUDIENCE = "tv";

export function check(customer, itemId, ip, country) {
  const now = Date.now() / 1000;
  const access = customer?.accesses.find((access) => access.item_id === itemId && access.expires_at > now);
  if (!access) return undefined;
  return {
    id: access.id,
    account_id: customer.merchant_id,
    customer_id: customer.id,
    customer_uuid: customer.uuid,
    ip_address: ip,
    country_code: country,
    created_at: access.created_at,
    expires_at: access.expires_at,
    item: items[itemId],
  };
}

/** The answer about the items that the query's `items` lists. */
export function checkMany(customer, items) {
  return {
    items: items.split(",").map(Number).map((id) => {
      const answer = check(customer, id);
      return answer ? { id, access: true, expires_at: answer.expires_at } : { id, access: false, code: 402 };
    }),
  };
}
