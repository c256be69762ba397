import { speaker, type Phrases } from "./say.ts";

const phrases = {
  "choice always": ["Always: it is the largest.", "会，它最大。"],
  "choice often": ["Often, but now and then another one.", "经常会，但偶尔会选别的。"],
  "choice third": ["A third of the time, like any other.", "三次里有一次，和别的一样。"],
  reason: [
    "The hard max takes the largest and nothing else. The soft max draws: each class is picked with its probability p, the larger often, the smaller sometimes.",
    "硬最大只取最大的那一个。软最大是抽签：每类按自己的概率 p 被抽中，大的经常抽中，小的偶尔抽中。",
  ],
  score: ["score", "分数"],
  "hard max": ["hard max", "硬最大"],
  "soft max": ["soft max p", "软最大 p"],
  drawn: ["drawn", "抽中"],
  "score of": ["Score of {name}", "{name}的分数"],
  chart: [
    "A bar for each class: its score, which can be dragged, and its probability. Most probable: {name}, p = {p}.",
    "每类一根条：可以拖动的分数，和它的概率。最可能的是{name}，p = {p}。",
  ],
  draw: ["Draw 100", "抽 100 次"],
  "drawn so far": ["{n} draws so far", "已抽 {n} 次"],
  clear: ["Clear", "清空"],
  "temperature low": ["cold: nearly the hard max", "低温：接近硬最大"],
  "temperature high": ["hot: nearly all alike", "高温：几乎一样"],
  "try": [
    "Drag a score, draw again, turn the temperature. At T → 0 the soft max becomes the hard max; at T → ∞ every class is as likely as any other.",
    "拖动分数，再抽一次，再调一调温度。T → 0 时软最大就成了硬最大；T → ∞ 时每一类都同样可能。",
  ],
} as const satisfies Phrases;

export const say = speaker(phrases);
