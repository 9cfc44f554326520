// Small parts that all pages use.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { type Exchange, messageOf } from "../api";
import { statusInWords } from "../words";

/** A titled part of a page. */
export function Panel(props: { title: string; id?: string; children: ComponentChildren; aside?: ComponentChildren; class?: string }) {
  const id = useId();
  return (
    <section id={props.id} class={`panel ${props.class ?? ""}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  );
}

/** A message: something is wrong, missing or done. Screen readers say it when it appears. */
export function Notice(props: { kind?: "info" | "good" | "bad"; children: ComponentChildren }) {
  const kind = props.kind ?? "info";
  return <div class={`notice ${kind}`} role={kind === "bad" ? "alert" : "status"}>{props.children}</div>;
}

export function Loading(props: { what: string }) {
  return <p class="loading" role="status">Loading {props.what} …</p>;
}

/** What a request that failed means, and what to do. */
export function Problem(props: { exchange: Exchange; what: string; needs?: string }) {
  const { exchange, what, needs } = props;
  const message = messageOf(exchange);
  const [title, advice] = explained(exchange, what, needs);
  return (
    <Notice kind="bad">
      <strong>{title}</strong> {advice}
      {message !== "" && <> The edge says: “{message}”.</>}
      {exchange.requestId && <small> Request <code>{exchange.requestId}</code></small>}
    </Notice>
  );
}

function explained({ status, path }: Exchange, what: string, needs = "an issuer with the right capability"): [string, string] {
  const cannot = `Cannot show ${what}.`;
  if (status === 0) return ["The edge does not answer.", `Is it running? ${cannot}`];
  if (status === 401) return ["The token is not accepted.", `It is invalid, expired, or of an issuer that this edge does not know. ${cannot}`];
  if (status === 403) return ["This token may not see this.", `It takes ${needs}. ${cannot}`];
  if (status === 404) return [cannot, `The edge has nothing at ${path.split("?", 1)[0]}: it may be of an older version, or does not know what was asked for.`];
  if (status === 503) return ["The edge cannot tell at present.", `Nothing is published yet, or it cannot be read. ${cannot}`];
  return [cannot, `${statusInWords(status)} (${status}).`];
}

/** JSON with indentation, or text. The region can be scrolled with the keyboard. */
export function Code(props: { value: unknown; label: string }) {
  const text = typeof props.value === "string" ? props.value : JSON.stringify(props.value, null, 2);
  return <pre class="code" tabIndex={0} role="region" aria-label={props.label}><code>{text}</code></pre>;
}

/** Copies a text, and says so. */
export function CopyButton(props: { text: string; label: string }) {
  const [state, setState] = useState<"" | "copied" | "failed">("");
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(props.text);
      setState("copied");
    } catch {
      setState("failed");
    }
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setState(""), 3_000);
  };
  const said = { "": props.label, copied: "Copied", failed: "Cannot copy: select the text" }[state];
  return <button type="button" class="small" onClick={copy} aria-live="polite">{said}</button>;
}

/** A field with its label, and a line of help. */
export function Field(props: { label: string; help?: ComponentChildren; children: (id: string) => ComponentChildren }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      {props.children(id)}
      {props.help !== undefined && <p class="help">{props.help}</p>}
    </div>
  );
}

/** Names and values. */
export function Facts(props: { rows: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {props.rows.map(([name, value]) => (
        <div key={name}><dt>{name}</dt><dd>{value}</dd></div>
      ))}
    </dl>
  );
}

/** A table that scrolls sideways by itself where the screen is narrow. */
export function Table(props: { caption: string; head: string[]; rows: ComponentChildren[][] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={props.caption}>
      <table>
        <caption>{props.caption}</caption>
        <thead><tr>{props.head.map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
        <tbody>
          {props.rows.map((cells, row) => (
            <tr key={row}>{cells.map((cell, column) => <td key={column}>{cell}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
