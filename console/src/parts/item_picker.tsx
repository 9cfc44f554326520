// A field that finds an item by its title or number: a combobox, as the ARIA practices describe it.
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { good, send } from "../api";

export interface Choice {
  id: number;
  title: string | undefined;
}

/** How many matches the list shows. */
const SHOWN = 30;

function isNumber(text: string): boolean {
  return /^[1-9]\d{0,18}$/.test(text.trim());
}

function shown(choice: Choice): string {
  return choice.title === undefined ? String(choice.id) : `${choice.title} (${choice.id})`;
}

export function ItemPicker(props: {
  label: string;
  help: string;
  choices: Choice[];
  item: number | undefined;
  onItem: (item: number) => void;
}) {
  const { choices, item, onItem } = props;
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const [isOpen, setIsOpen] = useState(false);
  const [active, setActive] = useState(0);
  const chosen = useMemo(() => choices.find((choice) => choice.id === item), [choices, item]);
  useEffect(() => {
    if (item !== undefined) setText(shown(chosen ?? { id: item, title: undefined }));
  }, [item, chosen]);

  const matches = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    const isUntouched = chosen !== undefined && text === shown(chosen);
    const all = wanted === "" || isUntouched ? choices : choices.filter((choice) => shown(choice).toLowerCase().includes(wanted));
    const found = all.slice(0, SHOWN);
    // A number that no list has can be asked about, too.
    const isUnknown = isNumber(text) && !choices.some((choice) => String(choice.id) === text.trim());
    return isUnknown ? [{ id: Number(text), title: undefined }, ...found] : found;
  }, [choices, text, chosen]);

  const choose = (choice: Choice | undefined) => {
    if (!choice) return;
    setText(shown(choice));
    setIsOpen(false);
    onItem(choice.id);
  };
  const onKey = (event: KeyboardEvent) => {
    const last = matches.length - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!isOpen) setIsOpen(true);
      else setActive((at) => (event.key === "ArrowDown" ? Math.min(at + 1, last) : Math.max(at - 1, 0)));
    } else if (event.key === "Enter" && isOpen) {
      event.preventDefault();
      choose(matches[active]);
    } else if (event.key === "Escape" && isOpen) {
      setIsOpen(false);
    }
  };
  useEffect(() => {
    if (isOpen) document.getElementById(`${id}-${active}`)?.scrollIntoView({ block: "nearest" });
  }, [active, isOpen]);

  return (
    <div class="field combobox">
      <label for={id}>{props.label}</label>
      <input
        id={id} ref={input} type="text" role="combobox" autocomplete="off" spellcheck={false} value={text}
        aria-expanded={isOpen} aria-controls={`${id}-list`} aria-autocomplete="list"
        aria-activedescendant={isOpen && matches[active] ? `${id}-${active}` : undefined}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setActive(0);
          setIsOpen(true);
        }}
        onFocus={(event) => event.currentTarget.select()}
        onClick={() => setIsOpen(true)}
        onBlur={() => setIsOpen(false)}
        onKeyDown={onKey}
      />
      <ul id={`${id}-list`} role="listbox" aria-label={props.label} hidden={!isOpen}>
        {matches.map((choice, index) => (
          <li
            key={choice.id} id={`${id}-${index}`} role="option" aria-selected={index === active}
            onPointerDown={(event) => {
              // Before the field loses the focus, which would close the list.
              event.preventDefault();
              choose(choice);
            }}
          >
            {choice.title ?? "Number"} <small>{choice.id}</small>
          </li>
        ))}
        {matches.length === 0 && <li role="option" aria-selected={false} aria-disabled>No item matches</li>}
      </ul>
      <p class="help">{props.help}</p>
    </div>
  );
}

/** The item's public record: title and merchant. */
export interface Item {
  id: number;
  title: string;
  merchant_id: number;
}

const known = new Map<number, Promise<Item | undefined>>();

/** Reads an item's record, once for each number in this tab. */
export function readItem(id: number): Promise<Item | undefined> {
  const read = known.get(id) ?? send("GET", `/items/${id}`).then((exchange) => {
    if (exchange.status === 0 || exchange.status === 503) known.delete(id);
    return good<Item>(exchange);
  });
  known.set(id, read);
  return read;
}
