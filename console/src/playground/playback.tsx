// What the edge signs for a granted item.
import { good, send } from "../api";
import { Code, Facts, Loading, Notice, Panel, Problem } from "../parts/basic";
import { useLive } from "../parts/use_exchange";
import { momentAndDistance, nowSecs } from "../time";
import { decode } from "../token";
import type { Asker } from "./page";

interface Source {
  type: string;
  url: string | null;
  token: string;
  expires_at: number;
}

export function PlaybackPanel(props: { asker: Asker; item: number; turn: number }) {
  const { asker, item, turn } = props;
  const answer = useLive(
    (signal) => send("GET", `/items/${item}/playback`, { token: asker.token, signal }), [asker.token, item, turn],
  );
  return <Panel title="Playback"><Signed exchange={answer.value} /></Panel>;
}

function Signed(props: { exchange: Awaited<ReturnType<typeof send>> | undefined }) {
  const { exchange } = props;
  if (!exchange) return <Loading what="what is signed" />;
  const sources = good<{ sources: Source[] }>(exchange)?.sources;
  if (sources) return <>{sources.map((source) => <SourceView key={source.type} source={source} />)}</>;
  if (exchange.status === 402 || exchange.status === 401) {
    return <Notice>Nothing is signed for a viewer who may not play the item ({exchange.status}).</Notice>;
  }
  if (exchange.status === 404) {
    return <Notice>Nothing to play: the item is unknown, or this edge has no signer for items of its kind.</Notice>;
  }
  return <Problem exchange={exchange} what="what is signed" />;
}

function SourceView({ source }: { source: Source }) {
  const now = nowSecs();
  const decoded = decode(source.token);
  return (
    <>
      <Facts
        rows={[
          ["Signer", source.type],
          ["Ends", momentAndDistance(source.expires_at, now)],
          ["Address", source.url === null ? "known to the player only" : <span class="break">{source.url}</span>],
        ]}
      />
      {decoded ? (
        <div class="sides">
          <div><h3>Header</h3><Code value={decoded.header} label="Header of the playback token" /></div>
          <div><h3>Claims</h3><Code value={decoded.claims} label="Claims of the playback token" /></div>
        </div>
      ) : (
        <Code value={source.token} label="Playback token" />
      )}
    </>
  );
}
