/** Half precision: 11 significant bits, numbers from 2⁻²⁴ to 65504. JavaScript has Math.fround for float32 and nothing older for this. */

const LARGEST = 65504;
const BITS = 10; // behind the leading one
const SMALLEST_EXPONENT = -14; // below it, subnormal: the spacing stays that of 2⁻¹⁴

/** Rounds to the nearest float16, ties to even; from halfway past the largest on, to ∞. */
export function toFloat16(x: number): number {
  if (!Number.isFinite(x) || x === 0) return x;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(x))), SMALLEST_EXPONENT);
  const spacing = 2 ** (exponent - BITS);
  const rounded = roundToEven(Math.abs(x) / spacing) * spacing;
  return Math.sign(x) * (rounded > LARGEST ? Infinity : rounded);
}

function roundToEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

/** Each step of softmax, rounded as float16 arithmetic rounds it. */
export function softmaxInFloat16(z: readonly number[], shift: boolean) {
  const given = z.map(toFloat16);
  const m = shift ? Math.max(...given) : 0;
  const shifted = given.map((z_j) => toFloat16(z_j - m));
  const e = shifted.map((d) => toFloat16(Math.exp(d)));
  const total = e.reduce((a, b) => toFloat16(a + b), 0);
  return { shifted, e, total, p: e.map((e_j) => toFloat16(e_j / total)) };
}
