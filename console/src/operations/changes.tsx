// What changed between two versions, or what a rollback would change.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Exchange, good, send } from "../api";
import { CopyButton, Facts, Loading, Notice, Panel, Problem, Table } from "../parts/basic";
import { moment } from "../time";
import { type Changed, type CustomerChange, type Diff, type Grants, joined } from "./report";

/** Pages that are read without being asked again. */
const PAGES_AT_ONCE = 20;

export function Changes(props: { token: string; from: string; to: string }) {
  const { token, from, to } = props;
  const [diff, setDiff] = useState<Diff>();
  const [failed, setFailed] = useState<Exchange>();
  const [isLoading, setIsLoading] = useState(true);
  const stop = useRef(new AbortController());
  const region = useRef<HTMLDivElement>(null);
  const isRollback = from === "head";

  const more = async (whole: Diff | undefined) => {
    const { signal } = stop.current;
    setIsLoading(true);
    let have = whole;
    try {
      for (let page = 0; page < PAGES_AT_ONCE && have?.page.next_token !== ""; page += 1) {
        const after = have ? `&page_token=${encodeURIComponent(have.page.next_token)}` : "";
        const exchange = await send("GET", `/snapshot/diff?from=${from}&to=${to}${after}`, { token, signal });
        const next = good<Diff>(exchange);
        if (!next) {
          setFailed(exchange);
          break;
        }
        have = joined(have, next);
        setDiff(have);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      return;
    }
    setIsLoading(false);
  };
  useEffect(() => {
    stop.current = new AbortController();
    setDiff(undefined);
    setFailed(undefined);
    void more(undefined);
    region.current?.scrollIntoView({ block: "start" });
    return () => stop.current.abort();
  }, [token, from, to]);

  const title = isRollback ? `Preview of a rollback to version ${to}` : `Changes from version ${from} to ${to}`;
  return (
    <div ref={region}>
      <Panel title={title}>
        {isRollback && (
          <p>
            “Granted again” is what customers would get back, “taken away” what they would lose. Nothing is changed here; an operator runs{" "}
            <code>{command(to)}</code> <CopyButton text={command(to)} label="Copy" />
          </p>
        )}
        {failed && <Problem exchange={failed} what="the changes" needs="a token with the scope “snapshot:read”" />}
        {diff && <DiffView diff={diff} isRollback={isRollback} />}
        {isLoading && <Loading what="changes" />}
        {!isLoading && diff && diff.page.next_token !== "" && <button type="button" onClick={() => void more(diff)}>Read on</button>}
      </Panel>
    </div>
  );
}

function command(to: string): string {
  return `admit rollback --to ${to} --from ${location.origin} --key snapshot.jwk`;
}

function counted({ added, changed, removed }: Changed): string {
  return `${added} added, ${changed} changed, ${removed} removed`;
}

function DiffView({ diff, isRollback }: { diff: Diff; isRollback: boolean }) {
  const [gained, lost] = isRollback ? ["Granted again", "Taken away"] : ["Gained", "Lost"];
  const directory = Object.entries(diff.directory ?? {}).map(([name, counts]): [string, string] => [name, counted(counts)]);
  const customers = diff.customers.changes.map((change) => [
    <>{change.id} <small>{change.uuid}</small></>, change.how, <GrantList grants={change.gained} />, <GrantList grants={change.lost} />,
  ]);
  const items = diff.items.changes.map(({ id, title, how }) => [<>{title ?? ""} <small>{id}</small></>, how]);
  const isEqual = customers.length === 0 && items.length === 0 && diff.page.next_token === "";
  return (
    <>
      <Facts rows={[["Customers", counted(diff.customers)], ["Items", counted(diff.items)], ...directory]} />
      {isEqual && <Notice>No customer and no item differs.</Notice>}
      {customers.length > 0 && <Table caption="Customers" head={["Customer", "Record", gained!, lost!]} rows={customers} />}
      {items.length > 0 && <Table caption="Items" head={["Item", "Record"]} rows={items} />}
    </>
  );
}

function GrantList({ grants }: { grants: CustomerChange["gained"] }) {
  if (!grants) return null;
  const { accesses, licenses, unlisted } = grants satisfies Grants;
  return (
    <ul class="plain">
      {accesses.map((access) => <li key={access.id}>item {access.item_id} <small>access {access.id}, until {moment(access.expires_at)}</small></li>)}
      {licenses.map((license, index) => <li key={index}>plan <small>{license.license_id}, {license.status.toLowerCase()}</small></li>)}
      {unlisted > 0 && <li>and {unlisted} more</li>}
    </ul>
  );
}
