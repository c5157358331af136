// What differences over several sites come to. Draws with a fixed seed: the same every time.

export const LEAST = 5; // sites: of fewer a bootstrap has too few different samples
export const NUM_RESAMPLES = 2000;
const SEED = 20_240_501, SAME = 0.005; // what prints alike is a tie

/**
 * @param {[number, number][]} pairs scores of one and the other
 * @returns {{n: number, one: number, other: number, mean: number, low: ?number, high: ?number,
 *   wins: number, losses: number, ties: number}} wins: sites at which the other is better
 */
export function summary(pairs) {
  const differences = pairs.map(([one, other]) => other - one);
  const [low, high] = pairs.length < LEAST ? [null, null] : interval(differences);
  const wins = differences.filter((one) => one >= SAME).length;
  const losses = differences.filter((one) => one <= -SAME).length;
  const [one, other] = [0, 1].map((side) => mean(pairs.map((scores) => scores[side])));
  return { n: pairs.length, one, other, mean: mean(differences), low, high, wins, losses,
    ties: pairs.length - wins - losses };
}

/** The middle 95% of the means of resamples. @param {number[]} values */
export function interval(values) {
  const random = randoms(SEED);
  const means = Float64Array.from({ length: NUM_RESAMPLES }, () => {
    let sum = 0;
    for (let draw = 0; draw < values.length; draw += 1) sum += values[Math.floor(random() * values.length)];
    return sum / values.length;
  }).sort();
  return [quantile(means, 0.025), quantile(means, 0.975)];
}

/** Between the two nearest values, as numpy does. */
function quantile(sorted, share) {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/** Numbers in [0, 1) of a seed: mulberry32. */
function randoms(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function mean(values) {
  return values.reduce((sum, one) => sum + one, 0) / values.length;
}
