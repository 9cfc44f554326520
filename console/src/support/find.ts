// From what a support person has - a number, a UUID, a name, a token, a line of the log - to the customer.
import { byRequestId, type Exchange, good, send } from "../api";
import { inspect, type Inspected } from "../decision";
import { decode, isToken, tidy } from "../token";

export interface Customer {
  key: string;
  id: string | null;
  number: number;
  uuid: string;
  merchant_id: number;
  source: string;
}

/** What a text in the search field is. */
export type Clue =
  | { kind: "number"; number: string }
  | { kind: "uuid"; uuid: string }
  | { kind: "customer"; who: string }
  | { kind: "key"; who: string }
  | { kind: "token"; token: string }
  | { kind: "log"; line: LogLine }
  | { kind: "request"; id: string }
  | { kind: "unknown" };

/** The members of a log line that lead to a customer or an item. */
export interface LogLine {
  event?: string;
  request_id?: string;
  path?: string;
  route?: string;
  status?: number;
  reason?: string;
  detail?: string;
  subject_hash?: string;
}

const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** Reads the search field. */
export function clueIn(text: string): Clue {
  const trimmed = text.trim();
  if (/^\d{1,19}$/.test(trimmed)) return { kind: "number", number: trimmed };
  if (UUID.test(trimmed)) return { kind: "uuid", uuid: trimmed.toLowerCase() };
  if (/^[0-9a-f]{32}$/.test(trimmed)) return { kind: "key", who: trimmed };
  if (/^[0-9a-f]{16}-[0-9a-f]{8}$/.test(trimmed)) return { kind: "request", id: trimmed };
  if (isToken(trimmed)) return { kind: "token", token: tidy(trimmed) };
  const line = logLine(trimmed);
  if (line) return { kind: "log", line };
  if (/^[^\s:]+:.+$/.test(trimmed)) return { kind: "customer", who: trimmed };
  return { kind: "unknown" };
}

/** The JSON object in a line, which a log viewer may have put a time before. */
function logLine(text: string): LogLine | undefined {
  const start = text.indexOf("{");
  if (start < 0) return undefined;
  try {
    const value = JSON.parse(text.slice(start, text.lastIndexOf("}") + 1)) as unknown;
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as LogLine) : undefined;
  } catch {
    return undefined;
  }
}

/** The item that a path is about. */
export function itemIn(path: string | undefined): number | undefined {
  const found = /\/items\/(\d{1,15})(\/|$|\?)/.exec(path ?? "");
  return found ? Number(found[1]) : undefined;
}

export interface Found {
  /** What `/customers/…` takes; never a token. */
  who: string | undefined;
  /** Several customers to choose from. */
  candidates: Customer[];
  /** The item that the clue is about. */
  item: number | undefined;
  /** What the clue says by itself, in words. */
  note: string | undefined;
  /** A request that failed on the way. */
  failed: Exchange | undefined;
  inspected: Inspected | undefined;
  /** The customer's own token, if it is accepted: the origin answers to it. */
  token: string | undefined;
}

const NOTHING: Found = {
  who: undefined, candidates: [], item: undefined, note: undefined, failed: undefined, inspected: undefined, token: undefined,
};

/** Follows a clue. `onProgress` hears how far a search through the shards is, from 0 to 1. */
export async function follow(
  clue: Clue, token: string, onProgress: (share: number) => void, signal: AbortSignal,
): Promise<Found> {
  if (clue.kind === "customer" || clue.kind === "key") return { ...NOTHING, who: clue.who };
  if (clue.kind === "number") return search(`number=${clue.number}`, token, onProgress, signal);
  if (clue.kind === "uuid") {
    // A subject that is a UUID leads to its record at once, unless customers of several namespaces have it (422).
    const direct = await send("GET", `/customers/${clue.uuid}`, { token, signal });
    if (good(direct)) return { ...NOTHING, who: clue.uuid };
    if (direct.status !== 404 && direct.status !== 422) return { ...NOTHING, failed: direct };
    return search(`uuid=${clue.uuid}`, token, onProgress, signal);
  }
  if (clue.kind === "token") return ofToken(clue.token, token, signal);
  if (clue.kind === "log") return ofLine(clue.line);
  if (clue.kind === "request") return ofRequest(clue.id);
  return { ...NOTHING, note: "This is neither a number, a UUID, namespace:subject, a token nor a line of the log." };
}

async function ofToken(pasted: string, token: string, signal: AbortSignal): Promise<Found> {
  const exchange = await inspect(token, pasted, signal);
  const inspected = good<Inspected>(exchange);
  if (!inspected) return { ...NOTHING, failed: exchange };
  const subject = decode(pasted)?.claims["sub"];
  const customer = inspected.principal?.customer ?? undefined;
  if (customer !== undefined) return { ...NOTHING, who: customer, inspected, token: pasted };
  // A refused token still says who it was for, if its subject is a UUID.
  const isUuid = typeof subject === "string" && UUID.test(subject);
  const note = `The token is not accepted${isUuid ? ", but it names a customer: shown is the one that it says it is for" : ""}.`;
  return { ...NOTHING, who: isUuid ? subject : undefined, note, inspected };
}

function ofLine(line: LogLine): Found {
  const item = itemIn(line.path) ?? itemIn(line.route);
  const said = [
    line.status !== undefined && `status ${line.status}`, line.reason && `reason “${line.reason}”`, line.detail,
  ].filter(Boolean).join(", ");
  if (line.subject_hash) return { ...NOTHING, who: line.subject_hash, item, note: `The line says: ${said}.` };
  const known = line.request_id === undefined ? undefined : byRequestId(line.request_id)?.who;
  if (known !== undefined) return { ...NOTHING, who: known, item, note: `The line says: ${said}. This tab sent that request.` };
  return {
    ...NOTHING, item,
    note: `The line says: ${said || "nothing about an answer"}. It names no customer: lines of checks never do. Lines with the event “audit” do, in subject_hash.`,
  };
}

function ofRequest(id: string): Found {
  const asked = byRequestId(id);
  if (asked?.who === undefined) {
    return { ...NOTHING, note: "This tab did not send that request. Look for its id in the log, and paste the whole line here." };
  }
  const { exchange, who } = asked;
  return { ...NOTHING, who, item: itemIn(exchange.path), note: `This tab sent that request: ${exchange.method} ${exchange.path}, answered ${exchange.status}.` };
}

interface Page {
  results: Customer[];
  page: { next_token: string; shards_read?: number; shards?: number };
}

/** Goes through the shards page by page, up to the end. */
async function search(
  query: string, token: string, onProgress: (share: number) => void, signal: AbortSignal,
): Promise<Found> {
  const candidates: Customer[] = [];
  let next = "";
  do {
    const path = `/customers?${query}${next === "" ? "" : `&page_token=${encodeURIComponent(next)}`}`;
    const exchange = await send("GET", path, { token, signal });
    const page = good<Page>(exchange);
    if (!page) return { ...NOTHING, candidates, failed: exchange };
    candidates.push(...page.results);
    next = page.page.next_token;
    const { shards_read, shards } = page.page;
    if (shards_read !== undefined && shards) onProgress(shards_read / shards);
  } while (next !== "");
  const [first] = candidates;
  if (first !== undefined && candidates.length === 1) return { ...NOTHING, who: first.id ?? first.key, candidates };
  const note = first === undefined ? "No customer of the snapshot has it." : `${candidates.length} customers have it: choose one.`;
  return { ...NOTHING, candidates, note };
}
