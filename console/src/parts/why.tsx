// Every grant that was looked at for a decision.
import { momentAndDistance } from "../time";
import { kindInWords, obstacleInWords, placeInWords } from "../words";
import type { Considered } from "../decision";
import { Table } from "./basic";

/** A grant's own name. */
function recordOf(grant: Considered): string {
  if (grant.access_id !== null && grant.access_id !== undefined) return `access ${grant.access_id}`;
  return grant.license_id ? `plan ${grant.license_id}` : "";
}

export function ConsideredTable(props: { considered: Considered[]; now: number }) {
  const { considered, now } = props;
  if (considered.length === 0) return <p class="empty">There is no grant of any kind that leads to this item.</p>;
  const rows = considered.map((grant) => [
    <>{kindInWords(grant.source)} <small>{recordOf(grant)}</small></>,
    <span class={grant.obstacle === null ? "tag good" : "tag bad"}>{obstacleInWords(grant.obstacle)}</span>,
    grant.starts_at === null ? momentAndDistance(grant.created_at, now) : momentAndDistance(grant.starts_at, now),
    momentAndDistance(grant.expires_at, now),
    grant.found_in === undefined ? "snapshot" : placeInWords(grant.found_in),
  ]);
  return <Table caption="Every grant that was looked at" head={["Grant", "Result", "From", "Until", "Found in"]} rows={rows} />;
}
