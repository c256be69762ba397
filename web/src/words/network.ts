/** What screen 6 says. */

import { say as sayPage } from "./page.ts";
import { speaker, type Phrases } from "./say.ts";

const phrases = {
  "choice own": ["Those into the {name}’s score", "通向“{name}”分数的那些"],
  "choice all": ["All of them: every score should rise", "全部：每个分数都该变大"],
  "choice others": ["Those into the other two scores", "通向另外两个分数的那些"],
  reason: [
    "A weight w from h_k into score z_i has the gradient ∂loss/∂w = h_k·(p_i − y_i), where y is 1 for the true class and 0 for the others, and a step goes against it. Only the {name} has p − y below 0: the weights into its score grow, those into the other two scores shrink. Those from h_{k} do not move, because h_{k} = 0. See how the number gets there.",
    "从 h_k 通向分数 z_i 的权重 w，梯度是 ∂loss/∂w = h_k·(p_i − y_i)，其中 y 在真实类别处为 1，其余为 0；每一步都逆着梯度走。只有“{name}”的 p − y 小于 0，所以通向它的权重变大，通向另外两个分数的变小；从 h_{k} 出发的权重不动，因为 h_{k} = 0。下面看这个数是怎么一步步传过去的。",
  ],
  loss: ["loss", "损失"],
  label: ["{name}: {value}, gradient {gradient}", "{name}：{value}，梯度 {gradient}"],
  summary: [
    "A network: 2 inputs, 3 hidden units, 3 scores, softmax, loss. The {name} is right: p = {p}, loss {loss}. All numbers are in the tables below.",
    "一个网络：2 个输入、3 个隐藏单元、3 个分数、softmax、损失。正确的是“{name}”：p = {p}，损失 {loss}。所有数字都在下面的表格里。",
  ],
  // The drawing
  inputs: ["inputs", "输入"],
  hidden: ["hidden units", "隐藏单元"],
  scores: ["scores", "分数"],
  probabilities: ["p", "概率 p"],
  "value | gradient": ["value | gradient", "值 | 梯度"],
  true: ["{name}, true", "{name}，真实"],
  "case 1": ["case 1", "情形一"],
  "case 2": ["case 2", "情形二"],
  // Settings
  activation: ["Activation σ, the bend in each hidden unit", "激活函数 σ，即每个隐藏单元里的那道弯"],
  relu: ["ReLU", "ReLU"],
  tanh: ["tanh", "tanh"],
  logistic: ["sigmoid", "sigmoid"],
  target: ["True class", "真实类别"],
  reset: ["Back to the worked example", "恢复到示例"],
  // Stages
  walk: ["Step through", "逐步查看"],
  back: ["Back", "后退"],
  on: ["Next step", "下一步"],
  play: ["Play", "播放"],
  pause: ["Pause", "暂停"],
  stage: ["Step {n} of {all}", "第 {n} 步，共 {all} 步"],
  "at x": ["Two numbers come in.", "输入两个数。"],
  "at h": [
    "Each hidden unit multiplies what comes in by its weights and adds its bias: a = x·W_1 + b_1. Then its activation σ bends the sum, h = σ(a):",
    "每个隐藏单元把输入乘以权重，加上偏置：a = x·W_1 + b_1；再由激活函数 σ 弯一下，h = σ(a)：",
  ],
  "relu bends": ["here ReLU, max(a, 0).", "这里是 ReLU，即 max(a, 0)。"],
  "tanh bends": ["here tanh(a).", "这里是 tanh(a)。"],
  "logistic bends": ["here the sigmoid, 1/(1 + e^−a).", "这里是 sigmoid，即 1/(1 + e^−a)。"],
  "at z": ["Weights and biases once more: the scores, z = h·W_2 + b_2.", "再乘一遍权重、加上偏置，得到分数：z = h·W_2 + b_2。"],
  "at p": [
    "Softmax. Each score goes into every probability: nine lines.",
    "softmax：每个分数都影响每个概率，所以有九条线。",
  ],
  "at loss": [
    "The loss looks at one probability only, that of the {name}: −ln p. Now back again.",
    "损失只看一个概率，也就是“{name}”的：−ln p。现在往回走。",
  ],
  "at p − y": [
    "The loss looks at p_{y} alone, with slope −1/p_{y}. Screen 4 fans out, from one score to every p: a column of its grid. Here every score fans in to the true p_{y}: a row, with the same numbers, for p_{y}·p_{other} = p_{other}·p_{y}. Its own score comes by case 1 (solid line), the others by case 2 (dashed). Times −1/p_{y}, p_{y} cancels, and each score is left with p_i − y_i (y_i is 1 for the true class, else 0).",
    "损失只看 p_{y}，斜率是 −1/p_{y}。第 4 屏是扇出：一个分数散到所有 p，是格子的一列。这里是扇入：所有分数汇到真实类别的 p_{y}，是格子的一行；数是同样的数，因为 p_{y}·p_{other} = p_{other}·p_{y}。自己的分数属于情形一（实线），别的属于情形二（虚线）。再乘以 −1/p_{y}，p_{y} 就约掉了，每个分数只剩 p_i − y_i（y_i 在真实类别处为 1，其余为 0）。",
  ],
  "at W_2": [
    "A weight of W_2 acts through the one score that it goes into, h_k times as strongly: its gradient is h_k·(p_i − y_i). So case 1 (solid) is for the weights into the {name}’s score, case 2 (dashed) for all others.",
    "W_2 的每个权重只通过一个分数起作用，强度是 h_k 倍：梯度为 h_k·(p_i − y_i)。所以情形一（实线）管通向“{name}”分数的权重，情形二（虚线）管其余的。",
  ],
  "at by h": [
    "A hidden unit goes into all three scores, so it hears from all three: ∂loss/∂h_k = Σ_i W_2[k,i]·(p_i − y_i).",
    "一个隐藏单元通向三个分数，所以三边传回来的都要加起来：∂loss/∂h_k = Σ_i W_2[k,i]·(p_i − y_i)。",
  ],
  "at by a": [
    "Back through the activation: times its slope where the unit stands, σ′(a).",
    "往回穿过激活函数：乘以它在 a 处的斜率 σ′(a)。",
  ],
  "at W_1": [
    "W_1 as W_2 before: what came in times what came back, x_m·∂loss/∂a_k. A weight of W_1 has both cases in it, mixed in its hidden unit: {unit} adds up {own} by case 1, {others} by case 2. The inputs do not move; from their gradients an earlier layer would go on. That is back-propagation.",
    "W_1 和刚才的 W_2 一样：进来的数乘以传回来的数，x_m·∂loss/∂a_k。W_1 的权重里两种情形都有，混在它的隐藏单元里：{unit} 加起来的，情形一是 {own}，情形二是 {others}。输入本身不动；如果前面还有层，就从输入的梯度接着往回传。这就是反向传播。",
  ],
  "relu slope": ["For ReLU 1 where a > 0, else 0.", "ReLU 的斜率：a > 0 处为 1，其余为 0。"],
  "tanh slope": ["For tanh 1 − h².", "tanh 的斜率是 1 − h²。"],
  "logistic slope": ["For the sigmoid h(1 − h).", "sigmoid 的斜率是 h(1 − h)。"],
  and: [" and ", " 和 "],
  then: ["; ", "；"],
  zeros: ["Why some gradients are 0: {list}.", "有些梯度为什么是 0：{list}。"],
  "zero p": ["{units}: the loss looks at p_{y} only", "{units}：损失只看 p_{y}"],
  "zero weights": ["weights from {units}: {units} = 0", "从 {units} 出发的权重：{units} = 0"],
  cancel: ["{units}: its parts cancel", "{units}：各部分互相抵消"],
  "no part": ["{units}: each of its parts is 0", "{units}：每一部分都是 0"],
  flat: ["{units}: the activation is flat there (σ′ = 0)", "{units}：激活函数在那里是平的（σ′ = 0）"],
  "key label": ["× a weight, b a bias: press one to see its chain", "× 是权重，b 是偏置：点一下，看它的链"],
  "key framed": ["{weight} [from, to], whose chain is below", "{weight} [从, 到]，它的链在下面"],
  "key framed bias": ["{weight} [to], whose chain is below", "{weight} [到]，它的链在下面"],
  "key weights": ["a line into W_2: the case of the score it leads to", "通向 W_2 的线：所到分数的情形"],
  "key fresh": ["new in this step", "这一步新算出的数"],
  "key own": ["case 1, its own score: p_{y}(1 − p_{y})", "情形一，自己的分数：p_{y}(1 − p_{y})"],
  "key other": ["case 2, another score: −p_{y}·p_i", "情形二，别的分数：−p_{y}·p_i"],
  "key below": ["blue, gradient (∂loss/∂value) below 0: the loss falls when it rises", "蓝色，梯度（∂loss/∂值）小于 0：值变大，损失就变小"],
  "key above": ["orange, gradient above 0: the loss rises when it rises", "橙色，梯度大于 0：值变大，损失也变大"],
  // The chain of a parameter
  "chain heading": ["The chain of one weight", "一个权重的链"],
  choose: ["Weight or bias", "权重或偏置"],
  "change": ["Its value", "它的值"],
  factor: ["factor", "因子"],
  "by loss": ["loss = −ln p_{y}, its slope −1/p_{y} ≈ −1/", "损失 = −ln p_{y}，斜率 −1/p_{y} ≈ −1/"],
  "by own": ["case 1, its own score: p_{y}(1 − p_{y}) ≈ ", "情形一，自己的分数：p_{y}(1 − p_{y}) ≈ "],
  "by other": ["case 2, another score: −p_{y}·p_{i} ≈ −", "情形二，别的分数：−p_{y}·p_{i} ≈ −"],
  together: ["the two multiplied: p_{y} cancels", "两者相乘，p_{y} 约掉"],
  "by input": ["what the weight is multiplied by", "与这个权重相乘的数"],
  "by bias": ["a bias is added as it is", "偏置直接相加"],
  product: ["product", "乘积"],
  path: ["path through", "经过"],
  "sum of paths": ["sum of the three paths", "三条路径之和"],
  "says own": [
    "{weight} goes into the {name}’s own score z_{i}, so it is case 1. One minus sign: {slope} · ({by_p}) ≈ {product} = p_{y} − 1, below 0. Times what came in, that is the gradient.",
    "{weight} 通向“{name}”自己的分数 z_{i}，属于情形一。只有一个负号：{slope} · ({by_p}) ≈ {product} = p_{y} − 1，小于 0；再乘以进来的数，就是梯度。",
  ],
  "says other": [
    "{weight} goes into the score z_{i} of the {name}, which is not the true class, so it is case 2. Two minus signs: {slope} · ({by_p}) ≈ {product} = p_{i}, above 0. Times what came in, that is the gradient.",
    "{weight} 通向“{name}”的分数 z_{i}，它不是真实类别，属于情形二。两个负号相乘：{slope} · ({by_p}) ≈ {product} = p_{i}，大于 0；再乘以进来的数，就是梯度。",
  ],
  "says idle": [
    "Here {unit} = 0, so the gradient is 0 and a step does not move {weight}.",
    "这里 {unit} = 0，所以梯度为 0，走一步 {weight} 也不动。",
  ],
  "says deep": [
    "{weight} moves one hidden unit, and that unit moves all three scores: three paths. Along a path the factors multiply; the paths add up.",
    "{weight} 牵动一个隐藏单元，这个单元又牵动三个分数，所以有三条路径。同一条路径上的因子相乘，各条路径再相加。",
  ],
  rounded: ["Only the digits shown are rounded. ", "四舍五入的只是显示的小数。"],
  nudge: [
    "Checked without the chain rule: move {weight} by 0.00001 up and down; change in loss ÷ change in {weight} =",
    "不用链式法则验证一下：让 {weight} 上下各移动 0.00001，损失的变化 ÷ {weight} 的变化 =",
  ],
  // A step
  "step heading": ["Take a step", "走一步"],
  "step rule": [
    "Every weight and bias moves against its gradient, up where that is below 0 and down where it is above: new value = old value − η · gradient, where η is the learning rate. The h, z and p are not moved; they follow.",
    "每个权重和偏置都逆着自己的梯度移动：梯度小于 0 就变大，大于 0 就变小。新值 = 旧值 − η · 梯度，其中 η 是学习率。h、z 和 p 不直接调整，它们只是跟着变。",
  ],
  take: ["Take the step", "走这一步"],
  now: ["loss now", "现在的损失"],
  after: ["after the step", "走一步之后"],
  falls: ["it falls", "下降"],
  rises: ["it rises: the step is too long", "上升了：步子太大"],
  "same": ["it stays", "不变"],
  steps: ["steps", "步数"],
  losses: ["The loss after each step: {list}", "每一步之后的损失：{list}"],
  // Tables
  parameters: ["Weights and biases", "权重和偏置"],
  nodes: ["Nodes", "节点"],
  name: ["name", "名称"],
  value: ["value", "值"],
  gradient: ["gradient", "梯度"],
  next: ["after a step", "走一步之后"],
} as const satisfies Phrases;

export const say = speaker(phrases);

const ANIMALS = ["cat", "dog", "bird"] as const;

/** The network has the three classes of the lesson, whatever scores other screens show. */
export const className = (j: number) => sayPage(ANIMALS[j]);
