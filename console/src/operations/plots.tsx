// Plots, by hand: a histogram and a level.
import { useId } from "preact/hooks";

const WIDTH = 360;
const HEIGHT = 140;
const FOOT = 22;

export function bytesInWords(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const kib = bytes / 1024;
  return kib < 1024 ? `${round(kib)} KiB` : `${round(kib / 1024)} MiB`;
}

function round(value: number): string {
  return value < 10 ? value.toFixed(1).replace(/\.0$/, "") : String(Math.round(value));
}

export interface Bar {
  label: string;
  value: number;
}

/** Bars over their labels. Screen readers get the numbers as text. */
export function Histogram(props: { title: string; bars: Bar[] }) {
  const { title, bars } = props;
  const id = useId();
  const most = Math.max(1, ...bars.map(({ value }) => value));
  const step = WIDTH / Math.max(bars.length, 1);
  const said = bars.map(({ label, value }) => `${label}: ${value}`).join(", ");
  return (
    <figure>
      <figcaption id={id}>{title}</figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${title}. ${said}`} class="histogram">
        {bars.map(({ label, value }, index) => {
          const height = (value / most) * (HEIGHT - FOOT - 18);
          const middle = (index + 0.5) * step;
          return (
            <g key={label}>
              <rect x={middle - Math.min(step * 0.35, 30)} y={HEIGHT - FOOT - height} width={Math.min(step * 0.7, 60)} height={height} rx="2" class="bar" />
              <text x={middle} y={HEIGHT - FOOT - height - 4} text-anchor="middle">{value}</text>
              <text x={middle} y={HEIGHT - 6} text-anchor="middle" class="soft">{label}</text>
            </g>
          );
        })}
        <line x1="0" x2={WIDTH} y1={HEIGHT - FOOT} y2={HEIGHT - FOOT} class="axis" />
      </svg>
    </figure>
  );
}

/** How full something is. */
export function Level(props: { title: string; value: number; most: number; said: string }) {
  const share = Math.min(props.value / props.most, 1);
  const tone = share > 0.9 ? "bar hot" : "bar";
  return (
    <figure>
      <figcaption>{props.title}</figcaption>
      <svg viewBox={`0 0 ${WIDTH} 24`} role="img" aria-label={`${props.title}: ${props.said}`} class="level">
        <rect x="0" y="4" width={WIDTH} height="16" rx="4" class="rail" />
        <rect x="0" y="4" width={Math.max(share * WIDTH, props.value > 0 ? 3 : 0)} height="16" rx="4" class={tone} />
      </svg>
      <p class="help">{props.said}</p>
    </figure>
  );
}
