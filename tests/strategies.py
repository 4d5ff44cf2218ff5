"""Hypothesis strategies that several test files draw from."""

from hypothesis import strategies as st

from elmo_jax import ElmoConfig


@st.composite
def configs(draw):
    """Any ElmoConfig that can be built, small enough to hold its parameters."""
    longest = draw(st.integers(3, 60))
    pairs = st.tuples(st.integers(1, min(longest, 9)), st.integers(1, 5))
    filters = tuple(draw(st.lists(pairs, min_size=1, max_size=4)))
    n_filters = sum(number for _, number in filters)
    projection_dim = draw(st.one_of(st.just(n_filters), st.integers(1, 9)))
    clips = st.one_of(st.none(), st.integers(1, 9), st.floats(0, 1e6, exclude_min=True))
    return ElmoConfig(
        filters=filters,
        projection_dim=projection_dim,
        cell_dim=projection_dim + draw(st.integers(0, 9)),
        char_embedding_dim=draw(st.integers(1, 5)),
        n_highway=draw(st.integers(0, 3)),
        activation=draw(st.sampled_from(["relu", "tanh"])),
        max_characters_per_token=longest,
        n_layers=draw(st.integers(1, 4)),
        cell_clip=draw(clips),
        proj_clip=draw(clips),
        use_skip_connections=draw(st.booleans()),
    )
