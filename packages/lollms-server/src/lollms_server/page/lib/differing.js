// Which words of two texts differ: what is not in their longest common sequence.
const MOST = 1500; // words of a text; beyond that nobody reads the marks, and the table is large

const same = (word) => word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

/** The words of both texts: [[{text, differs}], [...]]. */
export function differing(first, second) {
  const [a, b] = [first, second].map((text) => text.trim().split(/\s+/).filter(Boolean));
  if (a.length > MOST || b.length > MOST) return [a, b].map((words) => words.map((text) => ({ text, differs: false })));
  const x = a.map(same), y = b.map(same);
  const wide = y.length + 1;
  const longest = new Uint16Array((x.length + 1) * wide);
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) {
      longest[i * wide + j] = x[i] === y[j] ? longest[(i + 1) * wide + j + 1] + 1 : Math.max(longest[(i + 1) * wide + j], longest[i * wide + j + 1]);
    }
  }
  const made = [a.map((text) => ({ text, differs: true })), b.map((text) => ({ text, differs: true }))];
  for (let i = 0, j = 0; i < x.length && j < y.length;) {
    if (x[i] === y[j]) made[0][i++].differs = made[1][j++].differs = false;
    else if (longest[(i + 1) * wide + j] >= longest[i * wide + j + 1]) i++;
    else j++;
  }
  return made;
}
