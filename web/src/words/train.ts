/** What screen 7 says. */

import { speaker, type Phrases } from "./say.ts";

const phrases = {
  "choice toward": ["Toward the orange ones: blue gains ground", "移向橙色那边：蓝色的地盘变大"],
  "choice stay": ["Nowhere: one point among 120 does not count", "不动：120 个点里的一个，无足轻重"],
  "choice away": ["Toward the blue ones: orange gains ground", "移向蓝色那边：橙色的地盘变大"],
  reason: [
    "Each point pulls with its p − y. Points that are well on their own side have p ≈ y and hardly pull; this one has p of blue ≈ 0, so its pull is nearly 1. Train, and watch the border give way. The dashed line is where it was.",
    "每个点都用自己的 p − y 去拉。稳稳待在自己那边的点 p ≈ y，几乎不拉；这个点属于蓝色的概率 p ≈ 0，拉力接近 1。点“训练”，看边界怎样让步。虚线是原来的位置。",
  ],
  // Classes, in the order of their colours and symbols
  c0: ["blue", "蓝"],
  c1: ["orange", "橙"],
  c2: ["green", "绿"],
  c3: ["pink", "粉"],
  c4: ["yellow", "黄"],
  // Plane
  plane: [
    "The plane: {points} points of {classes} classes, {right} of them on their own side. The table below has all of them.",
    "平面：{points} 个点，{classes} 类，其中 {right} 个分类正确。下面的表格列出了全部的点。",
  ],
  help: [
    "Tap to add a point, drag to move it. By keyboard: arrows move the cross (with Shift farther), 1 … {most} adds a point of that class, N goes to the next point, Space picks up a point and puts it down, Delete removes it.",
    "点一下添加，拖动可移动。键盘：方向键移动十字（按住 Shift 走得更远），1 … {most} 添加该类的点，N 跳到下一个点，空格拿起或放下一个点，Delete 删除。",
  ],
  "tap to": ["A tap on the plane", "在平面上点一下"],
  add: ["adds {symbol} {name}", "添加 {symbol} {name}"],
  remove: ["removes a point", "删除一个点"],
  clear: ["Remove all", "全部删除"],
  full: ["{most} points are the most.", "最多 {most} 个点。"],
  // Training
  train: ["Train", "训练"],
  pause: ["Pause", "暂停"],
  "one step": ["One step", "走一步"],
  "many steps": ["{n} steps", "走 {n} 步"],
  restart: ["Start over", "重新开始"],
  loss: ["mean loss", "平均损失"],
  right: ["on their own side", "分类正确"],
  steps: ["steps", "步数"],
  "of all": ["{right} of {all}", "{right} / {all}"],
  lost: [
    "The parameters are no longer numbers: the learning rate is too large. Start over with a smaller one.",
    "参数已经不是正常的数了：学习率太大。请调小后重新开始。",
  ],
  curve: ["The mean loss, from {first} down to {last} after {steps} steps", "平均损失：从 {first} 开始，{steps} 步之后为 {last}"],
  guess: ["guessing: ln {classes}", "随便猜：ln {classes}"],
  "step number": ["step", "步"],
  // Settings
  points: ["Points", "点"],
  blobs: ["Three groups", "三团"],
  moons: ["Two moons + one", "双月形加一团"],
  spiral: ["Spiral", "螺旋"],
  xor: ["XOR + centre", "异或加中心"],
  model: ["Model", "模型"],
  linear: ["Linear: scores = W·x + b", "线性：分数 = W·x + b"],
  hidden: ["Hidden layer", "一个隐藏层"],
  units: ["Units k", "单元数 k"],
  batch: ["Points a step", "每步用的点"],
  all: ["all", "全部"],
  speed: ["Steps a frame", "每帧步数"],
  seed: ["Another seed", "换一个种子"],
  "seed is": ["seed", "种子"],
  // What is under the cross
  here: ["At the cross", "十字光标处"],
  "here is": ["a {name} point: −ln\u00a0p\u00a0=\u00a0", "这里有一个{name}点：−ln\u00a0p\u00a0=\u00a0"],
  pull: ["p − y, its pull on the scores", "p − y，它对各分数的拉力"],
  number: ["no.", "序号"],
  class: ["class", "类别"],
  held: ["picked up", "已拿起"],
  parameters: ["Weights and biases", "权重和偏置"],
  name: ["name", "名称"],
  value: ["value", "值"],
  try: [
    "Drag the blue point back, and the border follows. Then try the spiral: straight borders cannot part it, a hidden layer can.",
    "把蓝点拖回去，边界也会跟着回去。再试试螺旋：直线分不开，加一个隐藏层就可以。",
  ],
} as const satisfies Phrases;

export const say = speaker(phrases);

const NAMES = ["c0", "c1", "c2", "c3", "c4"] as const;
const SYMBOLS = ["●", "▲", "■", "◆", "✚"];

export const className = (target: number) => say(NAMES[target]);
export const symbol = (target: number) => SYMBOLS[target];
