/** Every number on the page is written by one of these. */

const minus = (text: string) => text.replaceAll("-", "−");

/** Six decimals, rounded; with a power of ten where those fail. */
export function decimals(value: number, digits = 6): string {
  if (!Number.isFinite(value)) return minus(String(value).replace("Infinity", "∞"));
  const size = Math.abs(value);
  if (value === 0 || (size >= 1e-4 && size < 1e6)) return minus((value + 0).toFixed(digits));
  return minus(value.toExponential(digits > 6 ? digits : 2).replace("e+", "e"));
}

/** As short as a reader would type it. */
export function brief(value: number, digits = 6): string {
  if (!Number.isFinite(value)) return decimals(value);
  return minus(String(Number((value + 0).toPrecision(digits))).replace("e+", "e"));
}

/** The number that is left when all digits after the third behind the point are cut off, never rounded: the tutorial's digits. */
export function truncated(value: number, places = 3): number {
  if (!Number.isFinite(value)) return value;
  const [digits, exponent] = Math.abs(value).toExponential().split("e"); // the shortest digits that mean this number
  const kept = Number(exponent) + 1 + places;
  const cut = kept <= 0 ? "0" : `${digits.replace(".", "").slice(0, kept)}e${Number(exponent) + 1 - Math.min(kept, digits.replace(".", "").length)}`;
  return Math.sign(value) * Number(cut) + 0;
}

/** Two or three digits, for the little room in a drawing. */
export function tight(value: number, digits = 3): string {
  return value !== 0 && Math.abs(value) < 1e-3 ? minus(value.toExponential(0)) : brief(value, digits);
}
