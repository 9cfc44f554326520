// Tokens, as text: what one says of itself. Nothing here verifies a signature.

export interface Decoded {
  header: Record<string, unknown>;
  claims: Record<string, unknown>;
}

/** Takes `Bearer `, blanks and line ends off a pasted token. */
export function tidy(token: string): string {
  return token.trim().replace(/^bearer\s+/i, "").replace(/\s+/g, "");
}

/** Whether a text looks like a token. */
export function isToken(text: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(tidy(text)) && decode(text) !== undefined;
}

/** Header and claims, if they can be read. */
export function decode(token: string): Decoded | undefined {
  const [header, claims] = tidy(token).split(".").map(segment);
  return isObject(header) && isObject(claims) ? { header, claims } : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function segment(text: string): unknown {
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}
