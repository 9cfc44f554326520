// A whole shelf in one question.
import { useState } from "preact/hooks";
import { type Exchange, good, send } from "../api";
import { Notice, Panel, Problem, Table } from "../parts/basic";
import type { Choice } from "../parts/item_picker";
import { useLive } from "../parts/use_exchange";
import { moment } from "../time";
import { statusInWords } from "../words";
import type { Asker } from "./page";

interface Entry {
  id: number;
  access: boolean;
  expires_at?: number;
  code?: number;
}

/** The most items that one question may name. */
const ITEMS_MAX = 200;

export function Shelf(props: { asker: Asker; choices: Choice[]; turn: number; onItem: (item: number) => void }) {
  const { asker, choices, turn, onItem } = props;
  const [isAsked, setIsAsked] = useState(false);
  const ids = choices.slice(0, ITEMS_MAX).map(({ id }) => id);
  const answer = useLive(
    isAsked && ids.length > 0
      ? (signal) => send("GET", `/access?items=${ids.join(",")}`, { token: asker.token, signal })
      : undefined,
    [isAsked, asker.token, ids.join(","), turn],
  );
  return (
    <Panel title="The whole shelf">
      <p>
        One request about {ids.length} items, as a screen asks that marks what a viewer has.{" "}
        <button type="button" disabled={ids.length === 0} onClick={() => (isAsked ? answer.again() : setIsAsked(true))}>
          Ask about all {ids.length}
        </button>
      </p>
      {ids.length === 0 && <Notice>There is no list of items here: the viewer holds none, or the token may not list them.</Notice>}
      {answer.value && <Entries exchange={answer.value} choices={choices} onItem={onItem} />}
    </Panel>
  );
}

function Entries(props: { exchange: Exchange; choices: Choice[]; onItem: (item: number) => void }) {
  const { exchange, choices, onItem } = props;
  const entries = good<{ items: Entry[] }>(exchange)?.items;
  if (!entries) return <Problem exchange={exchange} what="the shelf" />;
  const titles = new Map(choices.map(({ id, title }) => [id, title]));
  const granted = entries.filter((entry) => entry.access).length;
  const rows = entries.map((entry) => [
    <button type="button" class="link" onClick={() => onItem(entry.id)}>{titles.get(entry.id) ?? entry.id}</button>,
    entry.access
      ? <span class="tag good">granted</span>
      : <span class="tag bad">{statusInWords(entry.code ?? 0).toLowerCase()}</span>,
    entry.access ? moment(entry.expires_at) : "",
  ]);
  return (
    <>
      <p role="status">{granted} of {entries.length} are open, in {exchange.tookMs} ms.</p>
      <Table caption="Access to each item" head={["Item", "Answer", "Until"]} rows={rows} />
    </>
  );
}
