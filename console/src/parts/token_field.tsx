// Where a token is pasted. It stays in this tab, and is never part of a link.
import { useState } from "preact/hooks";
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
