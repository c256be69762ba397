/** The points, the network and its training, as screen 7 shows and changes them. */

import { boundaries, grid, type Segment } from "../../math/decision.ts";
import { flat } from "../../math/network.ts";
import { MOST, classesOf, onGrid, presetPoints } from "../../math/points.ts";
import { evaluate, start, trainStep, type Point } from "../../math/train.ts";
import { SEEDS, fitting, outputs, readState, writeState, type State } from "./settings.ts";

const GHOST = 60; // squares a side of the grid that the dashed border is taken from

export class Session {
  state: State = $state.raw(undefined!); // read() sets it
  losses: [step: number, loss: number][] = $state.raw([]);
  running = $state(false);
  held: number | undefined = $state(); // the point that is being moved
  ghost: Segment[] = $state.raw([]); // the border before points were moved
  marked: number | undefined = $state(); // the point that the question is about
  score = $derived(evaluate(this.state.network, this.state.points));
  classes = $derived(outputs(this.state.network));
  lost = $derived(!flat(this.state.network).every(Number.isFinite));

  constructor(text: string) {
    this.read(text);
  }

  read(text: string): void {
    this.running = false;
    this.held = undefined;
    this.state = readState(text);
    this.losses = [];
    this.marked = text === "" ? this.state.points.length - 1 : undefined; // the stray one, drawn above the others
    this.keepBorder();
  }

  write(): string {
    return writeState(this.state);
  }

  keepBorder(): void {
    this.ghost = this.state.steps > 0 ? boundaries(grid(this.state.network, GHOST)) : [];
  }

  change(changes: Partial<State>): void {
    this.state = { ...this.state, ...changes };
  }

  /** Starts over with these settings, from the seed. */
  restart(changes: Partial<State> = {}): void {
    const { preset, seed, hidden, points } = { ...this.state, ...changes };
    const fresh = preset === "own" ? points : presetPoints(preset, seed);
    this.change({ ...changes, points: fresh, network: start(hidden, classesOf(fresh), seed), steps: 0 });
    this.losses = [];
    this.ghost = [];
    if (preset !== "own") this.marked = undefined;
  }

  anotherSeed(): void {
    this.restart({ seed: (this.state.seed + 1) % (SEEDS + 1) });
  }

  train(count: number): void {
    let { network, steps } = this.state;
    if (this.losses.length === 0) this.losses = [[steps, this.score.loss]];
    for (let n = 0; n < count; n++, steps++) network = trainStep(network, this.state.points, steps, this.state);
    this.change({ network, steps });
    if (this.lost) this.running = false;
    else this.losses = thinned([...this.losses, [steps, this.score.loss]]);
  }

  // Points

  add(target: number, x: number, y: number): void {
    if (this.state.points.length >= MOST) return;
    this.edit([...this.state.points, { x: onGrid(x), y: onGrid(y), target }]);
  }

  move(index: number, x: number, y: number): void {
    this.edit(this.state.points.map((point, i) => (i === index ? { ...point, x: onGrid(x), y: onGrid(y) } : point)));
  }

  remove(index: number): void {
    this.held = undefined;
    this.marked = undefined;
    this.edit(this.state.points.filter((_, i) => i !== index));
  }

  clear(): void {
    this.running = false;
    this.held = undefined;
    this.marked = undefined;
    this.restart({ preset: "own", points: [] });
  }

  private edit(points: Point[]): void {
    this.change({ preset: "own", points, network: fitting(this.state.network, points) });
  }

  /** The nearest point within reach of a place. */
  nearest(x: number, y: number, reach: number): number | undefined {
    const distances = this.state.points.map((point) => Math.hypot(point.x - x, point.y - y));
    const index = distances.indexOf(Math.min(...distances));
    return index >= 0 && distances[index] <= reach ? index : undefined;
  }
}

const DRAWN = 240; // losses that the curve keeps

/** Every other one, once there are too many. */
function thinned(losses: [number, number][]): [number, number][] {
  return losses.length <= DRAWN ? losses : losses.filter((_, n) => n % 2 === 0 || n === losses.length - 1);
}
