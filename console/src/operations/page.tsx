// Operations: what this edge has, what its store has, and what changed between versions.
import { useState } from "preact/hooks";
import { good, send } from "../api";
import { Facts, Loading, Notice, Panel, Problem, Table } from "../parts/basic";
import { TokenSource } from "../parts/token_field";
import { useLive } from "../parts/use_exchange";
import { tokenOf, useSession } from "../session";
import { moment, momentAndDistance, span } from "../time";
import { Changes } from "./changes";
import { bytesInWords, Histogram, Level } from "./plots";
import type { Report, Sizes } from "./report";

const NEEDS = "a token with the scope “snapshot:read” of an issuer with the capability “publish”";

/** Seconds after which a head counts as old: what /healthz calls stale. */
const STALE_SECS = 300;

export function OperationsPage(props: { params: URLSearchParams }) {
  const session = useSession();
  const token = tokenOf(session, "operator");
  const health = useLive((signal) => send("GET", "/healthz", { token: token || undefined, signal }), [token]);
  const report = useLive(token === "" ? undefined : (signal) => send("GET", "/snapshot/report", { token, signal }), [token]);
  const again = () => {
    health.again();
    report.again();
  };
  const shown = good<Report>(report.value);
  return (
    <>
      <p class="lead">What this edge answers from, how old it is, and what a rollback would change.</p>
      <Panel title="Access">
        <TokenSource
          label="Operator's token" help={`It takes ${NEEDS}.`} sample={session.samples?.operator} of="an operator" pasted={session.operator}
        />
        <div class="row">
          <button type="button" onClick={again}>Look again</button>
        </div>
      </Panel>
      <HealthPanel exchange={health.value} />
      {token === "" && <Notice>Paste a token to see more than strangers do.</Notice>}
      {report.value && !shown && <Panel title="Report"><Problem exchange={report.value} what="the report" needs={NEEDS} /></Panel>}
      {token !== "" && !report.value && <Loading what="the report" />}
      {shown && <ReportPanels report={shown} token={token} params={props.params} />}
    </>
  );
}

interface Health {
  status: string;
  age_secs: number;
}

const HEALTH: Record<string, [string, string]> = {
  ok: ["good", "Everything is as it should be."],
  stale: ["bad", "The snapshot is old: no publisher renews it, or its writes do not arrive."],
  behind: ["bad", "The snapshot lacks changes that the origin named minutes ago."],
  degraded: ["warn", "Something could not be read lately; the version before answers."],
};

function HealthPanel(props: { exchange: Awaited<ReturnType<typeof send>> | undefined }) {
  const { exchange } = props;
  const health = good<Health>(exchange);
  const [tone, said] = HEALTH[health?.status ?? ""] ?? ["warn", ""];
  return (
    <Panel title="Health">
      {!exchange && <Loading what="the health" />}
      {exchange && !health && <Problem exchange={exchange} what="the health" />}
      {health && (
        <p class="reason">
          <span class={`tag ${tone}`}>{health.status}</span> {said} The origin was last heard {span(health.age_secs)} ago.
        </p>
      )}
    </Panel>
  );
}

function ReportPanels(props: { report: Report; token: string; params: URLSearchParams }) {
  const { report, token, params } = props;
  const [compared, setCompared] = useState<[string, string] | undefined>(() => {
    const [from, to] = [params.get("from"), params.get("to")];
    return from && to ? [from, to] : undefined;
  });
  return (
    <>
      <HeadPanel report={report} />
      <ObjectsPanel report={report} />
      <Panel title="Versions">
        <VersionsTable report={report} onCompare={setCompared} />
      </Panel>
      {compared && <Changes token={token} from={compared[0]} to={compared[1]} />}
      <LeasePanel report={report} />
      <ConfigurationPanel report={report} />
    </>
  );
}

