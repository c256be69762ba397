/** Formulas as trees of MathML elements, drawn by Formula.svelte. */

export interface MathNode {
  tag: string;
  of: string | MathNode[];
  attributes?: Record<string, string | number>;
}

type Part = MathNode | string;

const node = (tag: string, of: string | MathNode[], attributes?: MathNode["attributes"]): MathNode => ({ tag, of, attributes });
const parts = (of: Part[]) => of.map((part) => (typeof part === "string" ? plain(part) : part));

/** A letter is a name, digits a number, the rest an operator. */
function plain(text: string): MathNode {
  if (/^[\d.−]+[\d.]*$/.test(text) && /\d/.test(text)) return node("mn", text);
  return /^\p{L}/u.test(text) ? node("mi", text) : node("mo", text);
}

export const row = (...of: Part[]) => node("mrow", parts(of));
export const frac = (above: Part, below: Part) => node("mfrac", parts([above, below]));
export const sup = (base: Part, exponent: Part) => node("msup", parts([base, exponent]));
export const sub = (base: Part, index: Part) => node("msub", parts([base, index]));
export const sqrt = (...of: Part[]) => node("msqrt", parts(of));
export const sumOver = (index: Part) => node("msub", parts([node("mo", "∑", { largeop: "true", movablelimits: "false" }), index]));
export const text = (words: string) => node("mtext", words);

/** A number with its full precision, as Num.svelte has it. */
export const num = (name: string, value: number, shown: string) =>
  node("mn", shown, { "data-name": name, "data-value": value });

/** Puts a class on a part, for style.css: lit, dim, gone, right, wrong. */
export const marked = (className: string, part: Part): MathNode => {
  const inner = typeof part === "string" ? plain(part) : part;
  return { ...inner, attributes: { ...inner.attributes, class: className } };
};
