import { speaker, type Phrases } from "./say.ts";

const phrases = {
  "choice own": ["Only its own.", "只有它自己的。"],
  "choice all": ["All: its own goes up, every other goes down.", "全都变：自己的升高，其余的降低。"],
  "choice up": ["All of them go up.", "全都升高。"],
  reason: [
    "All of them. z_i is in the numerator of its own p only, but in the denominator of every p, for that sum holds all scores. So its own share grows and all the others make room.",
    "全都变。z_i 只出现在自己那个 p 的分子里，却出现在每一个 p 的分母里，因为总和包含所有分数。于是自己的份额变大，其余的全都让出一点。",
  ],
  touch: [
    "What z_{i} touches. Its weights w_{i} make z_{i} and no other score. But z_{i} fans out to every probability: it raises its own, p_{i}, by case 1, and lowers each of the others by case 2. That is column z_{i} of the grid below. A loss reads only the true class’s p, which is a row: there the weights into the true score meet case 1, and all other weights into scores case 2 (screen 6).",
    "z_{i} 影响谁。权重 w_{i} 只产生 z_{i}，不影响别的分数；但 z_{i} 会散到每一个概率：自己的 p_{i} 升高，是情形一；其余每个 p 降低，是情形二。这就是下面格子里的 z_{i} 那一列。而损失只看真实类别的 p，也就是一行：通向真实类别分数的权重遇到情形一，通向其他分数的权重遇到情形二（见第 6 屏）。",
  ],
  "touch guess": [
    "Each set of weights w makes one score z. Which z reaches which probability p?",
    "每一组权重 w 产生一个分数 z。哪个 z 会影响哪个概率 p？",
  ],
  weights: ["weights", "权重"],
  score: ["scores z", "分数 z"],
  probability: ["probabilities p", "概率 p"],
  "case 1": ["case 1, i = j: p_i(1 − p_i), up", "情形一，i = j：p_i(1 − p_i)，升高"],
  "case 2": ["case 2, i ≠ j: −p_j·p_i, down", "情形二，i ≠ j：−p_j·p_i，降低"],
  "numbers on lines": [
    "On each line: how fast that p changes as the score rises. Rings: the entry chosen in the grid below.",
    "线上的数：分数升高时，那个 p 变化得多快。粗圈：下面格子里选中的一项。",
  ],
  grid: ["∂p_j/∂z_i: every probability (row j) by every score (column i)", "∂p_j/∂z_i：每个概率（第 j 行）对每个分数（第 i 列）"],
  "grid how": [
    "Choose an entry, by pointer or with the arrow keys: a solid one (i = j) opens the derivation of case 1, a dashed one (i ≠ j) that of case 2. Each column adds up to 0 (but for rounding of the digits shown): what one gains, the others lose.",
    "用鼠标、手指或方向键选一格：实线格（i = j）打开情形一的推导，虚线格（i ≠ j）打开情形二的推导。每一列加起来是 0（显示的小数经过四舍五入，可能略有出入）：一个得多少，其余的就让多少。",
  ],
  hidden: [
    "{shown} of {classes} classes are shown: the most probable, and the true one.",
    "共 {classes} 类，这里显示 {shown} 类：概率最大的几类和真实类别。",
  ],
  entry: ["∂p_{j}/∂z_{i} = {value}", "∂p_{j}/∂z_{i} = {value}"],
  "where same": [
    "Case 1, i = j. Where is z_{i} (yellow) in p_{j}? Above the fraction bar, in the numerator, and below it, in the sum.",
    "情形一，i = j。z_{i}（黄色）在 p_{j} 的什么地方？分子里有，分母里也有。",
  ],
  "where other": [
    "Case 2, i ≠ j. Where is z_{i} (yellow) in p_{j}? Only below the fraction bar, in the sum.",
    "情形二，i ≠ j。z_{i}（黄色）在 p_{j} 的什么地方？只在分母的总和里。",
  ],
  "quotient same": [
    "Quotient rule: the numerator moves, and so does the sum in the denominator.",
    "商的求导法则：分子在变，分母的总和也在变。",
  ],
  "quotient other": [
    "Quotient rule: the numerator stands still, its derivative is 0; only the sum moves.",
    "商的求导法则：分子不动，导数是 0；只有总和在变。",
  ],
  split: ["Split the fraction; each factor is a probability.", "拆开分式，每个因子都是概率。"],
  values: ["With numbers:", "代入数字："],
  nudge: ["Don’t take it on faith: nudge z_{i}", "不信？动一动 z_{i}"],
  "nudge by": ["Move z_{i} by Δ", "让 z_{i} 移动 Δ"],
  was: ["outlined: p before the nudge", "空框：移动之前的 p"],
  is: ["filled: p after it", "实心：移动之后的 p"],
  before: ["p before", "之前的 p"],
  after: ["p after", "之后的 p"],
  ratio: ["change / Δ", "变化量 / Δ"],
  "nudge note": [
    "The smaller Δ, the closer change / Δ comes to the derivative: that is what a derivative is.",
    "Δ 越小，变化量 / Δ 就越接近导数：导数就是这个意思。",
  ],
} as const satisfies Phrases;

export const say = speaker(phrases);