function HeadPanel({ report }: { report: Report }) {
  const { head, kid, stored, now } = report;
  if (!head) return <Panel title="Head"><Notice kind="bad">Nothing is published yet.</Notice></Panel>;
  const isOld = head.age_secs > STALE_SECS;
  return (
    <Panel title="Head">
      <Facts
        rows={[
          ["Version", head.seq],
          ["Age", <><span class={isOld ? "tag bad" : "tag good"}>{span(head.age_secs)}</span> true on {moment(head.as_of)}</>],
          ["Unchanged for", span(head.unchanged_secs)],
          ["Published", momentAndDistance(head.published_at, now)],
          ["By", head.published_by ?? "not said"],
          ["Signature", `${head.signature}${kid ? `, key ${kid}` : ""}`],
          ["Customers", head.customers ?? `about ${head.customers_in_shards}`],
          ["Items", head.items ?? `about ${head.items_in_shards}`],
          ["Records set aside", head.set_aside === 0 ? "none" : `${head.set_aside}: the publisher's log names them`],
          ["Revoked by denylist", head.revoked === 0 ? "none" : head.revoked],
          ["Format", head.format],
          ["Store", head.aud ?? "not named"],
        ]}
      />
      {stored && (
        <Notice kind={stored.problem === null ? "info" : "bad"}>
          The store has another head: version {stored.seq}, published {momentAndDistance(stored.published_at, now)}.{" "}
          {stored.problem ?? "This isolate takes it over within a minute."}
        </Notice>
      )}
    </Panel>
  );
}

function ObjectsPanel({ report }: { report: Report }) {
  const { objects } = report;
  if (!objects) return null;
  const { delta } = objects;
  return (
    <Panel title="Objects">
      {delta === null ? (
        <p class="empty">There is no delta: the shards have everything.</p>
      ) : (
        <Level
          title="Delta: changes since the shards were written" value={delta.bytes} most={delta.budget_bytes}
          said={`${bytesInWords(delta.bytes)} of ${bytesInWords(delta.budget_bytes)}, ${counted(delta.customers, "customer")} and ${counted(delta.items, "item")}. When it is full, the publisher writes it into the shards.`}
        />
      )}
      <div class="sides">
        <SizesView title="Customers" sizes={objects.customers} />
        <SizesView title="Items" sizes={objects.items} />
      </div>
    </Panel>
  );
}

function counted(number: number, name: string): string {
  return `${number} ${name}${number === 1 ? "" : "s"}`;
}

function SizesView({ title, sizes }: { title: string; sizes: Sizes }) {
  const bars = sizes.histogram.map(({ up_to_bytes, shards }) => ({ label: `≤ ${bytesInWords(up_to_bytes)}`, value: shards }));
  const shards = sizes.shards === 1 ? "1 shard" : `${sizes.shards ?? "Many"} shards`;
  const measured = sizes.shards === sizes.measured ? "all measured" : `${sizes.measured} of them measured`;
  return (
    <div>
      <Histogram title={`${title}: shards by size`} bars={bars} />
      <p class="help">
        {shards}, {measured}: {bytesInWords(sizes.smallest_bytes)} to {bytesInWords(sizes.largest_bytes)}, half of them up to{" "}
        {bytesInWords(sizes.median_bytes)}.
      </p>
    </div>
  );
}

function VersionsTable(props: { report: Report; onCompare: (versions: [string, string]) => void }) {
  const { report: { history, now }, onCompare } = props;
  if (history.versions.length === 0) return <p class="empty">No version is kept.</p>;
  const rows = history.versions.map((version) => {
    const seq = String(version.seq);
    return [
      seq,
      momentAndDistance(version.published_at, now),
      version.customers ?? "",
      version.items ?? "",
      version.set_aside,
      <div class="row">
        <button type="button" class="small" onClick={() => onCompare([seq, "head"])}>Changes since {seq}</button>
        <button type="button" class="small" onClick={() => onCompare(["head", seq])}>Preview rollback to {seq}</button>
      </div>,
    ];
  });
  return (
    <Table
      caption={`Versions that a rollback can go back to${history.versions_total === null ? "" : `, ${history.versions.length} of ${history.versions_total}`}`}
      head={["Version", "Published", "Customers", "Items", "Set aside", "Compare"]} rows={rows}
    />
  );
}

function LeasePanel({ report }: { report: Report }) {
  const { lease } = report.history;
  return (
    <Panel title="Publisher">
      {lease === null
        ? <p class="empty">No publisher holds the lease: nothing is being published.</p>
        : <p>{lease.host} holds the lease for {span(Math.max(lease.secs_left, 0))} more. It renews it while it runs.</p>}
    </Panel>
  );
}

function ConfigurationPanel({ report }: { report: Report }) {
  const { warnings, unset } = report.configuration;
  return (
    <Panel title="Configuration">
      {warnings.length === 0
        ? <p>Nothing in it looks like a mistake.</p>
        : <Table caption="Values that are probably a mistake" head={["Where", "Problem", "Change"]} rows={warnings.map(({ key, problem, change }) => [<code>{key}</code>, problem, change])} />}
      {unset.length > 0 && <p class="help">Without a value: {unset.join(", ")}. <code>admit check-config</code> sees the rest.</p>}
    </Panel>
  );
}
