/** Draws that a seed repeats: mulberry32, 32 bits of state, plenty for dots on a screen. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draws class j with probability p_j: the first whose running sum exceeds a uniform number. */
export function draw(p: readonly number[], uniform: number): number {
  let upTo = 0;
  for (let j = 0; j < p.length; j++) if (uniform < (upTo += p[j])) return j;
  return p.indexOf(Math.max(...p)); // the sum of p ended below 1 by a rounding
}
