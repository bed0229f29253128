"""The networks, voice activity, windows and clusters."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from conversation import RATE, conversation, telephone
from lollms_modalities import BindingDependencyError, VoiceActivity, provider
from lollms_modalities.kit import resample
from lollms_speakers import SileroVoiceActivity, clustering, networks
from lollms_speakers.clustering import Voices, joined, speakers
from lollms_speakers.encoder import embed, mel
from lollms_speakers.voice_activity import FRAME, Region, SileroStream, is_narrow, regions
from lollms_speakers.windows import Window, labels, weights, windows

Numbers = np.ndarray[Any, Any]


@pytest.fixture
def anew() -> Iterator[None]:
    networks.network.cache_clear()
    yield
    networks.network.cache_clear()


class TestNetworks:
    def test_the_encoder_is_the_one_that_was_published(self) -> None:
        # Computed from Resemblyzer's weights with the equations of an LSTM in float64, not with this network.
        mels = (np.arange(2 * 160 * 40).reshape(2, 160, 40) % 97 / 970).astype(np.float32)
        (vectors,) = networks.run("speaker_encoder.onnx", mels=mels)
        assert vectors.shape == (2, 256)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(vectors[0, :8], [0.0, 0.0, 0.0, 0.0, 0.1396, 0.0, 0.0, 0.0538], atol=1e-3)
        np.testing.assert_allclose(vectors[1, -8:], [0.0111, 0.0, 0.0, 0.0259, 0.0, 0.015, 0.0, 0.0], atol=1e-3)

    @pytest.mark.parametrize("name", list(networks.SHA256))
    def test_a_damaged_file_is_refused(self, name: str, anew: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(networks.SHA256, name, "0" * 64)
        with pytest.raises(BindingDependencyError, match=rf"{name} of lollms-speakers is damaged"):
            networks.network(name)

    def test_a_missing_file_is_told(self, anew: None) -> None:
        with pytest.raises(BindingDependencyError, match=r"lacks its file none\.onnx"):
            networks.network("none.onnx")

    def test_the_bands_are_slaneys(self) -> None:
        # 40 bands between 0 and 8 kHz are 1.075 mels apart; 15 mels are 1 kHz, and each 27 more a factor of 6.4.
        times = np.arange(RATE) / RATE
        tones = np.stack([np.sin(2 * np.pi * hertz * times) for hertz in (200, 500, 900, 2000, 4000)])
        loudest = mel(tones.astype(np.float32))[:, 50].argmax(axis=1)
        assert loudest.tolist() == [2, 6, 11, 22, 31]

    def test_a_voice_is_like_itself(self) -> None:
        talk = conversation(["joe", "heart"], 20)
        vectors = embed(talk.samples, [Window(turn.start, turn.start + 1.6) for turn in talk.turns])
        like: dict[bool, list[float]] = {True: [], False: []}
        for a, b in combinations(range(len(vectors)), 2):
            like[talk.turns[a].speaker == talk.turns[b].speaker].append(float(vectors[a] @ vectors[b]))
        assert min(like[True]) > max(like[False])

    def test_windows_at_the_edges_of_a_short_sound(self) -> None:
        assert np.isfinite(embed(np.zeros(10, np.float32), [Window(0.0, 0.01)])).all()


class TestVoiceActivity:
    def test_it_is_found(self) -> None:
        found = provider("voice_activity")
        assert isinstance(found.object, SileroVoiceActivity)
        assert isinstance(found.object, VoiceActivity)

    def test_pieces_of_any_size_give_the_same(self) -> None:
        talk = conversation(["joe"], 10).samples
        whole = SileroVoiceActivity().stream().feed(talk)
        assert len(whole) == len(talk) // FRAME
        sizes = np.random.default_rng(0).integers(0, 3000, 200)
        stream = SileroVoiceActivity().stream()
        parts = [stream.feed(part) for part in np.split(talk, np.cumsum(sizes))]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)

    def test_a_telephone_that_follows_a_studio_and_the_other_way_round(self) -> None:
        """What is heard decides which of the two networks is asked, from frame to frame."""
        talk = conversation(["joe"], 12).samples
        call = resample(telephone(talk), 8000, RATE)
        wide, narrow = (SileroStream(known).feed(call) for known in (False, True))
        assert np.mean(narrow > 0.5) > 1.5 * np.mean(wide > 0.5)
        np.testing.assert_array_equal(SileroStream().feed(call), narrow)
        first = len(talk) // FRAME
        after = SileroStream().feed(np.concatenate([talk[: first * FRAME], call]))
        np.testing.assert_array_equal(after[:first][20:], SileroStream(False).feed(talk)[:first][20:])
        assert is_narrow(call)
        assert not is_narrow(talk)
        assert not is_narrow(np.zeros(RATE, np.float32))

    def test_speech_is_told_from_silence(self) -> None:
        talk = conversation(["heart"], 10)
        heard = regions(SileroVoiceActivity().stream().feed(talk.samples), talk.seconds)
        spoken = sum(turn.end - turn.start for turn in talk.turns)
        inside = sum(max(0.0, min(r.end, t.end) - max(r.start, t.start)) for r in heard for t in talk.turns)
        assert inside > 0.9 * spoken
        assert sum(r.end - r.start for r in heard) - inside < 0.05 * spoken

    def test_it_begins_surely_and_goes_on_doubtfully(self) -> None:
        frame = FRAME / RATE

        def found(*probabilities: float) -> list[tuple[int, int]]:
            made = regions(np.array(probabilities, np.float32), len(probabilities) * frame)
            # The frames that each begins and ends at, without the corrections of its edges.
            return [(round((r.start + 0.03) / frame), round((r.end + 0.02) / frame)) for r in made]

        assert found(*[0.1] * 9) == []
        assert found(*[0.4] * 9) == []
        assert found(0, 0, 0.6, 0.4, 0.4, 0.4, 0, 0, 0, 0) == [(2, 6)]
        assert found(0, 0, *[0.9] * 4, 0, 0, *[0.4] * 4, 0, 0) == [(2, 12)]  # the pause is short
        assert found(0, 0, *[0.9] * 4, 0, 0, 0, 0, *[0.9] * 4, 0) == [(2, 6), (10, 14)]
        assert found(0, 0, 0.9, 0.9, 0, 0, 0, 0) == []  # a click


def clusters(*groups: tuple[float, int], width: float, seed: int = 0) -> tuple[Numbers, list[int]]:
    """Vectors around the directions of those angles, mixed up, and which group each belongs to."""
    chance = np.random.default_rng(seed)
    made, belongs = [], []
    for n, (angle, count) in enumerate(groups):
        middle = np.zeros(32)
        middle[:2] = np.cos(angle), np.sin(angle)
        made.append(middle + width * chance.normal(size=(count, 32)))
        belongs += [n] * count
    vectors = np.concatenate(made)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = chance.permutation(len(vectors))
    return vectors[order].astype(np.float32), [belongs[n] for n in order]


def partition(members: list[list[int]]) -> set[frozenset[int]]:
    return {frozenset(m) for m in members}


def by_definition(vectors: Numbers, shares: Numbers, fewest: int) -> list[list[int]]:
    """The two clusters are joined of which all pairs, each as heavy as both, have the greatest mean cosine."""
    found = [[n] for n in range(len(vectors))]
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)

    def mean(pair: tuple[int, int]) -> float:
        a, b = found[pair[0]], found[pair[1]]
        heavy = np.outer(shares[a], shares[b])
        return float((cosines[np.ix_(a, b)] * heavy).sum() / heavy.sum())

    while len(found) > fewest:
        a, b = max(combinations(range(len(found)), 2), key=mean)
        found[a] += found.pop(b)
    return found


class TestClusters:
    @pytest.mark.parametrize("seed", range(5))
    def test_average_linkage_is_what_it_is_defined_as(self, seed: int) -> None:
        vectors, _ = clusters((0, 12), (1, 9), (2, 7), width=0.3, seed=seed)
        shares = np.random.default_rng(seed).uniform(0.2, 1.6, len(vectors)).astype(np.float32)
        made = joined(Voices.of(vectors, shares, range(len(vectors))), fewest=4)
        assert partition(made.members) == partition(by_definition(vectors, shares, 4))
        for sums, weight, members in zip(made.sums, made.weights, made.members, strict=True):
            np.testing.assert_allclose(sums, (vectors[members] * shares[members, None]).sum(axis=0), atol=1e-4)
            assert weight == pytest.approx(shares[members].sum(), rel=1e-5)

    def test_more_than_can_be_compared_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        vectors, belongs = clusters((0, 300), (1.5, 200), (3, 100), width=0.05)
        voices = Voices.of(vectors, np.ones(len(vectors), np.float32), range(len(vectors)))
        sizes: list[int] = []

        def counting(some: Voices, **how: Any) -> Voices:
            sizes.append(len(some.members))
            return joined(some, **how)

        monkeypatch.setattr(clustering, "_BLOCK", 50)
        monkeypatch.setattr(clustering, "joined", counting)
        made = speakers(voices, None)
        assert partition(made.members) == partition([[n for n, b in enumerate(belongs) if b == c] for c in range(3)])
        assert len(sizes) > 12
        assert max(sizes) <= 50

    def test_a_cough_is_no_speaker(self) -> None:
        vectors, belongs = clusters((0, 40), (1.2, 40), (2.6, 1), width=0.05)
        voices = Voices.of(vectors, np.full(len(vectors), 0.4, np.float32), range(len(vectors)))
        made = speakers(voices, 2)
        assert [len(m) for m in made.members] == [40, 40]
        assert belongs.index(2) not in {n for m in made.members for n in m}

    def test_one_vector_and_fewer_than_are_told(self) -> None:
        vectors, _ = clusters((0, 1), (2, 1), width=0.05)
        ones = np.ones(2, np.float32)
        assert [speakers(Voices.of(vectors, ones, [0]), count).members for count in (None, 1, 5)] == [[[0]]] * 3
        assert len(speakers(Voices.of(vectors, ones, [0, 1]), 5).members) == 2


class TestWindows:
    def test_they_cover_each_region(self) -> None:
        found = windows([Region(0.0, 0.5), Region(1.0, 2.6), Region(3.0, 5.0)])
        assert [(round(w.start, 2), round(w.end, 2), w.region) for w in found] == [
            (0.0, 0.5, 0), (1.0, 2.6, 1), (3.0, 4.6, 2), (3.4, 5.0, 2),
        ]  # fmt: skip
        np.testing.assert_allclose(weights(found), [0.5, 1.6, 1.0, 1.0], rtol=1e-5)

    def test_one_odd_window_is_no_change(self) -> None:
        found = windows([Region(0.0, 4.0)])
        alike = np.tile(np.array([0.8, 0.6], np.float32), (len(found), 1))
        alike[3] = 0.68, 0.7
        assert labels(found, alike) == [0] * len(found)
        alike[3:] = 0.6, 0.8
        assert labels(found, alike) == [0] * 3 + [1] * (len(found) - 3)
