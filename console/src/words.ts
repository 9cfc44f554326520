// The service's codes in plain words. docs/configuration.md has the codes, docs/authzen.md those of grants.

/** Why an item is or is not open, as a sentence. */
const REASONS: Record<string, string> = {
  free_item: "The item is free for every signed-in customer of its merchant.",
  item_access: "The customer holds an access on the item itself.",
  package_access: "The customer holds an access on a package that contains the item.",
  license: "The customer holds a subscription that unlocks the item.",
  test_license: "The token is of a test-mode client, for which a test subscription counts as held.",
  origin: "The origin, which knows the latest purchases, granted the access.",
  no_grant: "Nothing that the customer holds leads to this item.",
  unknown_customer: "The published snapshot has no such customer, so there is nothing that could open the item.",
  expired: "The customer had access to this item, but it has ended.",
  not_started: "The customer has access to this item, but it has not begun yet.",
  license_cancelled: "The customer's subscription would unlock this item, but it is cancelled.",
  license_unavailable:
    "The customer's subscription would unlock this item, but its plan is a draft, pending or for tests only.",
  other_merchant: "The item belongs to another merchant than the customer.",
  item_inactive: "The item is inactive, so it is answered as one that does not exist.",
  unknown_item: "There is no item with this number.",
  unknown_subject_type: "The question was not about a customer.",
  unknown_action: "The question was not about playing.",
  unknown_resource_type: "The question was not about an item.",
};

export function reasonInWords(reason: string): string {
  return REASONS[reason] ?? `The service says: ${reason}.`;
}

const KINDS: Record<string, string> = {
  free_item: "Free item",
  item_access: "Access on the item",
  package_access: "Access on a package",
  license: "Subscription",
  test_license: "Test subscription",
  origin: "The origin's grant",
};

export function kindInWords(kind: string): string {
  return KINDS[kind] ?? kind;
}

const OBSTACLES: Record<string, string> = {
  expired: "has ended",
  not_started: "has not begun",
  license_cancelled: "is cancelled",
  license_unavailable: "its plan is not available",
  other_merchant: "is of another merchant",
  item_inactive: "the item is inactive",
};

/** What keeps a grant from counting; `null` is a grant that counts. */
export function obstacleInWords(obstacle: string | null): string {
  return obstacle === null ? "counts" : (OBSTACLES[obstacle] ?? obstacle);
}

const PLACES: Record<string, string> = {
  shard: "snapshot",
  delta: "latest changes of the snapshot",
  directory: "list of plans",
  origin: "origin",
};

/** Where a record was found. */
export function placeInWords(place: string): string {
  return PLACES[place] ?? place;
}

const RULES: Record<string, string> = {
  form: "It has the form of a token",
  type: "It is of a type that is accepted",
  issuer: "Its issuer is trusted here",
  algorithm: "Its algorithm is the key's",
  key: "The issuer has the key that it names",
  signature: "The signature is right",
  dates: "Its times can be read",
  exp: "It has not expired",
  nbf: "It is valid already",
  aud: "It was issued for this service",
  customer: "It names a customer",
  claims: "Its other claims can be read",
  denylist: "It is not revoked",
};

/** A rule for tokens. */
export function ruleInWords(rule: string): string {
  return RULES[rule] ?? rule;
}

const STATUSES: Record<number, string> = {
  200: "Granted",
  201: "Done",
  204: "Done",
  400: "Invalid question",
  401: "The token is not accepted",
  402: "Denied",
  403: "The token may not do this",
  404: "Not found",
  405: "Not possible here",
  409: "In conflict with the present state",
  422: "Invalid value",
  429: "Too many requests",
  500: "The service has an error",
  502: "The origin cannot be reached",
  503: "Cannot be told now",
  504: "The origin took too long",
};

/** A status in one or two words. */
export function statusInWords(status: number): string {
  if (status === 0) return "No answer";
  return STATUSES[status] ?? `Status ${status}`;
}
