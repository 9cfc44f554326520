// A moment, by a slider or exactly. `undefined` is the present.
import { useId } from "preact/hooks";
import { fromField, momentAndDistance, nowSecs, toField } from "../time";

const DAY_SECS = 86_400;
/** How far the slider goes to both sides. */
const REACH_DAYS = 400;

export function MomentPicker(props: { time: number | undefined; onTime: (time: number | undefined) => void }) {
  const { time, onTime } = props;
  const id = useId();
  const now = nowSecs();
  const days = time === undefined ? 0 : Math.round(((time - now) / DAY_SECS) * 4) / 4;
  const said = time === undefined ? "now" : momentAndDistance(time, now);
  return (
    <div class="moment">
      <label for={id}>Moment: <strong>{said}</strong></label>
      <input
        id={id} type="range" min={-REACH_DAYS} max={REACH_DAYS} step={0.25} value={days} aria-valuetext={said}
        onInput={(event) => {
          const value = Number(event.currentTarget.value);
          onTime(value === 0 ? undefined : now + Math.round(value * DAY_SECS));
        }}
      />
      <div class="row">
        <label for={`${id}-exact`}>Exactly</label>
        <input
          id={`${id}-exact`} type="datetime-local" value={toField(time ?? now)}
          onChange={(event) => onTime(fromField(event.currentTarget.value))}
        />
        <button type="button" class="small" disabled={time === undefined} onClick={() => onTime(undefined)}>Now</button>
      </div>
    </div>
  );
}
