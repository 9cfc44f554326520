// Where a token is pasted. It stays in this tab, and is never part of a link.
import { useState } from "preact/hooks";
import type { Pasted } from "../session";
import { decode } from "../token";
import { Field, Notice } from "./basic";

export function TokenField(props: { label: string; help: string; token: string; onToken: (token: string) => void }) {
  const { token, onToken } = props;
  const [text, setText] = useState(token);
  const isReadable = token === "" || decode(token) !== undefined;
  const change = (value: string) => {
    setText(value);
    onToken(value);
  };
  return (
    <>
      <Field label={props.label} help={props.help}>
        {(id) => (
          <textarea
            id={id} rows={3} value={text} autocomplete="off" spellcheck={false} placeholder="eyJhbGciOi…"
            onInput={(event) => change(event.currentTarget.value)}
          />
        )}
      </Field>
      {!isReadable && <Notice kind="bad">This is not a JSON Web Token: three parts with dots between are expected.</Notice>}
      {token !== "" && <button type="button" class="small" onClick={() => change("")}>Forget this token</button>}
    </>
  );
}

/** A token field that is folded up as long as another token stands for it. */
export function TokenSource(props: { label: string; help: string; sample: string | undefined; of: string; pasted: Pasted }) {
  const { label, help, sample, of, pasted: [token, setToken] } = props;
  // Only at first: a field that folds up while a token is typed would be lost.
  const [isOpen] = useState(token === "" && sample === undefined);
  const source = token !== "" ? "a pasted token" : sample === undefined ? "no token yet" : `the sample token of ${of}`;
  return (
    <details open={isOpen}>
      <summary>Asking with {source}</summary>
      <TokenField label={label} help={help} token={token} onToken={setToken} />
    </details>
  );
}
