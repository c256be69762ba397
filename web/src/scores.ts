/** A list of scores as people paste it: 1, 5, 3 or [1 5 3] or a column of a table. */

export const CLASSES = 50;

/** What is wrong with a list, for words/page.ts to say: which item, and what it was. */
export interface WrongScores {
  wrong: "empty" | "many" | "number" | "infinite";
  index: number;
  got: string;
}

export function readScores(text: string): { scores: number[] } | WrongScores {
  const items = text
    .replace(/[−–－]/g, "-")
    .split(/[\s,，、;；[\](){}]+/)
    .filter((item) => item !== "");
  if (items.length === 0) return { wrong: "empty", index: 0, got: "" };
  if (items.length > CLASSES) return { wrong: "many", index: CLASSES, got: String(items.length) };
  const scores = items.map(Number);
  const index = scores.findIndex((score) => !Number.isFinite(score));
  if (index < 0) return { scores };
  const got = items[index];
  const infinite = /^[-+]?(inf(inity)?|∞)$/i.test(got) || !Number.isNaN(scores[index]);
  return { wrong: infinite ? "infinite" : "number", index, got };
}
