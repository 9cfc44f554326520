// Compiled, not run: what a caller's compiler accepts of types/entitlements.d.ts, and what it refuses.
import type { Check, Entitlements, EntitlementsProps, Method } from "../../types/entitlements";

declare const binding: Service<typeof Entitlements>;

export const props: EntitlementsProps[] = [{}, { merchant: 2101 }, { merchant: 2101, capabilities: ["check"] }];
// @ts-expect-error A misspelt restriction.
export const misspelt: EntitlementsProps = { merchants: 2101 };
// @ts-expect-error An unknown method.
export const unknown: EntitlementsProps = { capabilities: ["chek"] };

/** The methods that props name are those of the entrypoint. */
export const methods: Record<Method, unknown> & Pick<typeof binding, Method> = binding;

export async function checks(token: string): Promise<number | string> {
  const answer: Check = await binding.check(token, 5101);
  // @ts-expect-error An answer that may be a refusal.
  answer.expires_at;
  if (answer.access) return answer.expires_at - (answer.starts_at ?? answer.created_at);
  if (answer.code === 403) return answer.reason ?? "";
  // @ts-expect-error No answer has this code.
  if (answer.code === 418) return 0;
  return answer.message;
}

export async function lists(token: string): Promise<unknown[]> {
  const many = await binding.checkMany(token, [5101, 5102], { address: "192.0.2.1", country: null });
  const licenses = await binding.licenses(token);
  const playback = await binding.playback(token, 5101);
  if (!many.ok || !licenses.ok || !playback.access) return [];
  const ends = many.items.map((item) => (item.access ? item.expires_at : item.code));
  return [...ends, ...licenses.items.map(({ item }) => item.status), ...playback.sources.map(({ url }) => url)];
}

export async function explained(token: string): Promise<string[]> {
  const why = await binding.explain(token, 5101, "vendor:42");
  if (!why.ok) return [why.message];
  return (why.considered ?? []).map(({ source, obstacle }) => `${source}: ${obstacle ?? "counts"}`);
}

export function wrong(token: string): unknown[] {
  return [
    // @ts-expect-error The item is missing.
    binding.check(token),
    // @ts-expect-error The item is a number.
    binding.check(token, "5101"),
    // @ts-expect-error A list of items is another method's.
    binding.check(token, [5101]),
    // @ts-expect-error An unknown method.
    binding.nothing(token),
  ];
}
