"""Which vectors are of one voice: agglomerative clustering with average linkage on the cosine.

How near two clusters are is the mean cosine of all pairs of their vectors (UPGMA; Sokal and Michener, 1958). Vectors
have length 1, so that this is the scalar product of the clusters' sums over the product of their weights: a cluster is
its sum and its weight, and nothing is lost where clusters are clustered further.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float32]

# Two clusters are one voice if they are as alike as ``alike``, compared with how alike each is to itself. By telephone
# all voices are more alike, and each is more like itself. Measured on 21 voices, clean, by telephone, and in noise:
# half a minute of two voices mostly below 0.86, by telephone 0.89; of one voice 0.98, less where clustering has cut it.
# ``certain``: a mean cosine that two voices do not reach.
_CLEAR = {"certain": 0.78, "alike": 0.91}
_TELEPHONE = {"certain": 0.84, "alike": 0.94}
_PARTED = 0.04  # halves of one voice that clustering has cut in two are that much less alike
_CHANCE = 0.15  # the less speech, the less alike by chance: so much less at one second of it
_DOUBT = 0.32  # and nobody else's for certain only if it is that much less alike
# What somebody says oddly again and again adds up, to a small share of all that is said.
_ODD, _ODD_SHARE = 0.06, 0.25
_ENOUGH = 2.0  # seconds of speech without which a cluster may be an accident
_ITSELF = 0.8  # the mean cosine of a voice with itself, as long as nothing else is known of it
_KNOWN_BY = 2.5  # square seconds, as pairs are weighted, that this counts for
_NEARLY_EQUAL = 0.82  # above it a block's vectors are joined before they meet those of other blocks
_BLOCK = 1500  # vectors of which all pairs are compared at a time


class Voices(NamedTuple):
    """Clusters of vectors.

    Attributes:
        sums: of each cluster's vectors, weighted, shape (n, d).
        weights: of each cluster, in seconds of speech, shape (n,).
        squares: the sum of the squares of its vectors' weights, shape (n,).
        members: numbers of the vectors in each.
    """

    sums: Numbers
    weights: Numbers
    squares: Numbers
    members: list[list[int]]

    @classmethod
    def of(cls, vectors: Numbers, weights: Numbers, numbers: Sequence[int]) -> Voices:
        """Each of those vectors alone."""
        some = weights[list(numbers)]
        return cls(vectors[list(numbers)] * some[:, None], some, some**2, [[n] for n in numbers])

    def some(self, numbers: Sequence[int]) -> Voices:
        """Those clusters alone."""
        kept = list(numbers)
        return Voices(self.sums[kept], self.weights[kept], self.squares[kept], [self.members[n] for n in kept])

    def without(self, *numbers: int) -> Voices:
        """All but those."""
        return self.some([n for n in range(len(self.members)) if n not in numbers])

    def as_one(self) -> Voices:
        """All of them as one cluster."""
        sums, weights, squares = (part.sum(axis=0, keepdims=True) for part in self[:3])
        return Voices(sums, weights, squares, [[n for members in self.members for n in members]])

    def means(self) -> Numbers:
        """The mean vector of each cluster, shape (n, d)."""
        return self.sums / self.weights[:, None]

    def cosines(self) -> Numbers:
        """The mean cosine of each two, shape (n, n); -1 for a cluster and itself."""
        import numpy as np

        means = self.means()
        found: Numbers = means @ means.T
        np.fill_diagonal(found, -1.0)
        return found

    def alike(self) -> Numbers:
        """The same, compared with the mean cosine of each with itself."""
        import numpy as np

        inner = (self.sums**2).sum(axis=1) - self.squares + _KNOWN_BY * _ITSELF
        itself = inner / (self.weights**2 - self.squares + _KNOWN_BY)
        return (self.cosines() / np.sqrt(np.outer(itself, itself))).astype(np.float32)


def together(parts: Sequence[Voices]) -> Voices:
    """The clusters of all parts."""
    import numpy as np

    sums, weights, squares = (np.concatenate([part[n] for part in parts]) for n in range(3))
    return Voices(sums, weights, squares, [members for part in parts for members in part.members])


def joined(voices: Voices, *, cosine: float = -1.0, fewest: int = 1) -> Voices:
    """Join the two clusters of the greatest mean cosine, until none is as great as that, or so few are left."""
    import numpy as np

    count = len(voices.members)
    sums, weights, squares = (part.copy() for part in voices[:3])
    members = [list(m) for m in voices.members]
    table = voices.cosines()
    alive = np.ones(count, bool)
    nearest = table.argmax(axis=1) if count else np.zeros(0, int)
    best = table[np.arange(count), nearest]
    for _ in range(count - fewest):
        a = int(best.argmax())
        b = int(nearest[a])
        if best[a] < cosine:
            break
        for part in (sums, weights, squares):
            part[a] += part[b]
        members[a] += members[b]
        alive[b] = False
        row = np.where(alive, (sums @ sums[a]) / (weights * weights[a]), -1.0)
        row[a] = -1.0
        table[a], table[:, a] = row, row
        table[b] = table[:, b] = -1.0
        # Only those that were nearest to one of the two have to look anew.
        stale = alive & ((nearest == a) | (nearest == b))
        stale[a] = True
        nearest[stale] = table[stale].argmax(axis=1)
        nearest[alive & ~stale & (row > best)] = a
        best = np.where(alive, table[np.arange(count), nearest], -2.0)
    return Voices(sums, weights, squares, members).some(np.flatnonzero(alive).tolist())


def speakers(voices: Voices, count: int | None, *, narrow: bool = False) -> Voices:
    """The clusters that are speakers.

    Args:
        voices: what is to be clustered.
        count: how many there are; None where that is to be found.
        narrow: whether they were heard by telephone.
    """
    cosine = _NEARLY_EQUAL
    while (size := len(voices.members)) > _BLOCK:
        # Not all pairs can be compared: first those of each block that are nearly equal are joined.
        blocks = [voices.some(range(n, min(n + _BLOCK, size))) for n in range(0, size, _BLOCK)]
        voices = together([joined(block, cosine=cosine) for block in blocks])
        cosine -= 0.02  # it ends: at -1 each block is one
    known = _TELEPHONE if narrow else _CLEAR
    return _found(voices, **known) if count is None else _counted(voices, count, known["alike"] - _PARTED)


def _found(voices: Voices, certain: float, alike: float) -> Voices:
    """As many as there are voices that differ for certain."""
    import numpy as np

    found = joined(voices, cosine=certain)
    while len(found.members) > 1:
        table = found.alike()
        large = found.weights >= _ENOUGH
        least = np.minimum.outer(found.weights, found.weights)
        share = least / np.maximum.outer(found.weights, found.weights)
        enough = alike - _ODD * np.maximum(0.0, 1 - share / _ODD_SHARE)
        among = np.where(np.outer(large, large), table - enough + _CHANCE / least, -1.0)
        a, b = divmod(int(among.argmax()), len(large))
        if among[a, b] >= 0:
            found = together([found.without(a, b), found.some([a, b]).as_one()])
            continue
        doubtful = (table - enough + _DOUBT / found.weights[:, None]).max(axis=1) >= 0
        if not doubtful.any():
            break
        # It may be anybody's, and is left out: whose it is is seen when all are compared with the speakers.
        found = found.without(int(np.where(doubtful, found.weights, np.inf).argmin()))
    return found


def _counted(voices: Voices, count: int, alike: float) -> Voices:
    """So many; a cough does not take the place of one who speaks."""
    found = joined(voices, fewest=count)
    while len(found.members) == count > 1:
        least = int(found.weights.argmin())
        if found.weights[least] >= _ENOUGH:
            break
        accident = set(found.members[least])
        voices = voices.some([n for n, members in enumerate(voices.members) if not accident.issuperset(members)])
        if len(voices.members) < count:
            break
        other = joined(voices, fewest=count)
        if other.alike().max() >= max(alike, float(found.alike().max())):
            break  # it would cut one voice in two
        found = other
    return found
