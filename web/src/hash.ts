/** The view as the text behind # and back. What a hash says wrongly, or another version said, becomes the default. */

import { readScores } from "./scores.ts";

export const VERSION = "1";
export const LANGUAGES = ["en", "zh"] as const;
export const SCREENS = ["softmax", "formula", "loss", "cases", "gradient", "network", "train", "float32"] as const;

export type Language = (typeof LANGUAGES)[number];
export type ScreenName = (typeof SCREENS)[number];

export interface View {
  lang: Language;
  screen: number; // 1 … 8
  scores: number[];
  labels: string[]; // one a class, or none
  target: number; // an index of scores
  T: number; // temperature
  shown: number[]; // the screens whose question has been answered or skipped
  add: number; // screen 2: the constant that is added to all scores
  shift: boolean; // screen 2: whether the largest is subtracted
  cell: [j: number, i: number]; // screen 4: the open entry of the Jacobian
  nudge: number; // screen 4: how far z_i is moved
  step: number; // screen 5: lines of the derivation
  truncated: boolean; // screen 5: digits as in the tutorial
  lead: number; // screen 8: how far the winner is ahead
  network: string; // screen 6 in its own words
  train: string; // screen 7 in its own words
}

export const RANGES = {
  T: { least: 0.05, most: 20 },
  add: { least: -200, most: 200 },
  nudge: { least: -2, most: 2 },
  lead: { least: 0, most: 40 },
} as const;

export const STEPS = 5;
const LONGEST_LABEL = 40;

export const defaults = (lang: Language): View => ({
  lang,
  screen: 1,
  scores: [1, 5, 3],
  labels: [],
  target: 1,
  T: 1,
  shown: [],
  add: 100,
  shift: true,
  cell: [1, 1],
  nudge: 0.1,
  step: 0,
  truncated: false,
  lead: 20,
  network: "",
  train: "",
});

export function readView(hash: string, languages: readonly string[]): View {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const lang = LANGUAGES.find((lang) => lang === given.get("lang")) ?? (/^zh\b/i.test(languages[0] ?? "") ? "zh" : "en");
  const view = defaults(lang);
  if (given.get("v") !== VERSION) return view;

  const scores = readScores(given.get("scores") ?? "");
  if ("scores" in scores) view.scores = scores.scores;
  const last = view.scores.length - 1;
  view.screen = whole(given.get("screen"), 1, SCREENS.length) ?? view.screen;
  view.target = whole(given.get("target"), 0, last) ?? Math.min(view.target, last);
  view.step = whole(given.get("step"), 0, STEPS) ?? view.step;
  view.cell = cell(given.get("cell"), last) ?? [view.target, view.target];
  const labels = given.getAll("label").map((label) => [...label].slice(0, LONGEST_LABEL).join(""));
  if (labels.length === view.scores.length) view.labels = labels;
  for (const name of Object.keys(RANGES) as (keyof typeof RANGES)[]) {
    view[name] = within(given.get(name), RANGES[name]) ?? view[name];
  }
  view.shown = [...new Set(given.get("shown") ?? "")].flatMap((n) => whole(n, 1, SCREENS.length) ?? []).sort();
  view.shift = given.get("shift") !== "0";
  view.truncated = given.get("truncated") === "1";
  view.network = given.get("network") ?? "";
  view.train = given.get("train") ?? "";
  return view;
}

/** Writes what a screen needs to look the same elsewhere; defaults are left out. */
export function writeHash(view: View): string {
  const initial = defaults(view.lang);
  const unless = (initial: string, text: string) => (text === initial ? "" : text);
  const parts: [string, string][] = [
    ["v", VERSION],
    ["lang", view.lang],
    ["screen", String(view.screen)],
    ["scores", view.scores.join(",")],
    ["target", String(view.target)],
    ["T", String(view.T)],
    ...view.labels.map((label): [string, string] => ["label", label]),
    ["shown", view.shown.join("")],
    ["add", unless(String(initial.add), String(view.add))],
    ["shift", view.shift ? "" : "0"],
    ["cell", unless(`${view.target},${view.target}`, view.cell.join(","))],
    ["nudge", unless(String(initial.nudge), String(view.nudge))],
    ["step", unless(String(initial.step), String(view.step))],
    ["truncated", view.truncated ? "1" : ""],
    ["lead", unless(String(initial.lead), String(view.lead))],
    ["network", view.network],
    ["train", view.train],
  ];
  return parts
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2C", ",")}`)
    .join("&");
}

function whole(text: string | null, least: number, most: number): number | undefined {
  const n = text !== null && /^\d{1,3}$/.test(text) ? Number(text) : NaN;
  return n >= least && n <= most ? n : undefined;
}

function within(text: string | null, { least, most }: { least: number; most: number }): number | undefined {
  const value = Number(text || NaN);
  return value >= least && value <= most ? value : undefined;
}

function cell(text: string | null, last: number): [number, number] | undefined {
  const [j, i, ...rest] = (text ?? "").split(",").map((part) => whole(part, 0, last));
  return j !== undefined && i !== undefined && rest.length === 0 ? [j, i] : undefined;
}
